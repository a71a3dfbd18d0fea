use super::*;

#[test]
fn every_series_that_can_be_known_is_there_from_the_start() {
    let metrics = Metrics::new().unwrap();
    let text = String::from_utf8(metrics.encode().unwrap()).unwrap();
    for series in [
        "nodeprobe_events_total{kind=\"request\",signal=\"tc\"} 0",
        "nodeprobe_events_total{kind=\"failed\",signal=\"fork\"} 0",
        "nodeprobe_events_total{kind=\"open\",signal=\"netlink\"} 0",
        "nodeprobe_findings_total{rule=\"netlink-leak\",severity=\"critical\"} 0",
        "nodeprobe_decode_errors_total{reason=\"truncated\"} 0",
        "nodeprobe_enrich_misses_total{lookup=\"pod\"} 0",
        "nodeprobe_seeded_total{signal=\"netlink\"} 0",
        "nodeprobe_rtnl_wait_seconds_bucket{le=\"0.001\"} 0",
        "nodeprobe_rtnl_request_seconds_count{object=\"filter\",operation=\"write\"} 0",
        "nodeprobe_canary_last_success_timestamp_seconds{signal=\"tc\"} 0",
        "nodeprobe_build_info{",
    ] {
        assert!(text.contains(series), "{series} not in\n{text}");
    }
}
