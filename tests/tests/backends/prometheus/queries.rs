//! The queries of alerts and dashboards.

use std::{collections::BTreeSet, fs};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::super::support::http::get;

/// A query, and where it is from.
pub struct Query {
    /// Name of the alert, or `FILE: TITLE` of the panel.
    pub name: String,
    pub text: String,
}

/// Queries without data while all is well: their name, why, and what they watch, which has data.
pub const QUIET: &[(&str, &str, &str)] = &[
    ("NodeprobeDown", "the agent answers", "up{job=\"nodeprobe\"}"),
    ("NodeprobeAbsent", "the agent answers", "up{job=\"nodeprobe\"}"),
    ("NodeprobeNotReady", "the agent is ready", "nodeprobe_ready_seconds"),
    ("NodeprobeHookNotCovered", "most kernels allow all hooks", "nodeprobe_signal_coverage"),
    ("NodeprobeEventsLost", "none is lost", "increase(nodeprobe_events_lost_total[10m])"),
    ("NodeprobeDecodeErrors", "all is decoded", "increase(nodeprobe_decode_errors_total[15m])"),
    ("NodeprobeLoopStuck", "all loops turn", "nodeprobe_loop_stuck"),
    ("NodeprobePartFailed", "no part failed", "increase(nodeprobe_part_failures_total[15m])"),
    ("NodeprobeCanaryFailed", "canaries come through", CANARY),
    ("NodeprobeCanaryStale", "they just came through", CANARY),
    ("NodeprobeDetectionSlow", "it takes less than 50 ms", LATENCY),
    ("NodeprobeConfigRejected", "it never changed", "nodeprobe_config_reloads_total"),
    ("NodeprobeFdsRunOut", "few are open", "process_open_fds / process_max_fds"),
    ("NodeprobeSinkFailing", "stdout takes all", "sum by (sink) (nodeprobe_sink_failures_total)"),
    ("NodeprobeSinkBacklog", "stdout takes all", "nodeprobe_sink_records_total"),
    ("NodeprobeSinkDropping", "nothing is dropped", "nodeprobe_sink_records_total"),
    ("NodeprobeSpoolFilling", "the disk takes all", "nodeprobe_sink_spool_oldest_seconds"),
    ("NodeprobeSpoolUnusable", "there is room on the disk", "nodeprobe_sink_spool_usable == 1"),
    ("NodeprobeSpoolDamaged", "nothing broke", "increase(nodeprobe_sink_spool_damaged_total[15m])"),
    ("NodeprobeFindingWarning", "the leak is critical", "nodeprobe_findings_firing"),
    ("NodeprobeFindingsDropped", "there is room", "nodeprobe_findings_dropped_total"),
    ("node.json: Things that are followed/B", "nothing was forgotten", "nodeprobe_evicted_total"),
];

const CANARY: &str = "nodeprobe_canary_last_success_timestamp_seconds > 0";
const LATENCY: &str = "sum by (instance, le) (rate(nodeprobe_event_latency_seconds_bucket[10m]))";

/// Asks for the value of a query now.
pub fn ask(port: u16, query: &str) -> Result<Value> {
    let encode = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    let query: String = query.bytes().map(encode).collect();
    get(port, &format!("/api/v1/query?query={query}"))?.json()
}

/// As Prometheus has read them. Each rule must be one that it can evaluate.
pub fn of_alerts(port: u16) -> Result<Vec<Query>> {
    let answer = get(port, "/api/v1/rules")?.json()?;
    let groups = answer["data"]["groups"].as_array().context("no groups of rules")?;
    let mut queries = Vec::new();
    for rule in groups.iter().flat_map(|group| group["rules"].as_array()).flatten() {
        let text =
            |key: &str| Ok::<_, anyhow::Error>(rule[key].as_str().context("text")?.to_owned());
        ensure!(rule["health"] == "ok", "{rule}");
        queries.push(Query { name: text("name")?, text: text("query")? });
    }
    let names: BTreeSet<_> = queries.iter().map(|query| query.name.as_str()).collect();
    let gone = QUIET.iter().find(|(name, ..)| !name.contains(':') && !names.contains(name));
    ensure!(gone.is_none(), "there is no such alert: {gone:?}");
    Ok(queries)
}

/// Those of every panel and variable, as Grafana would ask them.
pub fn of_dashboards() -> Result<Vec<Query>> {
    let mut queries = Vec::new();
    for file in super::files("dashboards")? {
        let board: Value = serde_json::from_str(&fs::read_to_string(&file)?)?;
        let file = file.file_name().context("a name")?.to_string_lossy().into_owned();
        for panel in board["panels"].as_array().context("panels")? {
            let title = panel["title"].as_str().context("a title")?;
            let targets = panel["targets"].as_array().map(Vec::as_slice).unwrap_or_default();
            for (target, letter) in targets.iter().zip('A'..) {
                let letter = if letter == 'A' { String::new() } else { format!("/{letter}") };
                let text = target["expr"].as_str().context("a query")?;
                let text = text.replace("$instance", ".*").replace("$__rate_interval", "30s");
                ensure!(
                    !text.contains('$'),
                    "{file}: {title}: a variable that nobody knows: {text}"
                );
                queries.push(Query { name: format!("{file}: {title}{letter}"), text });
            }
        }
        for variable in board["templating"]["list"].as_array().context("variables")? {
            let Some(definition) = variable["definition"].as_str() else { continue };
            let parts = definition.strip_prefix("label_values(").and_then(|d| d.strip_suffix(')'));
            let (metric, label) = parts.and_then(|d| d.split_once(", ")).context("label_values")?;
            let name = format!("{file}: ${}", variable["name"].as_str().context("a name")?);
            queries.push(Query { name, text: format!("group by ({label}) ({metric})") });
        }
    }
    Ok(queries)
}
