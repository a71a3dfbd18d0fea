//! The current task: ids, parent, cgroup, network namespace.

use aya_ebpf::helpers::generated::{bpf_get_current_cgroup_id, bpf_get_current_task};
use probe_common::{field as f, tc::TcRecord, wire::COMM_LEN};

use super::{copy_str, field, net, read_at};
use crate::globals::{offset, pids_on_cgroup_v1};

/// Address of the current `task_struct`.
#[inline(always)]
pub fn current() -> u64 {
    // SAFETY: takes nothing and always succeeds.
    unsafe { bpf_get_current_task() }
}

/// Id of the current task's cgroup in the hierarchy of the pids controller; 0 when unknown.
///
/// `bpf_get_current_cgroup_id` knows only the v2 hierarchy and says 1 on v1 hosts.
#[inline(always)]
pub fn cgroup_id() -> u64 {
    if pids_on_cgroup_v1() {
        pids_cgroup_id().unwrap_or(0)
    } else {
        // SAFETY: takes nothing and always succeeds.
        unsafe { bpf_get_current_cgroup_id() }
    }
}

#[inline(always)]
fn pids_cgroup_id() -> Option<u64> {
    cgroup_id_of(pids_css()?)
}

/// The current task's state in the pids controller (`struct cgroup_subsys_state *`).
#[inline(always)]
pub fn pids_css() -> Option<u64> {
    let set: u64 = field(current(), f::TASK_CGROUPS)?;
    let slot = offset(f::CSS_SET_SUBSYS)? + 8 * offset(f::PIDS_CGRP_ID)?;
    read_at(set + slot)
}

/// Id of the cgroup a controller's state belongs to.
#[inline(always)]
pub fn cgroup_id_of(css: u64) -> Option<u64> {
    let cgroup: u64 = field(css, f::CSS_CGROUP)?;
    let node: u64 = field(cgroup, f::CGROUP_KN)?;
    field(node, f::KERNFS_NODE_ID)
}

/// The current task's network namespace (`struct net *`).
#[inline(always)]
pub fn net() -> Option<u64> {
    let proxy: u64 = field(current(), f::TASK_NSPROXY)?;
    field(proxy, f::NSPROXY_NET)
}

/// Inode number of the current task's network namespace; 0 when unknown.
#[inline(always)]
pub fn netns() -> u32 {
    match net() {
        Some(net) => net::inum(net),
        None => 0,
    }
}

/// Start of the current process since boot (ns): with the pid, an identity that is never reused.
#[inline(always)]
pub fn process_start() -> u64 {
    let Some(leader) = field::<u64>(current(), f::TASK_GROUP_LEADER) else {
        return 0;
    };
    field(leader, f::TASK_START_BOOTTIME).unwrap_or(0)
}

/// Whether the current task is the last of its process to exit.
#[inline(always)]
pub fn is_last_thread() -> bool {
    let Some(signal) = field::<u64>(current(), f::TASK_SIGNAL) else {
        return true;
    };
    field::<i32>(signal, f::SIGNAL_LIVE).unwrap_or(0) <= 0
}

/// Writes who started the current process: `tc` is only the hand of the agent that ran it.
#[inline(always)]
pub fn copy_parent(record: &mut TcRecord) {
    copy_parent_to(&mut record.parent_tgid, &mut record.parent_comm);
}

/// [`copy_parent`] for other records.
#[inline(always)]
pub fn copy_parent_to(tgid: &mut u32, name: &mut [u8; COMM_LEN]) {
    let Some(parent) = field::<u64>(current(), f::TASK_REAL_PARENT) else {
        return;
    };
    *tgid = field(parent, f::TASK_TGID).unwrap_or(0);
    if let Some(comm) = offset(f::TASK_COMM) {
        copy_str(name, parent + comm);
    }
}

/// Whether the current task is the kernel's own: what it does, somebody else left to it.
#[inline(always)]
pub fn is_kernel_thread() -> bool {
    /// `PF_KTHREAD` in include/linux/sched.h.
    const KTHREAD: u32 = 0x0020_0000;
    field::<u32>(current(), f::TASK_FLAGS).is_some_and(|flags| flags & KTHREAD != 0)
}
