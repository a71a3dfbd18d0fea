use super::*;
use crate::{
    enrich::subject::{Cgroup, Parent, Process},
    findings::{Evidence, Interface, Severity, testing},
    signals::{
        firewall::{Family, FirewallEvidence, Written},
        fork::{Cause, ForkEvidence},
        netlink::NetlinkEvidence,
        tc::evidence::{Duplicates, ForeignRemoval, ProgramEvidence, Rewrites, TcEvidence},
    },
};

const SECOND: u64 = 1_000_000_000;
const MINUTE: u64 = 60 * SECOND;

fn cgroup(path: &str) -> Cgroup {
    Cgroup { id: path.bytes().map(u64::from).sum(), path: Some(path.into()) }
}

fn process(pid: u32, comm: &str, parent: Option<(u32, &str)>) -> Option<Process> {
    let parent = parent.map(|(pid, comm)| Parent { pid, comm: Some(comm.into()) });
    Some(Process { pid, comm: Some(comm.into()), parent, ..Process::default() })
}

/// A finding in the making: its evidence and whom it is about.
type Case = (Evidence, Subject);

fn refused(comm: &str, pid: u32, path: &str, owner: &str) -> Case {
    let owner = cgroup(owner);
    let cause = Cause::PidsMax {
        owner: owner.id,
        owner_steps: 2,
        current: 65_535,
        limit: 65_535,
        owner_assumed: false,
    };
    let subject = Subject {
        process: process(pid, comm, None),
        cgroup: Some(cgroup(path)),
        limit_owner: Some(owner),
        ..Subject::default()
    };
    (Evidence::Fork(ForkEvidence { cause, ..ForkEvidence::default() }), subject)
}

fn tc(agent: (u32, &str), path: &str, interface: i32, evidence: TcEvidence) -> Case {
    let subject = Subject {
        process: process(9_000 + interface as u32, "tc", Some(agent)),
        cgroup: Some(cgroup(path)),
        netns: Some(1),
        interface: Some(Interface { index: interface, name: Some(format!("cali{interface}")) }),
        ..Subject::default()
    };
    (Evidence::Tc(evidence), subject)
}

fn rewrites() -> TcEvidence {
    TcEvidence::Rewrites(Rewrites { prio: 49_152, ..Rewrites::default() })
}

fn leak(agent: (u32, &str), path: &str) -> Case {
    let evidence = NetlinkEvidence { buckets: 20, bucket_seconds: 60, ..Default::default() };
    let (process, cgroup) = (process(agent.0, agent.1, None), Some(cgroup(path)));
    (Evidence::Netlink(evidence), Subject { process, cgroup, ..Subject::default() })
}

/// Incidents, and the findings that went into them.
struct Bench {
    incidents: Incidents,
    next: u64,
}

impl Bench {
    fn new() -> Self {
        Self { incidents: Incidents::new(10 * MINUTE), next: 1 }
    }

    fn join(&mut self, at: u64, (evidence, subject): Case) -> Incident {
        let number = self.next;
        self.next += 1;
        let condition = crate::findings::Condition {
            evidence,
            ..testing::condition(number, Severity::Warning, at)
        };
        let number = self.incidents.join(number, &condition, &subject);
        self.incidents.view(number).expect("it just joined")
    }
}

const CALICO: (u32, &str) = (40, "calico-node");
const POD: &str = "/kubepods/pod1/calico";

#[test]
fn the_incident_of_the_mission_is_one_line() {
    let mut bench = Bench::new();
    let first = bench.join(SECOND, refused("calico-node", 40, POD, "/kubepods"));
    assert_eq!(first.line, "pids.max of /kubepods is reached -> calico-node cannot fork");
    assert_eq!(first.findings, 1);
    let all: Vec<_> =
        (1..=41).map(|n| bench.join(n as u64 * SECOND, tc(CALICO, POD, n, rewrites()))).collect();
    assert!(all.iter().all(|incident| incident.id == first.id), "named by its first finding");
    let last = all.last().expect("41 of them");
    assert_eq!(
        last.line,
        "pids.max of /kubepods is reached -> calico-node cannot fork -> \
         tc filters of 41 interfaces are rewritten"
    );
    assert_eq!(last.findings, 42);
}

