//! Forks that fail and forks that do not, by every way a program can ask for one.

use std::io::Result as IoResult;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Args;
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};

use super::place::{Place, join};
use super::{Ack, stay};
use crate::clock::Moment;

mod stop;
pub(super) mod way;

use stop::Stop;
pub use stop::{NPROC, NS_PID_MAX, STRANGER};
use way::{Way, clone3, fork, sleep_until_killed};

/// Fill what is limited, then fail to fork.
#[derive(Args)]
pub struct ForkFail {
    #[command(flatten)]
    place: Place,
    /// How many failures, each by the next way to fork.
    #[arg(long)]
    failures: usize,
    /// What stops the forks.
    #[arg(long, value_enum, default_value_t = Stop::Cgroup)]
    stop: Stop,
    /// Directory of the cgroup that children are to be born in.
    #[arg(long, required_if_eq("stop", "into-cgroup"))]
    into: Option<PathBuf>,
}

/// Fail to fork for want of memory.
#[derive(Args)]
pub struct ForkMemory {
    /// Directory of the cgroup to move into, whose memory.max is taken away for a moment.
    #[arg(long)]
    cgroup: PathBuf,
    /// How many failures.
    #[arg(long)]
    failures: usize,
}

/// Fork and reap.
#[derive(Args)]
pub struct ForkStorm {
    /// How many children.
    #[arg(long)]
    count: u64,
}

/// Fill a cgroup with sleeping children, and stay.
#[derive(Args)]
pub struct ForkGrow {
    /// Directory of the cgroup to move into.
    #[arg(long)]
    cgroup: PathBuf,
    /// How many children at once.
    #[arg(long)]
    count: usize,
    /// How many more after that, one each pause; then as many are ended in the same way, and so on.
    #[arg(long, default_value_t = 0)]
    more: usize,
    /// Milliseconds between one and the next.
    #[arg(long, default_value_t = 0)]
    pause_ms: u64,
}

/// Fills what is limited with sleeping children, then fails as often as asked, then stays.
pub fn fail(args: &ForkFail) -> Result<()> {
    args.place.enter()?;
    args.stop.prepare()?;
    let into = args.into.as_deref().map(stop::open).transpose()?;
    let stop = args.stop;
    let at = fill(|| if into.is_some() { clone3(into.as_ref()) } else { fork() }, stop)?;
    Ack::FirstBadAct { at }.send()?;
    let ways = Way::ALL.iter().filter(|way| stop.allows(**way)).cycle();
    for way in ways.take(args.failures - 1) {
        let asked = match &into {
            Some(cgroup) => clone3(Some(cgroup)).map(drop),
            None => way.ask(),
        };
        let error = asked.err();
        ensure!(
            error.as_ref().is_some_and(|error| stop.explains(error)),
            "{way:?}: {error:?}, not what was provoked"
        );
    }
    Ack::Done { count: args.failures as u64 }.send()?;
    stay()
}

/// Fails for want of memory as often as asked, then stays.
pub fn memory(args: &ForkMemory) -> Result<()> {
    join(&args.cgroup)?;
    let at = Moment::now();
    let refused = stop::without_memory(&args.cgroup, args.failures)?;
    Ack::FirstBadAct { at }.send()?;
    Ack::Done { count: refused as u64 }.send()?;
    stay()
}

/// Forks that all succeed.
pub fn storm(args: &ForkStorm) -> Result<()> {
    for (_, way) in (0..args.count).zip(Way::ALL.iter().cycle()) {
        way.ask().with_context(|| format!("{way:?} failed"))?;
    }
    Ack::Done { count: args.count }.send()
}

/// Forks children that sleep; breathes if asked.
pub fn grow(args: &ForkGrow) -> Result<()> {
    join(&args.cgroup)?;
    let at = Moment::now();
    for _ in 0..args.count {
        sleeper()?;
    }
    Ack::FirstBadAct { at }.send()?;
    Ack::Done { count: args.count as u64 }.send()?;
    if args.more == 0 {
        stay();
    }
    breathe(args.more, Duration::from_millis(args.pause_ms))
}

/// Starts so many children, one each pause, ends them in the same way, and so on.
fn breathe(count: usize, pause: Duration) -> Result<()> {
    let mut children = Vec::new();
    loop {
        for _ in 0..count {
            thread::sleep(pause);
            children.push(sleeper()?);
        }
        for child in children.drain(..) {
            thread::sleep(pause);
            end(child)?;
        }
    }
}

/// Ends a child.
pub(super) fn end(child: Pid) -> Result<()> {
    kill_process(child, Signal::KILL).context("cannot end a child")?;
    waitpid(Some(child), WaitOptions::empty()).context("cannot reap a child").map(drop)
}

/// A child that sleeps until it is ended.
pub(super) fn sleeper() -> Result<Pid> {
    match fork().context("cannot fork")? {
        0 => sleep_until_killed(),
        child => Pid::from_raw(i32::try_from(child)?).context("no pid"),
    }
}

/// Adds sleeping children until one is refused; when that was.
fn fill(ask: impl Fn() -> IoResult<libc::c_long>, stop: Stop) -> Result<Moment> {
    loop {
        let at = Moment::now();
        match ask() {
            Ok(0) => sleep_until_killed(),
            Ok(_) => {}
            Err(error) if stop.explains(&error) => return Ok(at),
            Err(error) => return Err(error).context("cannot fork, and not for want of room"),
        }
    }
}
