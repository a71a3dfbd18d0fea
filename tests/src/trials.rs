//! The trials, one file each.

pub mod dying_node;
pub mod faults;
pub mod watchdog;
