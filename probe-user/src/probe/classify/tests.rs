use aya::sys::SyscallError;

use super::*;
use crate::kernel::capability;

const FUNCTION: &str = "nodeprobe_no_such_function";

fn refused(target: Target, errno: i32) -> Refusal {
    let io_error = io::Error::from_raw_os_error(errno);
    let error = ProgramError::SyscallError(SyscallError { call: "perf_event_open", io_error });
    let missing_capabilities = vec![capability::SYS_ADMIN];
    let facts = Facts { perf_event_paranoid: 3, missing_capabilities, ..Facts::read() };
    classify("program", target, &error, &facts)
}

#[test]
fn a_function_the_kernel_lacks_is_looked_up() {
    assert_eq!(refused(Target::Kprobe(FUNCTION), libc::ENOENT), Refusal::NoFunction(FUNCTION));
    // Every kernel that has kallsyms has it.
    let there = Refusal::NotTraceable("schedule");
    assert_eq!(refused(Target::Kretprobe("schedule"), libc::EINVAL), there);
    let ambiguous = Refusal::FunctionAmbiguous("schedule");
    assert_eq!(refused(Target::Kprobe("schedule"), libc::EADDRNOTAVAIL), ambiguous);
}

#[test]
fn what_may_not_be_opened_names_the_setting() {
    for errno in [libc::EACCES, libc::EPERM] {
        assert_eq!(refused(Target::Kprobe("schedule"), errno), Refusal::PerfParanoid(3));
        assert_eq!(refused(Target::Tracepoint("net", "x"), errno), Refusal::PerfParanoid(3));
    }
}

#[test]
fn tracing_programs_are_refused_wholly_or_for_a_function() {
    assert_eq!(refused(Target::Fexit("schedule"), libc::EPERM), Refusal::TracingRefused);
    let many = Refusal::TooManyArguments("qdisc_create");
    assert_eq!(refused(Target::Fexit("qdisc_create"), ENOTSUPP), many);
    let hidden = Refusal::NotTraceable("schedule");
    assert_eq!(refused(Target::Fentry("schedule"), libc::EBUSY), hidden);
}

#[test]
fn a_tracepoint_the_kernel_lacks_is_named() {
    let io_error = io::Error::from_raw_os_error(libc::ENOENT);
    let error = TracePointError::FileError { filename: "events/lock/x/id".into(), io_error };
    let target = Target::Tracepoint("lock", "x");
    let found = classify("program", target, &ProgramError::TracePointError(error), &Facts::read());
    assert_eq!(found, Refusal::NoTracepoint("lock", "x"));
}

#[test]
fn the_verifier_has_the_last_word() {
    let error = io::Error::from_raw_os_error(libc::EACCES);
    let log = "0: R1=ctx\nunknown func bpf_probe_read_kernel#113\nprocessed 1 insns\n\n";
    let target = Target::Fexit("schedule");
    let reason = "unknown func bpf_probe_read_kernel#113".to_owned();
    assert_eq!(
        not_loaded("program", target, &error, log),
        Refusal::Verifier { program: "program", reason }
    );
    let error = io::Error::from_raw_os_error(libc::EPERM);
    assert_eq!(not_loaded("program", target, &error, ""), Refusal::TracingRefused);
}
