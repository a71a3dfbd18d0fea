use probe_common::{firewall::mark, wire};

use super::*;
use crate::{
    config::firewall::FirewallConfig,
    event::BootNs,
    findings::{Condition, Evidence, Severity, testing::condition},
    signals::testing::{Bench, MINUTE, SECOND, comm, verdicts},
};

const HOUR: BootNs = 60 * MINUTE;
const RULE: &str = "firewall-two-backends";

fn name(table: &str) -> [u8; TABLE_LEN] {
    let mut name = [0; TABLE_LEN];
    name[..table.len()].copy_from_slice(table.as_bytes());
    name
}

fn write(backend: Backend, table: &str, rules: u32) -> FirewallWrite {
    FirewallWrite {
        backend,
        family: Some(Family::Ip),
        name: name(table),
        netns_cookie: Some(7),
        started_by: Some((40, comm("calico-node"))),
        rules,
        removed: 0,
        table_deleted: false,
        cut: false,
    }
}

struct Node(Bench);

impl Node {
    fn new() -> Self {
        Self(Bench::new(Box::new(detect::FirewallDetector::new(&FirewallConfig::default()))))
    }

    /// An agent writes through a tool.
    fn by(&mut self, at: BootNs, agent: &str, tool: &str, write: FirewallWrite) -> Vec<Condition> {
        self.0.context.comm = comm(tool);
        let started_by = Some((40, comm(agent)));
        self.0.at(at, Body::Firewall(FirewallWrite { started_by, ..write }))
    }

    fn nft(&mut self, at: BootNs, agent: &str) -> Vec<Condition> {
        self.by(at, agent, "iptables-nft", write(Backend::Nft, "filter", 2))
    }

    fn legacy(&mut self, at: BootNs, agent: &str) -> Vec<Condition> {
        self.by(at, agent, "iptables-legacy", write(Backend::Legacy, "filter", 3))
    }
}

fn evidence(conditions: &[Condition]) -> &FirewallEvidence {
    match &conditions[0].evidence {
        Evidence::Firewall(evidence) => evidence,
        other => panic!("{other:?}"),
    }
}

#[test]
fn two_backends_of_one_table_warn_with_both_writers() {
    let mut node = Node::new();
    assert!(node.nft(SECOND, "kube-proxy").is_empty());
    assert!(node.nft(2 * SECOND, "kube-proxy").is_empty());
    let raised = node.legacy(5 * SECOND, "calico-node");
    assert_eq!(verdicts(&raised), [(RULE, Severity::Warning)]);
    assert!(node.legacy(6 * SECOND, "calico-node").is_empty(), "no worse");
    let held = node.0.tick(10 * SECOND);
    let found = evidence(&held);
    assert_eq!((found.table, found.family), ("filter", Family::Ip));
    assert_eq!((found.nft.rules, found.nft.writes, found.nft.first_seconds_ago), (4, 2, 9));
    assert_eq!((found.legacy.rules, found.legacy.writes, found.legacy.last_seconds_ago), (3, 2, 4));
    assert_eq!(found.nft.writers[0].name.as_deref(), Some("kube-proxy"));
    assert_eq!(found.nft.writers[0].through.as_deref(), Some("iptables-nft"));
    assert_eq!((&found.switched, found.fork_refused_seconds_before), (&None, None));
    let text = found.summary(&crate::enrich::subject::Subject::default());
    assert!(
        text.contains("calico-node through iptables-legacy, 3 entries, last 4 s ago"),
        "{text}"
    );
}

#[test]
fn an_agent_that_switched_is_critical() {
    let mut node = Node::new();
    node.nft(SECOND, "calico-node");
    node.nft(2 * SECOND, "kube-proxy");
    let raised = node.legacy(3 * SECOND, "calico-node");
    assert_eq!(verdicts(&raised), [(RULE, Severity::Critical)]);
    assert_eq!(evidence(&raised).switched.as_deref(), Some("calico-node"));
}

