//! Programs that only carry out what whoever started them wants.

const TOOLS: [&[u8]; 2] = [b"tc", b"ip"];

/// Whether a program of this name is only the hand of its parent.
#[must_use]
pub fn is_tool(comm: &[u8]) -> bool {
    TOOLS.contains(&comm)
}
