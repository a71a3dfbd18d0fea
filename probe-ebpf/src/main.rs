//! nodeprobe's kernel programs: one file a signal, one program a hook and rung.
//!
//! Programs only copy facts into records; every judgement is the agent's. A program reads kernel
//! structures through [`kernel`] and sends records through [`output`].
#![no_std]
#![no_main]

mod birthplace;
mod budget;
mod fd_table;
mod firewall;
mod fork;
mod globals;
mod kernel;
mod netlink;
mod output;
mod rtnl;
mod tc;
mod tc_attributes;
mod tc_bpf;
mod tc_syscall;
mod untold;

#[cfg(not(test))]
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    // The verifier refuses a program that could get here, so none that loads does.
    loop {}
}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
