use std::os::unix::fs::symlink;

use tempfile::TempDir;

use super::*;

fn file(text: &str) -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("nodeprobe.toml");
    fs::write(&path, text).unwrap();
    (dir, path)
}

/// What two looks say.
fn looks(settings: &mut Settings) -> [bool; 2] {
    [settings.is_stale(), settings.is_stale()]
}

#[test]
fn flags_stay_over_the_file() {
    let (_dir, path) = file("[metrics]\nlisten = \"127.0.0.1:1\"\n");
    let listen = "127.0.0.1:2".parse().unwrap();
    let flags = Flags { listen: Some(listen), ..Flags::default() };
    let mut settings = Settings::read(Some(path.clone()), flags).unwrap();
    assert_eq!(settings.config.metrics.listen, listen);
    fs::write(&path, "[metrics]\nlisten = \"none\"\n[tc]\nwarn_writes = 5\n").unwrap();
    let next = settings.read_again().unwrap();
    assert_eq!(next.config.metrics.listen, listen);
    assert_eq!((next.changed, next.waiting), (vec!["tc.warn_writes".to_owned()], Vec::new()));
}

#[test]
fn a_file_is_read_again_when_it_changed_and_stays_so() {
    let (dir, path) = file("");
    let mut settings = Settings::read(Some(path.clone()), Flags::default()).unwrap();
    assert_eq!(looks(&mut settings), [false; 2]);
    fs::write(&path, "[tc]\n").unwrap();
    assert!(!settings.is_stale(), "it may be half written");
    fs::write(&path, "[tc]\nwarn_writes = 5\n").unwrap();
    assert_eq!(looks(&mut settings), [false, true]);
    settings.read_again().unwrap();
    assert_eq!(looks(&mut settings), [false; 2]);
    // As editors, and packages, do it.
    let new = dir.path().join("nodeprobe.toml.new");
    fs::write(&new, "[tc]\nwarn_writes = 6\n").unwrap();
    fs::rename(&new, &path).unwrap();
    assert_eq!(looks(&mut settings), [false, true]);
    assert_eq!(settings.read_again().unwrap().config.tc.warn_writes, 6);
}

#[test]
fn one_that_cannot_be_used_is_told_once() {
    let (_dir, path) = file("");
    let mut settings = Settings::read(Some(path.clone()), Flags::default()).unwrap();
    for gone in [false, true] {
        fs::write(&path, "[tc]\nwarn_writes = 0\n").unwrap();
        if gone {
            fs::remove_file(&path).unwrap();
        }
        assert_eq!(looks(&mut settings), [false, true]);
        let error = settings.read_again().expect_err("it is bad").to_string();
        assert!(error.starts_with(path.to_str().unwrap()), "{error}");
        assert_eq!(looks(&mut settings), [false; 2]);
        assert_eq!(settings.config, Config::default());
    }
}

/// The kubelet writes a new directory and replaces the symlink `..data` to it.
#[test]
fn a_configmap_that_is_swapped_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    for (version, text) in [("..1", ""), ("..2", "[tc]\nwarn_writes = 5\n")] {
        fs::create_dir(at(version)).unwrap();
        fs::write(at(version).join("nodeprobe.toml"), text).unwrap();
    }
    symlink("..1", at("..data")).unwrap();
    symlink("..data/nodeprobe.toml", at("nodeprobe.toml")).unwrap();
    let file = Some(at("nodeprobe.toml"));
    let mut settings = Settings::read(file, Flags::default()).unwrap();
    symlink("..2", at("..data_tmp")).unwrap();
    fs::rename(at("..data_tmp"), at("..data")).unwrap();
    assert_eq!(looks(&mut settings), [false, true]);
    assert_eq!(settings.read_again().unwrap().config.tc.warn_writes, 5);
}

#[test]
fn what_does_not_go_with_a_value_that_waits_is_refused() {
    let (_dir, path) = file("[fd]\nbreakdown_at = 500\n");
    let mut settings = Settings::read(Some(path.clone()), Flags::default()).unwrap();
    fs::write(&path, "[fd]\nbreakdown_at = 100\nwarn_open = 200\n").unwrap();
    let error = settings.read_again().expect_err("500 is in force").to_string();
    let expected =
        "fd.warn_open: 200 is below breakdown_at (500); it must not be; fd.breakdown_at would";
    assert!(error.contains(expected), "{error}");
}

#[test]
fn without_a_file_nothing_changes() {
    let mut settings = Settings::read(None, Flags::default()).unwrap();
    assert_eq!(looks(&mut settings), [false; 2]);
    let next = settings.read_again().unwrap();
    assert!(next.config == settings.config && next.changed.is_empty() && next.waiting.is_empty());
}
