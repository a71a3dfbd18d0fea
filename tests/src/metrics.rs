//! Reads the agent's Prometheus endpoint.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, bail};

use crate::HANG_GUARD;

/// Every signal the agent has.
pub const SIGNALS: [&str; 6] = ["tc", "fork", "netlink", "rtnl", "fd", "firewall"];

/// Fetches the text of `http://ADDRESS/PATH`.
pub fn scrape(url: &str) -> Result<String> {
    let Some((address, path)) = url.strip_prefix("http://").and_then(|rest| rest.split_once('/'))
    else {
        bail!("{url} is no plain http address");
    };
    let mut stream =
        TcpStream::connect(address).with_context(|| format!("cannot connect to {address}"))?;
    stream.set_read_timeout(Some(HANG_GUARD))?;
    // HTTP/1.0: the answer ends with the connection and is never chunked.
    let request = format!("GET /{path} HTTP/1.0\r\nHost: {address}\r\n\r\n");
    stream.write_all(request.as_bytes()).with_context(|| format!("cannot ask {url}"))?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).with_context(|| format!("cannot read {url}"))?;
    match answer.split_once("\r\n\r\n") {
        Some((head, body)) if head.split(' ').nth(1) == Some("200") => Ok(body.to_owned()),
        _ => bail!("{url} answered {:?}", answer.lines().next().unwrap_or_default()),
    }
}

/// Sums the samples of a metric that carry all of these labels.
#[must_use]
pub fn sum(text: &str, metric: &str, wanted: &[(&str, &str)]) -> u64 {
    let wanted: Vec<String> =
        wanted.iter().map(|(label, value)| format!("{label}=\"{value}\"")).collect();
    let samples = text.lines().filter_map(|line| {
        let sample = line.strip_prefix(metric)?;
        let (labels, number) = match sample.strip_prefix('{') {
            Some(labelled) => labelled.rsplit_once("} ")?,
            None => ("", sample.strip_prefix(' ')?),
        };
        let has = |pair: &String| labels.split(',').any(|label| label == pair);
        // Counts: whole and not negative.
        wanted.iter().all(has).then(|| number.parse::<u64>().ok())?
    });
    samples.sum()
}

/// How often the kernel left a program of a signal out.
#[must_use]
pub fn left_out(text: &str, signal: &str) -> u64 {
    let series = format!("nodeprobe_bpf_program_left_out_total{{program=\"{signal}_");
    let samples = text.lines().filter_map(|line| line.strip_prefix(&series)?.rsplit_once(' '));
    samples.filter_map(|(_, number)| number.parse::<u64>().ok()).sum()
}

/// The sample of a metric whose only label is the signal.
#[must_use]
pub fn value(text: &str, metric: &str, signal: &str) -> Option<f64> {
    let series = format!("{metric}{{signal=\"{signal}\"}} ");
    text.lines().find_map(|line| line.strip_prefix(&series)?.parse().ok())
}

/// Where the agent that is being judged tells its metrics.
#[derive(Default)]
pub struct Endpoint(Mutex<Option<String>>);

impl Endpoint {
    /// Notes the address of an agent that is ready.
    pub fn moved(&self, url: Option<&str>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = url.map(str::to_owned);
    }

    /// What it tells now.
    pub fn scrape(&self) -> Result<String> {
        let url = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        scrape(&url.context("no agent tells its metrics")?)
    }
}

/// What became of a signal's events, by the agent's own account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account {
    /// Events the kernel's hooks saw.
    pub seen: u64,
    /// Records the kernel side delivered.
    pub delivered: u64,
    /// Events left out on purpose.
    pub suppressed: u64,
    /// Events lost, for any reason.
    pub lost: u64,
    /// Records the agent decoded, those that it provoked itself among them.
    pub decoded: u64,
    /// Those left out that the agent was then told of in sum.
    pub summed: u64,
}

impl Account {
    /// Reads the account of a signal from a scrape.
    #[must_use]
    pub fn of(text: &str, signal: &str) -> Self {
        let of_signal = |metric| sum(text, metric, &[("signal", signal)]);
        let kernel = |outcome| {
            sum(text, "nodeprobe_kernel_events_total", &[("signal", signal), ("outcome", outcome)])
        };
        Self {
            seen: kernel("seen"),
            delivered: kernel("delivered"),
            suppressed: kernel("suppressed"),
            lost: of_signal("nodeprobe_events_lost_total"),
            decoded: of_signal("nodeprobe_events_total")
                + of_signal("nodeprobe_canary_events_total"),
            summed: of_signal("nodeprobe_summed_events_total"),
        }
    }

    /// What came since an earlier one.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        Self {
            seen: self.seen - before.seen,
            delivered: self.delivered - before.delivered,
            suppressed: self.suppressed - before.suppressed,
            lost: self.lost - before.lost,
            decoded: self.decoded - before.decoded,
            summed: self.summed - before.summed,
        }
    }

    /// Whether every event is accounted for.
    #[must_use]
    pub fn reconciles(&self) -> bool {
        self.seen == self.delivered + self.suppressed + self.lost && self.delivered == self.decoded
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_summed_by_label() {
        let text = "# TYPE nodeprobe_events_total counter\n\
                    nodeprobe_events_total{kind=\"request\",signal=\"tc\"} 40\n\
                    nodeprobe_events_total{kind=\"other\",signal=\"tc\"} 2\n\
                    nodeprobe_events_total{kind=\"open\",signal=\"netlink\"} 7\n\
                    nodeprobe_events_total_other{signal=\"tc\"} 100\n\
                    nodeprobe_scrapes_total 3\n";
        assert_eq!(sum(text, "nodeprobe_events_total", &[("signal", "tc")]), 42);
        assert_eq!(sum(text, "nodeprobe_events_total", &[("signal", "tc"), ("kind", "other")]), 2);
        assert_eq!(sum(text, "nodeprobe_events_total", &[("signal", "fork")]), 0);
        assert_eq!(sum(text, "nodeprobe_scrapes_total", &[]), 3);
    }

    #[test]
    fn a_sample_is_read_by_its_signal() {
        let text = "nodeprobe_canary_up{signal=\"tc\"} 1\nx{signal=\"tc\"} 1763738339.25\n";
        assert_eq!(value(text, "x", "tc"), Some(1_763_738_339.25));
        assert_eq!(value(text, "x", "fork"), None);
    }

    #[test]
    fn an_account_reconciles_or_not() {
        let good =
            Account { seen: 10, delivered: 7, suppressed: 1, lost: 2, decoded: 7, summed: 0 };
        assert!(good.reconciles());
        assert!(!Account { seen: 11, ..good }.reconciles(), "an event vanished");
        assert!(!Account { decoded: 6, ..good }.reconciles(), "a record vanished");
    }
}
