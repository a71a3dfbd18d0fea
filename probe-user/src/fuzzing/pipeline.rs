//! Whole runs of the pipeline, without a kernel.

use std::{
    io::Cursor,
    sync::{Arc, LazyLock},
};

use probe_common::wire::{COMM_LEN, Header};

use crate::{
    config::Config,
    decode::as_bytes,
    enrich::Enricher,
    event::{
        BootNs, CgroupTasks, Context, Event, Fact, FdRound, LimitedCgroups, NodeFiles, NodeTasks,
        ProcessFds,
    },
    frame,
    metrics::Metrics,
    pipeline::Pipeline,
    replay,
    signals::SIGNALS,
    sinks::Outlets,
    source::capture::{Preamble, head, records},
};

/// Longest record (bytes); the kernel's are shorter.
const LONGEST: usize = 512;

/// The same for all runs: to make them takes longer than most runs.
static METRICS: LazyLock<Option<Arc<Metrics>>> =
    LazyLock::new(|| Metrics::new().ok().map(Arc::new));

/// A file; or, as no chance finds a checksum, the contents of its frames with a length before each.
pub fn capture(bytes: &[u8]) {
    play(bytes);
    let mut file = head(&Preamble { records: records(), ..Preamble::default() });
    append_frames(&mut file, bytes);
    play(&file);
}

/// Appends frames, whose contents are the bytes with a length before each.
pub fn append_frames(file: &mut Vec<u8>, mut bytes: &[u8]) {
    while let Some((length, after)) = bytes.split_first() {
        let (content, after) = after.split_at(after.len().min((*length).into()));
        frame::append(file, |to| to.extend_from_slice(content));
        bytes = after;
    }
}

fn play(file: &[u8]) {
    let Some(metrics) = &*METRICS else { return };
    let mut tally = replay::Tally::default();
    let _ = replay::play(
        &mut Cursor::new(file),
        &Config::default(),
        metrics,
        &Outlets::NONE,
        &mut tally,
    );
}

/// The bytes as a story: a byte says what comes, a byte how much later, then that.
pub fn events(bytes: &[u8]) {
    let Some(metrics) = &*METRICS else { return };
    let mut pipeline = Pipeline::new(&Config::default(), Enricher::offline(), Arc::clone(metrics));
    let kinds: Vec<u16> =
        SIGNALS.iter().flat_map(|signal| signal.kinds).map(|(kind, _)| *kind).collect();
    let mut story = Story { rest: bytes, now: 0 };
    while let Some(what) = story.byte() {
        story.pass();
        match kinds.get(usize::from(what) % (kinds.len() + 3)) {
            Some(kind) if what < 128 => pipeline.record(&story.record(*kind), &Outlets::NONE),
            Some(kind) => pipeline.seed(&story.record(*kind), &Outlets::NONE),
            None if what % 3 == 0 => pipeline.tick(story.now, &Outlets::NONE),
            None => {
                let fact = story.fact(what);
                let context = Context { at: story.now, pid: what.into(), ..Context::default() };
                pipeline.fact(&Event::polled(context, fact), &Outlets::NONE);
            }
        }
    }
}

struct Story<'a> {
    rest: &'a [u8],
    now: BootNs,
}

impl Story<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    fn number(&mut self) -> u64 {
        let byte = self.byte().unwrap_or(0);
        // Small ones, round ones, and those at the edge.
        match byte {
            0..200 => byte.into(),
            200..255 => 1 << (byte - 192),
            255 => u64::MAX,
        }
    }

    /// Time goes on, jumps, or goes back.
    fn pass(&mut self) {
        let step = self.byte().unwrap_or(0);
        self.now = match step {
            0..128 => self.now.saturating_add(1 << (step / 3)),
            128..248 => self.now.saturating_add(u64::from(step - 127) * 1_000_000_000),
            248..254 => self.now.saturating_sub(1_000_000_000),
            _ => self.number(),
        };
    }

    /// A record with a header that makes sense, and some of the bytes behind it.
    fn record(&mut self, kind: u16) -> Vec<u8> {
        let few = |number: u64| u32::try_from(number % 4).unwrap_or(0);
        let tgid = few(self.number());
        let header = Header {
            kind,
            len: size_of::<Header>() as u16,
            ts_ns: self.now,
            tgid,
            pid: tgid,
            cgroup_id: self.number() % 4,
            netns: few(self.number()),
            comm: [b'a'; COMM_LEN],
            ..Header::default()
        };
        let length = usize::try_from(self.number()).unwrap_or(0).min(self.rest.len()).min(LONGEST);
        let (body, rest) = self.rest.split_at(length);
        self.rest = rest;
        let mut record = [as_bytes(&header), body].concat();
        record.resize(LONGEST, 0);
        record
    }

    fn fact(&mut self, which: u8) -> Fact {
        match which % 4 {
            0 => Fact::NodeTasks(NodeTasks {
                current: self.number(),
                threads_max: self.number(),
                pid_max: self.number(),
            }),
            1 => Fact::ProcessFds(ProcessFds {
                start: self.number() % 2,
                open: self.number(),
                limit: Some(self.number()),
                kinds: None,
            }),
            2 => Fact::FdRound(FdRound {
                files: Some(NodeFiles { allocated: self.number(), max: self.number() }),
                ..FdRound::default()
            }),
            _ => Fact::CgroupTasks(LimitedCgroups {
                cgroups: vec![CgroupTasks {
                    id: self.number() % 4,
                    current: self.number(),
                    limit: self.number(),
                    height: which.into(),
                }],
                unvisited: 0,
            }),
        }
    }
}