#[test]
fn a_backend_chosen_while_nothing_could_fork_is_in_its_line() {
    let mut bench = Bench::new();
    let first = bench.join(SECOND, refused("calico-node", 40, POD, "/kubepods"));
    let evidence = Evidence::Firewall(FirewallEvidence {
        table: "filter",
        family: Family::Ip,
        window_seconds: 86_400,
        legacy: Written::default(),
        nft: Written::default(),
        switched: None,
        fork_refused_seconds_before: Some(60),
    });
    let subject = Subject {
        process: process(99, "iptables-legacy", Some(CALICO)),
        cgroup: Some(cgroup(POD)),
        netns: Some(1),
        ..Subject::default()
    };
    let split = bench.join(MINUTE, (evidence, subject));
    assert_eq!(split.id, first.id);
    let line = "pids.max of /kubepods is reached -> calico-node cannot fork -> two backends rule ip filter";
    assert_eq!(split.line, line);
}

#[test]
fn all_who_run_into_one_limit_are_one_incident() {
    let mut bench = Bench::new();
    let one = bench.join(SECOND, refused("java", 50, "/kubepods/pod2/app", "/kubepods"));
    let other = bench.join(SECOND, refused("calico-node", 40, POD, "/kubepods"));
    assert_eq!(one.id, other.id);
    assert!(other.line.ends_with("-> java and calico-node cannot fork"), "{}", other.line);
    let third = bench.join(SECOND, refused("sh", 60, "/kubepods/pod3/x", "/kubepods/pod3"));
    assert_ne!(third.id, one.id, "a limit of its own");
}

#[test]
fn what_shares_no_cause_stays_apart() {
    let mut bench = Bench::new();
    let calico = bench.join(SECOND, tc(CALICO, "/node", 1, rewrites()));
    let cilium = bench.join(SECOND, tc((41, "cilium-agent"), "/node", 1, rewrites()));
    assert_ne!(calico.id, cilium.id, "two agents");
    let elsewhere = bench.join(SECOND, refused("java", 50, "/kubepods/pod2/app", "/kubepods"));
    assert_ne!(elsewhere.id, calico.id, "another cgroup");
    let prefix = bench.join(SECOND, tc((42, "x"), "/kubepods-other/x", 2, rewrites()));
    assert_ne!(prefix.id, elsewhere.id, "the name only begins like it");
    let namesake = bench.join(SECOND, tc((43, "calico-node"), "/other", 3, rewrites()));
    assert_ne!(namesake.id, calico.id, "the same name elsewhere");
    let reused = bench.join(SECOND, tc((40, "other"), "/other2", 3, rewrites()));
    assert_ne!(reused.id, calico.id, "the same pid, under another name elsewhere");
    assert_eq!(cilium.line, "tc filters of cali1 are rewritten");
}

#[test]
fn a_restarted_agent_is_the_same_agent() {
    let mut bench = Bench::new();
    let before = bench.join(SECOND, tc(CALICO, "/node", 1, rewrites()));
    let after = bench.join(SECOND, tc((77, "calico-node"), "/node", 2, rewrites()));
    assert_eq!(before.id, after.id);
    assert_eq!(after.line, "tc filters of cali1 and cali2 are rewritten");
}

#[test]
fn a_leak_comes_before_what_the_process_does_to_the_network() {
    let mut bench = Bench::new();
    let tc = bench.join(30 * MINUTE, tc(CALICO, POD, 1, rewrites()));
    let leak = bench.join(35 * MINUTE, leak(CALICO, POD));
    assert_eq!(tc.id, leak.id);
    assert_eq!(
        leak.line,
        "netlink sockets pile up in calico-node -> tc filters of cali1 are rewritten"
    );
}

