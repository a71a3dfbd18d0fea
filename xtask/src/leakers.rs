//! The programs that leak in the scenario of birthplaces: C, Rust and Go, with and without what makes
//! stacks and symbols readable. Built once; Go comes from Debian and is thrown away after use.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use crate::{apt::Apt, artifacts::Artifacts, cache, go::Go, paths, run};

/// Where scenarios look for them, beside their own program and in the guest.
pub const DIRECTORY: &str = "leakers";
/// Where the sources are.
const SOURCES: &str = "tests/birthplace";

/// Each program of C with the flags that make it what it is.
const C: &[(&str, &[&str])] = &[
    ("leaky-c", &["-O2", "-fno-omit-frame-pointer"]),
    ("leaky-c-bare", &["-O2", "-fomit-frame-pointer", "-s"]),
];
const RUST: &str = "leaky-rust";
const RUST_FLAGS: &[&str] = &["--edition=2024", "-Copt-level=2", "-Cforce-frame-pointers=yes"];

/// Go releases as Debian has them; the table of functions changed with 1.18 and 1.20.
const GO: &[Release] = &[
    Release {
        suite: "bookworm",
        release: "1.19",
        programs: &[("leaky-go", &[]), ("leaky-go-pie", &["-buildmode=pie", "-ldflags=-s -w"])],
    },
    Release {
        suite: "trixie",
        release: "1.24",
        programs: &[("leaky-go-bare", &["-ldflags=-s -w"])],
    },
];

struct Release {
    suite: &'static str,
    release: &'static str,
    programs: &'static [(&'static str, &'static [&'static str])],
}

/// The programs, beside the scenarios' own.
pub fn get(artifacts: &Artifacts) -> Result<Vec<PathBuf>> {
    let sources = paths::root().join(SOURCES);
    let mut recipe = format!("{C:?} {RUST_FLAGS:?}");
    for go in GO {
        recipe.push_str(&format!(" {} {} {:?}", go.suite, go.release, go.programs));
    }
    for source in ["leaky.c", "leaky.go", "leaky.rs"] {
        recipe.push_str(&fs::read_to_string(sources.join(source))?);
    }
    let built = cache::entry(DIRECTORY, &recipe, |into| make(&sources, into))
        .context("cannot build the programs that leak")?;
    let beside = artifacts.scenario.with_file_name(DIRECTORY);
    fs::create_dir_all(&beside)?;
    let mut programs = Vec::new();
    for program in fs::read_dir(built)? {
        let program = program?;
        let name = program.file_name();
        if !name.to_string_lossy().starts_with('.') {
            let to = beside.join(name);
            fs::copy(program.path(), &to)?;
            programs.push(to);
        }
    }
    Ok(programs)
}

fn make(sources: &Path, into: &Path) -> Result<()> {
    for (name, flags) in C {
        let mut cc = Command::new("cc");
        cc.args(*flags).arg(sources.join("leaky.c")).arg("-o").arg(into.join(name));
        run::step(&format!("building {name}"), &mut cc)?;
    }
    let mut rustc = Command::new("rustc");
    rustc.current_dir(paths::root()).args(RUST_FLAGS);
    rustc.arg(sources.join("leaky.rs")).arg("-o").arg(into.join(RUST));
    run::step(&format!("building {RUST}"), &mut rustc)?;
    GO.iter().try_for_each(|release| release.make(sources, into))
}

impl Release {
    fn make(&self, sources: &Path, into: &Path) -> Result<()> {
        let scratch = into.join(".go");
        let go = Go::fetch(&Apt::open(&scratch, self.suite)?, &scratch, self.release, &[])?;
        for (name, flags) in self.programs {
            go.build(sources, "leaky.go", flags, &into.join(name))?;
        }
        go.remove()
    }
}
