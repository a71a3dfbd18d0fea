//! Whether an agent that no longer turns is noticed from outside, and one that ends says why: by what it
//! tells a service manager, what its endpoint answers, and its exit code.

use std::fs::File;
use std::io::{ErrorKind, PipeReader, PipeWriter, Write, pipe};
use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::process::Signal;

use crate::HANG_GUARD;
use crate::interrupt;
use crate::props::cgroup::PidsCgroup;
use crate::scenarios::fork_pids_max::fork_fail;
use crate::session::Setup;
use crate::trial::Trial;

mod managed;
mod manager;

use managed::Managed;

/// The trial.
pub const TRIAL: Trial = Trial {
    name: "watchdog",
    summary: "an agent is stopped in several ways, under a service manager that listens",
    expected: "it is noticed when it stands still; it ends with 0 when asked, with 1 and the reason else",
    own_guest: false,
    play: check,
};

/// Between two looks at something that cannot be waited for.
const POLL: Duration = Duration::from_millis(50);

/// For how long a stopped agent is listened to: longer than it may go without a ping.
const SILENCE: Duration = Duration::from_secs(3);

/// What happens, and how.
type Part = (&'static str, fn(&Setup) -> Result<()>);

fn check(setup: &Setup) -> Result<String> {
    let parts: [Part; 3] = [
        ("the loop turns, stands still, turns again, and is asked to end", turns),
        ("whoever reads the findings stalls, then goes away", reader_goes),
        ("the metrics port is taken", port_taken),
    ];
    for (summary, part) in parts {
        interrupt::check()?;
        setup.stage.reporter.progress(format!("{}: {summary}", TRIAL.name));
        part(setup).context(summary)?;
    }
    Ok("noticed when it stands still; ends with 0 when asked, with 1 and the reason else".into())
}

fn turns(setup: &Setup) -> Result<()> {
    let findings = tempfile::tempfile().context("cannot create a file")?;
    let mut agent = Managed::start(setup, findings.into(), "127.0.0.1:0")?;
    let status = agent.is_ready()?;
    for signal in ["tc=", "fork=", "netlink=", "rtnl=", "fd=polled"] {
        ensure!(status.contains(signal), "the status does not say {signal}: {status}");
    }
    agent.manager.expect("WATCHDOG=1")?;
    agent.manager.expect("WATCHDOG=1")?;
    ensure!(agent.get("livez")? == "ok\n", "/livez says {:?}", agent.get("livez")?);
    let readiness = agent.get("readyz")?;
    ensure!(readiness.starts_with("ok\n"), "/readyz says {readiness:?}");
    let log = agent.log()?;
    let gaps = log.lines().filter(|line| line.starts_with("not covered:"));
    for gap in gaps {
        ensure!(readiness.contains(gap), "/readyz does not say {gap:?}");
    }

    agent.signal(Signal::STOP)?;
    agent.is_stopped()?;
    agent.manager.forget()?;
    let mut asked = agent.ask("livez")?;
    ensure!(!asked.answers_within(SILENCE)?, "/livez answers while the loop stands still");
    let told = agent.manager.all()?;
    ensure!(told.is_empty(), "a stopped agent says {told:?}");

    agent.signal(Signal::CONT)?;
    ensure!(asked.answers_within(HANG_GUARD)?, "/livez does not answer again");
    agent.manager.expect("WATCHDOG=1")?;
    agent.signal(Signal::TERM)?;
    agent.manager.expect("STOPPING=1")?;
    agent.ends_with(0, &[])?;
    let log = agent.log()?;
    ensure!(!log.contains("stuck:"), "a pause of all is no loop's fault:\n{log}");
    Ok(())
}

/// A sink that stalls is no reason to be killed, and one that ends is the end.
fn reader_goes(setup: &Setup) -> Result<()> {
    let (reader, writer) = full_pipe()?;
    let mut agent = Managed::start(setup, writer.into(), "127.0.0.1:0")?;
    agent.is_ready()?;
    let cgroup = PidsCgroup::create(8)?;
    let (mut victim, _) = fork_fail("kubelet", 1, &cgroup, "cgroup", &[])?;
    victim.done()?;
    let deadline = Instant::now() + HANG_GUARD;
    while !stalls(&agent.get("metrics")?) {
        interrupt::check()?;
        ensure!(Instant::now() < deadline, "the sink does not stall; {}", agent.log()?);
        thread::sleep(POLL);
    }
    agent.manager.forget()?;
    agent.manager.expect("WATCHDOG=1")?;
    let live = agent.get("livez")?;
    ensure!(live.starts_with("ok\n"), "/livez says {live:?}");
    drop(reader);
    agent.manager.expect("STOPPING=1")?;
    agent.ends_with(1, &["nodeprobe: sink-stdout ended: Broken pipe", "start nodeprobe again"])
}

fn stalls(metrics: &str) -> bool {
    let series = "nodeprobe_loop_last_turn_age_seconds{loop=\"sink-stdout\"} ";
    let age = metrics.lines().find_map(|line| line.strip_prefix(series)?.parse::<f64>().ok());
    age.is_some_and(|age| age > 0.0)
}

fn port_taken(setup: &Setup) -> Result<()> {
    let taken = TcpListener::bind("127.0.0.1:0").context("cannot listen")?;
    let address = taken.local_addr()?.to_string();
    let findings = tempfile::tempfile().context("cannot create a file")?;
    let mut agent = Managed::start(setup, File::into(findings), &address)?;
    agent.ends_with(1, &[&format!("cannot listen on {address}"), "--listen"])?;
    let told = agent.manager.all()?;
    ensure!(told.is_empty(), "an agent that cannot start says {told:?}");
    Ok(())
}

/// A pipe that takes nothing more until somebody reads.
fn full_pipe() -> Result<(PipeReader, PipeWriter)> {
    let (reader, mut writer) = pipe().context("cannot make a pipe")?;
    let flags = fcntl_getfl(&writer)?;
    fcntl_setfl(&writer, flags | OFlags::NONBLOCK)?;
    // Not all or nothing up to the size of a page: the last bytes one by one.
    for chunk in [4_096, 1] {
        loop {
            match writer.write(&vec![b'\n'; chunk]) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => bail!("cannot fill a pipe: {error}"),
            }
        }
    }
    fcntl_setfl(&writer, flags)?;
    Ok((reader, writer))
}
