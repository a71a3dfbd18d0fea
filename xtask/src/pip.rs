//! Python's package manager, for what goes into the cache.

use std::process::Command;

use anyhow::Result;

use crate::{run, setup};

/// pip, which is installed when it is missing.
pub fn command() -> Result<Command> {
    let pip = || {
        let mut pip = Command::new("python3");
        pip.args(["-m", "pip"]);
        pip
    };
    if run::query(pip().arg("--version")).is_none() {
        setup::install(&["python3-pip"])?;
    }
    Ok(pip())
}
