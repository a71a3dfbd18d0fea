use std::{
    io::Read,
    path::{Path, PathBuf},
};

use flate2::read::MultiGzDecoder;
use tempfile::TempDir;
use tokio::runtime::Builder;

use super::*;
use crate::findings::testing::finding;

/// A sink's thread with a file sink on it.
struct Desk {
    directory: TempDir,
    backend: FileBackend,
    sent: u64,
}

fn config(path: PathBuf, more: &str) -> FileConfig {
    toml::from_str(&format!("path = {path:?}\n{more}")).unwrap()
}

impl Desk {
    fn new(more: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let backend = FileBackend::open(config(directory.path().join("d/f.json"), more)).unwrap();
        Self { directory, backend, sent: 0 }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Writes a finding with a number of its own and so many bytes of summary.
    fn send(&mut self, bytes: usize) -> Answer {
        let mut finding = finding();
        finding.summary = format!("{:08}{}", self.sent, "x".repeat(bytes));
        self.sent += 1;
        let batch = [Arc::new(Record::of_finding(finding))];
        let runtime = Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let answer = self.backend.send(&batch).await;
            if let Some(gzip) = self.backend.gzip.take() {
                gzip.await.unwrap();
            }
            answer
        })
    }

    fn taken(&mut self, bytes: usize) {
        assert_eq!(self.send(bytes), Answer::Taken { said: "written".into() });
    }

    /// Names in the directory, sorted.
    fn names(&self) -> Vec<String> {
        let names = fs::read_dir(self.path("d")).unwrap();
        let mut names: Vec<_> =
            names.map(|name| name.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// Numbers of the findings in the files of the directory, the rotated ones first.
    fn numbers(&self) -> Vec<u64> {
        let mut names = self.names();
        names.rotate_left(1);
        names.iter().flat_map(|name| numbers(&self.path("d").join(name))).collect()
    }
}

fn numbers(path: &Path) -> Vec<u64> {
    let mut text = String::new();
    let file = File::open(path).unwrap();
    match path.extension().is_some_and(|end| end == "gz") {
        true => MultiGzDecoder::new(file).read_to_string(&mut text).unwrap(),
        false => io::BufReader::new(file).read_to_string(&mut text).unwrap(),
    };
    let number = |line: &str| {
        let json: serde_json::Value = serde_json::from_str(line).unwrap();
        json["summary"].as_str().unwrap()[..8].parse().unwrap()
    };
    text.lines().map(number).collect()
}

const KIB: usize = 1024;

#[test]
fn it_is_rotated_by_size_and_the_oldest_go() {
    let mut desk = Desk::new("rotate_mib = 1\nkeep = 2");
    // Two fit into a file.
    (0..8).for_each(|_| desk.taken(400 * KIB));
    let names = desk.names();
    assert_eq!(names.len(), 3, "{names:?}");
    assert_eq!(names[0], "f.json");
    assert!(names[1..].iter().all(|name| name.ends_with("Z.gz")), "{names:?}");
    assert_eq!(desk.numbers(), [2, 3, 4, 5, 6, 7]);
    let mode = |name: &String| fs::metadata(desk.path("d").join(name)).unwrap().mode() & 0o777;
    assert!(names.iter().all(|name| mode(name) == 0o640));
}

#[test]
fn it_is_rotated_by_age_and_kept_plain_when_asked_to() {
    let mut desk = Desk::new("rotate_after = \"1s\"\ngzip = false\nmode = \"0600\"");
    desk.taken(1);
    desk.backend.config.rotate_after = Some("7d".parse().unwrap());
    desk.taken(1);
    assert_eq!(desk.names(), ["f.json"]);
    // A file cannot be made older than it is.
    let created = fs::metadata(desk.path("d/f.json")).unwrap().created().unwrap();
    while created.elapsed().unwrap() <= Duration::from_secs(1) {
        std::thread::yield_now();
    }
    desk.backend.config.rotate_after = Some("1s".parse().unwrap());
    desk.taken(1);
    let names = desk.names();
    assert!(names.len() == 2 && names[1].ends_with('Z'), "{names:?}");
    assert_eq!(desk.numbers(), [0, 1, 2]);
}

#[test]
fn names_sort_by_time_even_when_the_clock_is_set_back() {
    let desk = Desk::new("");
    let next = |second| desk.backend.rotated.next(Timestamp::from_second(second).unwrap());
    let first = next(1_000_000_000).unwrap();
    assert_eq!(first, desk.path("d/f.json.20010909T014640.000000Z"));
    fs::write(first.with_extension("000000Z.gz"), "").unwrap();
    let second = next(1_000_000_000).unwrap();
    fs::write(&second, "").unwrap();
    let third = next(500_000_000).unwrap();
    assert!(first < second && second < third, "{third:?}");
    assert_eq!(third, desk.path("d/f.json.20010909T014640.000002Z"));
    for not_ours in ["f.json.20010909", "f.json.old", "g.json.20010909T014640.000000Z", "f.json."] {
        fs::write(desk.path("d").join(not_ours), "").unwrap();
    }
    desk.backend.rotated.prune(0).unwrap();
    assert_eq!(desk.names().len(), 5, "{:?}", desk.names());
}

#[test]
fn a_rotation_that_fails_loses_no_line() {
    let mut desk = Desk::new("rotate_mib = 1");
    (0..2).for_each(|_| desk.taken(400 * KIB));
    // Root may do all but this: the directory is none any more.
    fs::rename(desk.path("d"), desk.path("away")).unwrap();
    fs::write(desk.path("d"), "").unwrap();
    (0..3).for_each(|_| desk.taken(400 * KIB));
    assert_eq!(numbers(&desk.path("away/f.json")), [0, 1, 2, 3, 4]);
    fs::remove_file(desk.path("d")).unwrap();
    fs::rename(desk.path("away"), desk.path("d")).unwrap();
    desk.taken(1);
    assert_eq!(desk.names(), ["f.json"], "it is not tried again at once");
    desk.backend.until_next_try = Duration::ZERO;
    desk.taken(1);
    assert_eq!(desk.names().len(), 2);
    assert_eq!(desk.numbers(), [0, 1, 2, 3, 4, 5, 6]);
}

#[test]
fn what_somebody_moved_away_is_left_until_reopened_and_what_was_deleted_is_made_again() {
    let mut desk = Desk::new("");
    desk.taken(1);
    fs::rename(desk.path("d/f.json"), desk.path("d/moved")).unwrap();
    desk.taken(1);
    desk.backend.reopen();
    desk.taken(1);
    assert_eq!(numbers(&desk.path("d/moved")), [0, 1]);
    assert_eq!(numbers(&desk.path("d/f.json")), [2]);
    fs::remove_dir_all(desk.path("d")).unwrap();
    desk.taken(1);
    assert_eq!(desk.numbers(), [3]);
}

#[test]
fn what_an_agent_before_left_half_is_closed_and_compressed() {
    let mut desk = Desk::new("");
    let old = "f.json.20010909T014640.000000Z";
    fs::write(desk.path("d/f.json"), "{\"half").unwrap();
    fs::write(desk.path("d").join(old), "old\n").unwrap();
    fs::write(desk.path("d").join(old).with_extension("000000Z.gz.part"), "junk").unwrap();
    desk.backend = FileBackend::open(desk.backend.config.clone()).unwrap();
    desk.taken(1);
    assert_eq!(desk.names(), ["f.json".to_owned(), format!("{old}.gz")]);
    let text = fs::read_to_string(desk.path("d/f.json")).unwrap();
    assert!(text.starts_with("{\"half\n{") && text.ends_with("}\n"), "{text}");
    let mut content = String::new();
    let compressed = File::open(desk.path("d").join(format!("{old}.gz"))).unwrap();
    MultiGzDecoder::new(compressed).read_to_string(&mut content).unwrap();
    assert_eq!(content, "old\n");
}

#[test]
fn mistakes_say_what_is_allowed() {
    let said = |text: &str| toml::from_str::<FileConfig>(text).unwrap_err().message().to_owned();
    assert!(said("path = \"f\"\nmode = \"0440\"").contains("no mode of a file such as \"0640\""));
    assert!(said("path = \"f\"\nmode = \"1777\"").contains("no mode of a file"));
    assert!(said("path = \"f\"\nkeep = 0").contains("from 1 to 1000"));
    assert!(said("mode = \"0640\"").contains("missing field `path`"));
    let refused = |path: &str| FileBackend::open(config(path.into(), "")).err().unwrap();
    assert!(refused("/").contains("not the path of a file"));
    assert!(refused("/dev/null/x").starts_with("path: /dev/null/x: "));
}
