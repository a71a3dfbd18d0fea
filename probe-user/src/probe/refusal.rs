//! Why a rung cannot be used, in plain words.

use std::{error::Error, io};

use aya::programs::ProgramError;
use thiserror::Error;

use super::hook::{Rung, Target};
use crate::kernel::{
    facts::{Facts, Lockdown},
    symbols::SymbolError,
};

/// What the kernel or the host refuses.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Refusal {
    #[error("{name} is missing ({purpose}); run as root or add the capability")]
    MissingCapability { name: &'static str, purpose: &'static str },
    #[error(
        "the kernel is locked down (confidentiality), which forbids BPF to read its memory; boot with lockdown=integrity or none"
    )]
    LockedDown,
    #[error("the kernel shows no BTF (CONFIG_DEBUG_INFO_BTF), which tracing programs need")]
    NoBtf,
    #[error("the kernel refuses tracing programs (EPERM on BPF_PROG_TYPE_TRACING)")]
    TracingRefused,
    #[error("the kernel has no kprobes (CONFIG_KPROBES)")]
    NoKprobes,
    #[error("tracefs is not to be had ({0}); mount it at /sys/kernel/tracing")]
    NoTracefs(String),
    #[error("this kernel has no {0}")]
    NoTarget(Target),
    #[error(transparent)]
    NoSymbol(#[from] SymbolError),
    #[error("this hook has no such rung")]
    NoSuchRung,
    #[error("the verifier refuses program {program}: {reason}")]
    Verifier { program: &'static str, reason: String },
    #[error("{target}: {reason}")]
    Other { target: Target, reason: String },
}

impl Refusal {
    /// Whether it concerns the whole rung and not one attach point.
    #[must_use]
    pub fn is_of_rung(&self) -> bool {
        matches!(
            self,
            Self::MissingCapability { .. }
                | Self::LockedDown
                | Self::NoBtf
                | Self::TracingRefused
                | Self::NoKprobes
                | Self::NoTracefs(_)
        )
    }
}

/// Whether a rung can run here at all, from facts alone: asked before anything is started.
///
/// # Errors
/// The [`Refusal`] that would come.
pub fn can_run(rung: Rung, facts: &Facts) -> Result<(), Refusal> {
    if let Some(capability) = facts.missing_to_load() {
        let (name, purpose) = (capability.name, capability.purpose);
        return Err(Refusal::MissingCapability { name, purpose });
    }
    if facts.lockdown == Lockdown::Confidentiality {
        return Err(Refusal::LockedDown);
    }
    match rung {
        Rung::Fexit if !facts.btf => Err(Refusal::NoBtf),
        Rung::Kprobe if !facts.kprobes => Err(Refusal::NoKprobes),
        _ => Ok(()),
    }
}

/// Says what an error of aya means for a program.
#[must_use]
pub fn classify(program: &'static str, target: Target, error: &ProgramError) -> Refusal {
    let tracing = matches!(target, Target::Fentry(_) | Target::Fexit(_));
    match error {
        ProgramError::LoadError { io_error, verifier_log } => {
            let log = verifier_log.to_string();
            // The last line of the log is the verdict; without a log the refusal came earlier.
            match log
                .lines()
                .rev()
                .find(|line| !line.trim().is_empty() && !line.starts_with("processed "))
            {
                Some(reason) => Refusal::Verifier { program, reason: reason.trim().to_owned() },
                None if tracing && is_permission(io_error) => Refusal::TracingRefused,
                None => Refusal::Other { target, reason: format!("BPF_PROG_LOAD: {io_error}") },
            }
        }
        ProgramError::Btf(_) => Refusal::NoTarget(target),
        ProgramError::TracePointError(_) => Refusal::NoTarget(target),
        other => match innermost_io(other) {
            Some(error) if error.kind() == io::ErrorKind::NotFound => Refusal::NoTarget(target),
            Some(error) if tracing && is_permission(error) => Refusal::TracingRefused,
            _ => Refusal::Other { target, reason: chain(other) },
        },
    }
}

fn is_permission(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::PermissionDenied
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
