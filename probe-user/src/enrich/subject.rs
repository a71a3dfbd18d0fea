//! Who and where, as far as it is known. What is not known is absent, never guessed.

use jiff::Timestamp;
use serde::Serialize;

use super::consumers::Consumers;
use crate::findings::Interface;

/// Whom and what a finding is about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Subject {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub process: Option<Process>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cgroup: Option<Cgroup>,
    /// What the cgroup belongs to.
    #[serde(flatten)]
    pub identity: Identity,
    /// Inode number of the network namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub netns: Option<u32>,
    /// Whose the network namespace is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub netns_owner: Option<NetnsOwner>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interface: Option<Interface>,
    /// The cgroup whose limit was reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit_owner: Option<Cgroup>,
    /// A limit of the whole node that is (nearly) reached: inferred when the finding fired, for a
    /// failure whose cause the kernel side could not tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node_limit: Option<NodeLimit>,
    /// Who has the most threads below a limit that is reached, or nearly, when the finding fired or
    /// got worse.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consumers: Option<Consumers>,
}

/// A process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Process {
    pub pid: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comm: Option<String>,
    /// Path of the executable, as /proc/PID/exe shows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exe: Option<String>,
    /// Its arguments, cut, with the values of what looks like a secret replaced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cmdline: Option<String>,
    /// When it started, to the hundredth of a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started: Option<Timestamp>,
    /// It had ended when the finding fired; what is said of it was remembered.
    #[serde(skip_serializing_if = "is_false")]
    pub exited: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<Parent>,
    /// The parent's parent: behind a `tc` that calico-node started, what started calico-node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grandparent: Option<Parent>,
}

/// The process that started another one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Parent {
    pub pid: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comm: Option<String>,
}

/// A control group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Cgroup {
    pub id: u64,
    /// Path below the hierarchy's mount point; absent when the group was gone already.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

/// What a cgroup belongs to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Identity {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod: Option<Pod>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container: Option<Container>,
    /// The systemd unit, of the innermost systemd: `kubelet.service`, `user-1000.slice`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
}

/// A Kubernetes pod.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Pod {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The kubelet's id of it: the API's, but for a static pod the hash of its configuration.
    pub uid: String,
    /// Quality of service class.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub qos: Option<Qos>,
    /// What made it; only the API server knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<Workload>,
}

/// What makes pods: a Deployment, a DaemonSet, a CronJob.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Workload {
    pub kind: String,
    pub name: String,
}

/// Quality of service class of a pod, from the cgroup that the kubelet put it in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Qos {
    Guaranteed,
    Burstable,
    BestEffort,
}

/// A container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Container {
    /// The runtime's id of it.
    pub id: String,
    /// Name in the pod, or the one its runtime knows it by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runtime: Option<Runtime>,
    /// Id of the container that its runtime itself runs in (kind, docker-in-docker).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nested_in: Option<String>,
}

/// A container runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Runtime {
    #[serde(rename = "containerd")]
    Containerd,
    #[serde(rename = "cri-o")]
    CriO,
    #[serde(rename = "docker")]
    Docker,
    #[serde(rename = "podman")]
    Podman,
}

/// Whose a network namespace is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum NetnsOwner {
    /// The node's own.
    Host,
    Pod(Pod),
    /// A container's that is in no pod.
    Container(Container),
}

/// A limit of the node and how much of it is in use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NodeLimit {
    /// The sysctl.
    pub name: &'static str,
    /// Tasks on the node.
    pub current: u64,
    pub limit: u64,
}

fn is_false(value: &bool) -> bool {
    !value
}
