//! Names that compilers put into what they build in place of directories of this machine, so that a
//! build in another place, by somebody else, gives the same bytes. Of two that fit, the later one counts.

use std::{
    env,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use crate::run;

/// What separates flags in CARGO_ENCODED_RUSTFLAGS.
const SEPARATOR: &str = "\x1f";

/// Flags for every crate as CARGO_ENCODED_RUSTFLAGS takes them: `own`, and the names. `rustc` makes the
/// compiler, `root` is the workspace, `target` cargo's output.
pub fn flags(
    rustc: impl Fn() -> Command,
    root: &Path,
    target: &Path,
    own: &[OsString],
) -> Result<OsString> {
    let home = cargo_home()?;
    let mut names = vec![flag(root, "/nodeprobe"), flag(target, "/nodeprobe/target")];
    names.push(flag(&home, "/cargo"));
    // Their names differ by the mirror that crates come from.
    let registries = fs::read_dir(home.join("registry/src")).into_iter().flatten().flatten();
    let mut registries: Vec<_> = registries.map(|registry| registry.path()).collect();
    registries.sort();
    names.extend(registries.iter().map(|registry| flag(registry, "/cargo/registry/src")));
    names.push(library(rustc).context("cannot ask the compiler where its library is")?);
    let mut flags = OsString::new();
    for flag in own.iter().chain(&names) {
        if !flags.is_empty() {
            flags.push(SEPARATOR);
        }
        flags.push(flag);
    }
    Ok(flags)
}

/// The library's sources have their name from the compiler's own build, where they are not installed.
fn library(rustc: impl Fn() -> Command) -> Option<OsString> {
    let version = run::query(rustc().arg("-vV"))?;
    let commit = version.lines().find_map(|line| line.strip_prefix("commit-hash: "))?;
    let sysroot = run::query(rustc().args(["--print", "sysroot"]))?;
    let sources = Path::new(&sysroot).join("lib/rustlib/src/rust");
    Some(flag(&sources, &format!("/rustc/{commit}")))
}

fn flag(from: &Path, to: &str) -> OsString {
    let mut flag = OsString::from("--remap-path-prefix=");
    flag.push(from);
    flag.push("=");
    flag.push(to);
    flag
}

/// Cargo's own directory. xtask is run by cargo, which tells where it is.
pub fn cargo_home() -> Result<PathBuf> {
    let chosen = env::var_os("CARGO_HOME").filter(|dir| !dir.is_empty()).map(PathBuf::from);
    chosen
        .or_else(|| env::home_dir().map(|home| home.join(".cargo")))
        .context("no home directory: set CARGO_HOME to the directory of cargo")
}
