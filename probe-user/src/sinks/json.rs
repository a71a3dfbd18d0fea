//! A finding as one line of JSON.

use std::io::{self, Write};

use crate::findings::Finding;

/// Writes the finding and a newline.
///
/// # Errors
/// The writer's.
pub fn write(finding: &Finding, to: &mut impl Write) -> io::Result<()> {
    serde_json::to_writer(&mut *to, finding)?;
    to.write_all(b"\n")
}
