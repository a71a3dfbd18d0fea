//! The kernel's side of the ladder: one program to one place, and back.

use std::collections::HashSet;

use aya::{
    Btf, Ebpf,
    programs::{FEntry, FExit, KProbe, Program, ProgramError, TracePoint},
};

use super::{
    classify::{classify, is_unknown},
    hook::{Attachment, Target},
    refusal::Refusal,
};
use crate::kernel::{facts::Facts, modules};

/// Attaches programs of an object and remembers which.
pub struct Attacher<'a> {
    ebpf: &'a mut Ebpf,
    btf: Option<&'a Btf>,
    attached: HashSet<(&'static str, Target)>,
}

impl<'a> Attacher<'a> {
    /// For the programs of `ebpf`; `btf` is the running kernel's own, which fentry and fexit need.
    pub fn new(ebpf: &'a mut Ebpf, btf: Option<&'a Btf>) -> Self {
        Self { ebpf, btf, attached: HashSet::new() }
    }

    /// Attaches a program, once however many hooks share it.
    ///
    /// # Errors
    /// The kernel's [`Refusal`].
    pub fn attach(&mut self, part: &Attachment, facts: &Facts) -> Result<(), Refusal> {
        if let Some(symbol) = part.symbol {
            facts.symbols.check(symbol)?;
        }
        let key = (part.program, part.target);
        if self.attached.contains(&key) {
            return Ok(());
        }
        let program = self.ebpf.program_mut(part.program).ok_or_else(|| Refusal::Other {
            target: part.target,
            reason: format!("the object has no program {}", part.program),
        })?;
        let btf = self.btf.ok_or(Refusal::NoBtf);
        let result = match part.target {
            Target::Fentry(function) => fentry(program, function, btf?),
            Target::Fexit(function) => fexit(program, function, btf?),
            Target::Kprobe(function) | Target::Kretprobe(function) => kprobe(program, function),
            Target::Tracepoint(category, name) => tracepoint(program, category, name),
        };
        result.map_err(|error| refusal(part, &error, facts))?;
        self.attached.insert(key);
        Ok(())
    }

    /// Takes back a program of a step that did not work as a whole.
    pub fn unload(&mut self, part: &Attachment) {
        self.attached.retain(|(program, _)| *program != part.program);
        // Not loaded is what we want anyway.
        let _ = match self.ebpf.program_mut(part.program) {
            Some(Program::FEntry(program)) => program.unload(),
            Some(Program::FExit(program)) => program.unload(),
            Some(Program::KProbe(program)) => program.unload(),
            Some(Program::TracePoint(program)) => program.unload(),
            _ => Ok(()),
        };
    }
}

/// What an error means for a part: the kernel does not know the function of a module that is not there.
fn refusal(part: &Attachment, error: &ProgramError, facts: &Facts) -> Refusal {
    match (part.module, part.target.function()) {
        (Some(module), Some(function)) if is_unknown(error) && !modules::is_there(module) => {
            Refusal::ModuleNotLoaded { module, function }
        }
        _ => classify(part.program, part.target, error, facts),
    }
}

/// A program that goes to several targets is loaded once.
fn once(loaded: Result<(), ProgramError>) -> Result<(), ProgramError> {
    match loaded {
        Err(ProgramError::AlreadyLoaded) => Ok(()),
        other => other,
    }
}

fn fentry(program: &mut Program, function: &str, btf: &Btf) -> Result<(), ProgramError> {
    let program: &mut FEntry = program.try_into()?;
    once(program.load(function, btf))?;
    program.attach().map(|_| ())
}

fn fexit(program: &mut Program, function: &str, btf: &Btf) -> Result<(), ProgramError> {
    let program: &mut FExit = program.try_into()?;
    once(program.load(function, btf))?;
    program.attach().map(|_| ())
}

fn kprobe(program: &mut Program, function: &str) -> Result<(), ProgramError> {
    let program: &mut KProbe = program.try_into()?;
    once(program.load())?;
    program.attach(function, 0).map(|_| ())
}

fn tracepoint(program: &mut Program, category: &str, name: &str) -> Result<(), ProgramError> {
    let program: &mut TracePoint = program.try_into()?;
    once(program.load())?;
    program.attach(category, name).map(|_| ())
}

#[cfg(test)]
mod tests {
    use std::io;

    use aya::sys::SyscallError;

    use super::*;

    const FUNCTION: &str = "nodeprobe_no_such_function";

    fn refused(module: &'static str, errno: i32) -> Refusal {
        let io_error = io::Error::from_raw_os_error(errno);
        let error = ProgramError::SyscallError(SyscallError { call: "perf_event_open", io_error });
        let part = Attachment::new("program", Target::Kprobe(FUNCTION)).in_module(module);
        refusal(&part, &error, &Facts::read())
    }

    #[test]
    fn a_function_is_missing_only_where_its_module_is_there() {
        let module = "nodeprobe_no_such_module";
        let pending = Refusal::ModuleNotLoaded { module, function: FUNCTION };
        assert_eq!(refused(module, libc::ENOENT), pending);
        assert_ne!(refused(module, libc::EPERM), pending);
        // A part of every kernel, as far as sysfs is concerned.
        assert_eq!(refused("kernel", libc::ENOENT), Refusal::NoFunction(FUNCTION));
    }
}
