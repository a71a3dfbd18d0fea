//! The rotated files beside a file: named by the time of their rotation, so that names sort by time.
//!
//! `findings.json` becomes `findings.json.20261121T185421.123456Z`, and `.gz` behind that once it is
//! compressed.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs, io,
    path::{Path, PathBuf},
};

use jiff::{SignedDuration, Timestamp, civil::DateTime, tz::TimeZone};

/// A time in a name (UTC).
const STAMP: &str = "%Y%m%dT%H%M%S%.6fZ";
/// What is behind the time in the name of a compressed file.
const COMPRESSED: &str = ".gz";
/// What is behind the time in the name of a file that is being compressed.
const UNFINISHED: &str = ".gz.part";
/// What may be behind the time.
const ENDINGS: [&str; 3] = ["", COMPRESSED, UNFINISHED];

/// The rotated files of one file.
#[derive(Clone, Debug)]
pub struct Rotated {
    directory: PathBuf,
    /// Name of the file and a dot.
    prefix: String,
}

impl Rotated {
    /// Of the file at `path`; `None` when that is none of a file.
    #[must_use]
    pub fn of(path: &Path) -> Option<Self> {
        let name = path.file_name().and_then(OsStr::to_str)?;
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let directory = directory.unwrap_or(Path::new(".")).into();
        Some(Self { directory, prefix: format!("{name}.") })
    }

    /// Where a file rotated now goes: later than all there are, whatever became of the clock.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn next(&self, now: Timestamp) -> io::Result<PathBuf> {
        let moment = SignedDuration::from_micros(1);
        let after = |stamp: &String| time(stamp)?.checked_add(moment).ok();
        let latest = self.stamps()?.into_keys().next_back().as_ref().and_then(after);
        Ok(self.named(&latest.map_or(now, |after| after.max(now)).strftime(STAMP).to_string(), ""))
    }

    /// Removes the oldest, so that `keep` stay. A file that cannot be removed holds back none of the
    /// others.
    ///
    /// # Errors
    /// One of those there were.
    pub fn prune(&self, keep: usize) -> io::Result<()> {
        let stamps = self.stamps()?;
        let gone = stamps.len().saturating_sub(keep);
        let old = stamps.iter().take(gone);
        let files = old.flat_map(|(stamp, endings)| endings.iter().map(move |end| (stamp, end)));
        let mut pruned = Ok(());
        for (stamp, ending) in files {
            pruned = fs::remove_file(self.named(stamp, ending)).and(pruned);
        }
        pruned
    }

    /// The oldest that is not compressed, what it is while it is being compressed, and then.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn uncompressed(&self) -> io::Result<Option<[PathBuf; 3]>> {
        let plain = self.stamps()?.into_iter().find(|(_, endings)| endings.contains(&""));
        Ok(plain.map(|(stamp, _)| ["", UNFINISHED, COMPRESSED].map(|end| self.named(&stamp, end))))
    }

    /// What there is, by time: the endings of the names.
    fn stamps(&self) -> io::Result<BTreeMap<String, Vec<&'static str>>> {
        let mut stamps = BTreeMap::<_, Vec<_>>::new();
        for entry in fs::read_dir(&self.directory)? {
            let name = entry?.file_name();
            let rest = name.to_str().and_then(|name| name.strip_prefix(&self.prefix));
            let known = ENDINGS.into_iter().find_map(|ending| {
                let stamp = rest?.strip_suffix(ending)?;
                time(stamp).map(|_| (stamp, ending))
            });
            if let Some((stamp, end)) = known {
                stamps.entry(stamp.to_owned()).or_default().push(end);
            }
        }
        Ok(stamps)
    }

    fn named(&self, stamp: &str, ending: &str) -> PathBuf {
        self.directory.join(format!("{}{stamp}{ending}", self.prefix))
    }
}

/// The time in a name, if it is one exactly as it is written here.
fn time(stamp: &str) -> Option<Timestamp> {
    let time = DateTime::strptime(STAMP, stamp).ok()?.to_zoned(TimeZone::UTC).ok()?.timestamp();
    (time.strftime(STAMP).to_string() == stamp).then_some(time)
}
