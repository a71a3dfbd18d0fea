//! What the tc signal can raise.

use crate::findings::Rule;

pub static REWRITE_RATE: Rule = Rule {
    name: "tc-rewrite-rate",
    signal: "tc",
    meaning: "An agent writes the same qdisc or filter again and again. Each write takes the RTNL mutex, \
              which every other change of the node's network waits for; Calico nodes went NotReady of it.",
    computed: "Accepted RTM_NEWQDISC and RTM_NEWTFILTER requests of one qdisc or filter (network namespace, \
               interface, parent, priority), or attachments of programs of one name by TCX, netkit or XDP, \
               in `tc.window`: `tc.warn_writes` warn, `tc.critical_writes` are critical.",
    keys: &["tc.window", "tc.warn_writes", "tc.critical_writes", "tc.hold"],
    false_alarms: "An agent's restart writes each filter once. A pod that comes and goes makes a qdisc and two \
                   filters; the removal of an interface is no request at all. A shaping script that rewrites \
                   classes every few seconds on purpose does fire.",
    advice: "Find out why this agent attaches again: its log around first_seen, its heartbeat and \
             re-sync settings. With Calico: 3.28.4 / 3.29.4 stop the re-attach storm.",
};

pub static HANDLE_TOGGLE: Rule = Rule {
    name: "tc-handle-toggle",
    signal: "tc",
    meaning: "An agent adds a filter beside its old one, deletes the old one, and does it again: the handle \
              goes from 1 to 2 and back without end. In between, both filters see each packet.",
    computed: "Times a handle of one filter came back after another one (A, B, A) in `tc.window`; adds and \
               deletes are followed apart. `tc.critical_toggles` are critical.",
    keys: &["tc.window", "tc.critical_toggles", "tc.hold"],
    false_alarms: "An update that swaps handles once, or twice, stays quiet.",
    advice: "An agent adds a filter and deletes the old one for ever. Restart it on this node now; \
             with Calico go to 3.28.5 / 3.29.5 / 3.30.1 or later, which replace in place.",
};

pub static ATTACH_FAILING: Rule = Rule {
    name: "tc-attach-failing",
    signal: "tc",
    meaning: "An agent tries to attach and the kernel refuses, each time: the interface lacks what the agent \
              believes is there.",
    computed: "Refused writes at one attach point (network namespace, interface, parent) in `tc.window` with \
               none accepted since: `tc.failing_writes` warn.",
    keys: &["tc.window", "tc.failing_writes", "tc.hold"],
    false_alarms: "`File exists` on a create that is tried first and then done as a replace stays quiet, as \
                   the replace is accepted.",
    advice: "The kernel says why in evidence.message. `File exists` and `Exclusivity flag on` mean that \
             somebody else holds the place: `tc qdisc show dev IF` and `tc filter show dev IF ingress` \
             say who.",
};

pub static PRIO_LEAK: Rule = Rule {
    name: "tc-prio-leak",
    signal: "tc",
    meaning: "Filters are added without a priority. The kernel gives each a lower one (49152, 49151, ...), so \
              they pile up and every packet passes all of them.",
    computed: "bpf filters added at one attach point without a priority and not deleted since: `tc.prio_leak` \
               warn. Of what was there before the agent, two or more at priorities that descend one by one \
               count too (`seeded`).",
    keys: &["tc.prio_leak", "tc.hold"],
    false_alarms: "Two or three agents that each add one filter this way stay quiet.",
    advice: "Filters are added without a priority and never deleted, so each packet passes all of them. \
             Delete all but the newest (`tc filter show` lists them) and restart the agent.",
};

pub static FOREIGN_REMOVAL: Rule = Rule {
    name: "tc-foreign-removal",
    signal: "tc",
    meaning: "One agent removed what another one had attached. The other one may not notice, and its policy \
              is gone from this interface.",
    computed: "An accepted delete of what somebody else attached last. Agents are told apart by their name and \
               process; `tc` and `ip` stand for whoever started them, and for nobody once that has ended. One is \
               enough to warn.",
    keys: &["tc.window", "tc.hold"],
    false_alarms: "A restarted agent that cleans up after itself has the same name and stays quiet. An operator \
                   who deletes a filter by hand fires: so it is.",
    advice: "Two agents use one interface. The one in evidence.victim has lost what it attached and may \
             not notice: restart it, and keep one of the two away from this interface.",
};

