//! Reads the agent's Prometheus endpoint.

use std::io::{Read, Write};
use std::net::TcpStream;

use anyhow::{Context, Result, bail};

use crate::HANG_GUARD;

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

/// Sums the samples of a metric that carry a label of that value.
#[must_use]
pub fn sum(text: &str, metric: &str, label: &str, value: &str) -> f64 {
    let wanted = format!("{label}=\"{value}\"");
    let samples = text.lines().filter_map(|line| {
        let (labels, number) = line.strip_prefix(metric)?.strip_prefix('{')?.rsplit_once("} ")?;
        labels.split(',').any(|pair| pair == wanted).then(|| number.parse::<f64>().ok())?
    });
    samples.sum()
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
                    nodeprobe_events_total_other{signal=\"tc\"} 100\n";
        assert_eq!(sum(text, "nodeprobe_events_total", "signal", "tc"), 42.0);
        assert_eq!(sum(text, "nodeprobe_events_total", "signal", "fork"), 0.0);
    }
}
