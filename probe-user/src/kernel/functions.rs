//! Whether the kernel has a function, looked up in /proc/kallsyms. Asked only when a hook was refused.

use std::{
    fs::File,
    io::{BufRead, BufReader, Read},
};

use super::symbols::{BUFFER, KALLSYMS, LONGEST};

/// How the kernel has a function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Presence {
    /// Under its name.
    Whole,
    /// Only a variant that the compiler made, such as `NAME.isra.0` or `NAME.constprop.0`.
    Changed(String),
    /// Not at all: it was renamed, removed, or inlined wherever it is called.
    Absent,
    /// The kernel shows no list.
    Unknown,
}

/// Looks a function up. The kernel shows names even where it hides addresses.
#[must_use]
pub fn look_up(function: &str) -> Presence {
    File::open(KALLSYMS)
        .map_or(Presence::Unknown, |list| in_list(BufReader::with_capacity(BUFFER, list), function))
}

fn in_list(mut list: impl BufRead, function: &str) -> Presence {
    let (mut line, mut changed, mut any) = (Vec::with_capacity(128), None, false);
    loop {
        line.clear();
        match list.by_ref().take(LONGEST).read_until(b'\n', &mut line) {
            Err(_) => return Presence::Unknown,
            Ok(0) if !any => return Presence::Unknown,
            Ok(0) => return changed.map_or(Presence::Absent, Presence::Changed),
            Ok(_) => any = true,
        }
        let Some(name) = code(&line) else { continue };
        let Some(suffix) = name.strip_prefix(function) else { continue };
        if suffix.is_empty() {
            return Presence::Whole;
        }
        // A `.cold` part lies apart from its function, which is listed too.
        if suffix.starts_with('.') && !suffix.ends_with(".cold") {
            changed = Some(name.to_owned());
        }
    }
}

/// The name on a line about code: `ADDRESS TYPE NAME`.
fn code(line: &[u8]) -> Option<&str> {
    let mut words = std::str::from_utf8(line).ok()?.split_ascii_whitespace();
    let (_, kind, name) = (words.next()?, words.next()?, words.next()?);
    matches!(kind, "t" | "T" | "w" | "W").then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &[u8] = b"0000000000000000 T kernel_clone\n\
                          0000000000000000 t dev_xdp_attach.isra.0\n\
                          0000000000000000 t dev_xdp_attach.isra.0.cold\n\
                          0000000000000000 t netlink_create.cold\n\
                          0000000000000000 t netlink_create\n\
                          0000000000000000 t tcx_prog_attach.cold\n\
                          0000000000000000 d rtnl_mutex\n\
                          0000000000000000 t nft_newrule\t[nf_tables]\n";

    #[test]
    fn tells_whole_changed_and_absent_apart() {
        assert_eq!(in_list(LIST, "kernel_clone"), Presence::Whole);
        assert_eq!(in_list(LIST, "netlink_create"), Presence::Whole);
        let changed = Presence::Changed("dev_xdp_attach.isra.0".into());
        assert_eq!(in_list(LIST, "dev_xdp_attach"), changed);
        assert_eq!(
            in_list(LIST, "tcx_prog_attach"),
            Presence::Absent,
            "a .cold part is no function"
        );
        assert_eq!(in_list(LIST, "kernel_clo"), Presence::Absent);
        assert_eq!(in_list(LIST, "rtnl_mutex"), Presence::Absent, "a variable is no function");
        assert_eq!(in_list(LIST, "nft_newrule"), Presence::Whole);
    }

    #[test]
    fn no_list_tells_nothing() {
        assert_eq!(in_list(&b""[..], "kernel_clone"), Presence::Unknown);
        assert_eq!(in_list(&b"\xff\xfe\n\n x"[..], "kernel_clone"), Presence::Absent);
    }
}
