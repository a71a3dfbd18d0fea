//! Frames of files that outlive a process: four bytes of length, four of a checksum over the length and
//! what follows, then that.

use std::io::{self, Read};

/// Longest content of a frame (bytes). What is longer is not written, and is damage when read.
pub const LONGEST: usize = 1024 * 1024;

/// What a frame takes beside its content (bytes).
pub const HEAD: usize = 8;

/// Length and checksum.
fn head([a, b, c, d, e, f, g, h]: &[u8; HEAD]) -> ([u8; 4], [u8; 4]) {
    ([*a, *b, *c, *d], [*e, *f, *g, *h])
}

fn checksum(length: [u8; 4], content: &[u8]) -> [u8; 4] {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&length);
    hasher.update(content);
    hasher.finalize().to_le_bytes()
}

/// Appends a frame, whose content is what `write` appends. Nothing, or too much, is taken back: `false`.
pub fn append(to: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) -> bool {
    let begins = to.len();
    to.extend([0; HEAD]);
    write(to);
    let content = to.get(begins + HEAD..).unwrap_or_default();
    if content.is_empty() || content.len() > LONGEST {
        to.truncate(begins);
        return false;
    }
    let length = u32::try_from(content.len()).unwrap_or(u32::MAX).to_le_bytes();
    let head = [length, checksum(length, content)];
    to.iter_mut().skip(begins).zip(head.as_flattened()).for_each(|(to, from)| *to = *from);
    true
}

/// Length (bytes) of the content of the frame that `bytes` begin with; `None` when no frame has it.
#[must_use]
pub fn length(bytes: &[u8]) -> Option<usize> {
    let (length, _) = bytes.first_chunk::<HEAD>().map(head)?;
    let length = usize::try_from(u32::from_le_bytes(length)).ok()?;
    (1..=LONGEST).contains(&length).then_some(length)
}

/// The content of the frame that `bytes` begin with, if it is whole.
#[must_use]
pub fn content(bytes: &[u8]) -> Option<&[u8]> {
    let (length, sum) = bytes.first_chunk::<HEAD>().map(head)?;
    let content = bytes.get(HEAD..HEAD + self::length(bytes)?)?;
    (checksum(length, content) == sum).then_some(content)
}

/// What came of reading a frame.
#[derive(Debug, PartialEq, Eq)]
pub enum Frame {
    /// Its content is in the buffer, after so many bytes of the file.
    Whole(u64),
    /// The file ends here.
    End,
    /// The file ends in the middle of a frame.
    CutShort,
    /// Its length or its checksum is impossible.
    Damaged,
}

/// Reads the next frame into `content`, which never grows beyond what there is.
///
/// # Errors
/// Of the file's.
pub fn read(from: &mut impl Read, content: &mut Vec<u8>) -> io::Result<Frame> {
    content.clear();
    from.by_ref().take(HEAD as u64).read_to_end(content)?;
    let Some((length, sum)) = content.first_chunk::<HEAD>().map(head) else {
        return Ok(if content.is_empty() { Frame::End } else { Frame::CutShort });
    };
    let bytes = u64::from(u32::from_le_bytes(length));
    if bytes > LONGEST as u64 {
        return Ok(Frame::Damaged);
    }
    content.clear();
    let there = from.by_ref().take(bytes).read_to_end(content)?;
    if (there as u64) < bytes {
        return Ok(Frame::CutShort);
    }
    let whole = checksum(length, content) == sum;
    Ok(if whole { Frame::Whole(HEAD as u64 + bytes) } else { Frame::Damaged })
}
