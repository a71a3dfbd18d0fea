//! Names that anybody can give a process, an interface, a cgroup or a container, chosen to break what does
//! not escape. Every output is tested with each of them.

use std::sync::Arc;

use crate::{
    enrich::subject::{Cgroup, Process},
    findings::Interface,
    sinks::{record::Record, testing::hostile_finding},
};

/// The names.
pub const HOSTILE: [&str; 16] = [
    "line\nCRITICAL forged",
    "return\r\nPRIORITY=0\r\n",
    "\u{1b}[2J\u{1b}]0;title\u{7}",
    "\u{9b}31m\u{9d}8;;http://a\u{9c}",
    "nul\0behind",
    "back\u{8}\u{8}space\u{7f}",
    "\u{202e}txt.exe\u{2066}\u{200f}",
    "\u{2028}\u{2029}\u{85}",
    "quote\"} 1\n# HELP",
    "back\\slash\\n\\",
    "{job=\"a\"}$[]|=~",
    "]<34>1 - - - - -",
    "a=b c='d' e:f,;&<b>%0a%s",
    "{\"create\":{}}\n{\"id\":1}",
    "PUB x 3\r\nabc\r\n",
    "\u{fffd}\u{feff}é😀",
];

/// A finding about each of them: its process, interface, cgroup, pod and container are called so.
pub fn records() -> impl Iterator<Item = (&'static str, Arc<Record>)> {
    HOSTILE.into_iter().map(|name| (name, Arc::new(record(name))))
}

/// Whether a text is what a person may be shown on a line of its own.
pub fn is_plain(text: &str) -> bool {
    !text.is_empty() && !text.chars().any(super::steers)
}

fn record(name: &str) -> Record {
    let told = || Some(name.to_owned());
    let mut finding = hostile_finding();
    let subject = &mut finding.subject;
    subject.process =
        Some(Process { pid: 7, comm: told(), exe: told(), cmdline: told(), ..Process::default() });
    subject.interface = Some(Interface { index: 2, name: told() });
    subject.cgroup = Some(Cgroup { id: 7, path: told() });
    subject.identity.unit = told();
    if let Some(pod) = &mut subject.identity.pod {
        (pod.name, pod.namespace, pod.uid) = (told(), told(), name.to_owned());
    }
    if let Some(container) = &mut subject.identity.container {
        (container.name, container.id) = (told(), name.to_owned());
    }
    finding.summary = finding.evidence.summary(&finding.subject);
    finding.incident.findings = 2;
    Record::of_finding(finding)
}
