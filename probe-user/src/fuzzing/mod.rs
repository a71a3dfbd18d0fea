//! What fuzzing is let loose on: everything that takes bytes which somebody else wrote. `cargo xtask
//! fuzz` feeds the targets; the test below feeds them the seeds, so that what once crashed stays tested.
//!
//! Built into tests and with `--cfg fuzzing`, never into the agent.

mod kernel;
mod kubernetes;
mod node;
mod pipeline;
mod program;
mod spool;

/// Something that takes any bytes, and must neither panic, nor hang, nor ask for much memory.
pub struct Target {
    /// Its name, also of the directory of its seeds.
    pub name: &'static str,
    /// What the bytes are.
    pub bytes: &'static str,
    /// Takes them.
    pub run: fn(&[u8]),
}

/// All of them.
pub const TARGETS: &[Target] = &[
    Target { name: "decode", bytes: "a record of the kernel side", run: kernel::decode },
    Target { name: "pipeline", bytes: "records, facts and ticks", run: pipeline::events },
    Target { name: "capture", bytes: "a capture file", run: pipeline::capture },
    Target { name: "btf", bytes: "the kernel's types", run: kernel::btf },
    Target { name: "kallsyms", bytes: "/proc/kallsyms", run: kernel::kallsyms },
    Target { name: "rtnetlink", bytes: "an answer of rtnetlink", run: kernel::rtnetlink },
    Target { name: "proc", bytes: "a file of /proc", run: node::proc },
    Target { name: "cgroup_path", bytes: "the path of a cgroup", run: node::cgroup_path },
    Target { name: "identity_files", bytes: "a container's state", run: node::identity_files },
    Target { name: "config", bytes: "a configuration file", run: node::config },
    Target { name: "spool", bytes: "a file of the spool", run: spool::segment },
    Target { name: "kubernetes", bytes: "an API server's answer", run: kubernetes::answer },
    Target { name: "program", bytes: "an executable", run: program::executable },
];

/// The target of this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}

#[cfg(test)]
mod tests;
