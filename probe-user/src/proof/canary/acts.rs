//! The acts of the canary: each is refused, or undone at once, and leaves nothing behind.

use std::io;

use probe_common::tc::rtm;

use crate::{
    kernel::rtnetlink::{Object, Rtnetlink, request::Request, socket},
    signals::tc::link::CLSACT,
};

/// Asks for a thread that does not share its signal handlers: `copy_process` in kernel/fork.c refuses
/// that with EINVAL before it makes anything, and the hook is told. It needs no right and no cgroup.
///
/// # Errors
/// When something refuses it earlier (seccomp).
pub fn refused_clone() -> io::Result<()> {
    // SAFETY: without CLONE_SIGHAND the call cannot succeed; there are no pointers among its arguments.
    unsafe { libc::syscall(libc::SYS_clone, libc::CLONE_THREAD, 0, 0, 0, 0) };
    let error = io::Error::last_os_error();
    if error.raw_os_error() == Some(libc::EINVAL) { Ok(()) } else { Err(error) }
}

/// Opens a netlink socket, and closes it.
///
/// # Errors
/// When the kernel gives none: no fd, no memory.
pub fn socket_for_nothing() -> io::Result<()> {
    socket().map(drop)
}

/// Opens a netlink socket, asks on it that the clsact of an interface be deleted that cannot be there,
/// and closes it.
///
/// # Errors
/// When the kernel gives no socket, or no answer. Any refusal is as good as another: the hook sees it.
pub fn request_for_nobody() -> io::Result<()> {
    let nobody = Object { ifindex: i32::MAX, parent: CLSACT, ..Object::default() };
    let flags = libc::NLM_F_REQUEST | libc::NLM_F_ACK;
    let request = Request::new(rtm::DELQDISC, flags, &nobody.header());
    match Rtnetlink::open()?.ask(request) {
        Err(error) if is_no_answer(&error) => Err(error),
        _ => Ok(()),
    }
}

fn is_no_answer(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), None | Some(libc::EAGAIN | libc::ENOBUFS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_comes_of_the_acts() {
        refused_clone().unwrap();
        socket_for_nothing().unwrap();
        request_for_nobody().unwrap();
    }
}
