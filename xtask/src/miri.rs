//! `cargo xtask miri`: the tests of the unsafe code that reads records, in an interpreter that sees
//! undefined behaviour. All other unsafe code of the agent calls the kernel, which Miri cannot do.

use std::process::Command;

use anyhow::{Result, bail};

use crate::run;

/// Miri comes with nightly only.
const TOOLCHAIN: &str = "nightly";
/// Tests whose names have one of these in them: records as bytes, and what reads hostile bytes by hand.
const TESTS: &[&str] =
    &["decode::", "kernel::btf::", "capture::tests::", "symbols::go::", "rtnetlink::"];

/// Runs the tests; installs Miri where it is missing.
pub fn tests() -> Result<()> {
    let there = || run::query(rustup().args(["cargo", "miri", "--version"])).is_some();
    if !there() {
        let mut add = Command::new("rustup");
        add.args(["component", "add", "miri", "rust-src", "--toolchain", TOOLCHAIN]);
        run::step("adding Miri", &mut add)?;
    }
    if !there() {
        bail!("no Miri: run\n    rustup toolchain install nightly --component miri,rust-src");
    }
    let mut miri = rustup();
    miri.args(["cargo", "miri", "test", "--package", "probe-user", "--lib", "--"])
        .args(TESTS)
        .current_dir(crate::paths::root())
        // Seeds of proptest are files; a few cases do, as each takes a thousand times as long.
        .env("MIRIFLAGS", "-Zmiri-disable-isolation")
        .env("PROPTEST_CASES", "8");
    print!("{}", run::tail(&run::step("tests in Miri", &mut miri)?));
    Ok(())
}

fn rustup() -> Command {
    let mut rustup = Command::new("rustup");
    rustup.args(["run", TOOLCHAIN]);
    rustup
}
