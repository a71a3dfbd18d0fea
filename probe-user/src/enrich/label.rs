//! A subject in a sentence: short, and the name an operator would use.

use super::subject::{Cgroup, Container, Identity, NetnsOwner, Pod, Subject};
use crate::findings::Interface;

/// Digits of a container id that tools show.
const SHORT_ID: usize = 12;

impl Subject {
    /// The process: `tc (pid 812, started by calico-node) in pod kube-system/calico-node-x7k2p`.
    #[must_use]
    pub fn process_label(&self) -> String {
        let process = match &self.process {
            None => "a process".into(),
            Some(process) => {
                let name = process.comm.as_deref().unwrap_or("a process");
                match process.parent.as_ref().and_then(|parent| parent.comm.as_ref()) {
                    Some(parent) => format!("{name} (pid {}, started by {parent})", process.pid),
                    None => format!("{name} (pid {})", process.pid),
                }
            }
        };
        match &self.identity.pod {
            Some(pod) => format!("{process} in {}", pod.label()),
            None => process,
        }
    }

    /// The cgroup: the container of the pod that [`Self::process_label`] names, else the path.
    #[must_use]
    pub fn cgroup_label(&self) -> String {
        match (&self.identity, &self.cgroup) {
            (Identity { pod: Some(_), container: Some(container), .. }, _) => container.label(),
            (_, Some(Cgroup { path: Some(path), .. })) => path.clone(),
            (_, Some(Cgroup { id, path: None })) => format!("cgroup {id}"),
            (_, None) => "an unknown cgroup".into(),
        }
    }

    /// The interface and its namespace: `eth0 (netns 4026532281 of pod default/web-0)`.
    #[must_use]
    pub fn interface_label(&self) -> String {
        let interface = match &self.interface {
            Some(Interface { name: Some(name), .. }) => name.clone(),
            Some(Interface { index, name: None }) => format!("interface {index}"),
            None => "an unknown interface".into(),
        };
        match self.netns_label() {
            Some(netns) => format!("{interface} ({netns})"),
            None => interface,
        }
    }

    /// The network namespace: `netns 4026532281 of pod default/web-0`.
    #[must_use]
    pub fn netns_label(&self) -> Option<String> {
        let netns = self.netns?;
        Some(match &self.netns_owner {
            Some(NetnsOwner::Pod(pod)) => format!("netns {netns} of {}", pod.label()),
            Some(NetnsOwner::Container(container)) => {
                format!("netns {netns} of {}", container.label())
            }
            Some(NetnsOwner::Host) | None => format!("netns {netns}"),
        })
    }
}

impl Pod {
    /// `pod kube-system/calico-node-x7k2p`, or its uid.
    #[must_use]
    pub fn label(&self) -> String {
        match (&self.namespace, &self.name) {
            (Some(namespace), Some(name)) => format!("pod {namespace}/{name}"),
            (None, Some(name)) => format!("pod {name}"),
            (_, None) => format!("pod {}", self.uid),
        }
    }
}

impl Container {
    /// `container felix`, or the beginning of its id.
    #[must_use]
    pub fn label(&self) -> String {
        let name = self.name.as_deref().or_else(|| self.id.get(..SHORT_ID)).unwrap_or(&self.id);
        format!("container {name}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::enrich::subject::{Parent, Process};

    fn subject(pod: Option<Pod>) -> Subject {
        let parent = Some(Parent { pid: 40, comm: Some("calico-node".into()) });
        let process = Process { pid: 812, comm: Some("tc".into()), parent, ..Process::default() };
        let container = Container { id: "0123456789abcdef".repeat(4), ..Container::default() };
        Subject {
            process: Some(process),
            cgroup: Some(Cgroup { id: 7, path: Some("/a/b".into()) }),
            identity: Identity { pod, container: Some(container), unit: None },
            netns: Some(4_026_532_281),
            interface: Some(Interface { index: 2, name: Some("eth0".into()) }),
            ..Subject::default()
        }
    }

    #[test]
    fn a_pod_is_named_where_it_is_known() {
        let name = |name: &str| Some(name.to_owned());
        let pod = Pod { name: name("web-0"), namespace: name("shop"), ..Pod::default() };
        let mut known = subject(Some(pod.clone()));
        assert_eq!(known.process_label(), "tc (pid 812, started by calico-node) in pod shop/web-0");
        assert_eq!(known.cgroup_label(), "container 0123456789ab");
        known.netns_owner = Some(NetnsOwner::Pod(pod));
        assert_eq!(known.interface_label(), "eth0 (netns 4026532281 of pod shop/web-0)");
        let nameless = subject(Some(Pod { uid: "77-88".into(), ..Pod::default() }));
        assert!(nameless.process_label().ends_with(" in pod 77-88"));
    }

    #[test]
    fn without_a_pod_it_is_the_cgroup() {
        let subject = subject(None);
        assert_eq!(subject.process_label(), "tc (pid 812, started by calico-node)");
        assert_eq!(subject.cgroup_label(), "/a/b");
        assert_eq!(subject.interface_label(), "eth0 (netns 4026532281)");
        assert_eq!(Subject::default().process_label(), "a process");
    }
}
