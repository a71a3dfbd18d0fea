//! Runs the real tools.

use std::ffi::OsStr;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// Runs a tool and returns its standard output; its own words are in the error when it fails.
pub fn run<S: AsRef<OsStr>>(program: &str, args: &[S]) -> Result<String> {
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null());
    let output = command
        .output()
        .with_context(|| format!("cannot run `{program}`: is it installed and on PATH?"))?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        bail!("{command:?} ended with {}: {}", output.status, stderr.trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// [`run`] with arguments written as one string.
pub fn run_words(program: &str, words: &str) -> Result<String> {
    run(program, &words.split_whitespace().collect::<Vec<_>>())
}
