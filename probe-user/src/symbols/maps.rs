//! Which file is behind an address of a process: proc_pid_maps(5).

use std::{
    fs::{self, File},
    io::{self, BufRead, BufReader, Read},
    os::unix::fs::MetadataExt,
    path::PathBuf,
};

use crate::scarce;

/// Most of a process's maps that is read (bytes).
const MOST: u64 = 4 * 1024 * 1024;

/// Code that a process has mapped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    pub start: u64,
    pub end: u64,
    /// Where in the file it begins (bytes).
    pub offset: u64,
    /// Inode of the file; 0 when there is none.
    pub inode: u64,
    /// Path as the process sees it, or a name such as `[vdso]`; empty for generated code.
    pub path: String,
}

impl Mapping {
    /// The file's name for people.
    #[must_use]
    pub fn name(&self) -> &str {
        let path = self.path.strip_suffix(" (deleted)").unwrap_or(&self.path);
        path.rsplit('/').next().unwrap_or(path)
    }

    /// Opens the file. /proc/PID/map_files has the very file that is mapped, in whatever mount
    /// namespace and even when it is deleted; its path below the process's own root may by now be
    /// another one, which the inode tells.
    ///
    /// # Errors
    /// When there is no file, or not this one any more.
    pub fn open(&self, pid: u32) -> io::Result<File> {
        if self.inode == 0 {
            return Err(io::ErrorKind::NotFound.into());
        }
        let mapped = format!("/proc/{pid}/map_files/{:x}-{:x}", self.start, self.end);
        let rooted = format!("/proc/{pid}/root{}", self.path);
        let open = |path: PathBuf, any_inode: bool| {
            // A look before the open: a device may take an open as an order.
            let found = fs::metadata(&path)?;
            if !found.is_file() || !(any_inode || found.ino() == self.inode) {
                return Err(io::ErrorKind::NotFound.into());
            }
            scarce::noted(File::open(path))
        };
        open(mapped.into(), true).or_else(|_| open(rooted.into(), false))
    }
}

/// The code a process has mapped.
///
/// # Errors
/// When the process is gone or may not be looked at.
pub fn of_process(pid: u32) -> io::Result<Vec<Mapping>> {
    let file = scarce::noted(File::open(format!("/proc/{pid}/maps")))?.take(MOST);
    let mut mappings = Vec::new();
    for line in BufReader::new(file).split(b'\n') {
        mappings.extend(mapping_in(&String::from_utf8_lossy(&line?)));
    }
    if mappings.is_empty() {
        // A process that has exited and is not reaped has maps without lines.
        return Err(io::ErrorKind::NotFound.into());
    }
    Ok(mappings)
}

/// The mapping in a line, if it holds code.
pub(crate) fn mapping_in(line: &str) -> Option<Mapping> {
    let mut rest = line;
    let mut word = || {
        let (word, after) = rest.trim_start_matches(' ').split_once(' ')?;
        rest = after;
        Some(word)
    };
    let (range, access, offset, _device) = (word()?, word()?, word()?, word()?);
    let (inode, path) = rest.split_once(' ').unwrap_or((rest, ""));
    let (start, end) = range.split_once('-')?;
    let hex = |text| u64::from_str_radix(text, 16).ok();
    access.contains('x').then_some(Mapping {
        start: hex(start)?,
        end: hex(end)?,
        offset: hex(offset)?,
        inode: inode.parse().ok()?,
        path: path.trim_start_matches(' ').to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_is_found_and_data_is_not() {
        let line = "5581-55a2 r-xp 00001f00 fe:01 77       /a b/c d (deleted)";
        let mapping = mapping_in(line).unwrap();
        assert_eq!((mapping.start, mapping.end, mapping.offset), (0x5581, 0x55a2, 0x1f00));
        assert_eq!((mapping.inode, mapping.name()), (77, "c d"));
        let vdso = mapping_in("7ffe-7fff r-xp 00000000 00:00 0                [vdso]").unwrap();
        assert_eq!((vdso.inode, vdso.name()), (0, "[vdso]"));
        assert_eq!(mapping_in("1000-2000 rwxp 00000000 00:00 0 ").unwrap().name(), "");
        for none in ["5581-55a2 rw-p 0 fe:01 77 /x", "", "x", "1-2 r-xp", "1-g r-xp 0 0 0 "] {
            assert_eq!(mapping_in(none), None, "{none}");
        }
    }

    #[test]
    fn this_very_program_can_be_opened() {
        let pid = std::process::id();
        let own = std::env::current_exe().unwrap().to_string_lossy().into_owned();
        let mappings = of_process(pid).unwrap();
        let mapping = mappings.iter().find(|mapping| mapping.path == own).unwrap();
        let opened = mapping.open(pid).unwrap().metadata().unwrap();
        assert_eq!(opened.ino(), fs::metadata(own).unwrap().ino());
        assert!(of_process(0x7fff_ffff).is_err());
    }
}
