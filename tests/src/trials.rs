//! The trials, one file each.

pub mod canary;
pub mod cgroup_namespace;
pub mod dying_node;
pub mod faults;
pub mod reload;
pub mod selftest;
pub mod watchdog;
