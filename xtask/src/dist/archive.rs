//! Archives that are the same when what is in them is the same.

use std::io::{self, Write};

use anyhow::Result;
use flate2::{Compression, GzBuilder};
use sha2::{Digest, Sha256};

use super::{source::Source, tree::File};

/// A tar.gz of files in one directory: of root, and of the time of the commit.
pub fn pack(files: &[File], source: &Source) -> Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    for File { path, mode, content } in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(*mode);
        header.set_mtime(source.time);
        header.set_uid(0);
        header.set_gid(0);
        let path = format!("nodeprobe-{}/{path}", source.version);
        archive.append_data(&mut header, path, content.as_slice())?;
    }
    Ok(gzip(&archive.into_inner()?)?)
}

/// Compressed, without a name and a time.
pub fn gzip(content: &[u8]) -> io::Result<Vec<u8>> {
    let mut gzip = GzBuilder::new().mtime(0).write(Vec::new(), Compression::best());
    gzip.write_all(content)?;
    gzip.finish()
}

/// In hexadecimal digits.
pub fn sha256(content: &[u8]) -> String {
    Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use anyhow::Context;

    use super::*;

    #[test]
    fn all_is_of_root_and_of_the_time_of_the_commit() -> Result<()> {
        let source =
            Source { version: "1.2.3", revision: String::new(), time: 99, is_changed: false };
        let file = File { path: "usr/bin/a".to_owned(), mode: 0o755, content: b"a".to_vec() };
        let packed = pack(&[file], &source)?;
        let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(packed.as_slice()));
        let entry = archive.entries()?.next().context("the archive is empty")??;
        assert_eq!(entry.path()?.to_str(), Some("nodeprobe-1.2.3/usr/bin/a"));
        let header = entry.header();
        assert_eq!((header.uid()?, header.gid()?, header.mode()?), (0, 0, 0o755));
        assert_eq!(header.mtime()?, 99);
        assert_eq!(packed[4..8], [0; 4], "the time in the head of gzip");
        Ok(())
    }
}
