//! Reading a capture. Its bytes are nobody's word: no length is believed before it is there.

use std::io::{self, Read};

use thiserror::Error;

use super::{Entry, MAGIC, Preamble, VERSION, records};
use crate::frame::{self, Frame};

/// Why a capture cannot be read, or not to its end.
#[derive(Debug, Error)]
pub enum CaptureError {
    #[error("cannot be read: {0}")]
    Read(#[from] io::Error),
    #[error("is no capture; `nodeprobe run --capture FILE` makes one")]
    NoCapture,
    #[error(
        "is a capture of version {found}, and this nodeprobe reads version {VERSION}; replay it with the nodeprobe that made it"
    )]
    Version { found: u32 },
    #[error(
        "was made by nodeprobe {by}, whose kernel records differ from this one's; replay it with that one"
    )]
    OtherRecords { by: String },
    #[error(
        "is damaged at byte {at}: {what}; what comes after that cannot be told apart and is not replayed"
    )]
    Damaged { at: u64, what: &'static str },
}

/// A capture that is read from its beginning.
pub struct Recording<R> {
    from: R,
    /// Where the next frame begins (bytes).
    at: u64,
    content: Vec<u8>,
    preamble: Preamble,
    cut_short: bool,
}

impl<R: Read> Recording<R> {
    /// Reads up to the first entry.
    ///
    /// # Errors
    /// [`CaptureError`] when it is no capture of this version and these records.
    pub fn open(mut from: R) -> Result<Self, CaptureError> {
        let mut head = Vec::new();
        from.by_ref().take(MAGIC.len() as u64 + 4).read_to_end(&mut head)?;
        let version = head.strip_prefix(&MAGIC).ok_or(CaptureError::NoCapture)?;
        let version = version.try_into().map_err(|_| CaptureError::NoCapture)?;
        let found = u32::from_le_bytes(version);
        if found != VERSION {
            return Err(CaptureError::Version { found });
        }
        let (at, content) = (head.len() as u64, Vec::new());
        let preamble = Preamble::default();
        let mut recording = Self { from, at, content, preamble, cut_short: false };
        let preamble = match recording.next_entry()? {
            Some(Entry::Preamble(preamble)) => preamble.into_owned(),
            _ => return Err(CaptureError::Damaged { at, what: "it does not begin as it must" }),
        };
        if preamble.records != records() {
            return Err(CaptureError::OtherRecords { by: preamble.nodeprobe });
        }
        Ok(Self { preamble, ..recording })
    }

    /// What the capture says of itself.
    #[must_use]
    pub fn preamble(&self) -> &Preamble {
        &self.preamble
    }

    /// Whether the file ended in the middle of an entry.
    #[must_use]
    pub fn is_cut_short(&self) -> bool {
        self.cut_short
    }

    /// The next entry; `None` at the end.
    ///
    /// # Errors
    /// [`CaptureError`] when there are bytes and they are no entry.
    pub fn next_entry(&mut self) -> Result<Option<Entry<'_>>, CaptureError> {
        let at = self.at;
        let damaged = |what| CaptureError::Damaged { at, what };
        match frame::read(&mut self.from, &mut self.content)? {
            Frame::Whole(bytes) => self.at += bytes,
            Frame::End => return Ok(None),
            Frame::CutShort => {
                self.cut_short = true;
                return Ok(None);
            }
            Frame::Damaged => return Err(damaged("its checksum or its length is wrong")),
        }
        Entry::read(&self.content).map(Some).ok_or(damaged("an entry makes no sense"))
    }
}
