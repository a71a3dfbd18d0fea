//! The smallest real `tc` filter: it decides nothing and lets the next filter have the packet.
//! Scenarios attach it the way a CNI plugin attaches its own program.
#![no_std]
#![no_main]

use aya_ebpf::{bindings::TC_ACT_UNSPEC, macros::classifier, programs::TcContext};

/// Section name as `tc filter add … bpf obj classifier.o sec classifier` expects it.
#[classifier]
pub fn pass(_ctx: TcContext) -> i32 {
    TC_ACT_UNSPEC
}

// The helpers a program may call depend on its licence; the kernel reads it from this section.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
