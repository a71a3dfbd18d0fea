//! `cargo xtask backends`: sinks against the servers they are for.

use anyhow::Result;
use clap::Args;

use crate::{artifacts, artifacts::Artifacts, servers, setup, test, test::Tested};

/// What `backends` is asked for.
#[derive(Args)]
pub struct Backends {
    /// Only installs the servers, and prints where: NODEPROBE_SERVERS=DIRECTORY
    #[arg(long)]
    install: bool,
    /// Arguments of the test program: part of a test's name, `--nocapture`
    #[arg(last = true)]
    args: Vec<String>,
}

impl Backends {
    /// Installs the servers and runs the tests; returns 0 when none failed.
    pub fn run(self) -> Result<i32> {
        setup::ensure()?;
        if self.install {
            println!("{}={}", servers::VARIABLE, servers::get()?.display());
            return Ok(0);
        }
        let done = all(&artifacts::build()?, &self.args)?.count;
        println!("{done}");
        Ok(i32::from(done.failed > 0))
    }
}

/// Runs the tests, those that `args` leave.
pub fn all(artifacts: &Artifacts, args: &[String]) -> Result<Tested> {
    let servers = servers::get()?;
    test::cargo_test(artifacts, |cargo| {
        // They wait for servers and pauses most of the time.
        let threads = ["--", "--test-threads", "6"];
        cargo.args(["--package", "scenarios", "--test", "backends"]).args(threads).args(args);
        cargo.env(servers::VARIABLE, &servers);
    })
}
