use std::cell::RefCell;

use super::*;

#[inline(never)]
fn birthplace() -> u32 {
    std::hint::black_box(7)
}

// Code with no call before it, wherever the linker puts it.
std::arch::global_asm!(
    ".pushsection .text.no_call_before, \"ax\"",
    ".skip 16, 0x90",
    ".type no_call_before, @function",
    "no_call_before: ret",
    ".size no_call_before, 1",
    ".popsection",
);

unsafe extern "C" {
    fn no_call_before();
}

fn traced(pid: u32, addresses: &[u64], caller: u64) -> (Trace, Vec<Outcome>) {
    let outcomes = RefCell::new(Vec::new());
    let trace = trace(pid, addresses, caller, |outcome| outcomes.borrow_mut().push(outcome));
    (trace, outcomes.into_inner())
}

#[test]
fn a_function_of_this_very_program_has_its_name() {
    assert_eq!(birthplace(), 7);
    let address = birthplace as fn() -> u32 as usize as u64;
    let (trace, outcomes) = traced(std::process::id(), &[address + 1], 0);
    assert!(trace.frames[0].contains("tests::birthplace+0x1 ("), "{trace:?}");
    assert!(trace.unreadable.unwrap().contains("frame pointers"), "one frame is no whole stack");
    assert_eq!(outcomes, [Outcome::Named]);
}

#[test]
fn what_is_no_code_ends_the_stack_and_a_wrong_guess_is_left_out() {
    let code = birthplace as fn() -> u32 as usize as u64;
    let data = &raw const code as u64;
    for (addresses, caller) in [(&[code, data, code][..], 0), (&[code][..], data), (&[code][..], 1)]
    {
        let (trace, _) = traced(std::process::id(), addresses, caller);
        assert_eq!(trace.frames.len(), 1, "{trace:?}");
    }
    let no_return = no_call_before as unsafe extern "C" fn() as usize as u64;
    let (trace, _) = traced(std::process::id(), &[code], no_return);
    assert_eq!(trace.frames.len(), 1, "{trace:?}");
}

#[test]
fn the_dead_and_the_empty_are_said() {
    let (trace, outcomes) = traced(0x7fff_ffff, &[1, 2], 3);
    assert_eq!(
        trace.unreadable.as_deref(),
        Some("the process was gone before its stack was looked up")
    );
    assert_eq!(outcomes, [Outcome::Unreadable]);
    let (trace, _) = traced(std::process::id(), &[], 0);
    assert!(trace.frames.is_empty() && trace.unreadable.is_some());
}

#[test]
fn the_caller_comes_where_the_walk_steps_over_it() {
    let order = |addresses: &[u64], caller| {
        with_caller(addresses, caller).map(|(address, _)| address).collect::<Vec<_>>()
    };
    assert_eq!(order(&[1, 2, 3], 9), [1, 9, 2, 3]);
    assert_eq!(order(&[1, 9, 3], 9), [1, 9, 3], "the wrapper had a frame");
    assert_eq!(order(&[1, 2], 0), [1, 2]);
    assert_eq!(order(&[], 9), [9], "the stack found no room");
}

#[test]
#[cfg(target_arch = "x86_64")]
fn calls_are_known() {
    for (code, is_call) in [
        (vec![0x90, 0x90, 0xe8, 1, 2, 3, 4], true),
        (vec![0x90, 0x90, 0x90, 0x90, 0x90, 0xff, 0xd0], true),
        (vec![0x90, 0xff, 0x15, 1, 2, 3, 4], true),
        (vec![0x90, 0x90, 0x90, 0x90, 0x90, 0xff, 0xe0], false),
        (vec![0x90; 7], false),
    ] {
        assert_eq!(is_after_call(&code, 7), is_call, "{code:x?}");
    }
    assert!(!is_after_call(&vec![0xe8; 4], 4), "too near the beginning");
}

#[test]
fn wrappers_are_left_out_and_long_names_cut() {
    assert!(Frame::plain("syscall.Socket (x.go:1)".into()).wrapper);
    assert!(!Frame::plain("syscaller.run (x.go:1)".into()).wrapper);
    assert!(Frame::plain("main+0x12 (x)".into()).outermost);
    assert_eq!(shorten(&"ä".repeat(1_000)).chars().count(), LONGEST + 1);
}
