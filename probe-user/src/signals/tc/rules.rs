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
               warn.",
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
    computed: "An accepted delete (or a replacement, by TCX) of what somebody else attached last. Agents are told apart \
               by their name; `tc` and `ip` stand for whoever started them. One is enough to warn.",
    keys: &["tc.window", "tc.hold"],
    false_alarms: "A restarted agent that cleans up after itself has the same name and stays quiet. An operator \
                   who deletes a filter by hand fires: so it is.",
    advice: "Two agents use one interface. The one in evidence.victim has lost what it attached and may \
             not notice: restart it, and keep one of the two away from this interface.",
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
