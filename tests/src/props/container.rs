//! A container of a pod, made by runc, with the cgroup that the kubelet's cgroupfs driver gives it and the
//! places of its logs, by which a node knows its name.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::expect::Expectation;

mod spec;

pub use spec::{Allowed, BUNDLED, PROGRAM_DIR};

/// The runtime, which the guests that have it have there.
pub const RUNC: &str = "/usr/sbin/runc";
/// Where the kubelet keeps logs.
const LOGS: &str = "/var/log";

/// A container that is there while this value is.
pub struct Container {
    pod: String,
    namespace: &'static str,
    uid: String,
    id: String,
    bundle: TempDir,
    logs: PathBuf,
    link: PathBuf,
}

impl Container {
    /// Makes one that runs programs of this node, with what it is allowed; nothing runs in it yet.
    pub fn create(namespace: &'static str, pod: &str, allowed: &Allowed) -> Result<Self> {
        ensure!(Path::new(RUNC).exists(), "there is no {RUNC}: play it in a guest");
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let (run, number) = (std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let uid = format!("{run:08x}-0000-4000-9000-{number:012x}");
        let id = format!("{run:08x}{number:08x}{:048x}", 2);
        let bundle = tempfile::tempdir().context("cannot create a temporary directory")?;
        let root = bundle.path().join("rootfs");
        spec::make_root(&root)?;
        allowed.make_directories()?;
        let cgroup = format!("/kubepods/burstable/pod{uid}/{id}");
        let config = allowed.config(&root, pod, &cgroup);
        fs::write(bundle.path().join(BUNDLED), config.to_string())
            .context("cannot write a bundle")?;

        let links = Path::new(LOGS).join("containers");
        let logs = Path::new(LOGS).join(format!("pods/{namespace}_{pod}_{uid}"));
        for dir in [&links, &logs.join("main")] {
            fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
        }
        let link = links.join(format!("{pod}_{namespace}_main-{id}.log"));
        symlink(logs.join("main/0.log"), &link)
            .with_context(|| format!("cannot link {}", link.display()))?;
        Ok(Self { pod: pod.to_owned(), namespace, uid, id, bundle, logs, link })
    }

    /// Arguments of a workload that becomes `comm` in it; its own follow.
    #[must_use]
    pub fn arguments(&self, comm: &str) -> Vec<OsString> {
        let bundle = self.bundle.path().as_os_str().to_owned();
        let program = format!("{PROGRAM_DIR}/{comm}");
        ["contained".into(), "--bundle".into(), bundle, "--id".into(), self.id.clone().into()]
            .into_iter()
            .chain(["--".into(), program.into()])
            .collect()
    }

    /// Gives a program of this node another name in it, which is then what its processes are called.
    pub fn install(&self, program: &Path, comm: &str) -> Result<()> {
        let link = self.bundle.path().join("rootfs").join(&PROGRAM_DIR[1..]).join(comm);
        symlink(program, &link).with_context(|| format!("cannot link {}", link.display()))
    }

    /// The finding must be about a process in it.
    #[must_use]
    pub fn is_subject(&self, expected: Expectation) -> Expectation {
        expected
            .is("/subject/pod/name", self.pod.clone())
            .is("/subject/pod/namespace", self.namespace)
            .is("/subject/pod/uid", self.uid.clone())
            .is("/subject/container/id", self.id.clone())
            .is("/subject/container/name", "main")
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        // It may never have run, or be gone with its program.
        let mut delete = Command::new(RUNC);
        delete.args(["delete", "--force", &self.id]).stdout(Stdio::null()).stderr(Stdio::null());
        let _ = delete.status();
        let _ = fs::remove_file(&self.link);
        let _ = fs::remove_dir_all(&self.logs);
    }
}

/// What runc is to start instead: see config.md of the OCI runtime specification.
pub fn with_arguments(mut config: Value, args: &[String]) -> Value {
    config["process"]["args"] = json!(args);
    config
}
