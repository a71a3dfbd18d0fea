//! What the running kernel is and allows. Read only.

pub mod btf;
pub mod facts;
pub mod fields;
pub mod symbols;
pub mod tracefs;
