//! nodeprobe's agent: watches a Linux node from inside its kernel and says who wears it down.
//!
//! One way through: [`probe`] attaches the kernel programs, [`source`] yields their records,
//! [`decode`] makes events, [`enrich`] says who and where, [`signals`] judge, [`findings`] keeps the
//! book, [`sinks`] and [`metrics`] carry it out. [`pipeline`] alone knows every stage.

pub mod cli;
pub mod config;
pub mod decode;
mod doctor;
pub mod enrich;
mod errno;
pub mod event;
pub mod explain;
pub mod findings;
mod frame;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
pub mod kernel;
pub mod kubernetes;
mod memory;
pub mod metrics;
pub mod net;
pub mod pipeline;
pub mod probe;
pub mod proof;
mod replay;
pub mod run;
mod scarce;
pub mod send_test;
pub mod signals;
pub mod sinks;
pub mod source;
mod stderr;
pub mod stream;
pub mod supervise;
mod symbols;
mod text;

/// Version of this build, its revision in git, and the beginning of the SHA-256 of its kernel programs.
pub const VERSION: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    " (",
    env!("NODEPROBE_REVISION"),
    ", kernel programs ",
    env!("NODEPROBE_PROGRAMS"),
    ")"
);
