//! Tasks: ids, parent, cgroup, network namespace. Mostly the current one.

use aya_ebpf::helpers::generated::{bpf_get_current_cgroup_id, bpf_get_current_task};
use probe_common::{field as f, rtnl::Party, tc::TcRecord, wire::COMM_LEN};

use super::{copy_str, field, net, read_at};
use crate::globals::{offset, pids_on_cgroup_v1};

/// `PF_WQ_WORKER` of include/linux/sched.h: a worker of a workqueue.
const PF_WQ_WORKER: u32 = 0x20;
/// `PF_KTHREAD`: a thread of the kernel.
const PF_KTHREAD: u32 = 0x0020_0000;

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

/// The same id as [`cgroup_id`] for any task.
#[inline(always)]
fn cgroup_id_of_task(task: u64) -> Option<u64> {
    if pids_on_cgroup_v1() {
        return cgroup_id_of(pids_css_of(task)?);
    }
    let set: u64 = field(task, f::TASK_CGROUPS)?;
    id_of_cgroup(field(set, f::CSS_SET_DFL_CGRP)?)
}

/// The current task's state in the pids controller (`struct cgroup_subsys_state *`).
#[inline(always)]
pub fn pids_css() -> Option<u64> {
    pids_css_of(current())
}

#[inline(always)]
fn pids_css_of(task: u64) -> Option<u64> {
    let set: u64 = field(task, f::TASK_CGROUPS)?;
    let slot = offset(f::CSS_SET_SUBSYS)? + 8 * offset(f::PIDS_CGRP_ID)?;
    read_at(set + slot)
}

/// Id of the cgroup a controller's state belongs to.
#[inline(always)]
pub fn cgroup_id_of(css: u64) -> Option<u64> {
    id_of_cgroup(field(css, f::CSS_CGROUP)?)
}

/// Id of a `struct cgroup`: the inode number of its directory.
#[inline(always)]
pub fn id_of_cgroup(cgroup: u64) -> Option<u64> {
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
    start_of(current())
}

/// [`process_start`] of any task.
#[inline(always)]
fn start_of(task: u64) -> u64 {
    let Some(leader) = field::<u64>(task, f::TASK_GROUP_LEADER) else {
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

/// Writes since when the current process is there, and who started it: `tc` is only the hand of the
/// agent that ran it.
#[inline(always)]
pub fn copy_starters(record: &mut TcRecord) {
    record.started_ns = process_start();
    if let Some(parent) = copy_parent(&mut record.parent_tgid, &mut record.parent_comm) {
        record.parent_started_ns = start_of(parent);
    }
}

/// Writes who started the current process, and returns its task.
#[inline(always)]
pub fn copy_parent(tgid: &mut u32, comm: &mut [u8; COMM_LEN]) -> Option<u64> {
    let parent = field::<u64>(current(), f::TASK_REAL_PARENT)?;
    *tgid = name(parent, comm);
    Some(parent)
}

/// Writes a task's name and returns its process id; 0 when unknown.
#[inline(always)]
fn name(task: u64, comm: &mut [u8; COMM_LEN]) -> u32 {
    if let Some(offset) = offset(f::TASK_COMM) {
        copy_str(comm, task + offset);
    }
    field(task, f::TASK_TGID).unwrap_or(0)
}

/// Whether a task has a flag of include/linux/sched.h.
#[inline(always)]
fn has_flag(task: u64, flag: u32) -> bool {
    field::<u32>(task, f::TASK_FLAGS).is_some_and(|flags| flags & flag != 0)
}

/// Whether the current task is the kernel's own: what it does, somebody else left to it.
#[inline(always)]
pub fn is_kernel_thread() -> bool {
    has_flag(current(), PF_KTHREAD)
}

/// Writes who a task is, and what for when it is a worker of the kernel's. The task may be another
/// one than the current; all is read through checked addresses.
#[inline(always)]
pub fn describe(task: u64, party: &mut Party) {
    party.tgid = name(task, &mut party.comm);
    party.cgroup_id = cgroup_id_of_task(task).unwrap_or(0);
    if has_flag(task, PF_WQ_WORKER) {
        // Workers change their name with the work only in /proc (kernel/workqueue.c).
        if let Some(desc) = worker(task).zip(offset(f::WORKER_DESC)) {
            copy_str(&mut party.work, desc.0 + desc.1);
        }
    } else if let Some(parent) = field::<u64>(task, f::TASK_REAL_PARENT) {
        party.parent_tgid = name(parent, &mut party.parent_comm);
    }
}

/// The `struct worker` of a worker's task, as kthread_data() finds it (kernel/kthread.c).
#[inline(always)]
fn worker(task: u64) -> Option<u64> {
    let kthread: u64 = match field(task, f::TASK_WORKER_PRIVATE) {
        Some(kthread) => kthread,
        None => field(task, f::TASK_SET_CHILD_TID)?,
    };
    field(kthread, f::KTHREAD_DATA)
}

/// The file (`struct file *`) behind an fd of the current process.
#[inline(always)]
pub fn file(fd: u32) -> Option<u64> {
    let files: u64 = field(current(), f::TASK_FILES)?;
    let table: u64 = field(files, f::FILES_FDT)?;
    if fd >= field::<u32>(table, f::FDT_MAX_FDS)? {
        return None;
    }
    let slots: u64 = field(table, f::FDT_FD)?;
    read_at(slots + 8 * fd as u64)
}
