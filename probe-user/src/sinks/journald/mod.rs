//! Records in the journal of systemd, by its native protocol. It has no answer: that journald has read an
//! entry is all that is known, and what it had not read when it went is sent again.

use std::{
    fs::File,
    io::{self, IoSlice, Write},
    mem::MaybeUninit,
    os::fd::AsFd,
    sync::Arc,
};

use rustix::{
    fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create},
    net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg},
};
use tokio::{io::Interest, net::UnixDatagram};

use super::{
    Backend,
    backend::{Answer, Sending},
    record::Record,
};
use crate::net::local::Local;

pub mod config;
pub mod encode;

use config::JournaldConfig;

/// journald.
pub struct JournaldBackend {
    socket: Local,
    node: String,
    json: bool,
}

impl JournaldBackend {
    /// Where it listens; whether it is there is not asked yet.
    #[must_use]
    pub fn open(config: &JournaldConfig, node: &str) -> Self {
        Self { socket: Local::new(&config.socket), node: node.into(), json: config.json }
    }

    async fn write(&mut self, record: &Record) -> Answer {
        let entry = encode::entry(record, &self.node, self.json);
        match self.socket.with(async |socket| send(socket, &entry).await).await {
            Ok(()) => Answer::Taken { said: "journald has read it".into() },
            Err(error) => self.socket.trouble(&error),
        }
    }
}

impl Backend for JournaldBackend {
    fn send<'a>(&'a mut self, batch: &'a [Arc<Record>]) -> Sending<'a> {
        Box::pin(async move {
            let answer = Answer::one_by_one(batch, async |record| self.write(record).await).await;
            // An entry that nobody has read ends with the socket.
            match (self.socket.was_read().await, answer) {
                (Err(error), Answer::Taken { .. } | Answer::Each(_)) => self.socket.trouble(&error),
                (_, answer) => answer,
            }
        })
    }
}

/// Sends an entry: as a datagram, or in a file where none is that large.
async fn send(socket: &UnixDatagram, entry: &[u8]) -> io::Result<()> {
    match socket.send(entry).await {
        Err(error) if matches!(error.raw_os_error(), Some(libc::EMSGSIZE | libc::ENOBUFS)) => {
            let file = sealed(entry)?;
            socket.async_io(Interest::WRITABLE, || pass(socket, &file)).await
        }
        sent => sent.map(drop),
    }
}

/// A file in memory that nobody changes any more, which is the only kind that journald takes.
fn sealed(entry: &[u8]) -> io::Result<File> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let mut file = File::from(memfd_create("nodeprobe-journal", flags)?);
    file.write_all(entry)?;
    let all = SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE | SealFlags::SEAL;
    fcntl_add_seals(&file, all)?;
    Ok(file)
}

/// Sends a datagram that has nothing but a file with it.
fn pass(socket: &UnixDatagram, file: &File) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut with = SendAncillaryBuffer::new(&mut space);
    let files = [file.as_fd()];
    if !with.push(SendAncillaryMessage::ScmRights(&files)) {
        return Err(io::ErrorKind::OutOfMemory.into());
    }
    sendmsg(socket, &[IoSlice::new(&[])], &mut with, SendFlags::NOSIGNAL)?;
    Ok(())
}

#[cfg(test)]
mod tests;
