//! The kernel programs' own log, for diagnosis.

use std::io;

use aya::Ebpf;
use aya_log::EbpfLogger;
use tokio::io::{Interest, unix::AsyncFd};

use crate::supervise::{End, Part, Supervisor};

/// aya-log panics on a record it does not understand: that may end the log but never the agent.
const PART: Part = Part {
    name: "kernel-log",
    end: End::Any,
    help: "the kernel programs log no more, all else goes on",
    turns: None,
};

/// Passes the programs' messages on, in a task of its own.
pub fn start(ebpf: &mut Ebpf, supervisor: &mut Supervisor) {
    let logger = match EbpfLogger::init(ebpf) {
        Ok(logger) => logger,
        Err(error) => return unavailable(&error),
    };
    // SAFETY: the logger owns its ring, whose fd stays open for as long as it lives.
    match unsafe { AsyncFd::register_with_interest(logger, Interest::READABLE) } {
        Ok(logger) => supervisor.task(PART, forward(logger)),
        Err(error) => unavailable(&error),
    }
}

async fn forward(mut logger: AsyncFd<EbpfLogger<&'static dyn log::Log>>) -> io::Result<()> {
    loop {
        let mut guard = logger.readable_mut().await?;
        guard.get_inner_mut().flush();
        guard.clear_ready();
    }
}

fn unavailable(error: &dyn std::fmt::Display) {
    log::warn!("the kernel programs cannot log: {error}");
}
