//! What runc is told of a container, as containerd's CRI plugin tells it.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

/// The configuration of a bundle before it has its arguments.
pub const BUNDLED: &str = "bundle.json";
/// Where programs have the names that their processes get.
pub const PROGRAM_DIR: &str = "/app";

/// The manifest that is played.
const DAEMONSET: &str = include_str!("../../../../deploy/kustomize/base/daemonset.yaml");
/// What a container may do that asks for nothing, by containerd's defaults (oci/spec.go).
const USUAL: [&str; 14] = [
    "CAP_AUDIT_WRITE",
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_MKNOD",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_RAW",
    "CAP_SETFCAP",
    "CAP_SETGID",
    "CAP_SETPCAP",
    "CAP_SETUID",
    "CAP_SYS_CHROOT",
];
/// Paths that containerd hides, and those it makes read-only.
const MASKED: [&str; 9] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/sys/firmware",
];
const READ_ONLY: [&str; 5] =
    ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// Directories that have two names.
const LINKS: [(&str, &str); 5] = [
    ("bin", "usr/bin"),
    ("sbin", "usr/sbin"),
    ("lib", "usr/lib"),
    ("lib64", "usr/lib64"),
    ("var/run", "/run"),
];

/// What a container is allowed.
#[derive(Debug)]
pub struct Allowed {
    capabilities: Vec<String>,
    no_new_privileges: bool,
    read_only: bool,
    host_pid: bool,
    host_network: bool,
    /// Bytes.
    memory: Option<u64>,
    pids: Option<u32>,
    /// Directories of the node, where they are, and whether they may be written.
    shown: Vec<(String, String, bool)>,
    /// Directories of the node that the kubelet makes before.
    made: Vec<String>,
}

impl Allowed {
    /// A pod that asks for nothing, and may have so many tasks.
    #[must_use]
    pub fn usual(pids: u32) -> Self {
        Self {
            capabilities: USUAL.map(str::to_owned).to_vec(),
            no_new_privileges: false,
            read_only: false,
            host_pid: false,
            host_network: false,
            memory: None,
            pids: Some(pids),
            shown: Vec::new(),
            made: Vec::new(),
        }
    }

    /// The agent of a CNI, in the node's network: Calico's is privileged.
    #[must_use]
    pub fn of_cni() -> Self {
        let more = ["CAP_NET_ADMIN", "CAP_SYS_ADMIN", "CAP_BPF", "CAP_PERFMON"];
        let capabilities = USUAL.iter().chain(&more).map(|name| (*name).to_owned()).collect();
        let shown = vec![("/run".to_owned(), "/run".to_owned(), true)];
        Self { capabilities, host_network: true, pids: None, shown, ..Self::usual(0) }
    }

    /// What deploy/kustomize/base allows the agent.
    pub fn of_daemonset() -> Result<Self> {
        let manifest: Value =
            serde_saphyr::from_str(DAEMONSET).context("the manifest is no YAML")?;
        let pod = &manifest["spec"]["template"]["spec"];
        let container = &pod["containers"][0];
        let security = &container["securityContext"];
        let is = |value: &Value| value.as_bool().unwrap_or(false);
        let text = |value: &Value| value.as_str().map(str::to_owned);
        ensure!(security["capabilities"]["drop"][0] == "ALL", "not all capabilities are dropped");
        ensure!(security["runAsUser"] == 0, "user 0 is what has capabilities");
        let added = security["capabilities"]["add"].as_array().context("no capabilities")?;
        let capabilities =
            added.iter().filter_map(Value::as_str).map(|name| format!("CAP_{name}")).collect();
        let volumes = pod["volumes"].as_array().context("no volumes")?;
        let mounts = container["volumeMounts"].as_array().context("no mounts")?;
        let (mut shown, mut made) = (Vec::new(), Vec::new());
        for mount in mounts {
            let volume = volumes.iter().find(|volume| volume["name"] == mount["name"]);
            let volume = volume.with_context(|| format!("no volume for {mount}"))?;
            let Some(from) = text(&volume["hostPath"]["path"]) else { continue };
            if volume["hostPath"]["type"] == "DirectoryOrCreate" {
                made.push(from.clone());
            }
            let to = text(&mount["mountPath"]).with_context(|| format!("no place for {mount}"))?;
            shown.push((from, to, !is(&mount["readOnly"])));
        }
        // Configurations of scenarios are there, in the place of a ConfigMap.
        shown.push(("/tmp".to_owned(), "/tmp".to_owned(), false));
        Ok(Self {
            capabilities,
            no_new_privileges: security["allowPrivilegeEscalation"] == false,
            read_only: is(&security["readOnlyRootFilesystem"]),
            host_pid: is(&pod["hostPID"]),
            host_network: is(&pod["hostNetwork"]),
            memory: Some(mebibytes(&container["resources"]["limits"]["memory"])?),
            pids: None,
            shown,
            made,
        })
    }