#[test]
fn a_shell_and_a_namesake_elsewhere_are_no_agent() {
    let mut node = Node::new();
    node.nft(SECOND, "bash");
    assert_eq!(verdicts(&node.legacy(2 * SECOND, "bash")), [(RULE, Severity::Warning)]);
    let mut node = Node::new();
    node.nft(SECOND, "calico-node");
    node.0.context.cgroup = Some(78);
    assert_eq!(verdicts(&node.legacy(2 * SECOND, "calico-node")), [(RULE, Severity::Warning)]);
}

/// Clones are refused in a cgroup.
fn refused(cgroup: u64, at: BootNs) -> Condition {
    let mut condition = condition(cgroup, Severity::Info, at);
    condition.rule = crate::signals::fork::SIGNAL.rules[0];
    condition.who.context.cgroup = Some(cgroup);
    condition
}

#[test]
fn a_backend_chosen_while_nothing_could_fork_is_critical() {
    let after = 10 * MINUTE;
    for (cgroup, late, severity) in [
        (77, 0, Severity::Critical),
        (77, 1, Severity::Warning),
        // Another's trouble is no cause.
        (78, 0, Severity::Warning),
    ] {
        let mut node = Node::new();
        node.nft(SECOND, "kube-proxy");
        node.0.detector.hear(&refused(cgroup, 2 * SECOND));
        let raised = node.legacy(2 * SECOND + after + late, "calico-node");
        assert_eq!(verdicts(&raised), [(RULE, severity)], "cgroup {cgroup}, {late}");
    }
    let mut node = Node::new();
    node.nft(SECOND, "kube-proxy");
    node.0.detector.hear(&condition(77, Severity::Critical, 2 * SECOND));
    assert_eq!(verdicts(&node.legacy(3 * SECOND, "x")), [(RULE, Severity::Warning)]);
}

#[test]
fn a_backend_that_was_there_before_is_no_effect() {
    let mut node = Node::new();
    node.nft(SECOND, "kube-proxy");
    node.legacy(2 * SECOND, "calico-node");
    node.0.detector.hear(&refused(77, HOUR));
    assert!(node.legacy(HOUR + SECOND, "calico-node").is_empty());
}

#[test]
fn what_shares_no_table_is_quiet() {
    let mut node = Node::new();
    node.nft(SECOND, "a");
    node.by(SECOND, "b", "iptables-legacy", write(Backend::Legacy, "nat", 3));
    let six = FirewallWrite { family: Some(Family::Ip6), ..write(Backend::Legacy, "filter", 3) };
    node.by(SECOND, "b", "ip6tables-legac", six);
    // The same inode number, used again.
    let pod = FirewallWrite { netns_cookie: Some(8), ..write(Backend::Legacy, "filter", 3) };
    node.by(SECOND, "b", "iptables-legacy", pod);
    node.0.context.netns = Some(1);
    node.legacy(SECOND, "b");
    assert!(node.0.tick(2 * SECOND).is_empty());
    assert_eq!(node.0.detector.tracked(), 5);
}

#[test]
fn tables_of_their_own_and_of_nft_are_quiet() {
    let mut node = Node::new();
    node.legacy(SECOND, "a");
    node.by(SECOND, "kube-proxy", "nft", write(Backend::Nft, "kube-proxy", 9));
    node.by(SECOND, "calico-node", "calico-node", write(Backend::Nft, "calico", 9));
    node.by(SECOND, "bash", "nft", write(Backend::Nft, "filter", 9));
    assert!(node.0.tick(2 * SECOND).is_empty());
    assert_eq!(node.0.detector.tracked(), 1);
}

