//! Programs that only carry out what whoever started them wants.

const TOOLS: [&[u8]; 3] = [b"tc", b"ip", b"nft"];

/// What the names of iptables' many programs begin with, as far as the kernel keeps them.
const IPTABLES: [&[u8]; 3] = [b"iptables", b"ip6tables", b"xtables-"];

/// Shells and their likes: who uses one twice need not be one agent.
const SHELLS: [&[u8]; 8] = [b"sh", b"bash", b"dash", b"ash", b"zsh", b"busybox", b"sudo", b"xargs"];

/// Who adopts a tool whose starter has ended: it may be anybody's. As far as the kernel keeps names.
const ADOPTERS: [&[u8]; 9] = [
    b"init",
    b"systemd",
    b"containerd-shim",
    b"conmon",
    b"runsv",
    b"runsvdir",
    b"tini",
    b"dumb-init",
    b"docker-init",
];

/// Whether a parent is one by adoption only.
#[must_use]
pub fn is_adopter(pid: u32, comm: &[u8]) -> bool {
    pid == 1 || ADOPTERS.contains(&comm)
}

/// Whether a program of this name is only the hand of its parent.
#[must_use]
pub fn is_tool(comm: &[u8]) -> bool {
    TOOLS.contains(&comm) || IPTABLES.iter().any(|begin| comm.starts_with(begin))
}

/// Whether a name says nothing of who is at work.
#[must_use]
pub fn is_shell(comm: &[u8]) -> bool {
    SHELLS.contains(&comm)
}
