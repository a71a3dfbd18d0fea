//! Addresses of kernel variables, from /proc/kallsyms.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read},
};

use thiserror::Error;

/// Where the kernel lists its symbols (proc_kallsyms in Documentation/filesystems/proc.rst).
const KALLSYMS: &str = "/proc/kallsyms";

/// Size of one read (bytes): the kernel gives a page at a time whatever is asked for.
const READ: usize = 4_096;

/// The mutex that every change of the network takes (net/core/rtnetlink.c).
pub const RTNL_MUTEX: &str = "rtnl_mutex";

/// Why an address is not known.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum SymbolError {
    #[error(
        "the kernel hides the address of {0}; set kernel.kptr_restrict to 1 or 0, and run as root or add CAP_SYSLOG"
    )]
    Hidden(&'static str),
    #[error("{KALLSYMS} does not list {0} (the kernel was built without CONFIG_KALLSYMS_ALL)")]
    Absent(&'static str),
    #[error("{KALLSYMS} cannot be read ({reason}), which tells where {symbol} is")]
    Unreadable { symbol: &'static str, reason: String },
}

/// The address of a variable of the kernel itself, not of a module.
///
/// # Errors
/// [`SymbolError`] when the kernel does not tell it.
pub fn address_of(symbol: &'static str) -> Result<u64, SymbolError> {
    let found = File::open(KALLSYMS)
        .and_then(|file| search(&mut BufReader::with_capacity(READ, file), symbol));
    match found {
        Ok(Some(0)) => Err(SymbolError::Hidden(symbol)),
        Ok(Some(address)) => Ok(address),
        Ok(None) => Err(SymbolError::Absent(symbol)),
        Err(error) => Err(SymbolError::Unreadable { symbol, reason: error.to_string() }),
    }
}

/// Lines are `ADDRESS TYPE NAME`, and `ADDRESS TYPE NAME\t[MODULE]` after those of the kernel.
fn search(list: &mut impl BufRead, symbol: &str) -> io::Result<Option<u64>> {
    /// Longer than any line: names have at most 511 bytes (`KSYM_NAME_LEN`).
    const LONGEST: u64 = 1_024;
    let mut line = Vec::with_capacity(128);
    loop {
        line.clear();
        if list.by_ref().take(LONGEST).read_until(b'\n', &mut line)? == 0 {
            return Ok(None);
        }
        if !line.trim_ascii_end().ends_with(symbol.as_bytes()) {
            continue;
        }
        let text = String::from_utf8_lossy(&line);
        let mut words = text.split_ascii_whitespace();
        if let (Some(address), Some(_), Some(name)) = (words.next(), words.next(), words.next())
            && name == symbol
        {
            return Ok(u64::from_str_radix(address, 16).ok());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &[u8] = b"ffffffff81000000 T _stext\n\
        ffffffff81000040 d my_rtnl_mutex\n\
        ffffffff82a1d0e0 d rtnl_mutex\n\
        0000000000000000 b hidden\n\
        ffffffffc0000000 t in_module\t[veth]\n\
        garbage\n";

    #[test]
    fn finds_the_whole_name_only() {
        let find = |symbol| search(&mut &*LIST, symbol).unwrap();
        assert_eq!(find("rtnl_mutex"), Some(0xffff_ffff_82a1_d0e0));
        assert_eq!(find("hidden"), Some(0));
        assert_eq!(find("mutex"), None);
        assert_eq!(find("in_module"), None);
        assert_eq!(find("garbage"), None);
    }

    #[test]
    fn survives_any_line() {
        let mut list = vec![b'x'; 5_000];
        list.extend_from_slice(b"\n\xff\xfe\n\nnot-hex d rtnl_mutex\n");
        assert_eq!(search(&mut &*list, "rtnl_mutex").unwrap(), None);
    }
}