#[test]
fn an_empty_table_is_nobodys() {
    let mut node = Node::new();
    node.nft(SECOND, "kube-proxy");
    node.by(SECOND, "a", "iptables-legacy", write(Backend::Legacy, "filter", 0));
    let chains_only = write(Backend::Nft, "nat", 0);
    node.by(SECOND, "a", "iptables-nft", chains_only);
    node.by(SECOND, "a", "iptables-legacy", write(Backend::Legacy, "nat", 3));
    assert!(node.0.tick(2 * SECOND).is_empty());
    // A long batch may have rules behind what was looked at.
    let long = FirewallWrite { cut: true, ..chains_only };
    let raised = node.by(3 * SECOND, "b", "iptables-nft-re", long);
    assert_eq!(verdicts(&raised), [(RULE, Severity::Warning)]);
    assert!(evidence(&raised).nft.more);
}

#[test]
fn it_is_over_when_one_backends_rules_are_gone() {
    let deleted = FirewallWrite { table_deleted: true, ..write(Backend::Nft, "filter", 0) };
    let flushed = FirewallWrite { family: None, name: name(""), ..deleted };
    for (tool, over) in [
        ("iptables-legacy", write(Backend::Legacy, "filter", 0)),
        ("iptables-nft", deleted),
        ("nft", deleted),
        ("nft", flushed),
    ] {
        let mut node = Node::new();
        node.nft(SECOND, "a");
        assert_eq!(node.legacy(2 * SECOND, "b").len(), 1);
        node.by(3 * SECOND, "c", tool, over);
        assert!(node.0.tick(4 * SECOND).is_empty(), "{tool} {over:?}");
    }
    let mut node = Node::new();
    node.nft(SECOND, "a");
    node.legacy(2 * SECOND, "b");
    // Deleting some rules is writing, too.
    let some = FirewallWrite { removed: 1, ..write(Backend::Nft, "filter", 0) };
    node.by(3 * SECOND, "a", "iptables-nft", some);
    let held = node.0.tick(4 * SECOND);
    assert_eq!((evidence(&held).nft.removed, evidence(&held).nft.last_seconds_ago), (1, 1));
}

#[test]
fn a_write_counts_for_the_window() {
    let mut node = Node::new();
    node.nft(SECOND, "a");
    node.legacy(HOUR, "b");
    assert_eq!(node.0.tick(24 * HOUR + SECOND).len(), 1);
    assert!(node.0.tick(24 * HOUR + 2 * SECOND).is_empty());
    assert_eq!(node.0.detector.tracked(), 1, "legacy's write counts on");
    assert!(node.0.tick(26 * HOUR).is_empty());
    assert_eq!(node.0.detector.tracked(), 0);
}

#[test]
fn sums_count_all_they_stand_for() {
    let mut node = Node::new();
    node.nft(SECOND, "a");
    node.0.context.comm = comm("iptables-nft");
    node.0.sum(2 * SECOND, 500, Body::Firewall(write(Backend::Nft, "filter", 2)));
    node.legacy(3 * SECOND, "b");
    let held = node.0.tick(4 * SECOND);
    let found = evidence(&held);
    assert_eq!((found.nft.writes, found.nft.more), (501, true));
}

#[test]
fn records_decode_with_what_is_unknown_left_out() {
    let kind = wire::kind::FIREWALL_NFT;
    let record = FirewallRecord {
        header: Header { kind, len: 128, ..Header::default() },
        table: name("mangle"),
        family: IPV6,
        marks: mark::CUT,
        rules: 5,
        ..FirewallRecord::default()
    };
    let event = decode::decode(decode::as_bytes(&record)).unwrap();
    let Body::Firewall(found) = event.body else { panic!("{event:?}") };
    assert_eq!(found.table(), Some(Table("mangle")));
    assert_eq!((found.backend, found.family), (Backend::Nft, Some(Family::Ip6)));
    assert_eq!((found.netns_cookie, found.started_by), (None, None));
    assert!(found.cut && !found.table_deleted);
    let inet = FirewallRecord { family: 1, table: [b'x'; TABLE_LEN], ..record };
    let event = decode::decode(decode::as_bytes(&inet)).unwrap();
    let Body::Firewall(found) = event.body else { panic!("{event:?}") };
    assert_eq!((found.table(), found.family), (None, None));
}
