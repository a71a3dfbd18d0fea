//! What processes run: a container brings its own executables.

use crate::symbols::{bytes::Source, elf::Image, go::Table};

/// Pieces of a file that are looked into.
const LOOKS: usize = 4;

pub fn executable(bytes: &[u8]) {
    let Some(image) = Image::open(bytes.to_vec()) else { return };
    let go = Table::find(&image);
    let look = |address: u64| {
        let _ = image.function_at(address);
        let _ = image.pointer(address);
        if let Some(table) = &go {
            let _ = table.functions_at(&image.source, address);
        }
    };
    for segment in image.segments.iter().take(LOOKS) {
        let last = segment.size.saturating_sub(1);
        for into in [0, 1, segment.size / 2, last] {
            let Some(address) = image.address_of(segment.offset.saturating_add(into)) else {
                continue;
            };
            look(address);
        }
    }
    look(u64::MAX);
    let mut byte = [0];
    let _ = image.source.fill(&mut byte, u64::MAX);
}
