//! Servers and certificates for tests.

mod authority;
mod stub;

pub use authority::Authority;
pub use stub::{Act, Seen, Stub};
