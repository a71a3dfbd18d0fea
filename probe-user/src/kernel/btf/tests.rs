use proptest::prelude::*;

use super::*;

/// Writes BTF by hand: struct outer { int a; struct { int b; } ; struct inner in; } and an enum.
struct Writer {
    types: Vec<u8>,
    strings: Vec<u8>,
}

impl Writer {
    fn new() -> Self {
        Self { types: vec![], strings: vec![0] }
    }

    fn name(&mut self, name: &str) -> u32 {
        let at = self.strings.len() as u32;
        self.strings.extend(name.bytes().chain([0]));
        if name.is_empty() { 0 } else { at }
    }

    fn words(&mut self, words: &[u32]) {
        self.types.extend(words.iter().flat_map(|word| word.to_le_bytes()));
    }

    fn finish(self) -> Vec<u8> {
        let (types, strings) = (self.types.len() as u32, self.strings.len() as u32);
        let mut out = vec![0x9f, 0xeb, 1, 0];
        out.extend([24, 0, types, types, strings].iter().flat_map(|w: &u32| w.to_le_bytes()));
        out.extend(self.types);
        out.extend(self.strings);
        out
    }
}

fn sample() -> Vec<u8> {
    let mut w = Writer::new();
    let [int, a, b, c, outer, inner, e, v] =
        ["int", "a", "b", "c", "outer", "inner", "ids", "pids"].map(|name| w.name(name));
    w.words(&[int, 1 << 24, 4, 32]); // 1: int
    w.words(&[0, 4 << 24 | 1, 4, b, 1, 0]); // 2: anonymous struct { int b; }
    w.words(&[inner, 4 << 24 | 2, 8, 0, 2, 32, c, 1, 0]); // 3: inner { c; struct { b } at 4 }
    w.words(&[0, 8 << 24, 3]); // 4: typedef of inner
    w.words(&[outer, 1 << 31 | 4 << 24 | 2, 16, a, 1, 0, c, 4, 3 << 24 | 64]); // 5: outer
    w.words(&[e, 6 << 24 | 2, 4, a, 3, v, 11]); // 6: enum
    w.finish()
}

#[test]
fn finds_nested_anonymous_and_enum_members() {
    let bytes = sample();
    let btf = Btf::parse(&bytes).unwrap();
    let named = btf.named(&["outer", "inner", "ids", "none"]);
    assert_eq!(named["outer"], [5]);
    assert!(named["none"].is_empty());
    assert_eq!(btf.locate(5, "a"), Some(0));
    assert_eq!(btf.locate(5, "c"), Some(8), "24-bit offset beside a bitfield size");
    assert_eq!(btf.locate(5, "c.b"), Some(12), "typedef, then anonymous struct");
    assert_eq!(btf.locate(5, "c.zzz"), None);
    assert_eq!(btf.locate(6, "pids"), Some(11));
    assert_eq!(btf.locate(99, "a"), None);
}

#[test]
fn lists_the_variables_of_a_section() {
    let mut w = Writer::new();
    let [int, a, b, section] = ["int", "a", "b", ".data..percpu"].map(|name| w.name(name));
    w.words(&[int, 1 << 24, 4, 32]); // 1: int
    w.words(&[a, 14 << 24, 1, 0]); // 2: static int a
    w.words(&[b, 14 << 24, 1, 1]); // 3: int b
    w.words(&[section, 15 << 24 | 2, 72, 2, 0, 4, 3, 64, 4]); // 4: the section
    let bytes = w.finish();
    let btf = Btf::parse(&bytes).unwrap();
    assert_eq!(btf.variables(".data..percpu"), [(&b"a"[..], 0), (&b"b"[..], 64)]);
    assert!(btf.variables(".bss").is_empty());
}

#[test]
fn refuses_what_is_not_btf() {
    assert_eq!(Btf::parse(b"").err(), Some(BtfError::Magic));
    assert_eq!(Btf::parse(b"\x7fELF").err(), Some(BtfError::Magic));
    let bytes = sample();
    assert_eq!(Btf::parse(&bytes[..bytes.len() - 1]).err(), Some(BtfError::Truncated));
}

proptest! {
    #[test]
    fn damaged_btf_never_panics(changes in prop::collection::vec((0usize..400, any::<u8>()), 1..8), cut in 0usize..400) {
        let mut bytes = sample();
        for (at, value) in changes {
            let at = at % bytes.len();
            bytes[at] = value;
        }
        bytes.truncate(bytes.len().saturating_sub(cut % 64));
        if let Ok(btf) = Btf::parse(&bytes) {
            let _ = btf.variables("ids");
            for ids in btf.named(&["outer", "inner", "ids"]).values() {
                for id in ids {
                    let _ = btf.locate(*id, "c.b");
                    let _ = btf.locate(*id, "pids");
                }
            }
        }
    }
}
