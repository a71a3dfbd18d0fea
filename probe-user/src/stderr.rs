//! Lines for whoever runs the agent, on stderr. That may be a pipe that nobody empties any more, and
//! the thread that reads the ring writes there too: a line that would have to wait is left out.

use std::{
    io::{self, Write},
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use crate::text::plain_lines;

/// Lines left out since the last one that was written.
static LEFT_OUT: AtomicU64 = AtomicU64::new(0);

/// Stderr, which takes everything at once.
pub struct Stderr;

impl Write for Stderr {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if takes_more(libc::STDERR_FILENO) {
            let left_out = LEFT_OUT.swap(0, Relaxed);
            let mut stderr = io::stderr().lock();
            if left_out > 0 {
                writeln!(stderr, "{left_out} lines left out: nobody read them")?;
            }
            // Names of others may be in it.
            stderr.write_all(plain_lines(&String::from_utf8_lossy(line)).as_bytes())?;
        } else {
            LEFT_OUT.fetch_add(1, Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Whether a line can be written to an fd without waiting: a pipe that has room at all has it for
/// `PIPE_BUF` bytes (pipe(7)), and no line here is longer.
fn takes_more(fd: libc::c_int) -> bool {
    let mut asked = libc::pollfd { fd, events: libc::POLLOUT, revents: 0 };
    // SAFETY: one pollfd, as told.
    let ready = unsafe { libc::poll(&raw mut asked, 1, 0) };
    // An fd that cannot be asked about says what is wrong when it is written to.
    ready != 0
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;

    use super::*;

    #[test]
    fn a_pipe_that_nobody_reads_takes_no_more() {
        let (reader, mut writer) = io::pipe().unwrap();
        assert!(takes_more(writer.as_raw_fd()));
        while takes_more(writer.as_raw_fd()) {
            writer.write_all(&[b'x'; 4_096]).unwrap();
        }
        drop(reader);
        assert!(takes_more(writer.as_raw_fd()), "it fails, and at once");
    }
}
