use std::os::unix::fs::PermissionsExt;

use tempfile::TempDir;

use super::*;
use crate::sinks::testing::record;

fn dead(dir: Option<&Path>) -> (Dead, Arc<Metrics>) {
    let metrics = Arc::new(Metrics::new().unwrap());
    (Dead::new("test", dir, &metrics), metrics)
}

fn count(metrics: &Metrics, outcome: &str) -> u64 {
    metrics.spool.dead.with_label_values(&["test", outcome]).get()
}

#[test]
fn a_letter_is_a_line_of_json_with_the_record_in_it() {
    let dir = TempDir::new().unwrap();
    let (mut dead, metrics) = dead(Some(dir.path()));
    dead.bury(&record(7, 10), "no \"such\" field\nat all");
    dead.bury(&record(8, 10), &"é".repeat(5_000));
    let path = dir.path().join("dead.jsonl");
    let text = fs::read_to_string(&path).unwrap();
    let lines: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((lines[0]["sink"].as_str(), lines[0]["id"].as_str()), (Some("test"), Some("7")));
    assert_eq!(lines[0]["reason"], "no \"such\" field\nat all");
    assert_eq!(lines[0]["record"]["n"], "x".repeat(10));
    assert!(lines[0]["time"].as_str().unwrap().parse::<Timestamp>().is_ok());
    assert_eq!(lines[1]["reason"].as_str().unwrap().chars().count(), LONGEST_REASON);
    assert_eq!((lines.len(), count(&metrics, "kept"), count(&metrics, "lost")), (2, 2, 0));
    assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn there_are_two_files_at_most_and_both_are_bounded() {
    let dir = TempDir::new().unwrap();
    let (mut dead, _) = dead(Some(dir.path()));
    for number in 0..50 {
        dead.bury(&record(number, 500_000), "no");
    }
    let files: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|file| file.unwrap()).collect();
    assert_eq!(files.len(), 2);
    assert!(files.iter().all(|file| file.metadata().unwrap().len() <= ENOUGH));
    let newest = fs::read_to_string(dir.path().join("dead.jsonl")).unwrap();
    assert!(newest.contains("\"id\":\"49\"") && newest.ends_with('\n'));
}

#[test]
fn what_cannot_be_kept_is_counted() {
    let (mut nowhere, metrics) = dead(None);
    nowhere.bury(&record(0, 10), "no");
    assert_eq!(count(&metrics, "lost"), 1);
    let (mut dead, metrics) = dead(Some(Path::new("/proc/nothing")));
    dead.bury(&record(0, 10), "no");
    assert_eq!((count(&metrics, "kept"), count(&metrics, "lost")), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn it_is_said_once_a_minute() {
    let (mut dead, _) = dead(None);
    (0..5).for_each(|number| dead.bury(&record(number, 10), "no"));
    assert_eq!(dead.unsaid, 4);
    tokio::time::advance(PAUSE).await;
    dead.bury(&record(5, 10), "no");
    assert_eq!(dead.unsaid, 0);
}