    /// Makes the directories of the node that must be there.
    pub fn make_directories(&self) -> Result<()> {
        let make = |path| fs::create_dir_all(path).with_context(|| format!("cannot create {path}"));
        self.made.iter().try_for_each(make)
    }

    /// The configuration of a container, without arguments.
    #[must_use]
    pub fn config(&self, root: &Path, pod: &str, cgroup: &str) -> Value {
        let capabilities = &self.capabilities;
        let namespaces = [
            (true, "mount"),
            (true, "uts"),
            (true, "ipc"),
            (true, "cgroup"),
            (!self.host_pid, "pid"),
            (!self.host_network, "network"),
        ];
        let namespaces: Vec<Value> = namespaces
            .into_iter()
            .filter(|(own, _)| *own)
            .map(|(_, kind)| json!({ "type": kind }))
            .collect();
        let mut resources = json!({});
        if let Some(bytes) = self.memory {
            resources["memory"] = json!({ "limit": bytes });
        }
        if let Some(tasks) = self.pids {
            resources["pids"] = json!({ "limit": tasks });
        }
        json!({
            "ociVersion": "1.0.2",
            "hostname": pod,
            "root": { "path": root, "readonly": self.read_only },
            "process": {
                "user": { "uid": 0, "gid": 0 },
                "cwd": "/",
                "env": ["PATH=/usr/sbin:/usr/bin", "NODE_NAME=worker-1"],
                "noNewPrivileges": self.no_new_privileges,
                "capabilities": {
                    "bounding": capabilities, "effective": capabilities, "permitted": capabilities,
                },
            },
            "mounts": self.mounts(),
            "linux": {
                "cgroupsPath": cgroup,
                "namespaces": namespaces,
                "resources": resources,
                "maskedPaths": MASKED,
                "readonlyPaths": READ_ONLY,
            },
        })
    }

    fn mounts(&self) -> Vec<Value> {
        let usual = [
            ("/proc", "proc", vec!["nosuid", "noexec", "nodev"]),
            ("/dev", "tmpfs", vec!["nosuid", "strictatime", "mode=755", "size=65536k"]),
            ("/sys", "sysfs", vec!["nosuid", "noexec", "nodev", "ro"]),
        ];
        let usual = usual.into_iter().map(|(to, kind, options)| {
            json!({ "destination": to, "type": kind, "source": kind, "options": options })
        });
        let programs = ("/usr".to_owned(), "/usr".to_owned(), false);
        let shown = [programs].into_iter().chain(self.shown.iter().cloned());
        let shown = shown.map(|(from, to, writable)| {
            let access = if writable { "rw" } else { "ro" };
            json!({ "destination": to, "type": "bind", "source": from, "options": ["rbind", access] })
        });
        usual.chain(shown).collect()
    }
}

/// A quantity such as "64Mi", in bytes.
fn mebibytes(quantity: &Value) -> Result<u64> {
    let number = quantity.as_str().and_then(|text| text.strip_suffix("Mi")?.parse::<u64>().ok());
    match number {
        Some(number) => Ok(number << 20),
        None => bail!("{quantity} is no number of Mi"),
    }
}

/// A root that has the node's programs.
pub fn make_root(root: &Path) -> Result<()> {
    let places =
        ["proc", "dev", "sys", "usr", "tmp", "run", "var/lib/nodeprobe", &PROGRAM_DIR[1..]];
    for place in places {
        let place = root.join(place);
        fs::create_dir_all(&place).with_context(|| format!("cannot create {}", place.display()))?;
    }
    for (link, to) in LINKS {
        symlink(to, root.join(link)).with_context(|| format!("cannot link {link}"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_daemonset_is_what_the_agent_is_allowed() {
        let allowed = Allowed::of_daemonset().unwrap();
        assert!(allowed.host_pid && !allowed.host_network);
        assert!(allowed.read_only && allowed.no_new_privileges);
        assert!(allowed.capabilities.contains(&"CAP_BPF".to_owned()));
        assert!(!allowed.capabilities.contains(&"CAP_NET_ADMIN".to_owned()));
        assert_eq!(allowed.memory, Some(64 << 20));
        let cgroups = ("/sys/fs/cgroup".to_owned(), "/sys/fs/cgroup".to_owned(), false);
        assert!(allowed.shown.contains(&cgroups), "{allowed:?}");
        let config = allowed.config(Path::new("/r"), "nodeprobe-x", "/kubepods/a");
        assert_eq!(config["root"]["readonly"], true);
        assert!(!config["linux"]["namespaces"].to_string().contains("pid"));
    }
}
