//! Why a rung cannot be used, and what to do about it, in plain words.

use std::borrow::Cow;

use thiserror::Error;

use super::hook::{Rung, Target};
use crate::kernel::{
    capability::Capability,
    facts::{Facts, Kprobes},
    symbols::SymbolError,
};

/// What the kernel or the host refuses.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Refusal {
    #[error("this process lacks {name}, without which it cannot {purpose}", name = .0.name, purpose = .0.purpose)]
    MissingCapability(Capability),
    #[error("the kernel is locked down (confidentiality), which forbids {0}")]
    LockedDown(&'static str),
    #[error("the kernel shows no BTF (/sys/kernel/btf/vmlinux), which tracing programs need")]
    NoBtf,
    #[error("the kernel refuses tracing programs (EPERM on BPF_PROG_TYPE_TRACING)")]
    TracingRefused,
    #[error("the kernel has no kprobes")]
    NoKprobes,
    #[error("kprobes are switched off (kprobes/enabled in debugfs is 0): they would never fire")]
    KprobesOff,
    #[error("this process may not open perf events (kernel.perf_event_paranoid is {0})")]
    PerfParanoid(i32),
    #[error("tracefs is not to be had ({0})")]
    NoTracefs(String),
    #[error("this kernel has no function {0}: it was renamed, removed or inlined")]
    NoFunction(&'static str),
    #[error("the kernel module {module} is not loaded, which has function {function}")]
    ModuleNotLoaded { module: &'static str, function: &'static str },
    #[error("the compiler changed function {function} to {changed}: its arguments may have moved")]
    FunctionChanged { function: &'static str, changed: String },
    #[error("this kernel has several functions {0}, and nothing tells which is meant")]
    FunctionAmbiguous(&'static str),
    #[error("the kernel's BTF does not describe function {0}")]
    NotInBtf(&'static str),
    #[error("function {0} may not be traced (notrace, or on the kprobe blacklist)")]
    NotTraceable(&'static str),
    #[error("function {0} has more arguments than this kernel can trace (ENOTSUPP)")]
    TooManyArguments(&'static str),
    #[error("this kernel has no tracepoint {0}/{1}")]
    NoTracepoint(&'static str, &'static str),
    #[error("the place of {0} is not known, without which nothing is seen")]
    MissingFields(String),
    #[error(transparent)]
    NoSymbol(#[from] SymbolError),
    #[error("this hook has no such rung")]
    NoSuchRung,
    #[error("{0}")]
    NothingToSee(&'static str),
    #[error("kernel {0} is older than 5.8 and has no BPF ring buffer")]
    TooOld(String),
    #[error("the kernel does not take nodeprobe's maps: {0}")]
    Maps(String),
    #[error("the verifier refuses program {program}: {reason}")]
    Verifier { program: &'static str, reason: String },
    #[error("{target}: {reason}")]
    Other { target: Target, reason: String },
}

const REPORT: &str = "send this line and `uname -r` to nodeprobe's issue tracker: the hook needs \
                      another place on this kernel";

impl Refusal {
    /// Whether it concerns the whole rung and not one attach point.
    #[must_use]
    pub fn is_of_rung(&self) -> bool {
        matches!(
            self,
            Self::MissingCapability(_)
                | Self::NoBtf
                | Self::TracingRefused
                | Self::NoKprobes
                | Self::KprobesOff
                | Self::PerfParanoid(_)
                | Self::NoTracefs(_)
        )
    }

    /// What to do, as a sentence.
    #[must_use]
    pub fn todo(&self) -> Cow<'static, str> {
        match self {
            Self::MissingCapability(capability) => {
                return format!(
                    "run nodeprobe as root with all capabilities, or add {} to its service or container",
                    capability.name
                )
                .into();
            }
            Self::LockedDown(_) => {
                "boot with lockdown=integrity, or lockdown=none: integrity forbids nothing that \
                 nodeprobe needs"
            }
            Self::NoBtf => {
                "use a kernel built with CONFIG_DEBUG_INFO_BTF=y; for the places of fields alone, \
                 give its BTF with --btf FILE"
            }
            Self::TracingRefused => {
                "allow BPF_PROG_TYPE_TRACING: look at the sandbox, the security module and the \
                 kernel's patches; lower rungs do meanwhile"
            }
            Self::NoKprobes => {
                "use a kernel built with CONFIG_KPROBES=y, CONFIG_KPROBE_EVENTS=y and \
                 CONFIG_PERF_EVENTS=y"
            }
            Self::KprobesOff => "echo 1 > /sys/kernel/debug/kprobes/enabled",
            Self::PerfParanoid(_) => {
                "run nodeprobe with CAP_SYS_ADMIN, or set kernel.perf_event_paranoid to 2 or less \
                 and give it CAP_PERFMON"
            }
            Self::NoTracefs(_) => {
                "mount it (mount -t tracefs tracefs /sys/kernel/tracing), or run nodeprobe with \
                 CAP_SYS_ADMIN so that it can mount it for itself"
            }
            Self::NotInBtf(_) | Self::TooManyArguments(_) => {
                "nothing: a lower rung does not need it; newer kernels may allow it"
            }
            Self::NotTraceable(_) => {
                "set kernel.ftrace_enabled to 1 if it is 0; else nothing: the kernel was built so that \
                 this function cannot be traced"
            }
            Self::NoFunction(_) | Self::FunctionChanged { .. } | Self::FunctionAmbiguous(_) => REPORT,
            Self::NoTracepoint(..) => {
                "use a kernel built with CONFIG_FTRACE_SYSCALLS=y and CONFIG_TRACEPOINTS=y, or one \
                 new enough to have it"
            }
            Self::MissingFields(_) => {
                "give the BTF of this very kernel with --btf FILE; where it has BTF of its own, \
                 report it: nodeprobe does not know this kernel yet"
            }
            Self::NoSymbol(SymbolError::Hidden(_)) => {
                "set kernel.kptr_restrict to 1 or 0, and run as root or add CAP_SYSLOG"
            }
            Self::NoSymbol(SymbolError::Unreadable { .. }) => "mount /proc and let nodeprobe read it",
            Self::NoSymbol(SymbolError::Absent(_)) => {
                "use a kernel built with CONFIG_KALLSYMS_ALL=y"
            }
            Self::NoSymbol(SymbolError::Ambiguous(_)) => REPORT,
            Self::ModuleNotLoaded { .. } => {
                "nothing: it attaches by itself when the module is loaded; until then nobody can write \
                 there"
            }
            Self::NoSuchRung => "make one of its other rungs work, or do not ask for this one",
            Self::TooOld(_) => "use Linux 5.8 or later",
            Self::Maps(_) => {
                "allow bpf(2) in the container's seccomp profile; on kernels before 5.11 add \
                 CAP_SYS_RESOURCE, or raise RLIMIT_MEMLOCK (systemd: LimitMEMLOCK=infinity)"
            }
            Self::NothingToSee(_) => "leave --rung away for this hook",
            Self::Verifier { .. } | Self::Other { .. } => {
                "send this line and `uname -r` to nodeprobe's issue tracker"
            }
        }
        .into()
    }
}

/// Whether a rung can run here at all, from facts alone: asked before anything is started.
///
/// # Errors
/// The [`Refusal`] that would come.
pub fn can_run(rung: Rung, facts: &Facts) -> Result<(), Refusal> {
    if let Some(capability) = facts.missing_to_load() {
        return Err(Refusal::MissingCapability(capability));
    }
    let locked = !facts.lockdown.lets_read_memory();
    match (rung, facts.kprobes) {
        (Rung::Fexit, _) if !facts.btf => Err(Refusal::NoBtf),
        (Rung::Kprobe, _) if locked => Err(Refusal::LockedDown("kprobes")),
        (Rung::Kprobe, Kprobes::None) => Err(Refusal::NoKprobes),
        (Rung::Kprobe, Kprobes::Off) => Err(Refusal::KprobesOff),
        (Rung::Tracepoint, _) if locked => Err(Refusal::LockedDown("tracefs")),
        _ => Ok(()),
    }
}
