//! What the kernel side holds back: events above the budget of their subject, in sums, and netlink
//! sockets it told nobody of. The agent takes them each second, in the order `probe_common::budget`
//! tells of, and hands them on as records that say how many events they stand for.

use std::{fs, mem::offset_of};

use aya::maps::{Array, HashMap, MapData};
use probe_common::{
    budget::{SUMS, Sum, SumKey, UNTOLD_SOCKETS},
    netlink::{NetlinkRecord, SOCKET_BY_FD},
    wire::{Header, kind},
};

use crate::{
    decode::{self, as_bytes},
    event::BootNs,
};

/// Shortest time that a socket must be open to be told of (ns): one that closes sooner is counted only.
const LEAST_AGE: u64 = 1_000_000_000;
/// Sockets told at once; the rest waits for the next time.
const MOST_AT_ONCE: usize = 8_192;

/// A key of the map of sums.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct Key(SumKey);

// SAFETY: integers without implicit padding; any bytes are valid.
unsafe impl aya::Pod for Key {}

/// A value of the map of sums.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct Entry(Sum);

// SAFETY: as above.
unsafe impl aya::Pod for Entry {}

/// A value of the map of sockets.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct Opened(NetlinkRecord);

// SAFETY: as above.
unsafe impl aya::Pod for Opened {}

/// The kernel side's maps.
pub struct Untold {
    pub epoch: Array<MapData, u32>,
    pub sums: HashMap<MapData, Key, Entry>,
    pub sockets: HashMap<MapData, u64, Opened>,
}

impl Untold {
    /// Hands over the sums of past epochs, oldest first, and sockets that stay open, and steps the
    /// epoch. The ring must have been drained since `drained`: what it has of them comes first.
    pub fn take(&mut self, drained: BootNs, mut each: impl FnMut(&[u8])) {
        let epoch = self.epoch.get(&0, 0).unwrap_or(0);
        self.take_sums(|of| of < epoch, &mut each);
        self.take_sockets(drained.saturating_sub(LEAST_AGE), &mut each);
        if let Err(error) = self.epoch.set(0, epoch.wrapping_add(1), 0) {
            log::warn!("the kernel side's sums stay untold: {error}");
        }
    }

    /// Hands over all there is, when no program runs any more.
    pub fn take_all(&mut self, mut each: impl FnMut(&[u8])) {
        self.take_sums(|_| true, &mut each);
        self.take_sockets(BootNs::MAX, &mut each);
    }

    fn take_sums(&mut self, is_over: impl Fn(u32) -> bool, each: &mut impl FnMut(&[u8])) {
        let keys: Vec<Key> = self.sums.keys().filter_map(Result::ok).take(SUMS as usize).collect();
        let mut records = Vec::new();
        for key in keys.iter().filter(|key| is_over(key.0.epoch)) {
            if let Ok(Entry(sum)) = self.sums.get(key, 0) {
                records.extend(record(&sum));
            }
            // No program writes to it any more, so nothing is lost.
            let _ = self.sums.remove(key);
        }
        records.sort_by_key(|(at, _)| *at);
        records.iter().for_each(|(_, bytes)| each(bytes));
    }

    fn take_sockets(&mut self, before: BootNs, each: &mut impl FnMut(&[u8])) {
        let keys = self.sockets.keys().filter_map(Result::ok).take(UNTOLD_SOCKETS as usize);
        let mut told = 0;
        for socket in keys.collect::<Vec<u64>>() {
            let Ok(Opened(mut record)) = self.sockets.get(&socket, 0) else { continue };
            // Who takes it out tells of it: here, or the program that sees it close.
            if record.header.ts_ns > before || self.sockets.remove(&socket).is_err() {
                continue;
            }
            record.header.events = 1;
            if !is_open(&record) {
                record.header.kind = kind::NETLINK_CHURN;
            }
            each(as_bytes(&record));
            told += 1;
            if told == MOST_AT_ONCE {
                return;
            }
        }
    }
}

/// When the record of a sum is from, and its bytes; `None` when it was never written.
fn record(sum: &Sum) -> Option<(BootNs, Vec<u8>)> {
    let mut bytes: Vec<u8> = sum.record.iter().flat_map(|word| word.to_ne_bytes()).collect();
    let header: Header = decode::read(0, &bytes).ok()?;
    bytes.truncate(usize::from(header.len));
    let events = u32::try_from(sum.events).unwrap_or(u32::MAX);
    let at = offset_of!(Header, events);
    bytes.get_mut(at..at + 4)?.copy_from_slice(&events.to_ne_bytes());
    Some((header.ts_ns, bytes))
}

/// Whether a socket is still there. Where the kernel side sees fds only, it misses how most of them
/// close: then /proc knows.
fn is_open(record: &NetlinkRecord) -> bool {
    if record.socket & SOCKET_BY_FD == 0 {
        return true;
    }
    let fd = record.socket as u32;
    let link = fs::read_link(format!("/proc/{}/fd/{fd}", record.header.tgid));
    link.is_ok_and(|target| target.as_os_str().as_encoded_bytes().starts_with(b"socket:"))
}

#[cfg(test)]
mod tests {
    use probe_common::{budget::RECORD_WORDS, fork::ForkRecord};

    use super::*;
    use crate::event::Body;

    #[test]
    fn a_sum_becomes_a_record_that_says_how_many_it_stands_for() {
        let header = Header {
            kind: kind::FORK_FAILED,
            len: size_of::<ForkRecord>() as u16,
            ts_ns: 7,
            ..Header::default()
        };
        let of = ForkRecord { header, ret: -libc::EAGAIN, ..ForkRecord::default() };
        let mut words = [0; RECORD_WORDS];
        for (word, bytes) in words.iter_mut().zip(as_bytes(&of).chunks_exact(8)) {
            *word = u64::from_ne_bytes(bytes.try_into().unwrap());
        }
        let (at, bytes) = record(&Sum { events: 5_000, record: words }).unwrap();
        let event = decode::decode(&bytes).unwrap();
        assert_eq!((at, bytes.len(), event.sum), (7, size_of::<ForkRecord>(), Some(5_000)));
        assert!(matches!(event.body, Body::Fork(failure) if failure.errno == libc::EAGAIN));
        assert_eq!(record(&Sum { events: 1, record: [0; RECORD_WORDS] }), None);
    }
}
