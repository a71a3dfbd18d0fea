//! What the kernel writes.

use crate::{
    decode,
    kernel::{
        btf::Btf,
        fields::Offsets,
        rtnetlink::{Messages, object},
        symbols::Symbols,
    },
};

pub fn decode(bytes: &[u8]) {
    // It is the same at every alignment.
    let moved = [&[0], bytes].concat();
    let moved = moved.get(1..).unwrap_or_default();
    assert_eq!(decode::decode(bytes), decode::decode(moved));
}

pub fn btf(bytes: &[u8]) {
    let Ok(btf) = Btf::parse(bytes) else { return };
    let offsets = Offsets::of(&btf);
    assert!(offsets.missing.len() <= offsets.values.len());
    let names = ["a", "task_struct", "pid"];
    for id in btf.named(&names).into_values().flatten() {
        for member in ["a", "a.b", "comm", "pid", ""] {
            let _ = btf.locate(id, member);
        }
        let _ = btf.size(id);
    }
}

pub fn kallsyms(bytes: &[u8]) {
    let symbols = Symbols::in_list(bytes);
    for (symbol, address) in symbols.addresses().iter().enumerate() {
        assert_eq!(symbols.check(symbol).is_ok(), *address != probe_common::symbol::MISSING);
    }
}

pub fn rtnetlink(bytes: &[u8]) {
    // Every message takes some of the bytes, or it would not end.
    for message in Messages(bytes) {
        assert!(message.payload.len() < bytes.len());
        let _ = object(message.payload);
    }
    let _ = object(bytes);
}
