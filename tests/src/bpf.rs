//! bpf(2), as far as the scenarios need it: tiny programs, and attaching them without `tc`.

use std::io;

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use rustix::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use crate::lack::{Lack, number, release};

/// Where a program is attached.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Point {
    TcxIngress,
    TcxEgress,
    NetkitPrimary,
    Xdp,
}

// Commands, program types and attach types of include/uapi/linux/bpf.h.
const PROG_LOAD: libc::c_long = 5;
const PROG_ATTACH: libc::c_long = 8;
const PROG_DETACH: libc::c_long = 9;
const PROG_GET_FD_BY_ID: libc::c_long = 13;
const PROG_QUERY: libc::c_long = 16;
const LINK_CREATE: libc::c_long = 28;
const TYPE_SCHED_CLS: u32 = 3;
const TYPE_XDP: u32 = 6;
/// `TCX_NEXT`: let the next program decide.
const TCX_NEXT: i32 = -1;
const XDP_PASS: i32 = 2;
/// The interface every network namespace has.
const LOOPBACK: u32 = 1;

#[repr(C)]
struct LoadAttr {
    kind: u32,
    instructions: u32,
    code: u64,
    licence: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
    kernel_version: u32,
    flags: u32,
    name: [u8; 16],
    ifindex: u32,
    attach_type: u32,
}

/// BPF_PROG_ATTACH and BPF_PROG_DETACH.
#[repr(C)]
struct AttachAttr {
    ifindex: u32,
    program: u32,
    attach_type: u32,
    flags: u32,
}

/// BPF_LINK_CREATE.
#[repr(C)]
struct LinkAttr {
    program: u32,
    ifindex: u32,
    attach_type: u32,
    flags: u32,
}

#[repr(C)]
struct QueryAttr {
    ifindex: u32,
    attach_type: u32,
    query_flags: u32,
    attach_flags: u32,
    ids: u64,
    count: u32,
    pad: u32,
}

impl Point {
    const fn attach_type(self) -> u32 {
        match self {
            Self::Xdp => 37,
            Self::TcxIngress => 46,
            Self::TcxEgress => 47,
            Self::NetkitPrimary => 54,
        }
    }

    /// Kernels from this release on have it.
    const fn since(self) -> (u32, u32) {
        match self {
            Self::Xdp => (5, 9),
            Self::TcxIngress | Self::TcxEgress => (6, 6),
            Self::NetkitPrimary => (6, 7),
        }
    }

    /// Fails where programs cannot be attached here on this kernel.
    pub fn there(self) -> Result<()> {
        self.lack()?.map_or(Ok(()), |lack| Err(lack.into()))
    }

    /// What the kernel lacks for programs to be attached here, as it says itself; `None` where they
    /// can. TCX that is missing where it cannot be left out of a kernel is an error.
    pub fn lack(self) -> Result<Option<Lack>> {
        let Err(error) = query(self, LOOPBACK) else { return Ok(None) };
        if self == Self::Xdp || error.raw_os_error() != Some(libc::EINVAL) {
            return Ok(None);
        }
        let (release, since) = (release(), self.since());
        if self != Self::NetkitPrimary && number(&release) >= since {
            bail!("{release} knows no {self:?}, which came with {}.{}", since.0, since.1);
        }
        Ok(Some(Lack::Feature { release, what: format!("{self:?}"), since }))
    }
}

/// Loads a program that lets everything pass.
pub fn load(point: Point, name: &str) -> Result<OwnedFd> {
    /// `BPF_ALU64 | BPF_MOV | BPF_K` into register 0, and `BPF_JMP | BPF_EXIT`.
    const MOV_R0: u64 = 0xb7;
    const EXIT: u64 = 0x95;
    let (kind, verdict) =
        if point == Point::Xdp { (TYPE_XDP, XDP_PASS) } else { (TYPE_SCHED_CLS, TCX_NEXT) };
    let code = [MOV_R0 | u64::from(verdict.cast_unsigned()) << 32, EXIT];
    let mut attr = LoadAttr {
        kind,
        instructions: 2,
        code: code.as_ptr() as u64,
        licence: c"GPL".as_ptr() as u64,
        log_level: 0,
        log_size: 0,
        log: 0,
        kernel_version: 0,
        flags: 0,
        name: [0; 16],
        ifindex: 0,
        attach_type: if point == Point::Xdp { point.attach_type() } else { 0 },
    };
    for (byte, of_name) in attr.name.iter_mut().zip(name.bytes().take(15)) {
        *byte = of_name;
    }
    made(bpf(PROG_LOAD, &mut attr)).with_context(|| format!("cannot load program {name}"))
}

