//! One boot of a guest in QEMU: its output line by line, its console in a file, an eye on its silence.

use std::{
    ffi::OsStr,
    fs,
    io::{BufRead, BufReader},
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use rustix::process::{Signal, set_parent_process_death_signal};
use scenarios::init::EXIT_LINE;

use crate::guest::Guest;

const POLL: Duration = Duration::from_millis(500);
/// A guest that says nothing for this long, not even PID 1's heartbeat on the console, is dead.
const SILENCE: Duration = Duration::from_secs(60);

/// How a boot ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum End {
    /// The command ended with this status.
    Exited(i32),
    /// The guest said nothing for too long and was killed.
    Silent,
    /// The machine stopped without the command's status.
    Died,
}

/// Boots the guest once; `line` gets every line of the command's output, with its newline if it had one.
pub fn boot(
    guest: &Guest<'_>,
    initrd: &Path,
    console: &Path,
    line: &mut dyn FnMut(&[u8]),
) -> Result<End> {
    // A console left from before must not count as a sign of life.
    fs::write(console, "")?;
    let mut machine =
        Machine(command(guest, initrd, console).spawn().context("cannot run qemu-system-x86_64")?);
    let lines = reader(&mut machine.0)?;
    let mut last_sign = Instant::now();
    let mut last_output = Instant::now();
    let mut console_size = 0;
    loop {
        match lines.recv_timeout(POLL) {
            Ok(bytes) => {
                (last_sign, last_output) = (Instant::now(), Instant::now());
                if let Some(status) = split_exit(&bytes, line) {
                    return Ok(End::Exited(status));
                }
            }
            Err(RecvTimeoutError::Disconnected) => return Ok(End::Died),
            Err(RecvTimeoutError::Timeout) => {}
        }
        let size = fs::metadata(console).map_or(0, |file| file.len());
        if size != console_size {
            console_size = size;
            last_sign = Instant::now();
        }
        let stuck = guest.patience.is_some_and(|patience| last_output.elapsed() > patience);
        if stuck || last_sign.elapsed() > SILENCE {
            return Ok(End::Silent);
        }
    }
}

/// A running QEMU; it ends with this value.
struct Machine(Child);

impl Drop for Machine {
    fn drop(&mut self) {
        // It may have ended by itself already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn command(guest: &Guest<'_>, initrd: &Path, console: &Path) -> Command {
    let mut command = Command::new("qemu-system-x86_64");
    let text = |text: &str| OsStr::new(text).to_owned();
    let mut file = text("file:");
    file.push(console);
    // One thread for all CPUs of the guest: with one each, QEMU 7.2 now and then keeps a translation of
    // code that another CPU patches just then. A BPF trampoline that is taken down while a CPU is in it
    // leaves that CPU with a breakpoint which nobody knows any more, and the kernel panics ("Oops:
    // int3"). Without cmpxchg16b, which it emulates wrongly: kernels from 6.6 on die of that. Without AVX
    // and the state that goes with it, which are new in 7.2: in busy guests programs, ours and others, now and
    // then missed what was there.
    command.args(["-accel", "tcg,thread=single", "-cpu", "max,-cx16,-avx,-avx2,-fma,-f16c,-xsave"]);
    command.args(["-smp", &guest.cpus.to_string(), "-m", &guest.memory.to_string()]);
    command.args(["-nographic", "-no-reboot", "-monitor", "none", "-net", "none"]);
    command.arg("-serial").arg(file).args(["-serial", "stdio"]);
    command.arg("-kernel").arg(guest.kernel.image()).arg("-initrd").arg(initrd);
    let cgroups = guest.cgroups.word().unwrap_or_default();
    let words = format!("console=ttyS0 quiet panic=-1 {cgroups} {}", guest.append);
    command.args(["-append", words.trim_end()]);
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    // SAFETY: between fork and exec the closure makes one system call and touches no memory of the parent.
    unsafe {
        command.pre_exec(|| Ok(set_parent_process_death_signal(Some(Signal::KILL))?));
    }
    command
}

fn reader(machine: &mut Child) -> Result<Receiver<Vec<u8>>> {
    let output = machine.stdout.take().context("QEMU has no output")?;
    let (send, receive) = mpsc::channel();
    thread::spawn(move || {
        let mut output = BufReader::new(output);
        loop {
            let mut line = Vec::new();
            match output.read_until(b'\n', &mut line) {
                Ok(0) | Err(_) => return,
                Ok(_) if send.send(line).is_err() => return,
                Ok(_) => {}
            }
        }
    });
    Ok(receive)
}

/// Passes on the output in a line; `Some` when the line ends with the command's status.
fn split_exit(bytes: &[u8], line: &mut dyn FnMut(&[u8])) -> Option<i32> {
    let marker = EXIT_LINE.as_bytes();
    // Output without a last newline runs into the exit line.
    let at = bytes.windows(marker.len()).position(|window| window == marker);
    let status = at
        .and_then(|at| std::str::from_utf8(&bytes[at + marker.len()..]).ok()?.trim().parse().ok());
    let output = if status.is_some() { &bytes[..at.unwrap_or_default()] } else { bytes };
    if !output.is_empty() {
        line(output);
    }
    status
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(bytes: &[u8]) -> (Vec<u8>, Option<i32>) {
        let mut output = Vec::new();
        let status = split_exit(bytes, &mut |line| output.extend_from_slice(line));
        (output, status)
    }

    #[test]
    fn the_exit_line_is_found_behind_output_without_a_newline() {
        assert_eq!(split(b"plain\n"), (b"plain\n".to_vec(), None));
        assert_eq!(split(b"nodeprobe-guest-exit: 3\n"), (Vec::new(), Some(3)));
        assert_eq!(split(b"\xffhalfnodeprobe-guest-exit: 0\n"), (b"\xffhalf".to_vec(), Some(0)));
        assert_eq!(
            split(b"nodeprobe-guest-exit: no\n"),
            (b"nodeprobe-guest-exit: no\n".to_vec(), None)
        );
    }
}
