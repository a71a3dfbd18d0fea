//! What all these tests stand on: servers, an agent, captures for it, and a look at what arrived.
//! Each backend uses a part of it.
#![allow(dead_code, reason = "a module a backend, and none of them needs all")]

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};

pub mod agent;
pub mod capture;
pub mod cluster;
pub mod front;
pub mod http;
pub mod ids;
pub mod programs;
pub mod proxy;
pub mod receiver;
pub mod server;

/// How long anything may take before it counts as hung. Never a measure.
pub const HANG_GUARD: Duration = scenarios::HANG_GUARD;

/// Between two looks at something that cannot be waited for.
const POLL: Duration = Duration::from_millis(20);

/// Waits until `look` finds something; its last error is told when it never does.
pub fn until<T>(what: &str, mut look: impl FnMut() -> Result<T>) -> Result<T> {
    let deadline = Instant::now() + HANG_GUARD;
    loop {
        match look() {
            Ok(found) => return Ok(found),
            Err(error) if Instant::now() > deadline => {
                return Err(error).with_context(|| format!("waited in vain: {what}"));
            }
            Err(_) => thread::sleep(POLL),
        }
    }
}
