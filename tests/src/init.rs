//! PID 1 of a test guest: prepares the machine, runs one command, reports its exit status and stops the machine.
//!
//! The command's output goes to the second serial line, apart from the kernel's messages on the first.

use std::{
    ffi::CString,
    fs::{self, File, OpenOptions},
    io::Write,
    os::unix::process::ExitStatusExt,
    path::Path,
    process::{Command, ExitStatus, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use rustix::{
    mount::{MountFlags, mount},
    process::{Pid, WaitOptions, wait},
    system::{RebootCommand, finit_module, reboot},
    termios::{OptionalActions, speed, tcdrain, tcgetattr, tcsetattr},
};

/// The line that ends a run starts with this and goes on with the command's exit status.
pub const EXIT_LINE: &str = "nodeprobe-guest-exit: ";
/// Where the guest finds the command to run: its words as a JSON array.
pub const COMMAND_FILE: &str = "/etc/command.json";
/// Where the guest finds the modules to load: one path a line, dependencies first.
pub const MODULES_FILE: &str = "/etc/modules-order";

const OUTPUT: &str = "/dev/ttyS1";
const CONSOLE: &str = "/dev/console";
const PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";
const HEARTBEAT: Duration = Duration::from_secs(5);

/// File system type and mount point, in mounting order.
const MOUNTS: &[(&str, &str)] = &[
    ("proc", "/proc"),
    ("sysfs", "/sys"),
    ("devtmpfs", "/dev"),
    ("bpf", "/sys/fs/bpf"),
    ("tracefs", "/sys/kernel/tracing"),
    ("debugfs", "/sys/kernel/debug"),
    ("securityfs", "/sys/kernel/security"),
    ("tmpfs", "/tmp"),
    ("tmpfs", "/run"),
];

/// A word of the kernel's command line that says which cgroup hierarchies there are: `v1`, `hybrid`;
/// v2 alone without.
pub const CGROUP_WORD: &str = "nodeprobe.cgroup=";

/// A word of the kernel's command line that hides the kernel's BTF, as of a kernel built without;
/// a copy is left at [`BTF_COPY`].
pub const BTF_HIDDEN: &str = "nodeprobe.btf=hidden";
/// Where the guest's hidden BTF is.
pub const BTF_COPY: &str = "/run/vmlinux.btf";
/// Where kernels show their BTF.
const BTF: &str = "/sys/kernel/btf";

/// Where hosts have their cgroup hierarchies.
const CGROUPS: &str = "/sys/fs/cgroup";
/// Hierarchies of cgroup v1 as hosts have them; a kernel may lack some.
const CGROUPS_V1: &[&str] = &[
    "pids",
    "memory",
    "cpu,cpuacct",
    "blkio",
    "devices",
    "freezer",
    "net_cls,net_prio",
    "perf_event",
];

/// Whether this process was started by the kernel as the guest's first one: the first of a container is
/// told what to do.
#[must_use]
pub fn is_guest_init() -> bool {
    std::process::id() == 1 && std::env::args_os().len() == 1
}

/// Whether this machine is a test guest, where settings of the whole node may be changed.
#[must_use]
pub fn is_guest() -> bool {
    Path::new(COMMAND_FILE).exists()
}

/// What follows such a word on the kernel's command line, if it is there.
#[must_use]
pub fn word(start: &str) -> Option<String> {
    let words = fs::read_to_string("/proc/cmdline").ok()?;
    words.split_whitespace().find_map(|word| word.strip_prefix(start)).map(str::to_owned)
}

/// Runs the guest from mounts to power-off. Returns only when the machine could not be stopped.
///
/// # Errors
/// When the machine refuses to restart; the kernel then panics as its PID 1 ends.
pub fn run() -> Result<()> {
    for (kind, target) in MOUNTS {
        if let Err(error) = mount_one(kind, target) {
            console(&format!("{error:#}"));
        }
    }
    for done in [mount_cgroups(), hide_btf()] {
        if let Err(error) = done {
            console(&format!("{error:#}"));
        }
    }
    let status = prepare_and_run().unwrap_or_else(|error| {
        complain(&error);
        // As a shell does for a command it cannot start.
        127
    });
    report(status)?;
    rustix::fs::sync();
    // QEMU runs with -no-reboot: a restart ends it, with or without ACPI.
    reboot(RebootCommand::Restart).context("cannot restart the machine")
}

fn prepare_and_run() -> Result<i32> {
    load_modules();
    let output = open_output()?;
    thread::spawn(|| {
        loop {
            thread::sleep(HEARTBEAT);
            console("alive");
        }
    });
    let words = fs::read_to_string(COMMAND_FILE).with_context(|| format!("no {COMMAND_FILE}"))?;
    let words: Vec<String> =
        serde_json::from_str(&words).with_context(|| format!("{COMMAND_FILE} is not an array"))?;
    let Some((program, args)) = words.split_first() else {
        bail!("{COMMAND_FILE} is empty");
    };
    if let Err(error) = Command::new("/bin/ip").args(["link", "set", "lo", "up"]).status() {
        console(&format!("cannot bring lo up: {error}"));
    }
    let child = Command::new(program)
        .args(args)
        .env("HOME", "/root")
        .env("PATH", PATH)
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output)
        .spawn()
        .with_context(|| format!("cannot run {program}"))?;
    wait_reaping(child.id())
}

/// Waits for one child and reaps every orphan that ends meanwhile, as only PID 1 can.
fn wait_reaping(child: u32) -> Result<i32> {
    loop {
        let Some((pid, status)) = wait(WaitOptions::empty()).context("wait")? else {
            continue;
        };
        if u32::try_from(Pid::as_raw_nonzero(pid).get()) == Ok(child) {
            let status = ExitStatus::from_raw(status.as_raw());
            return Ok(status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0)));
        }
    }
}