pub static FOREIGN_OVERWRITE: Rule = Rule {
    name: "tc-foreign-overwrite",
    signal: "tc",
    meaning: "One agent put its filter in the place of another one's: same interface, direction, priority and \
              handle; or its XDP, TCX or netkit program. The kernel calls that a success, and the first agent's \
              program no longer sees a packet.",
    computed: "An accepted RTM_NEWTFILTER without NLM_F_EXCL of a filter that somebody else wrote last; another \
               XDP program, another program in somebody else's link, BPF_F_REPLACE of somebody else's program. \
               Agents are told apart by their name and process; `tc` and `ip` stand for whoever started them. \
               A handle that the kernel chose is followed; where it is not known, nothing is said. One is \
               enough to warn.",
    keys: &["tc.window", "tc.hold"],
    false_alarms: "An agent that replaces its own filter, also after a restart, stays quiet. An agent that \
                   takes over from another one on purpose, as in a migration, fires once an interface.",
    advice: "Two agents want the same place. Give one of them another priority in its configuration (XDP has \
             one place: keep one of them away), then restart the one in evidence.victim so that it attaches again.",
};

pub static ASYMMETRY: Rule = Rule {
    name: "tc-asymmetry",
    signal: "tc",
    meaning: "Ingress and egress of an interface do not have the same any more: their filters' handles differ \
              while an agent keeps writing them, or one direction has lost its filter. Calico then refuses to \
              apply policy to this pod, for ever; with a filter missing, policy holds one way only.",
    computed: "The bpf filters of each clsact are followed from the snapshot at the agent's start and every \
               accepted request since: priorities and handles, also those that the kernel chooses. Two single \
               filters of one priority that differ for longer than `tc.asymmetry`, with two or more writes \
               since and the latest no longer ago; or one that both directions had and one lacks for as \
               long. Moments of agreement in between count twice against it. What is not known exactly is \
               not judged.",
    keys: &["tc.asymmetry", "tc.window", "tc.hold"],
    false_alarms: "Interfaces that only ever had one direction stay quiet, and so do two handles that an agent \
                   asked for by number, and an update that does one direction first. An agent that takes one \
                   direction down on purpose does fire.",
    advice: "Delete both filters of this priority (`tc filter del dev IF ingress prio P`, and egress) and \
             restart the agent, so that it attaches both anew. With Calico go to 3.31 or later: from 3.28.5 \
             on it no longer makes such a state, but only 3.31 mends one.",
};

pub static SWEEP: Rule = Rule {
    name: "tc-sweep",
    signal: "tc",
    meaning: "An agent writes the filters of nearly all interfaces of the node again and again. On a node with \
              100 pods that is 50 runs of tc a second: the RTNL mutex is never free, and CPU climbs.",
    computed: "Interfaces of one network namespace that are known to have filters, and how many of them one \
               agent wrote again in `tc.window`; `tc.sweep_percent` of them are a sweep, `tc.sweeps` sweeps are \
               critical. Not counted: the first write of each filter, what an agent does in `tc.sweep_grace` \
               after its start (or where its start is not known), namespaces of fewer than `tc.sweep_least` \
               such interfaces.",
    keys: &[
        "tc.window",
        "tc.sweep_percent",
        "tc.sweeps",
        "tc.sweep_least",
        "tc.sweep_grace",
        "tc.hold",
    ],
    false_alarms: "An agent's restart writes each filter once, within the grace. Two changes of an agent's \
                   configuration within a minute, each of which regenerates all programs, do fire.",
    advice: "Something makes the agent take all interfaces for dirty: see its log around first_seen. With \
             Calico a heartbeat did before 3.28.4 / 3.29.4. Restart it on this node if the CPU is needed now.",
};

pub static DUPLICATE_PROGRAM: Rule = Rule {
    name: "tc-duplicate-program",
    signal: "tc",
    meaning: "The same program is attached more than once at one TCX or netkit point, so each packet passes \
              it more than once. A restarted agent that attaches anew, and does not find what it attached \
              before, leaves this behind (cilium/cilium#44194).",
    computed: "Programs at one attach point with the same name, and either the same tag or attached by agents \
               of the same name, for at least `tc.duplicate_after`. Known are those attached since nodeprobe \
               started. XDP has one program at a time and cannot fire.",
    keys: &["tc.duplicate_after", "tc.hold"],
    false_alarms: "An agent that attaches the new program before it detaches the old one stays quiet. Two \
                   different programs of one agent with the same name do fire.",
    advice: "evidence.attached lists the copies, newest first. `bpftool net show dev IF` shows them in \
             order; detach all but the newest with `bpftool link detach id ID` (or `bpftool net detach`).",
};
