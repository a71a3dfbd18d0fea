//! Whether the archive goes from a node as it came: the commands of docs/INSTALL.md install and remove it on a copy
//! of this machine's root of which overlayfs keeps what they change, and in between the agent runs.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use scenarios::{HANG_GUARD, bpf};
use tempfile::TempDir;

use super::tree;
use crate::run;

const MANUAL: &str = include_str!("../../../docs/INSTALL.md");
/// Its first block of commands installs, its second one removes.
const SECTION: &str = "\n## Other systems with systemd\n";
/// Makes the copy in the directory `$0`, with the archive `$1` in its /tmp, and keeps it until stdin ends.
const COPY: &str = "\
mount -t tmpfs nodeprobe \"$0\"; cd \"$0\"; mkdir upper work root
mount -t overlay nodeprobe -o lowerdir=/,upperdir=upper,workdir=work root
for dir in proc sys dev; do mount --rbind /$dir root/$dir; done
mount -t tmpfs nodeprobe root/tmp; cp \"$1\" root/tmp; echo made; cat";
/// What an operator would have configured: both kinds of what the agent keeps on a node.
const CONFIG: &str = "\
[sinks.here.file]
path = '/var/log/nodeprobe/findings.json'
[sinks.away.webhook]
url = 'http://127.0.0.1:9'
";
/// As the unit starts it, and has systemd make its directories.
const RUN: &str = "\
mkdir -p /var/lib/nodeprobe /var/log/nodeprobe
STATE_DIRECTORY=/var/lib/nodeprobe exec /usr/bin/nodeprobe run --config /etc/nodeprobe/nodeprobe.toml --listen none";
/// What it says once all is attached.
const READY: &str = "ready in ";

/// Why it cannot be tried here.
pub fn impossible() -> Option<&'static str> {
    if !run::is_root() {
        return Some("that takes root");
    }
    (!Path::new("/sys/kernel/btf/vmlinux").exists()).then_some("this host's kernel has no BTF")
}

/// Installs the archive, runs the agent, removes all of it, and looks at what is left.
pub fn test(archive: &Path) -> Result<()> {
    let agent = Path::new("/").join(tree::AGENT);
    ensure!(!agent.exists(), "{} is installed on this machine: remove it first", agent.display());
    let [install, remove] = commands()?;
    let copy = Copy::make(archive)?;
    copy.run(&install)?;
    ensure!(copy.changes()?.len() > 1, "the installation makes nothing");
    copy.run(&format!("cat > /{} <<'END'\n{CONFIG}END", tree::CONFIG))?;
    play(&copy)?;
    for made in ["var/lib/nodeprobe/spool/away", "var/log/nodeprobe/findings.json"] {
        ensure!(copy.changes()?.iter().any(|change| change.ends_with(made)), "it made no {made}");
    }
    copy.run(&remove)?;
    let left = copy.changes()?;
    ensure!(left.is_empty(), "it leaves, or takes with it, {left:?}");
    Ok(())
}

/// Those that install and those that remove, for a root without a running systemd.
fn commands() -> Result<[String; 2]> {
    let (_, section) = MANUAL.split_once(SECTION).context("INSTALL.md lacks the section")?;
    let section = section.split("\n## ").next().unwrap_or_default();
    let mut blocks = section.split("```\n").skip(1).step_by(2);
    let mut next = || {
        let block = blocks.next().context("INSTALL.md lacks a block of commands")?;
        Ok::<_, anyhow::Error>(block.replace("sudo ", "").replace(" --now ", " "))
    };
    Ok([next()?, next()?])
}

/// Runs the agent until it sees, and asks it to end; nothing of it may then be in the kernel.
fn play(copy: &Copy) -> Result<()> {
    let mut agent = copy.command(RUN).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
    let mut said = BufReader::new(agent.stderr.take().context("it has no stderr")?);
    let mut line = String::new();
    while !line.starts_with(READY) {
        line.clear();
        ensure!(said.read_line(&mut line)? > 0, "the agent ended before it was ready");
    }
    let programs = programs(agent.id())?;
    ensure!(!programs.is_empty(), "the agent has no kernel program");
    kill_process(Pid::from_child(&agent), Signal::TERM)?;
    let mut rest = String::new();
    said.read_to_string(&mut rest)?;
    let status = agent.wait()?;
    ensure!(status.success(), "the agent ends with {status}: {rest}");
    // The kernel frees them a moment after the agent's end.
    let deadline = Instant::now() + HANG_GUARD;
    for program in programs {
        while bpf::has_program(program)? {
            ensure!(Instant::now() < deadline, "the kernel program {program} stays");
            thread::sleep(Duration::from_millis(20));
        }
    }
    Ok(())
}

/// Ids of the kernel programs that a process holds.
fn programs(pid: u32) -> Result<Vec<u32>> {
    let mut programs = Vec::new();
    for fd in fs::read_dir(format!("/proc/{pid}/fdinfo"))? {
        let text = fs::read_to_string(fd?.path())?;
        let ids = text.lines().filter_map(|line| line.strip_prefix("prog_id:"));
        for id in ids {
            programs.push(id.trim().parse()?);
        }
    }
    Ok(programs)
}

/// A copy of this machine's root, for as long as this value.
struct Copy {
    dir: TempDir,
    holder: Child,
}

impl Copy {
    fn make(archive: &Path) -> Result<Self> {
        let dir = tempfile::tempdir().context("cannot make a directory")?;
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-ec", COPY]).arg(dir.path()).arg(archive);
        let mut holder = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut said = String::new();
        BufReader::new(holder.stdout.take().context("it has no stdout")?).read_line(&mut said)?;
        let copy = Self { dir, holder };
        ensure!(said == "made\n", "cannot copy this machine's root with overlayfs (said above)");
        Ok(copy)
    }

    /// A shell in it; of what it does with systemd, nothing reaches the one that runs here.
    fn command(&self, commands: &str) -> Command {
        let mut command = self.enter();
        command.arg("chroot").arg(self.dir.path().join("root"));
        command.args(["sh", "-ec", &format!("cd /tmp\n{commands}")]).env("SYSTEMD_OFFLINE", "1");
        command
    }

    fn run(&self, commands: &str) -> Result<()> {
        run::step("commands of INSTALL.md", &mut self.command(commands)).map(drop)
    }

    fn enter(&self) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--mount=/proc/{}/ns/mnt", self.holder.id()));
        command
    }

    /// What is in it that is not on the machine, and what is not any more: type (find(1), `%y`) and path.
    fn changes(&self) -> Result<Vec<String>> {
        let mut find = self.enter();
        find.arg("find").arg(self.dir.path().join("upper")).args(["-mindepth", "1"]);
        let listed = run::step("looking at what changed", find.args(["-printf", "%y %P\\n"]))?;
        // A directory of the machine's is there with what changed below it.
        let is_own = |line: &&str| match line.split_once(' ') {
            Some(("d", path)) => !Path::new("/").join(path).is_dir(),
            _ => true,
        };
        Ok(listed.lines().filter(is_own).map(str::to_owned).collect())
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        // With its stdin the holder ends, and with that the mounts.
        drop(self.holder.stdin.take());
        let _ = self.holder.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manual_says_how_to_install_and_how_to_remove() -> Result<()> {
        let [install, remove] = commands()?;
        assert!(install.contains("\nsystemctl enable nodeprobe\n"), "{install}");
        assert!(install.contains("--directory=/"), "{install}");
        assert!(remove.starts_with("systemctl disable nodeprobe\n"), "{remove}");
        Ok(())
    }
}
