//! Who and where, as far as it is known. What is not known is absent, never guessed.

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
    /// Id of the container, from the cgroup's path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container_id: Option<String>,
    /// Inode number of the network namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub netns: Option<u32>,
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
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<Parent>,
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

/// A limit of the node and how much of it is in use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NodeLimit {
    /// The sysctl.
    pub name: &'static str,
    /// Tasks on the node.
    pub current: u64,
    pub limit: u64,
}

impl Subject {
    /// The process in a sentence: `tc (pid 812, started by calico-node)`.
    #[must_use]
    pub fn process_label(&self) -> String {
        let Some(process) = &self.process else { return "a process".into() };
        let name = process.comm.as_deref().unwrap_or("a process");
        match process.parent.as_ref().and_then(|parent| parent.comm.as_ref()) {
            Some(parent) => format!("{name} (pid {}, started by {parent})", process.pid),
            None => format!("{name} (pid {})", process.pid),
        }
    }

    /// The cgroup in a sentence.
    #[must_use]
    pub fn cgroup_label(&self) -> String {
        match &self.cgroup {
            Some(Cgroup { path: Some(path), .. }) => path.clone(),
            Some(Cgroup { id, path: None }) => format!("cgroup {id}"),
            None => "an unknown cgroup".into(),
        }
    }

    /// The interface and its namespace in a sentence.
    #[must_use]
    pub fn interface_label(&self) -> String {
        let interface = match &self.interface {
            Some(Interface { name: Some(name), .. }) => name.clone(),
            Some(Interface { index, name: None }) => format!("interface {index}"),
            None => "an unknown interface".into(),
        };
        self.netns.map_or(interface.clone(), |netns| format!("{interface} (netns {netns})"))
    }
}
