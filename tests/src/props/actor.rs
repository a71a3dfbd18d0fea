//! A process of its own with a name of its own, playing a workload.

use std::ffi::OsString;
use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread;

use anyhow::{Context, Result, anyhow, bail, ensure};
use tempfile::TempDir;

use crate::HANG_GUARD;
use crate::clock::Moment;
use crate::workload::Ack;

/// More acks than any workload sends before it is listened to.
const ACKS: usize = 16;

/// A running workload; killed when dropped.
pub struct Actor {
    comm: String,
    child: Child,
    acks: Receiver<Ack>,
    /// The kernel takes a process's name from the file it was started by: a link of that name.
    _stage_door: TempDir,
}

impl Actor {
    /// Starts `scenario workload ARGS` under the name `comm`.
    pub fn start<S: Into<OsString>>(comm: &str, args: impl IntoIterator<Item = S>) -> Result<Self> {
        Self::start_as(None, comm, args)
    }

    /// As [`Self::start`], as another user.
    pub fn start_as<S: Into<OsString>>(
        user: Option<u32>,
        comm: &str,
        args: impl IntoIterator<Item = S>,
    ) -> Result<Self> {
        let stage_door = tempfile::tempdir().context("cannot create a temporary directory")?;
        let link = stage_door.path().join(comm);
        let own = std::env::current_exe()
            .context("cannot tell this program's path: is /proc mounted?")?;
        symlink(own, &link).with_context(|| format!("cannot link {}", link.display()))?;
        let mut command = Command::new(&link);
        if let Some(user) = user {
            fs::set_permissions(stage_door.path(), Permissions::from_mode(0o755)).with_context(
                || format!("cannot open {} to others", stage_door.path().display()),
            )?;
            command.uid(user).gid(user);
        }
        let mut child = command
            .arg("workload")
            .args(args.into_iter().map(Into::into))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {comm}"))?;
        let stdout = child.stdout.take().ok_or_else(|| anyhow!("{comm} has no output"))?;
        Ok(Self { comm: comm.into(), child, acks: listen(stdout), _stage_door: stage_door })
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it has done its first bad act, and tells when that was.
    pub fn first_bad_act(&mut self) -> Result<Moment> {
        match self.next_ack()? {
            Ack::FirstBadAct { at } => Ok(at),
            other => bail!("{} said {other:?} instead of its first bad act", self.comm),
        }
    }

    /// Waits until it has done all it was asked to; it may stay to hold what it has.
    pub fn done(&mut self) -> Result<u64> {
        loop {
            if let Ack::Done { count } = self.next_ack()? {
                return Ok(count);
            }
        }
    }

    /// Waits for its end, which must be a good one.
    pub fn finish(mut self) -> Result<u64> {
        let count = self.done()?;
        let status = self.child.wait().with_context(|| format!("cannot wait for {}", self.comm))?;
        ensure!(status.success(), "{} ended with {status}", self.comm);
        Ok(count)
    }

    fn next_ack(&mut self) -> Result<Ack> {
        match self.acks.recv_timeout(HANG_GUARD) {
            Ok(ack) => Ok(ack),
            Err(RecvTimeoutError::Timeout) => {
                bail!("{} said nothing for {HANG_GUARD:?}", self.comm)
            }
            Err(RecvTimeoutError::Disconnected) => {
                let status =
                    self.child.wait().with_context(|| format!("cannot wait for {}", self.comm))?;
                bail!("{} ended with {status}; its error is on standard error", self.comm)
            }
        }
    }
}

impl Drop for Actor {
    fn drop(&mut self) {
        // Both fail only if it ended before.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn listen(stdout: ChildStdout) -> Receiver<Ack> {
    let (sender, receiver) = sync_channel(ACKS);
    thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            let Ok(ack) = serde_json::from_str(&line) else { continue };
            if sender.send(ack).is_err() {
                break;
            }
        }
    });
    receiver
}
