//! What a scenario puts on the machine, taken away again when it is dropped, also after a failure.

use std::sync::atomic::{AtomicU32, Ordering};

pub mod actor;
pub mod cell;
pub mod cgroup;
pub mod container;
pub mod cpu;
pub mod disk;
pub mod leaker;
pub mod netns;
pub mod pod;
pub mod sysctl;
pub mod veth;

/// A short name no other prop on this machine has, of this run or of another.
#[must_use]
pub fn unique(prefix: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("{prefix}{:x}-{number:x}", std::process::id())
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_unique_name_fits_an_interface() {
        let (a, b) = (super::unique("cali"), super::unique("cali"));
        assert_ne!(a, b);
        assert!(a.len() < 16);
    }
}
