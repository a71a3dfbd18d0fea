//! The file sink: the simplest of all, and a proof of the harness itself.

use std::{
    ffi::CString,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

use crate::support::{agent::Agent, capture::capture, ids::ids_of_lines};

#[test]
fn what_is_found_is_in_the_file() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("findings.jsonl");
    let agent = Agent::with_sink("file", &format!("path = {file:?}"))?;
    let run = agent.replay(&capture(20)?)?;
    assert_eq!(run.ids.len(), 40, "each fires and resolves");
    assert_eq!(ids_of_lines(&fs::read_to_string(file)?)?, run.ids);
    Ok(())
}

#[test]
fn ten_thousand_are_in_the_file() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("findings.jsonl");
    let agent = Agent::with_sink("file", &format!("path = {file:?}"))?;
    let run = agent.replay(&capture(10_000)?)?;
    assert_eq!(run.ids.len(), 20_000);
    assert_eq!(ids_of_lines(&fs::read_to_string(file)?)?, run.ids);
    Ok(())
}

#[test]
fn files_that_are_rotated_hold_all_of_it() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("logs/findings.json");
    let rotation = "rotate_mib = 1\nkeep = 1000\ngzip = false";
    let agent = Agent::with_sink("file", &format!("path = {file:?}\n{rotation}"))?;
    let run = agent.replay(&capture(3_000)?)?;
    let mut names: Vec<_> = fs::read_dir(dir.path().join("logs"))?
        .map(|name| name?.file_name().into_string().ok().context("a strange name"))
        .collect::<Result<_>>()?;
    names.sort();
    assert!(names.len() > 2, "it was rotated more than once: {names:?}");
    // The one that lines still go to is the newest, though its name comes first.
    names.rotate_left(1);
    let read = |name: &String| fs::read_to_string(dir.path().join("logs").join(name));
    let lines = names.iter().map(read).collect::<std::io::Result<String>>()?;
    assert_eq!(ids_of_lines(&lines)?, run.ids, "all, in their order");
    Ok(())
}

#[test]
fn a_file_system_that_has_no_room_for_another_file_loses_no_line() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("findings.json");
    let agent = Agent::with_sink("file", &format!("path = {file:?}\nrotate_mib = 1"))?;
    // One file and its directory are all the inodes there are.
    let _mounted = Mounted::new(dir.path(), "nr_inodes=2,size=256m")?;
    let run = agent.replay(&capture(3_000)?)?;
    assert!(run.log.contains("not rotated: No space left"), "{}", run.log);
    assert_eq!(ids_of_lines(&fs::read_to_string(&file)?)?, run.ids);
    Ok(())
}

/// A tmpfs, gone when dropped.
struct Mounted(PathBuf);

impl Mounted {
    fn new(on: &Path, options: &str) -> Result<Self> {
        let data = CString::new(options)?;
        mount("tmpfs", on, "tmpfs", MountFlags::empty(), data.as_c_str())?;
        Ok(Self(on.into()))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // Nobody has a file of it open any more, or the test failed anyway.
        let _ = unmount(&self.0, UnmountFlags::DETACH);
    }
}
