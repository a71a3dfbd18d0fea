use proptest::prelude::*;

use super::*;

/// Address of the program's first function; the program is loaded at 0.
const TEXT: u64 = 0x40_0000;
/// Where its table begins.
const TABLE: usize = 128;

fn words(bytes: &mut Vec<u8>, words: &[u64]) {
    words.iter().for_each(|word| bytes.extend(word.to_le_bytes()));
}

fn halves(bytes: &mut Vec<u8>, halves: &[u32]) {
    halves.iter().for_each(|half| bytes.extend(half.to_le_bytes()));
}

/// A program without sections and with two functions of 16 bytes, `main.leak` and `main.main`, in a
/// file with this table of functions.
fn program(magic: u32) -> Vec<u8> {
    let mut table = Vec::new();
    halves(&mut table, &[magic, 0x0801_0000]);
    let text = if magic == MAGIC_1_16 { &[][..] } else { &[TEXT] };
    let first = 8 + 8 * (7 + text.len() as u64);
    words(&mut table, &[[2, 1].as_slice(), text].concat());
    // Names, units, files, values, functions.
    let places = [first, first + 24, first + 32, first + 64, first + 80];
    words(&mut table, &places);
    table.extend(b"main.leak\0main.main\0\0\0\0\0");
    halves(&mut table, &[0, 0]);
    table.extend(b"/src/felix/int_dataplane.go\0\0\0\0\0");
    // The file is 0 for 16 bytes; the line 41 for 8 and 42 for the rest.
    table.extend([0, 2, 16, 0, 84, 8, 2, 8, 0]);
    table.extend([0; 7]);
    let function = |start: u64, name: u32| {
        let mut bytes = Vec::new();
        match magic {
            MAGIC_1_16 => words(&mut bytes, &[start]),
            _ => halves(&mut bytes, &[(start - TEXT) as u32]),
        }
        // name, args, deferreturn, pcsp, pcfile, pcln, npcdata, cuOffset, then what versions add.
        halves(&mut bytes, &[name, 0, 0, 0, 1, 4, 0, 0, 0, 0]);
        bytes
    };
    let functions = [function(TEXT, 0), function(TEXT + 16, 10)];
    let size = functions[0].len() as u64;
    let starts = [TEXT, TEXT + 16, TEXT + 32];
    match magic {
        MAGIC_1_16 => words(&mut table, &[starts[0], 40, starts[1], 40 + size, starts[2]]),
        _ => {
            let at = |start: u64| (start - TEXT) as u32;
            let offsets = [at(starts[0]), 24, at(starts[1]), 24 + size as u32, at(starts[2]), 0];
            halves(&mut table, &offsets);
        }
    }
    functions.iter().for_each(|function| table.extend(function));

    let mut file = b"\x7fELF\x02\x01\x01".to_vec();
    file.resize(16, 0);
    halves(&mut file, &[0x3e_0002, 1]);
    words(&mut file, &[TEXT, 64, 0]);
    // Flags; sizes of the header and of a segment, one segment; no sections.
    halves(&mut file, &[0, 0x0038_0040, 1, 0]);
    halves(&mut file, &[1, 5]);
    let size = (TABLE + table.len()) as u64;
    words(&mut file, &[0, 0, 0, size, size, 4096]);
    file.resize(TABLE, 0);
    file.extend(table);
    file
}

fn lookup(file: Vec<u8>, address: u64) -> Vec<GoFunction> {
    let Some(image) = Image::open(file) else { return Vec::new() };
    let table = Table::find(&image);
    table.map(|table| table.functions_at(&image.source, address)).unwrap_or_default()
}

#[test]
fn functions_and_lines_are_found_in_every_layout_without_sections() {
    for magic in [MAGIC_1_16, MAGIC_1_18, MAGIC_1_20] {
        for (at, name, number) in [
            (0, "main.leak", 41),
            (7, "main.leak", 41),
            (8, "main.leak", 42),
            (16, "main.main", 41),
        ] {
            let line = Line { file: "int_dataplane.go".into(), number, inlined: false };
            let found = lookup(program(magic), TEXT + at);
            assert_eq!(
                found,
                [GoFunction { name: name.into(), line: Some(line) }],
                "{magic:x}+{at}"
            );
        }
        for outside in [0, TEXT - 1, TEXT + 32, u64::MAX] {
            assert_eq!(lookup(program(magic), outside), [], "{outside:x}");
        }
    }
}

#[test]
fn what_is_not_go_is_nothing() {
    assert_eq!(lookup(program(0xffff_fffb), TEXT), [], "before 1.16");
    assert_eq!(lookup(b"#!/bin/sh\n".to_vec(), TEXT), []);
    let own = std::fs::read("/proc/self/exe").unwrap();
    assert!(Table::find(&Image::open(own).unwrap()).is_none());
}

proptest! {
    #[test]
    fn damaged_programs_do_no_harm(
        magic in prop_oneof![Just(MAGIC_1_16), Just(MAGIC_1_18), Just(MAGIC_1_20)],
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
        end in any::<prop::sample::Index>(),
        cut in any::<bool>(),
        address in prop_oneof![TEXT - 8..TEXT + 40, any::<u64>()],
    ) {
        let mut file = program(magic);
        for (at, byte) in damage {
            let at = at.index(file.len());
            file[at] = byte;
        }
        if cut {
            file.truncate(end.index(file.len()));
        }
        prop_assert!(lookup(file, address).len() <= MOST_INLINED);
    }

    #[test]
    fn any_bytes_behind_a_header_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..2_048)) {
        let mut file = program(MAGIC_1_20)[..7].to_vec();
        file.extend(bytes);
        if let Some(image) = Image::open(file) {
            image.function_at(TEXT);
            let table = Table::find(&image);
            table.map(|table| table.functions_at(&image.source, TEXT));
        }
    }
}
