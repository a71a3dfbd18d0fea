//! The guest's root: bpftool, iproute2, iptables, nft, runc, busybox and their libraries from Debian, as one cpio
//! archive.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use crate::{
    apt::{self, Apt, Entry},
    cache,
    initrd::Archive,
};

const SUITE: &str = "bookworm";
const PACKAGES: &[&str] =
    &["bpftool", "busybox-static", "coreutils", "dash", "iproute2", "iptables", "nftables", "runc"];
/// What the guest needs of the packages; everything else (documents, charsets, maintainer tools) stays out.
const KEEP: &[&str] = &["etc/iproute2/", "usr/bin/", "usr/sbin/", "usr/lib/", "usr/lib64/"];
const DROP: &[&str] =
    &["/gconv/", "/audit/", "/engines-3/", "/ossl-modules/", "/perl", "/debconf", "/dpkg-"];
/// Directories that Debian's packages reach by two names.
const MERGED: &[&str] = &["bin", "lib", "lib64", "sbin"];
/// Commands that busybox answers to. None that starts another program: Debian's busybox prefers its own `tc` and `ip`
/// to those on the path, which is also why the shell is dash.
const APPLETS: &[&str] = &[
    "awk", "cmp", "dmesg", "find", "free", "grep", "hexdump", "hostname", "insmod", "killall",
    "lsmod", "mount", "nc", "pgrep", "pidof", "ping", "pkill", "ps", "rmmod", "sed", "strings",
    "top", "umount", "usleep", "vi", "wget", "which",
];
const DIRECTORIES: &[&str] =
    &["dev", "proc", "root", "run", "sys", "tmp", "usr/bin", "usr/lib", "usr/lib64", "usr/sbin"];
const LINKS: &[(&str, &str)] = &[
    ("bin", "usr/bin"),
    ("lib", "usr/lib"),
    ("lib64", "usr/lib64"),
    ("sbin", "usr/sbin"),
    // `ip netns` knows its directory by the old name.
    ("var/run", "/run"),
];
const ARCHIVE: &str = "root.cpio";

enum Node {
    File { mode: u32, content: Vec<u8> },
    Link(String),
}

/// The root archive, from the cache or else made from packages.
pub fn get() -> Result<PathBuf> {
    let recipe =
        format!("{SUITE} {PACKAGES:?} {KEEP:?} {DROP:?} {APPLETS:?} {DIRECTORIES:?} {LINKS:?}");
    let dir = cache::entry("rootfs", &recipe, make).context("cannot make the guest's root")?;
    Ok(dir.join(ARCHIVE))
}

fn make(into: &Path) -> Result<()> {
    let scratch = into.join("apt");
    let apt = Apt::open(&scratch, SUITE)?;
    let packages = apt.closure(PACKAGES)?;
    let files = apt.download("fetching the guest's packages", &packages)?;
    let mut nodes = BTreeMap::new();
    for file in &files {
        apt::unpack(file, |path, entry| collect(&mut nodes, path, entry))?;
    }
    for applet in APPLETS {
        nodes.insert(format!("usr/bin/{applet}"), Node::Link("busybox".to_owned()));
    }
    nodes.insert("usr/bin/sh".to_owned(), Node::Link("dash".to_owned()));
    write(&into.join(ARCHIVE), &nodes)?;
    std::fs::remove_dir_all(&scratch)?;
    Ok(())
}

fn collect(nodes: &mut BTreeMap<String, Node>, path: &str, entry: Entry<'_>) -> Result<()> {
    let path = merged(path);
    let wanted = KEEP.iter().any(|keep| path.starts_with(keep))
        && !DROP.iter().any(|drop| path.contains(drop));
    if !wanted {
        return Ok(());
    }
    let node = match entry {
        Entry::File { mode, content } => {
            let mut bytes = Vec::new();
            content.read_to_end(&mut bytes)?;
            Node::File { mode, content: bytes }
        }
        Entry::Link(to) => Node::Link(to),
        Entry::HardLink(to) => Node::Link(format!("/{}", merged(to.trim_start_matches("./")))),
    };
    nodes.insert(path, node);
    Ok(())
}

/// The one name of a path that Debian's packages reach by two.
pub fn merged(path: &str) -> String {
    let top = path.split('/').next().unwrap_or_default();
    if MERGED.contains(&top) { format!("usr/{path}") } else { path.to_owned() }
}

fn write(to: &Path, nodes: &BTreeMap<String, Node>) -> Result<()> {
    let mut archive = Archive::create(to)?;
    for dir in DIRECTORIES {
        archive.directory(dir)?;
    }
    for (link, to) in LINKS {
        archive.link(link, to)?;
    }
    archive.file("etc/passwd", 0o644, b"root:x:0:0:root:/root:/bin/sh\n")?;
    archive.file("etc/group", 0o644, b"root:x:0:\n")?;
    for (path, node) in nodes {
        match node {
            Node::File { mode, content } => archive.file(path, *mode, content)?,
            Node::Link(to) => archive.link(path, to)?,
        }
    }
    archive.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_names_of_a_directory_are_one() {
        assert_eq!(merged("sbin/tc"), "usr/sbin/tc");
        assert_eq!(merged("usr/bin/busybox"), "usr/bin/busybox");
        assert_eq!(merged("etc/iproute2/rt_protos"), "etc/iproute2/rt_protos");
    }
}
