//! The trials, one file each.

pub mod canary;
pub mod cgroup_namespace;
pub mod dying_node;
pub mod faults;
pub mod hostile_names;
pub mod kubernetes;
pub mod privileges;
pub mod reload;
pub mod selftest;
pub mod watchdog;
