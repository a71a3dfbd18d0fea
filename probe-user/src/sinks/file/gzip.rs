//! Compresses rotated files, a piece at a time, so that lines are written in between.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    path::Path,
};

use flate2::{Compression, write::GzEncoder};
use tokio::task::yield_now;

use super::{config::Mode, made, rotated::Rotated};

/// Bytes that are compressed before anything else has its turn: about two milliseconds.
const PIECE: usize = 64 * 1024;

/// Compresses all that are not yet, the oldest first. What fails stays as it is until the next time.
pub async fn all(rotated: Rotated, mode: Mode) {
    loop {
        let (plain, done) = match rotated.uncompressed() {
            Ok(Some([plain, unfinished, compressed])) => {
                let done = one(&plain, &unfinished, &compressed, mode).await;
                (plain.display().to_string(), done)
            }
            Ok(None) => return,
            Err(error) => ("rotated files".into(), Err(error)),
        };
        if let Err(error) = done {
            log::warn!("{plain}: not compressed: {error}");
            return;
        }
    }
}

async fn one(plain: &Path, unfinished: &Path, compressed: &Path, mode: Mode) -> io::Result<()> {
    // Where both are there, an agent before ended after the one was whole.
    if !compressed.exists() {
        if let Err(error) = press(plain, unfinished, mode).await {
            // Half of it is worth nothing, and the disk may be full of it.
            let _ = fs::remove_file(unfinished);
            return Err(error);
        }
        fs::rename(unfinished, compressed)?;
    }
    fs::remove_file(plain)
}

async fn press(from: &Path, to: &Path, mode: Mode) -> io::Result<()> {
    let mut from = File::open(from)?;
    let to = made(mode).write(true).truncate(true).open(to)?;
    let (mut encoder, mut piece) = (GzEncoder::new(to, Compression::default()), vec![0; PIECE]);
    loop {
        let read = from.read(&mut piece)?;
        let Some(read) = piece.get(..read).filter(|read| !read.is_empty()) else { break };
        encoder.write_all(read)?;
        yield_now().await;
    }
    encoder.finish()?.sync_all()
}