#[test]
fn no_effect_is_claimed_of_what_began_later() {
    let mut bench = Bench::new();
    let early = bench.join(SECOND, tc(CALICO, POD, 1, rewrites()));
    let late = bench.join(SECOND + MINUTE, refused("sh", 50, POD, "/kubepods"));
    assert_eq!(late.id, early.id, "noticed a minute late");
    assert!(late.line.contains("sh cannot fork -> tc filters"), "{}", late.line);

    let mut bench = Bench::new();
    let early = bench.join(SECOND, tc(CALICO, POD, 1, rewrites()));
    let late = bench.join(SECOND + MINUTE + 1, refused("sh", 50, POD, "/kubepods"));
    assert_ne!(late.id, early.id, "too late to be the cause");
    // The agent's own: one incident, but no effect.
    let own = bench.join(2 * MINUTE, refused("calico-node", 40, POD, "/kubepods"));
    assert_eq!(own.id, early.id);
    assert!(own.line.contains("calico-node cannot fork; tc filters"), "{}", own.line);
}

#[test]
fn two_agents_that_fight_are_one_incident() {
    let mut bench = Bench::new();
    let removal = TcEvidence::ForeignRemoval(ForeignRemoval {
        program: None,
        removed: "filter",
        parent: "ingress".into(),
        victim: Parent { pid: 40, comm: Some("calico-node".into()) },
        attached_seconds_ago: 3,
        removals_total: 1,
        overwritten: false,
        success_assumed: false,
    });
    let removed = bench.join(SECOND, tc((70, "tracee"), "/other", 1, removal));
    let again = bench.join(2 * SECOND, tc(CALICO, POD, 1, rewrites()));
    assert_eq!(removed.id, again.id);
    assert_eq!(
        again.line,
        "tc filters of cali1 are removed by a stranger, tc filters of cali1 are rewritten"
    );
}

#[test]
fn what_is_attached_past_tc_is_called_a_program() {
    let program = Some(ProgramEvidence::default());
    let cases = [
        (TcEvidence::Duplicates(Duplicates::default()), "are attached more than once"),
        (TcEvidence::Rewrites(Rewrites { program, ..Rewrites::default() }), "are rewritten"),
    ];
    for (evidence, what) in cases {
        let joined = Bench::new().join(SECOND, tc(CALICO, POD, 1, evidence));
        assert_eq!(joined.line, format!("tc programs of cali1 {what}"));
    }
}

#[test]
fn an_incident_is_joined_within_the_window_only() {
    let mut bench = Bench::new();
    let first = bench.join(SECOND, tc(CALICO, POD, 1, rewrites()));
    bench.incidents.renew(1, 5 * MINUTE);
    let joined = bench.join(15 * MINUTE, tc(CALICO, POD, 2, rewrites()));
    assert_eq!(joined.id, first.id, "it held ten minutes ago");
    let later = bench.join(25 * MINUTE + 1, tc(CALICO, POD, 3, rewrites()));
    assert_ne!(later.id, first.id);
    bench.incidents.expire(25 * MINUTE + 1);
    assert_eq!(bench.incidents.len(), 1);
}

#[test]
fn incidents_are_bounded() {
    let mut bench = Bench::new();
    for n in 0..3 * MOST_INCIDENTS as u32 {
        bench.join(SECOND, tc((n + 1, &format!("agent{n}")), &format!("/{n:05}"), 1, rewrites()));
    }
    assert!(bench.incidents.len() <= MOST_INCIDENTS && bench.incidents.evicted() > 0);
    let one = (0..2_000).map(|n| bench.join(SECOND, tc(CALICO, POD, n, rewrites())));
    let one = one.last().expect("2,000 of them");
    assert_eq!(one.line, "tc filters of 512 or more interfaces are rewritten");
    let culprits = (0..200).map(|n| refused("sh", n, &format!("/k/{n}"), "/k"));
    culprits.for_each(|case| drop(bench.join(SECOND, case)));
    let known = bench.incidents.known.iter().map(|(_, known)| known.traces.len()).max();
    assert_eq!(known, Some(MOST_TRACES));
}
