//! fork: clones that the kernel refused. A clone that succeeds costs the bare hook and no more.

use aya_ebpf::{
    EbpfContext,
    macros::{fexit, kretprobe, tracepoint},
    programs::{FExitContext, RetProbeContext, TracePointContext},
};
use aya_log_ebpf::info;
use probe_common::{
    fork::{CLONE_INTO_CGROUP, ForkRecord},
    wire::{flag, kind},
};

use crate::{
    budget::{self, Class, Keep, mix},
    kernel::{birthplace::Birthplace, limits, read_at, task},
    output,
};

/// The exit signal's bits of the clone flags, `CSIGNAL` in `include/uapi/linux/sched.h`.
const CSIGNAL: u64 = 0xff;
/// Smallest of the kernel's restart codes (`ERESTARTSYS`, include/linux/errno.h). A clone that a
/// signal interrupted returns one and is done again; it was not refused.
const ERESTARTSYS: i32 = 512;
/// Offset of `ret` in the context of every `syscalls/sys_exit_*` tracepoint (bytes).
pub const SYS_EXIT_RET: usize = 16;

// pid_t kernel_clone(struct kernel_clone_args *args); the first member of args is `u64 flags`.
#[fexit]
fn fork_fexit(ctx: FExitContext) -> i32 {
    // A returned int is 32 bits wide; the upper half of the slot is noise.
    let ret: i32 = ctx.arg(1);
    if is_refusal(ret) {
        let args: u64 = ctx.arg(0);
        let flags = read_at::<u64>(args);
        let place = match flags {
            Some(flags) if flags & CLONE_INTO_CGROUP != 0 => Birthplace::named_by(args),
            _ => Birthplace::OF_CALLER,
        };
        refused(&ctx, ret, flags.map(|flags| flags & !CSIGNAL), place);
    }
    0
}

// The same function on kernels that refuse tracing programs. The arguments are gone at return, and
// keeping them from entry would cost every clone that succeeds.
#[kretprobe]
fn fork_kretprobe(ctx: RetProbeContext) -> u32 {
    let ret: i32 = ctx.ret();
    if is_refusal(ret) {
        refused(&ctx, ret, None, Birthplace::OF_CALLER);
    }
    0
}

// syscalls/sys_exit_{clone,clone3,fork,vfork}: fires in the child too (ret 0).
#[tracepoint]
fn fork_sys_exit(ctx: TracePointContext) -> u32 {
    // SAFETY: every sys_exit tracepoint carries its return value there.
    let ret = unsafe { ctx.read_at::<i64>(SYS_EXIT_RET) }.unwrap_or(0) as i32;
    if is_refusal(ret) {
        refused(&ctx, ret, None, Birthplace::OF_CALLER);
    }
    0
}

#[inline(always)]
fn is_refusal(ret: i32) -> bool {
    ret < 0 && ret > -ERESTARTSYS
}

#[inline(always)]
fn refused<C: EbpfContext>(ctx: &C, ret: i32, clone_flags: Option<u64>, place: Birthplace) {
    let exhausted = matches!(-ret, limits::EAGAIN | limits::ENOMEM);
    let kind = if exhausted { kind::FORK_FAILED } else { kind::FORK_REJECTED };
    let cgroup = place.cgroup_id().unwrap_or_else(task::cgroup_id);
    let subject = mix(kind as u64, cgroup);
    let digest = output::comm().into_iter().fold(mix(subject, ret as u64), mix);
    let class = Class { kind, digest, keep: Keep::First };
    budget::emit::<ForkRecord>(subject, class, |record| {
        record.ret = ret;
        match clone_flags {
            Some(flags) => record.clone_flags = flags,
            None => record.header.flags = flag::CLONE_FLAGS_UNKNOWN,
        }
        record.header.cgroup_id = cgroup;
        limits::explain(record, place);
        record.header.netns = task::netns();
        output::copy_comm(&mut record.header);
    });
    info!(ctx, "clone refused: {}", ret);
}
