use std::{
    fs,
    io::{IoSliceMut, Read, Seek},
    os::unix::net,
    path::Path,
};

use rustix::{
    fs::fcntl_get_seals,
    net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg},
};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

use super::*;
use crate::{
    findings::testing::finding,
    sinks::{Kind, backend::Reason, kinds::Site},
};

struct Desk {
    directory: TempDir,
    runtime: Runtime,
    backend: Box<dyn Backend>,
}

impl Desk {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let config: JournaldConfig =
            toml::from_str(&format!("socket = {:?}", directory.path().join("socket"))).unwrap();
        let backend = config.open(&Site { sink: "test", node: "node-1".into() }).unwrap();
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        Self { directory, runtime, backend }
    }

    fn socket(&self) -> net::UnixDatagram {
        let path = self.directory.path().join("socket");
        if Path::new(&path).exists() {
            fs::remove_file(&path).unwrap();
        }
        net::UnixDatagram::bind(path).unwrap()
    }

    /// Sends a finding with this summary.
    fn send(&mut self, summary: &str) -> Answer {
        let mut finding = finding();
        finding.summary = summary.into();
        self.runtime.block_on(self.backend.send(&[Arc::new(Record::of_finding(finding))]))
    }

    fn taken(&mut self, summary: &str) {
        let answer = self.send(summary);
        assert!(matches!(answer, Answer::Taken { .. }), "{answer:?}");
    }
}

/// The message of the next entry, which came as a datagram or in a sealed file.
fn message(socket: &net::UnixDatagram) -> (String, bool) {
    let mut bytes = vec![0; 1024 * 1024];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut with = RecvAncillaryBuffer::new(&mut space);
    let mut into = [IoSliceMut::new(&mut bytes)];
    let read = recvmsg(socket, &mut into, &mut with, RecvFlags::empty()).unwrap().bytes;
    let file = with.drain().find_map(|with| match with {
        RecvAncillaryMessage::ScmRights(mut files) => files.next(),
        _ => None,
    });
    let entry = match &file {
        None => bytes[..read].to_vec(),
        Some(file) => {
            assert_eq!(read, 0);
            let seals = fcntl_get_seals(file).unwrap();
            assert!(seals.contains(SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK));
            let mut file = File::from(file.try_clone().unwrap());
            let mut entry = Vec::new();
            file.rewind().unwrap();
            file.read_to_end(&mut entry).unwrap();
            entry
        }
    };
    (encode::tests::fields(&entry).remove("MESSAGE").unwrap(), file.is_some())
}

#[test]
fn a_journald_that_comes_later_or_anew_is_found() {
    let mut desk = Desk::new();
    let Answer::Later { trouble, .. } = desk.send("one") else { panic!() };
    assert!(trouble.reason == Reason::Connect && trouble.text.contains("No such file"));
    let socket = desk.socket();
    desk.taken("one");
    assert_eq!(message(&socket), ("one".into(), false));
    drop(socket);
    let Answer::Later { trouble, .. } = desk.send("two") else { panic!() };
    assert!(trouble.text.contains("refused"), "{}", trouble.text);
    let socket = desk.socket();
    desk.taken("two");
    assert_eq!(message(&socket), ("two".into(), false));
}

#[test]
fn what_no_datagram_holds_goes_in_a_sealed_file() {
    let mut desk = Desk::new();
    let socket = desk.socket();
    let large = "é".repeat(1024 * 1024);
    desk.taken(&large);
    assert_eq!(message(&socket), (large, true));
    desk.taken("small again");
    assert_eq!(message(&socket), ("small again".into(), false));
}

#[test]
fn a_journald_that_is_behind_is_waited_for() {
    let mut desk = Desk::new();
    let socket = desk.socket();
    let many: u32 = 5_000;
    let reader = std::thread::spawn(move || {
        (0..many).for_each(|number| assert_eq!(message(&socket).0, number.to_string()));
    });
    (0..many).for_each(|number| desk.taken(&number.to_string()));
    reader.join().unwrap();
}
