//! What could not be opened because there was no fd or no memory left for it. That is no answer, and
//! must not be taken for one: a /proc that cannot be listed does not mean that all processes are gone.
//!
//! Errors of files are otherwise of no interest here, as what they are about may be gone at any time.
//! So these few are noted where something is opened, per thread, and asked for by whoever would
//! conclude something from what is not there.

use std::{
    cell::Cell,
    io,
    time::{Duration, Instant},
};

/// One that comes and goes is not told of more often than this.
const SAY_EVERY: Duration = Duration::from_secs(60);

thread_local! {
    static REFUSED: Cell<Option<i32>> = const { Cell::new(None) };
}

/// Passes the outcome of opening something on, and notes when it was refused for want of fds or memory
/// (open(2)).
///
/// # Errors
/// The same.
pub fn noted<T>(opened: io::Result<T>) -> io::Result<T> {
    let errno = opened.as_ref().err().and_then(io::Error::raw_os_error);
    if let Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM) = errno {
        REFUSED.set(errno);
    }
    opened
}

/// Does something, and tells what kept this thread from opening something meanwhile.
pub fn watch<T>(work: impl FnOnce() -> T) -> (T, Option<io::Error>) {
    let before = REFUSED.take();
    let done = work();
    let refused = REFUSED.get();
    // Whoever watches from further out is to know too.
    REFUSED.set(refused.or(before));
    (done, refused.map(io::Error::from_raw_os_error))
}

/// As [`watch`], for what is worth nothing unless it is whole.
pub fn whole<T>(look: impl FnOnce() -> Option<T>) -> Option<T> {
    let (seen, refused) = watch(look);
    seen.filter(|_| refused.is_none())
}

/// A time in which something fails for want of something, told once when it begins and once when it is
/// over.
pub struct Want {
    what: &'static str,
    since: Option<Instant>,
    told: Option<Instant>,
}

impl Want {
    /// Nothing is wanted yet. `what` is what would fail.
    #[must_use]
    pub fn of(what: &'static str) -> Self {
        Self { what, since: None, told: None }
    }

    /// It failed.
    pub fn fails(&mut self, error: &io::Error) {
        let (what, now) = (self.what, Instant::now());
        if self.since.is_none() && self.told.is_none_or(|told| now - told >= SAY_EVERY) {
            self.told = Some(now);
            log::warn!("{what}: {error}; it is tried again until that passes");
        }
        self.since.get_or_insert(now);
    }

    /// It worked.
    pub fn works(&mut self) {
        if let Some(since) = self.since.take()
            && self.told.is_some_and(|told| told >= since)
        {
            log::info!("{}: works again after {} s", self.what, since.elapsed().as_secs());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(errno: i32) -> io::Result<()> {
        noted(Err(io::Error::from_raw_os_error(errno)))
    }

    fn errno(refused: Option<io::Error>) -> Option<i32> {
        refused.and_then(|error| error.raw_os_error())
    }

    #[test]
    fn want_of_fds_is_told_from_what_is_gone() {
        for (error, refused) in [
            (libc::ENOENT, None),
            (libc::EACCES, None),
            (libc::EMFILE, Some(libc::EMFILE)),
            (libc::ENFILE, Some(libc::ENFILE)),
        ] {
            let (opened, seen) = watch(|| open(error));
            assert_eq!(opened.unwrap_err().raw_os_error(), Some(error));
            assert_eq!(errno(seen), refused, "{error}");
        }
        assert!(watch(|| noted(Ok(()))).1.is_none(), "and only while it is watched");
    }

    #[test]
    fn whoever_watches_from_further_out_knows_too() {
        let (inner, outer) = watch(|| {
            let inner = whole(|| open(libc::EMFILE).err());
            assert!(whole(|| Some(1)).is_some(), "what comes after that is another look");
            inner
        });
        assert!(inner.is_none());
        assert_eq!(errno(outer), Some(libc::EMFILE));
    }
}
