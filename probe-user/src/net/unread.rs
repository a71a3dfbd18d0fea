//! What was sent on a socket and is not taken yet: all that is known of the other side where the protocol
//! has no answer.

use std::{io, os::fd::AsRawFd, time::Duration};

use tokio::time::sleep;

/// First pause between two looks; the following ones are longer.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
/// Longest of those pauses.
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// Waits, for as long as that takes, until the kernel of the other side has taken all; of a unix socket,
/// until somebody has read all, or nobody ever will.
///
/// # Errors
/// As ioctl(2).
pub async fn until_none(socket: &impl AsRawFd) -> io::Result<()> {
    let mut pause = FIRST_PAUSE;
    while bytes(socket)? > 0 {
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
    Ok(())
}

fn bytes(socket: &impl AsRawFd) -> io::Result<libc::c_int> {
    let mut bytes = 0;
    // SAFETY: the fd is open as long as `socket` is; the call writes an int (tcp(7), SIOCOUTQ, which is
    // TIOCOUTQ on Linux).
    match unsafe { libc::ioctl(socket.as_raw_fd(), libc::TIOCOUTQ, &raw mut bytes) } {
        0 => Ok(bytes),
        _ => Err(io::Error::last_os_error()),
    }
}
