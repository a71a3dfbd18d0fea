//! Whether BTF is of the running kernel: BTF has no build id, but it tells where each per-CPU variable
//! is, and so does /proc/kallsyms. Hundreds of variables of all sizes lie one behind the other, so
//! another build puts them elsewhere.

use std::{
    collections::HashMap,
    fs::File,
    io::{BufRead, BufReader, Read},
};

use super::{
    btf::Btf,
    symbols::{BUFFER, KALLSYMS, LONGEST},
};

/// The section of per-CPU variables.
const PER_CPU: &str = ".data..percpu";
/// Fewer variables in both lists tell nothing.
const LEAST: usize = 16;

/// What the comparison says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Same,
    /// So many of the variables are where the BTF says.
    Other {
        fit: usize,
        variables: usize,
    },
    /// The kernel hides its addresses, or one of the lists has no such variables.
    Unknown,
}

/// Compares BTF with the running kernel.
#[must_use]
pub fn compare(btf: &Btf<'_>) -> Verdict {
    File::open(KALLSYMS).map_or(Verdict::Unknown, |list| {
        with_list(&btf.variables(PER_CPU), BufReader::with_capacity(BUFFER, list))
    })
}

/// All variables are the same way from their offset in the section; where most are not, it is
/// another kernel.
fn with_list(variables: &[(&[u8], u32)], mut list: impl BufRead) -> Verdict {
    let mut offsets: HashMap<&[u8], Option<u32>> = HashMap::new();
    for (name, offset) in variables {
        // A name that several have tells nothing.
        offsets.entry(name).and_modify(|offset| *offset = None).or_insert(Some(*offset));
    }
    let mut found: HashMap<&[u8], Option<u64>> = HashMap::new();
    let mut line = Vec::with_capacity(128);
    loop {
        line.clear();
        match list.by_ref().take(LONGEST).read_until(b'\n', &mut line) {
            Ok(0) => break,
            Ok(_) => {}
            Err(_) => return Verdict::Unknown,
        }
        let Some((address, name)) = symbol(&line) else { continue };
        let Some((name, Some(offset))) = offsets.get_key_value(name) else { continue };
        let moved = address.wrapping_sub(u64::from(*offset));
        found
            .entry(name)
            .and_modify(|moved| *moved = None)
            .or_insert((address != 0).then_some(moved));
    }
    let moved: Vec<u64> = found.into_values().flatten().collect();
    let mut times: HashMap<u64, usize> = HashMap::new();
    moved.iter().for_each(|moved| *times.entry(*moved).or_default() += 1);
    let (fit, variables) = (times.into_values().max().unwrap_or(0), moved.len());
    match variables {
        0..LEAST => Verdict::Unknown,
        _ if fit * 10 >= variables * 9 => Verdict::Same,
        _ => Verdict::Other { fit, variables },
    }
}

/// A line `ADDRESS TYPE NAME` of the kernel proper.
fn symbol(line: &[u8]) -> Option<(u64, &[u8])> {
    let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    let address = std::str::from_utf8(words.next()?).ok()?;
    let (_kind, name) = (words.next()?, words.next()?);
    Some((u64::from_str_radix(address, 16).ok()?, name)).filter(|_| words.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Vec<String> {
        (0..40).map(|number| format!("variable_{number}")).collect()
    }

    fn variables(names: &[String]) -> Vec<(&[u8], u32)> {
        (1u32..).zip(names).map(|(number, name)| (name.as_bytes(), number * 64)).collect()
    }

    fn list(names: &[String], address: impl Fn(u64) -> u64) -> String {
        let lines = (1u64..).zip(names);
        lines.map(|(number, name)| format!("{:016x} d {name}\n", address(number))).collect()
    }

    #[test]
    fn the_same_layout_is_the_same_kernel_wherever_it_begins() {
        let names = names();
        for base in [0, 0xffff_ffff_8300_0000] {
            let list = list(&names, |number| base + number * 64);
            assert_eq!(with_list(&variables(&names), list.as_bytes()), Verdict::Same);
        }
    }

    #[test]
    fn another_layout_is_another_kernel() {
        let names = names();
        let list = list(&names, |number| number * 72);
        let other = Verdict::Other { fit: 1, variables: 40 };
        assert_eq!(with_list(&variables(&names), list.as_bytes()), other);
    }

    #[test]
    fn hidden_addresses_and_few_or_ambiguous_names_tell_nothing() {
        let names = names();
        let hidden = list(&names, |_| 0);
        assert_eq!(with_list(&variables(&names), hidden.as_bytes()), Verdict::Unknown);
        assert_eq!(with_list(&[], hidden.as_bytes()), Verdict::Unknown);
        let shown = list(&names, |number| number * 64);
        let twice = format!("{shown}{shown}");
        assert_eq!(with_list(&variables(&names), twice.as_bytes()), Verdict::Unknown);
        let few = &variables(&names)[..3];
        assert_eq!(with_list(few, shown.as_bytes()), Verdict::Unknown);
        assert_eq!(with_list(few, &b"\xff x\n\n1"[..]), Verdict::Unknown);
    }
}
