//! A file read piece by piece. Executables are not mapped into memory: one that its owner truncates
//! meanwhile would be a SIGBUS. Nor are they read whole: kubelet has 100 MB.

use std::{cell::Cell, fs::File, io::ErrorKind, os::unix::fs::FileExt};

/// Bytes of a table read at once.
const CHUNK: usize = 64 * 1024;
/// Most that is read of one file for one stack (bytes): an executable may be made to keep us busy.
const MOST: u64 = 512 * 1024 * 1024;
/// What a read counts for at least (bytes).
const LEAST: u64 = 4_096;
/// Longest name read (bytes).
const LONGEST_NAME: usize = 512;

/// Something with bytes at offsets.
pub trait Source {
    /// Fills `into` from `offset` on; how many bytes there were.
    fn fill(&self, into: &mut [u8], offset: u64) -> usize;
}

/// A file of which only so much is read.
pub struct Budget {
    file: File,
    left: Cell<u64>,
    cut: Cell<bool>,
}

impl Budget {
    /// Of a file that was opened for one stack.
    #[must_use]
    pub fn new(file: File) -> Self {
        Self { file, left: Cell::new(MOST), cut: Cell::new(false) }
    }

    /// Whether something of it was not read that is there: what was not found may be in it.
    #[must_use]
    pub fn is_cut_short(&self) -> bool {
        self.cut.get()
    }
}

impl Source for Budget {
    fn fill(&self, into: &mut [u8], offset: u64) -> usize {
        let Some(left) = self.left.get().checked_sub(LEAST.max(into.len() as u64)) else {
            self.cut.set(true);
            return 0;
        };
        self.left.set(left);
        let mut done = 0;
        while let Some(rest) = into.get_mut(done..).filter(|rest| !rest.is_empty()) {
            match self.file.read_at(rest, offset.saturating_add(done as u64)) {
                Ok(0) => break,
                Ok(read) => done += read,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => {
                    self.cut.set(true);
                    break;
                }
            }
        }
        done
    }
}

impl Source for Vec<u8> {
    fn fill(&self, into: &mut [u8], offset: u64) -> usize {
        let from = usize::try_from(offset).ok().and_then(|offset| self.get(offset..));
        let from = from.unwrap_or_default();
        let len = from.len().min(into.len());
        into.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
        len
    }
}

/// What is read of a [`Source`], or nothing where it ends.
pub trait Read: Source {
    /// `N` bytes.
    fn array<const N: usize>(&self, offset: u64) -> Option<[u8; N]> {
        let mut bytes = [0; N];
        (self.fill(&mut bytes, offset) == N).then_some(bytes)
    }

    /// A little-endian 32-bit word.
    fn u32(&self, offset: u64) -> Option<u32> {
        self.array(offset).map(u32::from_le_bytes)
    }

    /// A little-endian 64-bit word.
    fn u64(&self, offset: u64) -> Option<u64> {
        self.array(offset).map(u64::from_le_bytes)
    }

    /// Up to `most` bytes, as many as there are.
    fn up_to(&self, offset: u64, most: usize) -> Vec<u8> {
        let mut bytes = vec![0; most];
        let len = self.fill(&mut bytes, offset);
        bytes.truncate(len);
        bytes
    }

    /// The text before the next NUL; `None` when it is empty, too long or not UTF-8.
    fn text(&self, offset: u64) -> Option<String> {
        let bytes = self.up_to(offset, LONGEST_NAME);
        let end = bytes.iter().position(|byte| *byte == 0)?;
        let text = std::str::from_utf8(bytes.get(..end)?).ok()?;
        (!text.is_empty()).then(|| text.to_owned())
    }

    /// Shows a table of rows of `row` bytes piece by piece, each with its offset, until `look` finds
    /// what it wants.
    fn scan<T>(
        &self,
        offset: u64,
        size: u64,
        row: usize,
        mut look: impl FnMut(u64, &[u8]) -> Option<T>,
    ) -> Option<T> {
        let row = row.clamp(1, CHUNK);
        let mut chunk = vec![0; CHUNK / row * row];
        let (mut at, end) = (offset, offset.saturating_add(size));
        while at < end {
            let want = usize::try_from(end - at).map_or(chunk.len(), |left| left.min(chunk.len()));
            let got = self.fill(chunk.get_mut(..want)?, at);
            for (number, bytes) in chunk.get(..got)?.chunks_exact(row).enumerate() {
                if let Some(found) = look(at + (number * row) as u64, bytes) {
                    return Some(found);
                }
            }
            if got < want {
                return None;
            }
            at += got as u64;
        }
        None
    }
}

impl<S: Source> Read for S {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_file_is_no_failure_but_a_read_that_fails_is() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        std::fs::write(&path, [7; 10]).unwrap();
        let whole = Budget::new(File::open(&path).unwrap());
        assert_eq!((whole.up_to(8, 16), whole.is_cut_short()), (vec![7; 2], false));
        // Opened for writing only: EBADF.
        let unread = Budget::new(File::options().write(true).open(&path).unwrap());
        assert_eq!((unread.u32(0), unread.is_cut_short()), (None, true));
        let spent = Budget { left: Cell::new(LEAST), ..Budget::new(File::open(&path).unwrap()) };
        assert_eq!((spent.u32(0), spent.is_cut_short()), (Some(0x0707_0707), false));
        assert_eq!((spent.u32(0), spent.is_cut_short()), (None, true));
    }
}
