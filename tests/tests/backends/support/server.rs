//! A server under test: a process with ports and a directory of its own, that can be stopped and
//! started again where it was.

use std::{
    fs::{self, File},
    net::{TcpListener, TcpStream},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU16, Ordering},
    time::Instant,
};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process, set_parent_process_death_signal};
use tempfile::TempDir;

use super::{HANG_GUARD, POLL, until};

/// Where a server is.
pub struct Site {
    /// Ports on the loopback that nobody had when it started.
    pub ports: Vec<u16>,
    /// For its data; gone with the server.
    pub dir: TempDir,
}

impl Site {
    /// A place in the server's directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// `127.0.0.1:PORT` of its port with this number.
    pub fn address(&self, number: usize) -> String {
        format!("127.0.0.1:{}", self.ports[number])
    }
}

type Make = Box<dyn Fn(&Site) -> Result<Command>>;
type Ready = Box<dyn Fn(&Site) -> Result<()>>;

/// A server that runs, unless it was stopped. Killed when dropped, its log shown if the test failed.
pub struct Server {
    name: &'static str,
    site: Site,
    make: Make,
    ready: Ready,
    child: Option<Child>,
}

impl Server {
    /// Starts a server that has so many ports, and waits until it is ready.
    pub fn start(
        name: &'static str,
        ports: usize,
        make: impl Fn(&Site) -> Result<Command> + 'static,
        ready: impl Fn(&Site) -> Result<()> + 'static,
    ) -> Result<Self> {
        let mut server = Self::stopped(name, ports, make, ready)?;
        server.up()?;
        Ok(server)
    }

    /// One that is not started yet, and whose ports are known.
    pub fn stopped(
        name: &'static str,
        ports: usize,
        make: impl Fn(&Site) -> Result<Command> + 'static,
        ready: impl Fn(&Site) -> Result<()> + 'static,
    ) -> Result<Self> {
        let site = Site { ports: free_ports(ports)?, dir: tempfile::tempdir()? };
        Ok(Self { name, site, make: Box::new(make), ready: Box::new(ready), child: None })
    }

    /// Its first port.
    pub fn port(&self) -> u16 {
        self.site.ports[0]
    }

    /// Where it is.
    pub fn site(&self) -> &Site {
        &self.site
    }

    /// Starts it, again or at last, on its ports and with its data.
    pub fn up(&mut self) -> Result<()> {
        ensure!(self.child.is_none(), "{} runs already", self.name);
        let log = File::options().append(true).create(true).open(self.log_file())?;
        let mut command = (self.make)(&self.site)?;
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        end_with_us(&mut command);
        let child = command.spawn().with_context(|| format!("cannot start {command:?}"))?;
        let child = self.child.insert(child);
        let (ready, site, name) = (&self.ready, &self.site, self.name);
        let mut ended = None;
        until(&format!("{name} is ready"), || {
            ended = child.try_wait()?;
            if ended.is_some() { Ok(()) } else { ready(site) }
        })?;
        match ended {
            Some(status) => bail!("{name} ended with {status}: {}", self.log()),
            None => Ok(()),
        }
    }

    /// Asks it to end, and waits for that.
    pub fn down(&mut self) -> Result<()> {
        let Some(mut child) = self.child.take() else { return Ok(()) };
        kill_process(Pid::from_child(&child), Signal::TERM)?;
        let deadline = Instant::now() + HANG_GUARD;
        while child.try_wait()?.is_none() {
            if Instant::now() > deadline {
                child.kill()?;
                child.wait()?;
                bail!("{} ignores SIGTERM", self.name);
            }
            std::thread::sleep(POLL);
        }
        Ok(())
    }

    /// Kills it, as a node that fails does.
    pub fn kill(&mut self) -> Result<()> {
        let Some(mut child) = self.child.take() else { return Ok(()) };
        child.kill()?;
        child.wait()?;
        Ok(())
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let child = self.child.as_ref().context("it does not run")?;
        Ok(kill_process(Pid::from_child(child), signal)?)
    }

    /// All it printed so far.
    pub fn log(&self) -> String {
        fs::read(self.log_file()).map_or_else(
            |error| format!("(no log: {error})"),
            |bytes| String::from_utf8_lossy(&bytes).into_owned(),
        )
    }

    fn log_file(&self) -> PathBuf {
        self.site.path("server.log")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended itself.
        let _ = self.kill();
        let log = self.log();
        let lines: Vec<_> = log.lines().collect();
        // Kept back by the test runner unless the test fails.
        println!("-- the end of the log of {}:", self.name);
        lines[lines.len().saturating_sub(40)..].iter().for_each(|line| println!("   {line}"));
    }
}

/// Ready is who takes a connection on the first port.
pub fn takes_connections(site: &Site) -> Result<()> {
    TcpStream::connect(site.address(0))?;
    Ok(())
}

/// Ready is who has made this file, or socket.
pub fn has_made(path: impl AsRef<Path>) -> impl Fn(&Site) -> Result<()> {
    let path = path.as_ref().to_owned();
    move |site| {
        let path = site.path(path.to_str().unwrap_or_default());
        ensure!(path.exists(), "{} is not there", path.display());
        Ok(())
    }
}

/// Ports that nobody has, and nobody gets while their server is down: the kernel gives out others
/// (`ip_local_port_range`, ip(7)), and this process none of them twice.
pub fn free_ports(number: usize) -> Result<Vec<u16>> {
    const OURS: std::ops::Range<u16> = 10_000..32_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Where another process is that does the same, it likely begins elsewhere.
    let begin = u16::try_from(std::process::id() % 220)? * 100;
    let next = || OURS.start + (begin + NEXT.fetch_add(1, Ordering::Relaxed)) % OURS.len() as u16;
    let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    let ports: Vec<_> =
        std::iter::repeat_with(next).take(OURS.len()).filter(is_free).take(number).collect();
    ensure!(ports.len() == number, "no port is free");
    Ok(ports)
}

/// Makes the kernel kill what is started when the thread ends that started it, however that ends.
pub fn end_with_us(command: &mut Command) {
    let die = || Ok(set_parent_process_death_signal(Some(Signal::KILL))?);
    // SAFETY: prctl(2) is async-signal-safe, and nothing is allocated.
    unsafe { command.pre_exec(die) };
}
