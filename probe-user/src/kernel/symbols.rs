//! Addresses of kernel variables, looked up in /proc/kallsyms.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read},
};

use probe_common::symbol::{COUNT, MISSING, SYMBOLS};
use thiserror::Error;

/// Where the kernel lists its symbols (proc_kallsyms in Documentation/filesystems/proc.rst).
pub(super) const KALLSYMS: &str = "/proc/kallsyms";
/// Bytes read at a time: the file is some megabytes that the kernel writes as it is read.
pub(super) const BUFFER: usize = 64 * 1024;
/// Longer than any line: names have at most 511 bytes (`KSYM_NAME_LEN`).
pub(super) const LONGEST: u64 = 1_024;

/// Why an address is not known.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum SymbolError {
    #[error("the kernel hides the address of {0}")]
    Hidden(&'static str),
    #[error("{KALLSYMS} does not list {0}")]
    Absent(&'static str),
    #[error("{KALLSYMS} lists {0} more than once, and nothing tells which is meant")]
    Ambiguous(&'static str),
    #[error("{KALLSYMS} cannot be read ({reason}), which tells where {symbol} is")]
    Unreadable { symbol: &'static str, reason: String },
}

/// What is known of one variable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Found {
    #[default]
    Nowhere,
    At(u64),
    Twice,
}

/// Where the variables of `probe_common::symbol` are.
#[derive(Clone, Debug)]
pub struct Symbols {
    found: [Found; COUNT],
    unreadable: Option<String>,
}

impl Symbols {
    /// Looks them all up.
    #[must_use]
    pub fn of_running_kernel() -> Self {
        match File::open(KALLSYMS).map(|file| BufReader::with_capacity(BUFFER, file)) {
            Ok(list) => Self::in_list(list),
            Err(error) => Self { found: Default::default(), unreadable: Some(error.to_string()) },
        }
    }

    pub(crate) fn in_list(mut list: impl BufRead) -> Self {
        let mut found = Default::default();
        let unreadable = search(&mut list, &mut found).err().map(|error| error.to_string());
        Self { found, unreadable }
    }

    /// The addresses, for the programs: [`MISSING`] where one is not known.
    #[must_use]
    pub fn addresses(&self) -> [u64; COUNT] {
        self.found.map(|found| match found {
            Found::At(address) => address,
            Found::Nowhere | Found::Twice => MISSING,
        })
    }

    /// Whether the programs know a variable (an index of `probe_common::symbol`).
    ///
    /// # Errors
    /// [`SymbolError`]: why they do not.
    pub fn check(&self, symbol: usize) -> Result<(), SymbolError> {
        let name = SYMBOLS.get(symbol).copied().unwrap_or_default();
        match (self.found.get(symbol).copied().unwrap_or_default(), &self.unreadable) {
            (Found::At(MISSING), _) => Err(SymbolError::Hidden(name)),
            (Found::At(_), _) => Ok(()),
            (Found::Twice, _) => Err(SymbolError::Ambiguous(name)),
            (Found::Nowhere, None) => Err(SymbolError::Absent(name)),
            (Found::Nowhere, Some(reason)) => {
                Err(SymbolError::Unreadable { symbol: name, reason: reason.clone() })
            }
        }
    }
}

/// Reads lines `ADDRESS TYPE NAME`, and `ADDRESS TYPE NAME\t[MODULE]` after those of the kernel.
fn search(list: &mut impl BufRead, found: &mut [Found; COUNT]) -> io::Result<()> {
    let mut line = Vec::with_capacity(128);
    loop {
        line.clear();
        let end = list.by_ref().take(LONGEST).read_until(b'\n', &mut line)? == 0;
        // Those of modules come last.
        if end || line.ends_with(b"]\n") {
            return Ok(());
        }
        if let Some((index, address)) = variable(&line)
            && let Some(slot) = found.get_mut(index)
        {
            *slot = if *slot == Found::Nowhere { Found::At(address) } else { Found::Twice };
        }
    }
}

/// A line about one of ours: data or bss.
fn variable(line: &[u8]) -> Option<(usize, u64)> {
    let line = std::str::from_utf8(line).ok()?;
    let mut words = line.split_ascii_whitespace();
    let (address, kind, name) = (words.next()?, words.next()?, words.next()?);
    let index = SYMBOLS.iter().position(|symbol| *symbol == name)?;
    let is_data = matches!(kind, "b" | "B" | "d" | "D");
    is_data.then_some((index, u64::from_str_radix(address, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use probe_common::symbol::{MAX_THREADS, NR_THREADS, PID_MAX, RTNL_MUTEX};

    use super::*;

    const LINES: &str = "ffffffff81000000 T _text\n\
                         ffffffff83604ef4 B nr_threads\n\
                         ffffffff83604ef8 b max_threads\n\
                         ffffffff82a1d0e0 d my_rtnl_mutex\n\
                         ffffffff82a0c1b0 t pid_max\n";
    const MODULE: &str = "ffffffffc0001000 b max_threads\t[nvme]\n";

    #[test]
    fn finds_variables_of_the_kernel_proper() {
        let symbols = Symbols::in_list(format!("{LINES}{MODULE}").as_bytes());
        let found = symbols.addresses();
        assert_eq!(found[NR_THREADS], 0xffff_ffff_8360_4ef4);
        assert_eq!(found[MAX_THREADS], 0xffff_ffff_8360_4ef8);
        assert_eq!(symbols.check(NR_THREADS), Ok(()));
        assert_eq!(found[PID_MAX], MISSING, "a function is no variable");
        assert_eq!(symbols.check(PID_MAX), Err(SymbolError::Absent("pid_max")));
        assert_eq!(symbols.check(RTNL_MUTEX), Err(SymbolError::Absent("rtnl_mutex")));
    }

    #[test]
    fn a_name_twice_or_hidden_addresses_tell_nothing() {
        let symbols = Symbols::in_list(format!("{LINES}1 d max_threads\n").as_bytes());
        assert_eq!(symbols.addresses()[MAX_THREADS], MISSING);
        assert_eq!(symbols.check(MAX_THREADS), Err(SymbolError::Ambiguous("max_threads")));
        let hidden = Symbols::in_list(&b"0000000000000000 d rtnl_mutex\n"[..]);
        assert_eq!(hidden.addresses(), [MISSING; COUNT]);
        assert_eq!(hidden.check(RTNL_MUTEX), Err(SymbolError::Hidden("rtnl_mutex")));
    }

    #[test]
    fn survives_what_is_not_kallsyms() {
        let long = vec![b'x'; 5_000];
        for text in [&b""[..], b"\n\n", b"\xff\xfe x y\n", b"zz B nr_threads\n", b"1 B", &long] {
            assert_eq!(Symbols::in_list(text).addresses(), [MISSING; COUNT], "{text:?}");
        }
    }
}
