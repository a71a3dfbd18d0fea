//! Sinks against real servers, and against servers that misbehave. Run by `cargo xtask backends`, which
//! installs the servers.

mod alertmanager;
mod delivery;
mod elasticsearch;
mod file;
mod fleet;
mod journald;
mod kafka;
mod kubernetes;
mod loki;
mod manifests;
mod nats;
mod otlp;
mod prometheus;
mod sides;
mod spool;
mod support;
mod syslog;
