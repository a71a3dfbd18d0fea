//! An interrupted run still cleans up: the wish to end is noted, and obeyed where errors are.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use anyhow::{Context, Result, ensure};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

fn interrupted() -> &'static Arc<AtomicBool> {
    static INTERRUPTED: OnceLock<Arc<AtomicBool>> = OnceLock::new();
    INTERRUPTED.get_or_init(Arc::default)
}

/// From now on SIGINT and SIGTERM are only noted.
pub fn note_signals() -> Result<()> {
    for signal in [SIGINT, SIGTERM] {
        flag::register(signal, Arc::clone(interrupted())).context("cannot handle signals")?;
    }
    Ok(())
}

/// Fails once a signal was noted; called wherever something is waited for.
pub fn check() -> Result<()> {
    ensure!(!interrupted().load(Ordering::Relaxed), "interrupted");
    Ok(())
}
