//! What an error of the kernel means for a program.

use std::{error::Error, io};

use aya::programs::{ProgramError, TracePointError};

use super::{hook::Target, refusal::Refusal};
use crate::kernel::{
    capability,
    facts::{Facts, Kprobes},
    functions::{self, Presence},
};

/// `ENOTSUPP` of include/linux/errno.h, which user space has no name for.
const ENOTSUPP: i32 = 524;

/// Says what an error of aya means for a program.
#[must_use]
pub fn classify(
    program: &'static str,
    target: Target,
    error: &ProgramError,
    facts: &Facts,
) -> Refusal {
    let other = || Refusal::Other { target, reason: chain(error) };
    if let ProgramError::LoadError { io_error, verifier_log } = error {
        return not_loaded(program, target, io_error, &verifier_log.to_string());
    }
    let errno = innermost_io(error).and_then(io::Error::raw_os_error);
    match target {
        Target::Tracepoint(category, name) => match (error, errno) {
            (
                ProgramError::TracePointError(TracePointError::FileError { .. }),
                Some(libc::ENOENT),
            ) => Refusal::NoTracepoint(category, name),
            (ProgramError::TracePointError(_), Some(libc::EACCES | libc::EPERM)) => {
                Refusal::NoTracefs(chain(error))
            }
            (_, Some(libc::EACCES | libc::EPERM)) => {
                Refusal::PerfParanoid(facts.perf_event_paranoid)
            }
            _ => other(),
        },
        Target::Fentry(function) | Target::Fexit(function) => match (error, errno) {
            (ProgramError::Btf(_), _) => match functions::look_up(function) {
                Presence::Whole | Presence::Unknown => Refusal::NotInBtf(function),
                absent => not_there(function, absent),
            },
            (_, Some(ENOTSUPP)) => Refusal::TooManyArguments(function),
            (_, Some(libc::EPERM | libc::EACCES)) => Refusal::TracingRefused,
            (_, Some(libc::EINVAL | libc::EBUSY | libc::ENODEV)) => Refusal::NotTraceable(function),
            _ => other(),
        },
        Target::Kprobe(function) | Target::Kretprobe(function) => match errno {
            Some(libc::EACCES) => Refusal::PerfParanoid(facts.perf_event_paranoid),
            Some(libc::EPERM) if facts.lacks(capability::SYS_ADMIN) => {
                Refusal::PerfParanoid(facts.perf_event_paranoid)
            }
            // kernel/trace/trace_kprobe.c, from 6.7 on: more than one symbol of the name.
            Some(libc::EADDRNOTAVAIL) => Refusal::FunctionAmbiguous(function),
            Some(libc::ENOENT | libc::EINVAL) => match functions::look_up(function) {
                Presence::Whole => Refusal::NotTraceable(function),
                Presence::Unknown => other(),
                absent => not_there(function, absent),
            },
            Some(libc::EOPNOTSUPP) if facts.kprobes == Kprobes::Armed => {
                Refusal::NotTraceable(function)
            }
            _ => other(),
        },
    }
}

/// Whether the kernel says that it does not know what a program shall be attached to.
pub(super) fn is_unknown(error: &ProgramError) -> bool {
    let errno = innermost_io(error).and_then(io::Error::raw_os_error);
    !matches!(error, ProgramError::LoadError { .. }) && errno == Some(libc::ENOENT)
}

fn not_there(function: &'static str, presence: Presence) -> Refusal {
    match presence {
        Presence::Changed(changed) => Refusal::FunctionChanged { function, changed },
        _ => Refusal::NoFunction(function),
    }
}

/// The program itself is refused, whatever it is to be attached to.
fn not_loaded(program: &'static str, target: Target, error: &io::Error, log: &str) -> Refusal {
    let tracing = matches!(target, Target::Fentry(_) | Target::Fexit(_));
    // The last line of the log is the verdict; without a log the refusal came earlier.
    let mut lines = log.lines().rev().map(str::trim);
    match lines.find(|line| !line.is_empty() && !line.starts_with("processed ")) {
        Some(reason) => Refusal::Verifier { program, reason: reason.to_owned() },
        None if tracing && error.kind() == io::ErrorKind::PermissionDenied => {
            Refusal::TracingRefused
        }
        None => Refusal::Other { target, reason: format!("BPF_PROG_LOAD: {error}") },
    }
}

fn innermost_io<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a io::Error> {
    let mut next = Some(error);
    let mut found = None;
    while let Some(error) = next {
        found = error.downcast_ref::<io::Error>().or(found);
        next = error.source();
    }
    found
}

/// An error and its causes in one line.
#[must_use]
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests;
