//! Addresses of kernel variables, looked up in /proc/kallsyms.

use std::{
    fs::File,
    io::{BufRead, BufReader},
};

use probe_common::symbol::{COUNT, MISSING, SYMBOLS};

/// Bytes read at a time: the file is some megabytes that the kernel writes as it is read.
const BUFFER: usize = 64 * 1024;

/// The address of each variable of `probe_common::symbol`; [`MISSING`] where the kernel does not show
/// it: built without `CONFIG_KALLSYMS_ALL`, or `kernel.kptr_restrict` hides it (all addresses are 0).
#[must_use]
pub fn addresses() -> [u64; COUNT] {
    match File::open("/proc/kallsyms") {
        Ok(file) => addresses_in(BufReader::with_capacity(BUFFER, file)),
        Err(error) => {
            log::debug!("/proc/kallsyms: {error}");
            [MISSING; COUNT]
        }
    }
}

/// Reads lines `ADDRESS TYPE NAME [MODULE]` (proc_kallsyms(5)). A name that two variables have is
/// worth nothing, as nobody can tell which is which.
fn addresses_in(mut lines: impl BufRead) -> [u64; COUNT] {
    let mut found = [MISSING; COUNT];
    let mut ambiguous = [false; COUNT];
    let mut line = Vec::new();
    while lines.read_until(b'\n', &mut line).is_ok_and(|bytes| bytes > 0) {
        if let Some((index, address)) = variable(&line)
            && let (Some(slot), Some(twice)) = (found.get_mut(index), ambiguous.get_mut(index))
        {
            *twice |= *slot != MISSING;
            *slot = address;
        }
        line.clear();
    }
    for (slot, twice) in found.iter_mut().zip(ambiguous) {
        if twice {
            *slot = MISSING;
        }
    }
    found
}

/// A line about one of ours: data or bss, of the kernel proper.
fn variable(line: &[u8]) -> Option<(usize, u64)> {
    let line = std::str::from_utf8(line).ok()?;
    let mut words = line.split_ascii_whitespace();
    let (address, kind, name) = (words.next()?, words.next()?, words.next()?);
    let index = SYMBOLS.iter().position(|symbol| *symbol == name)?;
    let of_kernel = words.next().is_none() && matches!(kind, "b" | "B" | "d" | "D");
    of_kernel.then_some((index, u64::from_str_radix(address, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use probe_common::symbol::{MAX_THREADS, NR_THREADS, PID_MAX};

    use super::*;

    const LINES: &str = "ffffffff81000000 T _text\n\
                         ffffffff83604ef4 B nr_threads\n\
                         ffffffff83604ef8 b max_threads\n\
                         ffffffffc0001000 b max_threads\t[nvme]\n\
                         ffffffff82a0c1b0 t pid_max\n";

    #[test]
    fn finds_variables_of_the_kernel_proper() {
        let found = addresses_in(LINES.as_bytes());
        assert_eq!(found[NR_THREADS], 0xffff_ffff_8360_4ef4);
        assert_eq!(found[MAX_THREADS], 0xffff_ffff_8360_4ef8);
        assert_eq!(found[PID_MAX], MISSING, "a function is no variable");
    }

    #[test]
    fn a_name_twice_or_hidden_addresses_tell_nothing() {
        let twice = format!("{LINES}ffffffff83700000 d max_threads\n");
        let found = addresses_in(twice.as_bytes());
        assert_eq!((found[MAX_THREADS], found[NR_THREADS] != MISSING), (MISSING, true));
        assert_eq!(addresses_in(&b"0000000000000000 B nr_threads\n"[..]), [MISSING; COUNT]);
    }

    #[test]
    fn survives_what_is_not_kallsyms() {
        for text in [&b""[..], b"\n\n", b"\xff\xfe x y\n", b"zz B nr_threads\n", b"1 B"] {
            assert_eq!(addresses_in(text), [MISSING; COUNT], "{text:?}");
        }
    }
}
