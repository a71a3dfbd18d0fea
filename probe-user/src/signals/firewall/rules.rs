//! What the firewall signal can raise.

use crate::findings::Rule;

pub static TWO_BACKENDS: Rule = Rule {
    name: "firewall-two-backends",
    signal: "firewall",
    meaning: "Legacy iptables and iptables-nft both have rules in a table of one name in one network \
              namespace. Each shows its own rules only, and the kernel obeys both: a packet that one accepts \
              the other may drop, and an agent that looks by the wrong one thinks that its rules are gone. \
              Felix came to it when all forks failed: it counted 0 rules of either backend and chose legacy, \
              and each restart chose it again while nft's rules still ruled the node.",
    computed: "Writes that were carried out, by network namespace, family (IPv4, IPv6) and table (filter, nat, \
               mangle, raw, security): by legacy iptables one that leaves entries in the table, by nftables a \
               batch that adds rules. Both in `firewall.window` warn. It is critical when one agent wrote by \
               both (the same name in the same cgroup; `iptables` and its likes stand for who started them), \
               or when the first write by one of them came at most `firewall.after_fork_failures` after \
               clones were refused in the writer's cgroup: then it is in one incident with them. legacy \
               is over when a write leaves the table empty, nft when the table is deleted. legacy's number \
               is of the whole table and has two for each user-defined chain; nft's is what was added \
               since its first write that was seen, in the first 64 messages of a batch; of several tables \
               in one batch the first with rules is told.",
    keys: &["firewall.window", "firewall.after_fork_failures", "firewall.hold"],
    false_alarms: "Reading, saving and listing write nothing, and a legacy table that only came to be by that \
                   is empty. Tables of other names, of other families and those that `nft` itself writes are \
                   no iptables. A node that is moved from one backend to the other warns for \
                   `firewall.window`, unless the old rules are removed first: `iptables-legacy -F` and -X, or \
                   `nft delete table`. Rules from before the agent's start are not known until somebody writes \
                   again. Kernels before 5.14 do not tell network namespaces apart whose inode number is \
                   used again.",
    advice: "Find out which backend the node shall use (`iptables -V` of each agent, evidence.legacy.writers \
             and evidence.nft.writers), make the others use it (Felix: FELIX_IPTABLESBACKEND; kube-proxy and \
             CNI plugins: the image's iptables), and remove the other backend's rules: \
             `iptables-legacy-save` and `iptables-nft-save` show both.",
};
