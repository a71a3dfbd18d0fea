//! What the running kernel is and allows, read only; and how to talk to its rtnetlink.

pub mod btf;
pub mod capability;
pub mod cgroupns;
pub mod facts;
pub mod fields;
mod fingerprint;
pub mod functions;
pub mod modules;
pub mod rtnetlink;
pub mod symbols;
pub mod tracefs;
