//! Captures that are made: so many findings that fire and resolve, the same each time.

use std::{fs, io::Write, ops::RangeInclusive, path::Path};

use anyhow::Result;
use probe_common::{
    fork::ForkRecord,
    wire::{COMM_LEN, Header, flag, kind},
};
use probe_user::{
    decode::as_bytes,
    source::capture::{Entry, Moment, Preamble, made},
};
use tempfile::NamedTempFile;

/// What an agent must have in its configuration for [`capture`]: one refused clone of a node daemon is a
/// finding, and a second of quiet its end.
pub const CONFIG: &str = r#"
[fork]
window = "1s"
hold = "1s"
critical_comms = ["kubelet", "a\"b\\c<>'\n\u001b["]
[findings]
reopen = "1s"
incident_window = "1s"
"#;

/// The daemons of [`CONFIG`]; the second is a name that anybody can choose, and breaks what does not escape.
const COMMS: [&[u8]; 2] = [b"kubelet", b"a\"b\\c<>'\n\x1b["];

/// Findings of one moment: fewer than the agent keeps open.
const WAVE: u64 = 500;
const SECOND: u64 = 1_000_000_000;

/// A capture with `findings` findings, each of which fires and resolves: twice as many records. Their ids
/// are the same each time; their times end about now, as backends refuse what is old.
pub fn capture(findings: u64) -> Result<NamedTempFile> {
    Script::of(findings).play(WHOLE)
}

/// Such a capture up to where all that it has fires, and whole. Each finding holds for more than a second; there
/// are as many as one wave has room for.
pub fn in_two_parts(findings: u64) -> Result<[NamedTempFile; 2]> {
    let mut script = Script::of(findings.min(WAVE / 2));
    let mut again = script.records.clone();
    again.iter_mut().for_each(|record| record.header.ts_ns += SECOND * 3 / 2);
    script.records.append(&mut again);
    Ok([script.play(FIRING)?, script.play(WHOLE)?])
}

/// Seconds of a wave in which the agent looks at it: it fires in the first, and has resolved in the last.
const WHOLE: RangeInclusive<u64> = 2..=4;
const FIRING: RangeInclusive<u64> = 2..=2;

/// What is to happen.
struct Script {
    preamble: Preamble,
    records: Vec<ForkRecord>,
    /// When it is over, and what the clock on the wall says then.
    last: u64,
    ends: i64,
}

impl Script {
    fn of(findings: u64) -> Self {
        let preamble = Preamble::of_this_node(Vec::new());
        let (last, ends) = ((1 + findings.div_ceil(WAVE) * 4) * SECOND, preamble.began.wall);
        let records = (0..findings).map(refused_clone).collect();
        let mut script = Self { preamble, records, last, ends };
        script.preamble.began = script.moment(0);
        script
    }

    fn moment(&self, at: u64) -> Moment {
        let left = i64::try_from((self.last - at) / 1_000).unwrap_or(0);
        Moment { at, boot: at, wall: self.ends.saturating_sub(left) }
    }

    /// A capture of it, of which the agent looks at these seconds of each wave.
    fn play(&self, seconds: RangeInclusive<u64>) -> Result<NamedTempFile> {
        let paths = self.records.iter().take(1_000).map(|record| {
            let id = record.header.cgroup_id;
            Entry::Cgroup { id, path: format!("/kubepods.slice/pod-{id}").into() }
        });
        let waves = self.records.chunks(WAVE as usize).enumerate().flat_map(|(wave, records)| {
            let at = move |second| (1 + wave as u64 * 4 + second) * SECOND;
            let ticks = seconds.clone().map(move |second| at(second).min(self.last));
            let records = records.iter().map(|record| Entry::Record(as_bytes(record)));
            records.chain(ticks.map(|at| Entry::Tick(self.moment(at))))
        });
        let mut file = NamedTempFile::new()?;
        let first = [Entry::Tick(self.moment(0))];
        file.write_all(&made(&self.preamble, first.into_iter().chain(paths).chain(waves)))?;
        Ok(file)
    }
}

fn refused_clone(number: u64) -> ForkRecord {
    let mut comm = [0; COMM_LEN];
    let name = if number % 10 == 9 { COMMS[1] } else { COMMS[0] };
    comm.iter_mut().zip(name).for_each(|(to, from)| *to = *from);
    let header = Header {
        kind: kind::FORK_FAILED,
        len: size_of::<ForkRecord>() as u16,
        flags: flag::CLONE_FLAGS_UNKNOWN,
        ts_ns: (1 + number / WAVE * 4) * SECOND + number % WAVE * 1_000_000,
        tgid: 7,
        pid: 7,
        cgroup_id: 1_000 + number,
        comm,
        ..Header::default()
    };
    ForkRecord { header, ret: -11, ..ForkRecord::default() }
}

/// A capture that holds nothing: for an agent that only has to hand over what waits.
pub fn empty() -> Result<NamedTempFile> {
    capture(0)
}

/// A copy of the capture under a name of one's own.
pub fn keep(capture: &NamedTempFile, path: &Path) -> Result<()> {
    fs::copy(capture.path(), path)?;
    Ok(())
}
