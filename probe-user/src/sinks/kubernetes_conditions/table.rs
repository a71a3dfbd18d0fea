//! Which rules make which condition of the node.

/// A condition and its rules.
#[derive(Debug)]
pub struct Kind {
    /// Type of the condition.
    pub name: &'static str,
    /// Its reason while none of the rules holds.
    pub quiet: &'static str,
    pub rules: &'static [&'static str],
}

/// All of them.
pub const CONDITIONS: [Kind; 3] = [
    Kind {
        name: "NodeprobeForkExhaustion",
        quiet: "NoForkExhaustion",
        rules: &["fork-failures", "fork-headroom"],
    },
    Kind {
        name: "NodeprobeQdiscFlapping",
        quiet: "NoQdiscFlapping",
        rules: &["tc-rewrite-rate", "tc-handle-toggle", "tc-sweep"],
    },
    Kind {
        name: "NodeprobeFdLeak",
        quiet: "NoFdLeak",
        rules: &["netlink-leak", "fd-leak", "fd-exhausted"],
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signals::SIGNALS;

    #[test]
    fn the_rules_are_there_and_each_is_of_one_condition() {
        let there: Vec<_> = SIGNALS.iter().flat_map(|s| s.rules).map(|rule| rule.name).collect();
        let mut rules: Vec<_> = CONDITIONS.iter().flat_map(|kind| kind.rules).collect();
        assert!(rules.iter().all(|rule| there.contains(rule)), "{rules:?}");
        let count = rules.len();
        rules.sort_unstable();
        rules.dedup();
        assert_eq!(rules.len(), count);
    }
}
