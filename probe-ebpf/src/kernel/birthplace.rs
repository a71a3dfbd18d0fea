//! The cgroup a child was to be born in: its parent's, or the one that clone3(2) was told. systemd
//! (from 254 on) and runc start processes that way, and it is that cgroup's limits that count.

use probe_common::field as f;

use super::{field, read_at, task};
use crate::globals::{offset, pids_on_cgroup_v1};

/// Deepest nesting of cgroups looked at.
const DEEPEST: u32 = 32;

/// Whose limits a child counts against: a `struct cgroup`, or one of the constants. Not an enum, as
/// the compiler would copy the payload of a variant without one, and the verifier knows it is unset.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Birthplace(u64);

impl Birthplace {
    /// The caller's own cgroup.
    pub const OF_CALLER: Self = Self(1);
    /// One the caller named and that cannot be read: nothing may be said about it.
    const UNREADABLE: Self = Self(0);

    /// Behind the fd in these `struct kernel_clone_args`, as cgroup_get_from_file() finds it.
    #[inline(always)]
    pub fn named_by(args: u64) -> Self {
        // The flag moves a child within cgroup v2 only.
        if pids_on_cgroup_v1() {
            return Self::OF_CALLER;
        }
        match cgroup_of(args) {
            Some(cgroup) => Self(cgroup),
            None => Self::UNREADABLE,
        }
    }

    /// Id of the cgroup, where it is not the caller's; 0 when it is not known.
    #[inline(always)]
    pub fn cgroup_id(self) -> Option<u64> {
        if self == Self::OF_CALLER { None } else { Some(task::id_of_cgroup(self.0).unwrap_or(0)) }
    }

    /// Its state in the pids controller (`struct cgroup_subsys_state *`).
    #[inline(always)]
    pub fn pids_css(self) -> Option<u64> {
        if self == Self::OF_CALLER { task::pids_css() } else { effective_css(self.0) }
    }
}

#[inline(always)]
fn cgroup_of(args: u64) -> Option<u64> {
    let fd: i32 = field(args, f::CLONE_ARGS_CGROUP)?;
    // A negative one is above any table's size.
    let file = task::file(fd as u32)?;
    let dentry: u64 = field(file, f::FILE_DENTRY)?;
    let inode: u64 = field(dentry, f::DENTRY_INODE)?;
    let node: u64 = field(inode, f::INODE_PRIVATE)?;
    field(node, f::KERNFS_NODE_PRIV)
}

/// A cgroup whose parent does not hand the controller down counts in the next one above that has
/// it, as cgroup_e_css() finds it.
#[inline(always)]
fn effective_css(cgroup: u64) -> Option<u64> {
    if cgroup == Birthplace::UNREADABLE.0 {
        return None;
    }
    let slot = offset(f::CGROUP_SUBSYS)? + 8 * offset(f::PIDS_CGRP_ID)?;
    let own = offset(f::CGROUP_SELF)?;
    let mut cgroup = cgroup;
    for _ in 0..DEEPEST {
        let css: u64 = read_at(cgroup + slot)?;
        if css != 0 {
            return Some(css);
        }
        // The parent's `self`, which is embedded in the parent.
        let parent: u64 = field(cgroup + own, f::CSS_PARENT)?;
        if parent == 0 {
            return None;
        }
        cgroup = parent - own;
    }
    None
}
