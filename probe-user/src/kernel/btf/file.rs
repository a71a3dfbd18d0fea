//! BTF in a file: raw, or the `.BTF` section of an ELF file.

use std::{
    fs::File,
    io::{self, Read as _, Seek as _},
    path::Path,
};

use thiserror::Error;

use crate::symbols::{
    bytes::{Budget, Read as _},
    elf::Image,
};

/// The section of an ELF file that has it.
const SECTION: &str = ".BTF";
/// Most that is read (bytes): a kernel's BTF has 4 to 10 MB.
const MOST: u64 = 64 * 1024 * 1024;
const ELF_MAGIC: [u8; 4] = *b"\x7fELF";

/// Why a file has no BTF to read.
#[derive(Debug, Error)]
pub enum FileError {
    #[error("cannot be read: {0}")]
    Unreadable(#[from] io::Error),
    #[error("it is no whole 64-bit little-endian ELF file; it is damaged, or of another machine")]
    DamagedElf,
    #[error(
        "it is an ELF file without a section {SECTION} (bzImage and stripped files have none); give vmlinux with debug information, or raw BTF"
    )]
    NoSection,
    #[error("its BTF has {0} bytes, more than any kernel's; is this the right file?")]
    TooLarge(u64),
    #[error("its section {SECTION} goes beyond the end of the file; the file is cut short")]
    CutShort,
}

/// Reads the BTF of a file.
///
/// # Errors
/// [`FileError`] when there is none, or too much.
pub fn read(path: &Path) -> Result<Vec<u8>, FileError> {
    let mut file = File::open(path)?;
    let mut magic = Vec::new();
    (&file).take(ELF_MAGIC.len() as u64).read_to_end(&mut magic)?;
    if magic == ELF_MAGIC {
        return section(file);
    }
    file.rewind()?;
    let mut bytes = Vec::new();
    let read = file.take(MOST + 1).read_to_end(&mut bytes)? as u64;
    if read > MOST { Err(FileError::TooLarge(read)) } else { Ok(bytes) }
}

fn section(file: File) -> Result<Vec<u8>, FileError> {
    let image = Image::open(Budget::new(file)).ok_or(FileError::DamagedElf)?;
    if image.sections.is_empty() {
        return Err(FileError::DamagedElf);
    }
    let section = image.section(SECTION).ok_or(FileError::NoSection)?;
    let size = usize::try_from(section.size).ok().filter(|_| section.size <= MOST);
    let size = size.ok_or(FileError::TooLarge(section.size))?;
    let bytes = image.source.up_to(section.offset, size);
    if bytes.len() == size { Ok(bytes) } else { Err(FileError::CutShort) }
}
