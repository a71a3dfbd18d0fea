//! Captures that are made: so many findings that fire and resolve, the same each time.

use std::{fs, io::Write, path::Path};

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
    let waves = findings.div_ceil(WAVE);
    // Seconds on the clock of a wave: it fires in the first, and has resolved in the last.
    let last = (1 + waves * 4) * SECOND;
    let mut preamble = Preamble::of_this_node(Vec::new());
    let ends = preamble.began.wall;
    let moment = |at: u64| Moment {
        at,
        boot: at,
        wall: ends.saturating_sub(i64::try_from((last - at) / 1_000).unwrap_or(0)),
    };
    preamble.began = moment(0);
    let records: Vec<ForkRecord> = (0..findings).map(refused_clone).collect();
    let paths = records.iter().take(1_000).map(|record| {
        let id = record.header.cgroup_id;
        Entry::Cgroup { id, path: format!("/kubepods.slice/pod-{id}").into() }
    });
    let waves = records.chunks(WAVE as usize).enumerate().flat_map(|(wave, records)| {
        let ticks = (2..=4).map(move |second| (1 + wave as u64 * 4 + second) * SECOND);
        let ticks = ticks.map(|at| at.min(last));
        let records = records.iter().map(|record| Entry::Record(as_bytes(record)));
        records.chain(ticks.map(|at| Entry::Tick(moment(at))))
    });
    let mut file = NamedTempFile::new()?;
    let first = [Entry::Tick(moment(0))];
    file.write_all(&made(&preamble, first.into_iter().chain(paths).chain(waves)))?;
    Ok(file)
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
