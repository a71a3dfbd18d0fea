//! Reading files that others write: never more than a bound, never waiting.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read},
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::Path,
};

use crate::scarce;

/// More than the files of a few numbers have (bytes).
const SMALL: usize = 256;

/// The first bytes of a file, up to `most`.
///
/// # Errors
/// When it cannot be read, or is no regular file.
pub fn beginning(path: &Path, most: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?.take(most as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// All of a file of at most `most` bytes.
///
/// # Errors
/// When it is longer, cannot be read, or is no regular file.
pub fn whole(path: &Path, most: usize) -> io::Result<Vec<u8>> {
    let bytes = beginning(path, most + 1)?;
    if bytes.len() > most {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(bytes)
}

/// The text of a small file of /proc that is open, from its beginning: it tells what is now.
#[must_use]
pub fn again(file: &File) -> Option<String> {
    let mut bytes = [0; SMALL];
    let length = file.read_at(&mut bytes, 0).ok()?;
    Some(String::from_utf8_lossy(bytes.get(..length)?).into_owned())
}

/// Opens a regular file; a FIFO in its place would keep others waiting for a writer.
fn open(path: &Path) -> io::Result<File> {
    let opened = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path);
    let file = scarce::noted(opened)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::ErrorKind::InvalidInput.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::enrich::testing::Tree;

    #[test]
    fn reads_no_more_than_asked_and_never_waits() {
        let tree = Tree::new("read");
        tree.file("five", "12345");
        let path = tree.path("five");
        assert_eq!(beginning(&path, 3).unwrap(), b"123");
        assert_eq!(whole(&path, 5).unwrap(), b"12345");
        assert_eq!(whole(&path, 4).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        assert!(beginning(&tree.path("none"), 3).is_err());
        assert!(beginning(&tree.path(""), 3).is_err(), "a directory");
        let fifo = std::ffi::CString::new(tree.path("fifo").into_os_string().into_encoded_bytes());
        // SAFETY: the path is a C string that lives through the call.
        unsafe { libc::mkfifo(fifo.unwrap().as_ptr(), 0o600) };
        assert!(beginning(&tree.path("fifo"), 3).is_err());
    }
}
