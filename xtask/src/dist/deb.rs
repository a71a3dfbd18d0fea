//! The package for Debian: the files of the release, and scripts that start nothing.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};

use super::{
    source::Source,
    tree::{self, File},
};
use crate::{paths, run};

/// Scripts of the package, in deploy/deb.
const SCRIPTS: &[&str] = &["postinst", "postrm", "prerm"];
/// Where Debian has other names for what the release has.
const RENAMED: &[(&str, &str)] = &[
    ("usr/share/doc/nodeprobe/LICENSE", "usr/share/doc/nodeprobe/copyright"),
    ("usr/share/zsh/site-functions/", "usr/share/zsh/vendor-completions/"),
];

/// The package's file, by Debian's rule for names.
pub fn name(source: &Source) -> String {
    format!("nodeprobe_{}_amd64.deb", source.version)
}

/// Writes the package.
pub fn make(files: &[File], source: &Source, to: &Path) -> Result<()> {
    let tree = tempfile::tempdir().context("cannot make a directory")?;
    let mut bytes = 0;
    for File { path, mode, content } in files {
        bytes += content.len();
        put(tree.path(), &renamed(path), *mode, content)?;
    }
    put(tree.path(), "DEBIAN/control", 0o644, control(source, bytes).as_bytes())?;
    put(tree.path(), "DEBIAN/conffiles", 0o644, format!("/{}\n", tree::CONFIG).as_bytes())?;
    for script in SCRIPTS {
        let content = fs::read(paths::root().join("deploy/deb").join(script))?;
        put(tree.path(), &format!("DEBIAN/{script}"), 0o755, &content)?;
    }
    let mut build = Command::new("dpkg-deb");
    // One thread: how xz divides its work would show in the bytes.
    build.args(["--root-owner-group", "--threads-max=1", "--build"]).arg(tree.path()).arg(to);
    build.env("SOURCE_DATE_EPOCH", source.time.to_string());
    run::step("packing for Debian", &mut build).map(drop)
}

fn renamed(path: &str) -> String {
    let renamed = RENAMED.iter().find_map(|(from, to)| {
        let rest = path.strip_prefix(from)?;
        (from.ends_with('/') || rest.is_empty()).then(|| format!("{to}{rest}"))
    });
    renamed.unwrap_or_else(|| path.to_owned())
}

fn put(tree: &Path, path: &str, mode: u32, content: &[u8]) -> Result<()> {
    let path = tree.join(path);
    let permit = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode));
    for dir in path.ancestors().skip(1).take_while(|dir| dir.starts_with(tree)) {
        fs::create_dir_all(dir)?;
        permit(dir, 0o755)?;
    }
    fs::write(&path, content).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(permit(&path, mode)?)
}

fn control(source: &Source, bytes: usize) -> String {
    format!(
        "Package: nodeprobe\n\
         Version: {}\n\
         Architecture: amd64\n\
         Maintainer: The nodeprobe authors\n\
         Section: admin\n\
         Priority: optional\n\
         Homepage: https://github.com/nodeprobe/nodeprobe\n\
         Installed-Size: {}\n\
         Description: eBPF probe for qdisc flapping, fork exhaustion and fd leaks\n \
         It watches one Linux node from inside its kernel and says which of these slow\n \
         disasters has begun, who causes it, where, why, and how long is left.\n",
        source.version,
        bytes.div_ceil(1024),
    )
}

/// Installs the package into an empty root, then again over it, removes it, and looks at what is left each time.
pub fn test(package: &Path) -> Result<()> {
    let root = tempfile::tempdir().context("cannot make a directory")?;
    let root = root.path();
    let admin = root.join("var/lib/dpkg");
    for dir in ["info", "updates"] {
        fs::create_dir_all(admin.join(dir))?;
    }
    for file in ["status", "available"] {
        fs::write(admin.join(file), "")?;
    }
    dpkg(root, &["--install"], Some(package))?;
    for path in [tree::AGENT, tree::CONFIG, tree::UNIT] {
        ensure!(root.join(path).is_file(), "{path} is not installed");
    }
    ensure!(!root.join("etc/systemd").exists(), "the installation enables the unit");
    let own = ["var/lib/nodeprobe/spool/a/1", "var/log/nodeprobe/findings.json"];
    for file in own {
        put(root, file, 0o600, b"a finding")?;
    }
    let config = root.join(tree::CONFIG);
    fs::write(&config, "# ours\n")?;
    dpkg(root, &["--install"], Some(package))?;
    ensure!(fs::read(&config)? == b"# ours\n", "an upgrade changes the configuration");
    dpkg(root, &["--remove", "nodeprobe"], None)?;
    ensure!(config.is_file() && root.join(own[0]).is_file(), "a removal takes more than programs");
    ensure!(!root.join(tree::AGENT).exists(), "a removal leaves the agent");
    dpkg(root, &["--purge", "nodeprobe"], None)?;
    let left = left(root, &admin)?;
    ensure!(left.is_empty(), "a purge leaves {left:?}");
    Ok(())
}

/// It needs no root in a root of its own, and nothing that Debian has in sbin.
fn dpkg(root: &Path, action: &[&str], package: Option<&Path>) -> Result<()> {
    let mut dpkg = Command::new("dpkg");
    dpkg.arg(format!("--root={}", root.display())).arg("--log=/dev/null");
    dpkg.args(["--force-script-chrootless", "--force-not-root", "--force-bad-path"]);
    run::step("dpkg", dpkg.args(action).args(package)).map(drop)
}

/// All files but dpkg's own, and what is empty but has our name.
fn left(dir: &Path, admin: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path == admin {
            continue;
        }
        let is_dir = path.is_dir() && !path.is_symlink();
        if is_dir {
            found.extend(left(&path, admin)?);
        }
        if !is_dir || path.ends_with("nodeprobe") {
            found.push(path);
        }
    }
    Ok(found)
}
