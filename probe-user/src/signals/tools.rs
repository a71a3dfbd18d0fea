//! Programs that only carry out what whoever started them wants.

const TOOLS: [&[u8]; 2] = [b"tc", b"ip"];

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
    TOOLS.contains(&comm)
}
