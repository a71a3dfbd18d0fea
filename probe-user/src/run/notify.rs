//! Tells the service manager how it goes, by the protocol of sd_notify(3). Nothing happens where
//! `NOTIFY_SOCKET` is not set.
//!
//! The one socket is opened at the start and kept, where a library would open one for each message: a
//! node that ran out of fds must not look to systemd like an agent that hangs.

use std::{
    env, io,
    os::{
        linux::net::SocketAddrExt,
        unix::{
            ffi::{OsStrExt, OsStringExt},
            net::{SocketAddr, UnixDatagram},
        },
    },
    path::PathBuf,
    process,
    time::Duration,
};

use super::watch::TICK;
use crate::{event::BootNs, supervise::Stuck};

/// A message.
pub enum Notify<'a> {
    /// It sees what it can see, with a line that says what that is.
    Ready(&'a str),
    /// It is ready already, and sees more or less than before.
    Status(&'a str),
    /// It reads its configuration again; it is ready when it says so.
    Reloading,
    /// Its end has begun.
    Stopping,
}

/// The way to the service manager.
pub struct Notifier {
    socket: UnixDatagram,
    manager: SocketAddr,
    watchdog: Option<Watchdog>,
    /// What is covered.
    status: String,
    stuck: Vec<&'static str>,
    failed: bool,
}

/// The manager's watchdog: it ends the agent when no ping comes for twice this time.
struct Watchdog {
    every: Duration,
    pinged: Option<BootNs>,
}

impl Watchdog {
    /// Of `WATCHDOG_USEC` and `WATCHDOG_PID`: see sd_watchdog_enabled(3).
    fn of(usec: Option<&str>, pid: Option<&str>, own: u32) -> Option<Self> {
        if pid.is_some_and(|pid| pid.parse() != Ok(own)) {
            return None;
        }
        let usec: u64 = usec?.parse().ok().filter(|usec| *usec > 0)?;
        Some(Self { every: Duration::from_micros(usec / 2), pinged: None })
    }

    /// Whether a ping is due; the next tick would be too late for it.
    fn is_due(&mut self, now: BootNs) -> bool {
        let since = self.pinged.map(|pinged| Duration::from_nanos(now.saturating_sub(pinged)));
        let due = since.is_none_or(|since| since + TICK > self.every);
        if due {
            self.pinged = Some(now);
        }
        due
    }
}

impl Notifier {
    /// What the environment asks for.
    pub fn from_env() -> Option<Self> {
        let address = env::var_os("NOTIFY_SOCKET").filter(|address| !address.is_empty())?;
        let (usec, pid) = (env::var("WATCHDOG_USEC").ok(), env::var("WATCHDOG_PID").ok());
        let watchdog = Watchdog::of(usec.as_deref(), pid.as_deref(), process::id());
        if watchdog.as_ref().is_some_and(|watchdog| watchdog.every < 2 * TICK) {
            log::warn!("the watchdog's time is too short: give WatchdogSec= at least 4s");
        }
        match Self::open(address.as_bytes(), watchdog) {
            Ok(notifier) => Some(notifier),
            Err(error) => {
                let shown = address.to_string_lossy();
                log::warn!("NOTIFY_SOCKET={shown}: {error}; the service manager is told nothing");
                None
            }
        }
    }

    fn open(address: &[u8], watchdog: Option<Watchdog>) -> io::Result<Self> {
        let manager = match address {
            [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
            [b'/', ..] => SocketAddr::from_pathname(PathBuf::from(std::ffi::OsString::from_vec(
                address.into(),
            )))?,
            _ => return Err(io::Error::other("neither a path nor an abstract name")),
        };
        let socket = UnixDatagram::unbound()?;
        // A manager that does not read must not hold the loop up.
        socket.set_nonblocking(true)?;
        let (status, stuck) = (String::new(), Vec::new());
        Ok(Self { socket, manager, watchdog, status, stuck, failed: false })
    }

    /// Sends a message.
    pub fn send(&mut self, message: &Notify) {
        match message {
            Notify::Ready(status) => {
                self.status = (*status).to_owned();
                self.put(&format!("READY=1\nSTATUS={status}\n"));
            }
            Notify::Status(status) => {
                self.status = (*status).to_owned();
                self.put(&format!("STATUS={status}\n"));
            }
            // The time is what systemd tells one reload from another by (sd_notify(3)).
            Notify::Reloading => {
                self.put(&format!("RELOADING=1\nMONOTONIC_USEC={}\n", monotonic_usec()));
            }
            Notify::Stopping => self.put("STOPPING=1\nSTATUS=ending\n"),
        }
    }

    /// Takes the time: pings the watchdog while every vital loop turns, and says what is stuck.
    pub fn tick(&mut self, now: BootNs, stuck: &Stuck) {
        if self.stuck != stuck.all {
            self.stuck.clone_from(&stuck.all);
            let stuck = match stuck.all.as_slice() {
                [] => String::new(),
                names => format!("stuck: {}; ", names.join(", ")),
            };
            self.put(&format!("STATUS={stuck}{}\n", self.status));
        }
        if !stuck.vital && self.watchdog.as_mut().is_some_and(|watchdog| watchdog.is_due(now)) {
            self.put("WATCHDOG=1\n");
        }
    }

    /// A failure is said once.
    fn put(&mut self, message: &str) {
        if let Err(error) = self.socket.send_to_addr(message.as_bytes(), &self.manager)
            && !std::mem::replace(&mut self.failed, true)
        {
            log::warn!("the service manager cannot be told: {error}");
        }
    }
}

/// Reads `CLOCK_MONOTONIC` (us); see clock_gettime(2).
fn monotonic_usec() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid timespec to write to; this clock is always there.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000
        + u64::try_from(time.tv_nsec).unwrap_or(0) / 1_000
}

#[cfg(test)]
mod tests;
