//! A guest: kernel, root, the files of this run and the command; booted once more when it hangs.

use std::{
    fs,
    path::{Path, PathBuf},
    process,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use anstream::adapter::strip_str;
use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use scenarios::{
    init::{CGROUP_WORD, COMMAND_FILE, MODULES_FILE},
    props::leaker::LIBRARY,
};

use crate::{
    artifacts::Artifacts,
    initrd::{self, Archive},
    kernel::Kernel,
    leakers, paths,
    qemu::{self, End},
    rootfs, run,
};

/// Where the agent is in the guest.
pub const AGENT: &str = "/usr/bin/nodeprobe";
/// Where the `tc` filter is in the guest.
pub const CLASSIFIER: &str = "/usr/lib/nodeprobe/classifier.o";
/// Where the scenario runner is in the guest; it is also the guest's PID 1.
pub const SCENARIO: &str = "/usr/bin/scenario";

const MODULES: &str = "usr/lib/modules";
const BOOTS: usize = 2;

/// Guests this process has booted.
static GUESTS: AtomicU32 = AtomicU32::new(0);

/// Which cgroup hierarchies a guest has, as hosts have them.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub enum Cgroups {
    /// One of cgroup v2.
    #[default]
    V2,
    /// One of cgroup v1 for each controller.
    V1,
    /// Those of v1, and one of v2 without controllers.
    Hybrid,
}

impl Cgroups {
    /// The word that tells the guest's PID 1.
    pub fn word(self) -> Option<String> {
        let layout = match self {
            Self::V2 => return None,
            Self::V1 => "v1",
            Self::Hybrid => "hybrid",
        };
        Some(format!("{CGROUP_WORD}{layout}"))
    }
}

/// What to boot and what to run in it.
pub struct Guest<'a> {
    /// The kernel.
    pub kernel: &'a Kernel,
    /// The command's words.
    pub command: Vec<String>,
    /// Memory in MiB.
    pub memory: u32,
    /// Virtual processors.
    pub cpus: u32,
    /// More words for the kernel's command line.
    pub append: String,
    /// The cgroup hierarchies.
    pub cgroups: Cgroups,
    /// More files: here, and in the guest.
    pub files: Vec<(PathBuf, String)>,
    /// How long the command may print nothing, if there is a limit; PID 1's heartbeat is watched in any case.
    pub patience: Option<Duration>,
}

/// Who listens to a guest.
pub trait Listener {
    /// A line of the command's output.
    fn line(&mut self, line: &[u8]);
    /// The guest hung and starts anew. `false` when what was said cannot be unsaid.
    fn restart(&mut self) -> bool;
}

impl<'a> Guest<'a> {
    /// A guest of ordinary size.
    pub fn new(kernel: &'a Kernel, command: Vec<String>) -> Self {
        Self {
            kernel,
            command,
            memory: 1024,
            cpus: 2,
            append: String::new(),
            cgroups: Cgroups::default(),
            files: Vec::new(),
            patience: None,
        }
    }

    /// Boots, runs the command and returns its exit status.
    pub fn run(&self, artifacts: &Artifacts, listener: &mut dyn Listener) -> Result<i32> {
        // Guests of one kernel may run side by side.
        let number = GUESTS.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}-{}-{number}", self.kernel.series, process::id());
        let dir = paths::target().join("vm").join(name);
        fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
        let (initrd, console) = (dir.join("initrd"), dir.join("console.log"));
        self.write_initrd(artifacts, &dir, &initrd)?;
        for boot in 1..=BOOTS {
            let end = qemu::boot(self, &initrd, &console, &mut |line| listener.line(line))?;
            match end {
                End::Exited(status) => {
                    fs::remove_dir_all(&dir)?;
                    return Ok(status);
                }
                End::Silent if boot < BOOTS && listener.restart() => {
                    eprintln!("==> kernel {} hung: booting it once more", self.kernel.release);
                }
                End::Silent | End::Died => {
                    let said = fs::read(&console).unwrap_or_default();
                    let said = String::from_utf8_lossy(&said);
                    let how = if end == End::Silent {
                        "hung"
                    } else {
                        "stopped before the command ended"
                    };
                    bail!(
                        "the guest with kernel {} {how}; the end of its console ({}):\n{}",
                        self.kernel.release,
                        console.display(),
                        run::tail(&strip_str(&said).to_string())
                    );
                }
            }
        }
        bail!("the guest with kernel {} did not run", self.kernel.release)
    }

    /// The cached root and this run's own files, as one file.
    fn write_initrd(&self, artifacts: &Artifacts, dir: &Path, initrd: &Path) -> Result<()> {
        let own = dir.join("own.cpio");
        let mut archive = Archive::create(&own)?;
        archive.copy(SCENARIO.trim_start_matches('/'), 0o755, &artifacts.scenario)?;
        archive.link("init", SCENARIO)?;
        archive.copy(AGENT.trim_start_matches('/'), 0o755, &artifacts.agent)?;
        archive.copy(CLASSIFIER.trim_start_matches('/'), 0o644, &artifacts.classifier)?;
        for program in leakers::get(artifacts)? {
            let name = program.file_name().unwrap_or_default().display();
            let path = format!("{}/{}/{name}", LIBRARY.trim_start_matches('/'), leakers::DIRECTORY);
            archive.copy(&path, 0o755, &program)?;
        }
        let mut order = String::new();
        for module in self.kernel.modules()? {
            let path = format!("{MODULES}/{}", module.file_name().unwrap_or_default().display());
            archive.copy(&path, 0o644, &module)?;
            order.push_str(&format!("/{path}\n"));
        }
        archive.file(MODULES_FILE.trim_start_matches('/'), 0o644, order.as_bytes())?;
        let command = serde_json::to_vec(&self.command)?;
        archive.file(COMMAND_FILE.trim_start_matches('/'), 0o644, &command)?;
        for (from, to) in &self.files {
            archive.copy(&rootfs::merged(to.trim_start_matches('/')), 0o755, from)?;
        }
        archive.finish()?;
        initrd::concatenate(&[&rootfs::get()?, &own], initrd)
    }
}
