//! Sinks against real servers, and against servers that misbehave. Run by `cargo xtask backends`, which
//! installs the servers.

mod file;
mod journald;
mod kafka;
mod nats;
mod otlp;
mod support;
mod syslog;
