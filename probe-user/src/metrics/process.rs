//! The agent as a process, looked up with each scrape.

use std::{
    fs::{self, File},
    os::unix::fs::FileExt,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use prometheus::{Counter, Gauge, IntGauge, Registry};

use super::catalog::process;
use crate::findings::clock::boot_now;

/// Room for `/proc/self/stat`: 52 numbers.
const STAT: usize = 1_024;
const FDS: &str = "/proc/self/fd";

/// What the agent takes of the node.
pub struct Process {
    /// Kept open: a scrape needs no fd for it.
    stat: Option<File>,
    cpu_seconds: Counter,
    resident: IntGauge,
    virtual_memory: IntGauge,
    open_fds: IntGauge,
    max_fds: IntGauge,
    threads: IntGauge,
    start_time: Gauge,
}

/// Fields of proc_pid_stat(5).
#[derive(Debug, PartialEq)]
struct Stat {
    /// User and system time (clock ticks).
    ticks: u64,
    threads: i64,
    /// Since boot (clock ticks).
    started: u64,
    /// Bytes.
    virtual_memory: i64,
    /// Pages.
    resident: i64,
}

impl Process {
    /// Registers it.
    ///
    /// # Errors
    /// When two metrics have one name.
    pub fn new(registry: &Registry) -> prometheus::Result<Self> {
        Ok(Self {
            stat: File::open("/proc/self/stat").ok(),
            cpu_seconds: process::CPU_SECONDS.register(registry)?,
            resident: process::RESIDENT.register(registry)?,
            virtual_memory: process::VIRTUAL.register(registry)?,
            open_fds: process::OPEN_FDS.register(registry)?,
            max_fds: process::MAX_FDS.register(registry)?,
            threads: process::THREADS.register(registry)?,
            start_time: process::START_TIME.register(registry)?,
        })
    }

    /// Looks. What cannot be read stays as it was.
    pub fn observe(&self) {
        self.open_fds.set(open_fds().unwrap_or_else(|| self.open_fds.get()));
        self.max_fds.set(max_fds());
        let mut text = [0; STAT];
        let read = self.stat.as_ref().and_then(|stat| stat.read_at(&mut text, 0).ok());
        let stat = read.and_then(|read| Stat::parse(std::str::from_utf8(text.get(..read)?).ok()?));
        let Some(stat) = stat else { return };
        let (tick, page) = (system(libc::_SC_CLK_TCK), system(libc::_SC_PAGESIZE));
        let used = seconds(stat.ticks, tick);
        self.cpu_seconds.inc_by((used - self.cpu_seconds.get()).max(0.0));
        self.threads.set(stat.threads);
        self.virtual_memory.set(stat.virtual_memory);
        self.resident.set(stat.resident.saturating_mul(page));
        if self.start_time.get() == 0.0 {
            let age = Duration::from_nanos(boot_now()).as_secs_f64() - seconds(stat.started, tick);
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            self.start_time.set(now.as_secs_f64() - age);
        }
    }
}

impl Stat {
    fn parse(text: &str) -> Option<Self> {
        // The name of the program is in brackets, and may hold anything, brackets too.
        let (_, rest) = text.rsplit_once(") ")?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        // Numbered from 1, and the third comes first here.
        let field = |number: usize| *fields.get(number - 3).unwrap_or(&"");
        Some(Self {
            ticks: field(14).parse::<u64>().ok()? + field(15).parse::<u64>().ok()?,
            threads: field(20).parse().ok()?,
            started: field(22).parse().ok()?,
            virtual_memory: field(23).parse().ok()?,
            resident: field(24).parse().ok()?,
        })
    }
}

/// The length of the directory is the number of fds since Linux 6.2; before, it is 0.
fn open_fds() -> Option<i64> {
    let told = fs::metadata(FDS).ok()?.len();
    if told > 0 {
        return i64::try_from(told).ok();
    }
    // Without that of the look itself.
    i64::try_from(fs::read_dir(FDS).ok()?.count()).ok().map(|fds| fds - 1)
}

fn max_fds() -> i64 {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is a valid rlimit to write to.
    unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) };
    i64::try_from(limit.rlim_cur).unwrap_or(i64::MAX)
}

fn system(name: libc::c_int) -> i64 {
    // SAFETY: takes no pointer.
    unsafe { libc::sysconf(name) }.max(1)
}

#[expect(clippy::cast_precision_loss, reason = "exact for 2^53 ticks")]
fn seconds(ticks: u64, per_second: i64) -> f64 {
    ticks as f64 / per_second as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_is_no_obstacle() {
        let text = "7 (a) b) (c) S 1 7 7 0 -1 4194560 9 0 0 0 30 12 0 0 20 0 5 0 400 1000 25 1844";
        let stat = Stat { ticks: 42, threads: 5, started: 400, virtual_memory: 1000, resident: 25 };
        assert_eq!(Stat::parse(text), Some(stat));
        assert_eq!(Stat::parse("7 (cut"), None);
        assert_eq!(Stat::parse("7 (cut) S 1 2"), None);
    }

    #[test]
    fn this_process_has_what_every_process_has() {
        let process = Process::new(&Registry::new()).expect("registered");
        process.observe();
        let fds = process.open_fds.get();
        assert!(fds >= 3 && fds < process.max_fds.get(), "{fds}");
        assert!(process.threads.get() >= 1);
        assert!(process.resident.get() > 1 << 20);
        assert!(process.virtual_memory.get() > process.resident.get());
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        let age = now - process.start_time.get();
        assert!((0.0..3600.0).contains(&age), "{age} s old");
        let before = process.cpu_seconds.get();
        process.observe();
        assert!(process.cpu_seconds.get() >= before);
    }
}
