//! The kernel programs' own log, for diagnosis.

use aya::Ebpf;
use aya_log::EbpfLogger;
use tokio::{
    io::{Interest, unix::AsyncFd},
    task::AbortHandle,
};

/// Ends the task when dropped.
pub struct KernelLog(AbortHandle);

impl Drop for KernelLog {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Passes the programs' messages on, in a task of its own: aya-log panics on a record it does not
/// understand, and that may end the log but never the agent.
pub fn start(ebpf: &mut Ebpf) -> Option<KernelLog> {
    let logger = match EbpfLogger::init(ebpf) {
        Ok(logger) => logger,
        Err(error) => return unavailable(&error),
    };
    // SAFETY: the logger owns its ring, whose fd stays open for as long as it lives.
    match unsafe { AsyncFd::register_with_interest(logger, Interest::READABLE) } {
        Ok(logger) => Some(KernelLog(tokio::spawn(forward(logger)).abort_handle())),
        Err(error) => unavailable(&error),
    }
}

async fn forward(mut logger: AsyncFd<EbpfLogger<&'static dyn log::Log>>) {
    loop {
        let Ok(mut guard) = logger.readable_mut().await else { return };
        guard.get_inner_mut().flush();
        guard.clear_ready();
    }
}

fn unavailable(error: &dyn std::fmt::Display) -> Option<KernelLog> {
    log::warn!("the kernel programs cannot log: {error}");
    None
}