/// Attaches a program without a link: it stays when this process goes.
pub fn attach(program: &OwnedFd, ifindex: u32, point: Point) -> io::Result<()> {
    let attach_type = point.attach_type();
    let mut attr = AttachAttr { ifindex, program: number_of(program), attach_type, flags: 0 };
    bpf(PROG_ATTACH, &mut attr).map(drop)
}

/// Detaches a program that has no link.
pub fn detach(program: &OwnedFd, ifindex: u32, point: Point) -> io::Result<()> {
    let attach_type = point.attach_type();
    let mut attr = AttachAttr { ifindex, program: number_of(program), attach_type, flags: 0 };
    bpf(PROG_DETACH, &mut attr).map(drop)
}

/// Attaches a program by a link, which goes with the last reference to it.
pub fn link(program: &OwnedFd, ifindex: u32, point: Point) -> io::Result<OwnedFd> {
    let attach_type = point.attach_type();
    let mut attr = LinkAttr { program: number_of(program), ifindex, attach_type, flags: 0 };
    made(bpf(LINK_CREATE, &mut attr))
}

/// The first program attached without a link, whoever attached it.
pub fn first_program(point: Point, ifindex: u32) -> Result<OwnedFd> {
    let id = query(point, ifindex)?.context("no program is attached")?;
    made(bpf(PROG_GET_FD_BY_ID, &mut [id, 0, 0]))
        .with_context(|| format!("cannot open program {id}"))
}

/// Whether the kernel has a program of this id; takes CAP_SYS_ADMIN.
pub fn has_program(id: u32) -> io::Result<bool> {
    match made(bpf(PROG_GET_FD_BY_ID, &mut [id, 0, 0])) {
        Ok(_) => Ok(true),
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Id of the first program that is attached.
fn query(point: Point, ifindex: u32) -> io::Result<Option<u32>> {
    let mut ids = [0u32; 64];
    let mut attr = QueryAttr {
        ifindex,
        attach_type: point.attach_type(),
        query_flags: 0,
        attach_flags: 0,
        ids: ids.as_mut_ptr() as u64,
        count: 64,
        pad: 0,
    };
    bpf(PROG_QUERY, &mut attr)?;
    Ok((attr.count > 0).then_some(ids[0]))
}

fn number_of(fd: &OwnedFd) -> u32 {
    fd.as_raw_fd().cast_unsigned()
}

fn made(answer: io::Result<i32>) -> io::Result<OwnedFd> {
    // SAFETY: the kernel has just made this fd for us, and nobody else knows it.
    answer.map(|fd| unsafe { OwnedFd::from_raw_fd(fd) })
}

fn bpf<T>(command: libc::c_long, attr: &mut T) -> io::Result<i32> {
    // SAFETY: `attr` is as large as we say, and what it points to outlives the call.
    let answer =
        unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_mut(attr), size_of::<T>()) };
    i32::try_from(answer).ok().filter(|fd| *fd >= 0).ok_or_else(io::Error::last_os_error)
}

/// Index of an interface of the network namespace this thread is in.
pub fn ifindex(socket: BorrowedFd<'_>, name: &str) -> Result<u32> {
    rustix::net::netdevice::name_to_index(socket, name)
        .with_context(|| format!("there is no interface {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_compared_by_number() {
        assert_eq!(number("6.12.107+deb13-cloud-amd64"), (6, 12));
        assert_eq!(number("5.10.0-32"), (5, 10));
        assert!(number("6.6-rc1") >= Point::TcxIngress.since());
        assert_eq!(number("x"), (0, 0));
    }
}
