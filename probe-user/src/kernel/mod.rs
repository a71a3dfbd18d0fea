//! What the running kernel is and allows. Read only.

pub mod btf;
pub mod capability;
pub mod facts;
pub mod fields;
mod fingerprint;
pub mod functions;
pub mod symbols;
pub mod tracefs;
