//! Waiting for a state, never for a time.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::HANG_GUARD;
use crate::interrupt;

/// Between two looks.
const POLL: Duration = Duration::from_millis(100);
/// Looks that must show the same before something is at rest: an agent that starts looks around twice,
/// two seconds apart, and this takes five at least.
const SAME: usize = 50;

/// Looks until there is nothing to object to; the last objection is the error.
pub fn until(what: &str, mut look: impl FnMut() -> Result<Option<String>>) -> Result<()> {
    let deadline = Instant::now() + HANG_GUARD;
    loop {
        interrupt::check()?;
        let Some(objection) = look()? else { return Ok(()) };
        if Instant::now() > deadline {
            bail!("{what}: {objection}");
        }
        thread::sleep(POLL);
    }
}

/// Looks until a number stays the same for a while.
pub fn at_rest(what: &str, mut look: impl FnMut() -> Result<u64>) -> Result<u64> {
    let (mut same, mut last) = (0, look()?);
    until(what, || {
        let now = look()?;
        same = if now == last { same + 1 } else { 0 };
        last = now;
        Ok((same < SAME).then(|| format!("still moves, {now} now")))
    })?;
    Ok(last)
}
