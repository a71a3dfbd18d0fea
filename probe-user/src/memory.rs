//! Gives back what only the start took.

use std::fs;

/// Where the kernel tells what is mapped where (proc_pid_maps(5)).
const MAPS: &str = "/proc/self/maps";

/// Gives memory back after the start: parsing the kernel's BTF takes tens of MB for a moment, and most of
/// the code of this program runs then and never again. Code that is needed later is read again, out of the
/// page cache.
pub fn release_of_start() {
    // SAFETY: glibc's malloc_trim may be called at any time.
    unsafe { libc::malloc_trim(0) };
    let maps = fs::read_to_string(MAPS).unwrap_or_default();
    let own = fs::read_link("/proc/self/exe").unwrap_or_default();
    let own = own.to_string_lossy();
    for (start, len) in maps.lines().filter_map(|line| code(line, &own)) {
        // SAFETY: code of a file is never written to, so each page of it can be had again from the file:
        // madvise(2) on a private mapping of a file.
        unsafe { libc::madvise(start as *mut libc::c_void, len, libc::MADV_DONTNEED) };
    }
}

/// Address and length of a mapping that is code of the file `own`.
fn code(line: &str, own: &str) -> Option<(usize, usize)> {
    let (range, rest) = line.split_once(' ')?;
    if own.is_empty() || !rest.starts_with("r-xp ") || !rest.ends_with(own) {
        return None;
    }
    let (start, end) = range.split_once('-')?;
    let address = |text| usize::from_str_radix(text, 16).ok();
    let (start, end) = (address(start)?, address(end)?);
    Some((start, end.checked_sub(start)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_code_of_the_own_file_is_let_go() {
        let own = "/usr/bin/nodeprobe";
        let code_of = |rest: &str| code(&format!("7f0000001000-7f0000003000 {rest}"), own);
        let range = Some((0x7f00_0000_1000, 0x2000));
        assert_eq!(code_of("r-xp 00001000 00:1b 42    /usr/bin/nodeprobe"), range);
        assert_eq!(code_of("r--p 00001000 00:1b 42    /usr/bin/nodeprobe"), None);
        assert_eq!(code_of("rwxp 00001000 00:1b 42    /usr/bin/nodeprobe"), None);
        assert_eq!(code_of("r-xp 00000000 00:00 0     [vdso]"), None);
        assert_eq!(code("", own), None);
        assert_eq!(code("7f0000001000-7f0000003000 r-xp 00000000 00:00 0 ", ""), None);
    }

    #[test]
    fn all_still_works_afterwards() {
        release_of_start();
        assert_eq!("12".parse::<u8>(), Ok(12));
    }
}