fn mount_one(kind: &str, target: &str) -> Result<()> {
    fs::create_dir_all(target).with_context(|| format!("cannot create {target}"))?;
    mount(kind, target, kind, MountFlags::empty(), None)
        .with_context(|| format!("cannot mount {kind} on {target}"))
}

/// Hides the kernel's BTF when its command line says so.
fn hide_btf() -> Result<()> {
    if word(BTF_HIDDEN).is_some() {
        fs::copy(Path::new(BTF).join("vmlinux"), BTF_COPY).context("cannot copy the BTF")?;
        mount_one("tmpfs", BTF)?;
    }
    Ok(())
}

/// Mounts cgroup v2 alone, or cgroup v1 as systemd does: with v2 without controllers beside it on a
/// hybrid host.
fn mount_cgroups() -> Result<()> {
    let Some(layout) = word(CGROUP_WORD) else { return mount_one("cgroup2", CGROUPS) };
    mount_one("tmpfs", CGROUPS)?;
    for controllers in CGROUPS_V1 {
        mount_v1(controllers, controllers);
    }
    mount_v1("systemd", "none,name=systemd");
    if layout == "hybrid" {
        mount_one("cgroup2", &format!("{CGROUPS}/unified"))?;
    }
    Ok(())
}

fn mount_v1(name: &str, options: &str) {
    let target = format!("{CGROUPS}/{name}");
    let options = CString::new(options).unwrap_or_default();
    let mounted = fs::create_dir_all(&target).map_err(anyhow::Error::from).and_then(|()| {
        Ok(mount("cgroup", &target, "cgroup", MountFlags::empty(), Some(options.as_c_str()))?)
    });
    if let Err(error) = mounted {
        console(&format!("cannot mount cgroup v1 {name}: {error:#}"));
    }
}

fn load_modules() {
    for path in fs::read_to_string(MODULES_FILE).unwrap_or_default().lines() {
        let loaded = File::open(path)
            .map_err(anyhow::Error::from)
            .and_then(|file| Ok(finit_module(&file, c"", 0)?));
        if let Err(error) = loaded {
            console(&format!("cannot load {path}: {error:#}"));
        }
    }
}

/// Opens the output line in raw mode, so that bytes pass unchanged.
fn open_output() -> Result<File> {
    let tty =
        OpenOptions::new().read(true).write(true).open(OUTPUT).with_context(|| {
            format!("cannot open {OUTPUT}: the guest needs a second serial line")
        })?;
    let mut mode = tcgetattr(&tty).context("tcgetattr")?;
    mode.make_raw();
    mode.set_speed(speed::B115200)?;
    tcsetattr(&tty, OptionalActions::Now, &mode).context("tcsetattr")?;
    Ok(tty)
}

fn report(status: i32) -> Result<()> {
    let mut tty = open_output()?;
    writeln!(tty, "{EXIT_LINE}{status}")?;
    tcdrain(&tty).context("tcdrain")
}

/// Says why the command did not run, where its output would have been and on the console.
fn complain(error: &anyhow::Error) {
    console(&format!("{error:#}"));
    if let Ok(mut tty) = open_output() {
        let _ = writeln!(tty, "init: {error:#}");
    }
}

/// Says something on the kernel's console; there is nowhere to report that this failed.
fn console(text: &str) {
    if Path::new(CONSOLE).exists()
        && let Ok(mut console) = OpenOptions::new().write(true).open(CONSOLE)
    {
        let _ = writeln!(console, "init: {text}");
    }
}
