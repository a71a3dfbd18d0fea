//! The files of a release, and where each belongs on a node.

use std::{fs, path::Path, process::Command};

use anyhow::{Context, Result};

use super::archive;
use crate::{paths, run};

/// One of them.
pub struct File {
    /// From the root of the node, without a leading `/`.
    pub path: String,
    /// Its permissions.
    pub mode: u32,
    /// What is in it.
    pub content: Vec<u8>,
}

/// The agent.
pub const AGENT: &str = "usr/bin/nodeprobe";
/// Its configuration, which belongs to the operator.
pub const CONFIG: &str = "etc/nodeprobe/nodeprobe.toml";
/// Its unit.
pub const UNIT: &str = "usr/lib/systemd/system/nodeprobe.service";

/// Files of the sources that go into it as they are.
const COPIED: &[(&str, &str)] = &[
    ("deploy/nodeprobe.toml", CONFIG),
    ("deploy/systemd/nodeprobe.service", UNIT),
    ("LICENSE", "usr/share/doc/nodeprobe/LICENSE"),
    ("LICENSE-APACHE", "usr/share/doc/nodeprobe/LICENSE-APACHE"),
    ("LICENSE-GPL-2.0", "usr/share/doc/nodeprobe/LICENSE-GPL-2.0"),
    ("LICENSE-MIT", "usr/share/doc/nodeprobe/LICENSE-MIT"),
];

/// What the agent prints of itself.
const PRINTED: &[(&[&str], &str)] = &[
    (&["completions", "bash"], "usr/share/bash-completion/completions/nodeprobe"),
    (&["completions", "fish"], "usr/share/fish/vendor_completions.d/nodeprobe.fish"),
    (&["completions", "zsh"], "usr/share/zsh/site-functions/_nodeprobe"),
];

/// All of them, in the order of their paths.
pub fn files(agent: &Path, bom: &[u8]) -> Result<Vec<File>> {
    let plain = |path: &str, content| File { path: path.to_owned(), mode: 0o644, content };
    let mut files = vec![
        File { mode: 0o755, ..plain(AGENT, read(agent)?) },
        plain("usr/share/doc/nodeprobe/sbom.cdx.json", bom.to_owned()),
        plain("usr/share/man/man8/nodeprobe.8.gz", archive::gzip(&printed(agent, &["man"])?)?),
    ];
    for (from, to) in COPIED {
        files.push(plain(to, read(&paths::root().join(from))?));
    }
    for (args, to) in PRINTED {
        files.push(plain(to, printed(agent, args)?));
    }
    files.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(files)
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

fn printed(agent: &Path, args: &[&str]) -> Result<Vec<u8>> {
    let text = run::query(Command::new(agent).args(args));
    Ok(text.with_context(|| format!("the agent does not print: {args:?}"))?.into_bytes())
}
