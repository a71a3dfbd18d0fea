//! Sinks against real servers, and against servers that misbehave. Run by `cargo xtask backends`, which
//! installs the servers.

mod delivery;
mod file;
mod kafka;
mod nats;
mod otlp;
mod sides;
mod support;
