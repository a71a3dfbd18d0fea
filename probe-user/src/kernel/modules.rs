//! Kernel modules, as sysfs shows them (Documentation/ABI/testing/sysfs-module).

use std::{fs, os::unix::fs::MetadataExt, path::Path};

const MODULES: &str = "/sys/module";

/// Which loading of a module is there: the inode number of its directory, which a reload changes. `None`
/// when the module is not there. One stat, so it may be asked each second.
#[must_use]
pub fn instance(name: &str) -> Option<u64> {
    fs::metadata(Path::new(MODULES).join(name)).ok().map(|directory| directory.ino())
}

/// Whether a module is there.
#[must_use]
pub fn is_there(name: &str) -> bool {
    instance(name).is_some()
}

/// Whether a module that is there is on its way in or out. One that is built in has no such state.
#[must_use]
pub fn is_moving(name: &str) -> bool {
    let state = fs::read_to_string(Path::new(MODULES).join(name).join("initstate"));
    matches!(state.as_deref().map(str::trim), Ok("coming" | "going"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_has_no_instance() {
        assert!(!is_there("nodeprobe_no_such_module"));
        assert!(!is_moving("nodeprobe_no_such_module"));
        // Part of every kernel that has parameters.
        assert_eq!(instance("kernel"), instance("kernel"));
        assert!(is_there("kernel") && !is_moving("kernel"));
    }
}
