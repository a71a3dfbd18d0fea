//! A pod as the kubelet and containerd make one with the systemd driver: cgroups, a network
//! namespace that a sandbox process holds, and the files that tell its name.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result};
use serde_json::json;

use super::actor::Actor;
use super::cgroup::PidsCgroup;
use super::netns::Netns;
use crate::expect::Expectation;

/// Where its node's files are; the scenario has the agent look there for them.
pub const NODE_ROOT: &str = "/run/nodeprobe-who-pod";

/// Namespace of every pod here.
const NAMESPACE: &str = "kube-system";

/// Which files tell the names.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Told {
    /// Containerd's bundle of the container.
    ByContainerd,
    /// The kubelet's directories of logs.
    ByKubelet,
}

/// A pod with a sandbox and one container, which is empty at first.
pub struct Pod {
    name: String,
    container_name: String,
    uid: String,
    id: String,
    // What follows is taken down in this order.
    _sandbox_process: Actor,
    container: PidsCgroup,
    _sandbox: PidsCgroup,
    pod: PidsCgroup,
    _above: [PidsCgroup; 3],
    netns: Netns,
    _files: Files,
}

impl Pod {
    /// Creates one below a cgroup that holds at most `max` tasks.
    pub fn create(name: &str, max: u32, told: Told) -> Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let (run, number) = (std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let uid = format!("{run:08x}-0000-4000-8000-{number:012x}");
        let id = |kind: u32| format!("{run:08x}{number:08x}{kind:048x}");
        let (sandbox_id, id) = (id(0), id(1));

        let root = PidsCgroup::create(max)?;
        let kubepods = root.child("kubepods.slice")?;
        let burstable = kubepods.child("kubepods-burstable.slice")?;
        let slice = format!("kubepods-burstable-pod{}.slice", uid.replace('-', "_"));
        let pod = burstable.child(slice)?;
        let sandbox = pod.child(format!("cri-containerd-{sandbox_id}.scope"))?;
        let container = pod.child(format!("cri-containerd-{id}.scope"))?;
        let netns = Netns::create()?;
        let (name, container_name) = (name.to_owned(), format!("{name}-main"));
        let mut files = Files::default();
        match told {
            Told::ByContainerd => {
                files.bundle(&sandbox_id, &name, None, &uid)?;
                files.bundle(&id, &name, Some(&container_name), &uid)?;
            }
            Told::ByKubelet => files.logs(&id, &name, &container_name, &uid)?,
        }
        let mut args = vec!["netlink-hold".into(), "--count".into(), "1".into()];
        args.extend(place(&sandbox, &netns));
        let mut sandbox_process = Actor::start("pause", args)?;
        sandbox_process.done()?;

        Ok(Self {
            name,
            container_name,
            uid,
            id,
            _sandbox_process: sandbox_process,
            container,
            _sandbox: sandbox,
            pod,
            _above: [burstable, kubepods, root],
            netns,
            _files: files,
        })
    }

    /// The cgroup of its container.
    #[must_use]
    pub const fn container(&self) -> &PidsCgroup {
        &self.container
    }

    /// Its network namespace.
    #[must_use]
    pub const fn netns(&self) -> &Netns {
        &self.netns
    }

    /// Arguments that make a workload a process of its container.
    #[must_use]
    pub fn place(&self) -> [OsString; 4] {
        place(&self.container, &self.netns)
    }

    /// The finding must be about a process of its container.
    #[must_use]
    pub fn is_subject(&self, expected: Expectation) -> Expectation {
        let path = format!("/{}/{}", self.pod.name(), self.container.name());
        expected
            .is("/subject/pod/name", self.name.clone())
            .is("/subject/pod/namespace", NAMESPACE)
            .is("/subject/pod/uid", self.uid.clone())
            .is("/subject/pod/qos", "burstable")
            .is("/subject/container/id", self.id.clone())
            .is("/subject/container/name", self.container_name.clone())
            .is("/subject/container/runtime", "containerd")
            .ends_with("/subject/cgroup/path", path)
    }

    /// The finding must be about its network namespace.
    pub fn owns_netns(&self, expected: Expectation) -> Result<Expectation> {
        Ok(expected
            .is("/subject/netns", self.netns.inum()?)
            .is("/subject/netns_owner/pod/name", self.name.clone())
            .is("/subject/netns_owner/pod/namespace", NAMESPACE)
            .is("/subject/netns_owner/pod/uid", self.uid.clone()))
    }
}

fn place(cgroup: &PidsCgroup, netns: &Netns) -> [OsString; 4] {
    let (cgroup, netns) = (cgroup.path().as_os_str().to_owned(), netns.path().into_os_string());
    ["--cgroup".into(), cgroup, "--inside".into(), netns]
}

/// Files of the node, removed when dropped.
#[derive(Default)]
struct Files(Vec<PathBuf>);

impl Files {
    /// What containerd's CRI plugin writes for its shim, and some of what stands around that, for a
    /// container or the sandbox.
    fn bundle(&mut self, id: &str, pod: &str, container: Option<&str>, uid: &str) -> Result<()> {
        let mut spec = json!({
            "ociVersion": "1.2.0",
            "process": { "args": ["/usr/bin/start_runit"], "cwd": "/" },
            "hostname": "node-1",
            "annotations": {
                "io.kubernetes.cri.container-type": "sandbox",
                "io.kubernetes.cri.image-name": "quay.io/calico/node:v3.28.2",
                "io.kubernetes.cri.sandbox-name": pod,
                "io.kubernetes.cri.sandbox-namespace": NAMESPACE,
                "io.kubernetes.cri.sandbox-uid": uid,
            },
        });
        if let Some(name) = container {
            let annotations = &mut spec["annotations"];
            annotations["io.kubernetes.cri.container-type"] = "container".into();
            annotations["io.kubernetes.cri.container-name"] = name.into();
        }
        let task = Path::new("run/containerd/io.containerd.runtime.v2.task/k8s.io").join(id);
        let bundle = self.directory(&task)?;
        let file = bundle.join("config.json");
        fs::write(&file, spec.to_string())
            .with_context(|| format!("cannot write {}", file.display()))
    }

    /// What the kubelet makes for the logs of a container.
    fn logs(&mut self, id: &str, pod: &str, container: &str, uid: &str) -> Result<()> {
        let logs = Path::new("var/log/pods").join(format!("{NAMESPACE}_{pod}_{uid}"));
        let log = self.directory(&logs)?.join(container).join("0.log");
        let links = Path::new(NODE_ROOT).join("var/log/containers");
        fs::create_dir_all(&links).with_context(|| format!("cannot create {}", links.display()))?;
        let link = links.join(format!("{pod}_{NAMESPACE}_{container}-{id}.log"));
        symlink(log, &link).with_context(|| format!("cannot link {}", link.display()))?;
        self.0.push(link);
        Ok(())
    }

    fn directory(&mut self, below: &Path) -> Result<PathBuf> {
        let path = Path::new(NODE_ROOT).join(below);
        fs::create_dir_all(&path).with_context(|| format!("cannot create {}", path.display()))?;
        self.0.push(path.clone());
        Ok(path)
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        for path in &self.0 {
            let removed = match path.is_symlink() {
                true => fs::remove_file(path),
                false => fs::remove_dir_all(path),
            };
            if let Err(error) = removed {
                eprintln!("scenario: left behind: {}: {error}", path.display());
            }
        }
    }
}
