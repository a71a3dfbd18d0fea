//! Sources: anything that yields wire records. The live kernel is one, a capture of it another.
//! /proc and rtnetlink yield what was there before, once; pollers look at what no hook tells (`poll/`).

use std::io;

pub mod capture;
pub mod poll;
pub mod ring;
pub mod seed;
pub mod untold;

/// Yields wire records.
pub trait Source {
    /// Waits until there are records, or until some were held back long enough to be worth a look.
    ///
    /// # Errors
    /// When the source is broken and will never yield again.
    fn ready(&mut self) -> impl Future<Output = io::Result<()>>;

    /// Hands over every record there is now, or so many of them that others have their turn.
    fn drain(&mut self, each: impl FnMut(&[u8]));
}
