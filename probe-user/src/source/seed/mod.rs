//! What was there before the hooks, as wire records: netlink sockets from /proc (`netlink`), clsact
//! qdiscs and their filters from rtnetlink in every network namespace (`tc`).

pub mod netlink;
pub mod tc;

/// The number in a link such as `socket:[77]` (proc_pid_fd(5)) or `net:[4026531840]` (namespaces(7)).
fn number<T: std::str::FromStr>(link: &str, kind: &str) -> Option<T> {
    link.strip_prefix(kind)?.strip_prefix(":[")?.strip_suffix(']')?.parse().ok()
}
