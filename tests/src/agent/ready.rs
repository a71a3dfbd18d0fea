//! The line by which the agent says that it is ready.

/// What the ready line says.
#[derive(Debug, Default, Eq, PartialEq)]
pub struct Ready {
    /// Time from exec until all hooks were attached (ms).
    pub milliseconds: Option<u64>,
    /// Where the metrics are.
    pub metrics_url: Option<String>,
}

impl Ready {
    /// Parses `ready in 84 ms: ..., metrics on http://127.0.0.1:9477/metrics`.
    pub fn parse(line: &str) -> Self {
        let milliseconds =
            line.strip_prefix("ready in ").and_then(|rest| rest.split(' ').next()?.parse().ok());
        let url = line.split_whitespace().find(|word| word.starts_with("http://"));
        Self {
            milliseconds,
            metrics_url: url.map(|url| url.trim_end_matches([',', '.', ';']).to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ready_line_tells_time_and_address() {
        let line = "ready in 84 ms: tc=fexit fork=fexit netlink=fexit, metrics on http://127.0.0.1:9477/metrics";
        let url = Some("http://127.0.0.1:9477/metrics".to_owned());
        assert_eq!(Ready::parse(line), Ready { milliseconds: Some(84), metrics_url: url });
        assert_eq!(Ready::parse("ready, no metrics"), Ready::default());
    }
}
