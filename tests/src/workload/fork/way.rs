//! The ways a program can ask the kernel for a task.

use std::fs::File;
use std::io::{Error, Result as IoResult};
use std::os::fd::AsRawFd;
use std::{mem, ptr, thread};

/// A way to ask the kernel for a task.
#[derive(Clone, Copy, Debug)]
pub enum Way {
    /// `fork(3)`: the C library's clone.
    Fork,
    /// The fork system call itself, which musl and Go still use on x86-64.
    #[cfg(target_arch = "x86_64")]
    ForkCall,
    /// The clone3 system call.
    Clone3,
    /// A thread: the C library's clone3.
    Thread,
}

impl Way {
    /// All of them.
    pub const ALL: &[Self] = &[
        Self::Fork,
        #[cfg(target_arch = "x86_64")]
        Self::ForkCall,
        Self::Clone3,
        Self::Thread,
    ];

    /// Asks for a task that ends at once, and waits for its end.
    pub fn ask(self) -> IoResult<()> {
        let child = match self {
            Self::Thread => {
                let thread = thread::Builder::new().spawn(|| ())?;
                return thread.join().map_err(|_| Error::other("the thread panicked"));
            }
            Self::Fork => fork()?,
            #[cfg(target_arch = "x86_64")]
            // SAFETY: no pointers; this process has one thread, so the child may go on from here.
            Self::ForkCall => checked(unsafe { libc::syscall(libc::SYS_fork) })?,
            Self::Clone3 => clone3(None)?,
        };
        if child == 0 {
            leave();
        }
        reap(child)
    }
}

/// `fork(3)`; 0 in the child.
pub fn fork() -> IoResult<libc::c_long> {
    // SAFETY: no arguments; callers have one thread, so the child may do what they may.
    checked(unsafe { libc::fork() }.into())
}

/// `CLONE_INTO_CGROUP` of clone3(2).
const INTO_CGROUP: u64 = 0x2_0000_0000;

/// The clone3 system call as a fork, into another cgroup (an open directory) if there is one.
pub fn clone3(into: Option<&File>) -> IoResult<libc::c_long> {
    // SAFETY: clone_args is plain integers, for which zero means "not used".
    let mut args: libc::clone_args = unsafe { mem::zeroed() };
    args.exit_signal = libc::SIGCHLD as u64;
    if let Some(cgroup) = into {
        args.flags = INTO_CGROUP;
        args.cgroup = u64::try_from(cgroup.as_raw_fd()).map_err(Error::other)?;
    }
    // SAFETY: args lives through the call and its size is told; without CLONE_VM this is a fork.
    checked(unsafe {
        libc::syscall(libc::SYS_clone3, &raw mut args, size_of::<libc::clone_args>())
    })
}

/// A child on a stack of its own that shares all else and ends at once, while this thread waits: it
/// needs memory of the kernel only.
pub fn clone_bare(stack: &mut [u128; 1_024]) -> IoResult<()> {
    extern "C" fn end(_: *mut libc::c_void) -> libc::c_int {
        0
    }
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
    let top = stack.as_mut_ptr_range().end.cast();
    // SAFETY: the stack is aligned, large enough for `end`, and lives longer than the child.
    let child = checked(unsafe { libc::clone(end, top, flags, ptr::null_mut()) }.into())?;
    reap(child)
}

fn checked(returned: libc::c_long) -> IoResult<libc::c_long> {
    if returned < 0 { Err(Error::last_os_error()) } else { Ok(returned) }
}

fn reap(child: libc::c_long) -> IoResult<()> {
    let child = libc::pid_t::try_from(child).map_err(Error::other)?;
    // SAFETY: a null status is allowed.
    checked(unsafe { libc::waitpid(child, ptr::null_mut(), 0) }.into()).map(drop)
}

/// Ends a child without running what its parent registered for its own exit.
pub fn leave() -> ! {
    // SAFETY: always allowed.
    unsafe { libc::_exit(0) }
}

/// A child that only takes up room, and ends with its parent.
pub fn sleep_until_killed() -> ! {
    // SAFETY: no pointers among the arguments.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
    loop {
        // SAFETY: always allowed.
        unsafe { libc::pause() };
    }
}
