//! Netlink sockets that are opened and never closed (projectcalico/calico#9531).

use super::ActError;
use crate::{
    event::BootNs,
    findings::clock::boot_now,
    kernel::rtnetlink::socket,
    proof::selftest::{stage::Stage, trial::SOCKETS},
};

/// Opens them; they are closed when the stage is left.
///
/// # Errors
/// When the kernel gives one too few.
pub fn leak(stage: &mut Stage) -> Result<BootNs, ActError> {
    let mut at = boot_now();
    for _ in 0..SOCKETS {
        at = boot_now();
        stage.held.push(socket().map_err(ActError::Socket)?);
    }
    Ok(at)
}
