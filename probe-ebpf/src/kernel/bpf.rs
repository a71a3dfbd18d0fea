//! bpf programs and links.

use probe_common::{bpf::ProgramRecord, field as f};

use super::{copy_str, field, task};
use crate::globals::offset;

/// Writes what a program (`struct bpf_prog *`) is called.
#[inline(always)]
pub fn describe(record: &mut ProgramRecord, program: u64) {
    let Some(aux) = field::<u64>(program, f::BPF_PROG_AUX) else {
        return;
    };
    record.id = field(aux, f::BPF_PROG_AUX_ID).unwrap_or(0);
    record.tag = field(program, f::BPF_PROG_TAG).unwrap_or_default();
    if let Some(name) = offset(f::BPF_PROG_AUX_NAME) {
        copy_str(&mut record.name, aux + name);
    }
}

/// What the file behind an fd of the current process is about (`file->private_data`).
#[inline(always)]
pub fn object_of_fd(fd: u32) -> Option<u64> {
    field(task::file(fd)?, f::FILE_PRIVATE_DATA)
}

/// The program (`struct bpf_prog *`) behind an fd of the current process. Whatever else the fd may
/// be by now, only a program is pointed back to by its own auxiliary data.
#[inline(always)]
pub fn program_of_fd(fd: u32) -> Option<u64> {
    let program = object_of_fd(fd)?;
    let aux: u64 = field(program, f::BPF_PROG_AUX)?;
    if field::<u64>(aux, f::BPF_PROG_AUX_PROG)? == program { Some(program) } else { None }
}

/// Id of a program (`struct bpf_prog *`); 0 when unknown.
#[inline(always)]
pub fn program_id(program: u64) -> u32 {
    field::<u64>(program, f::BPF_PROG_AUX)
        .and_then(|aux| field(aux, f::BPF_PROG_AUX_ID))
        .unwrap_or(0)
}

/// Id of a link (`struct bpf_link *`); 0 before it has one.
#[inline(always)]
pub fn link_id(link: u64) -> u32 {
    field(link, f::BPF_LINK_ID).unwrap_or(0)
}

/// The program of a link.
#[inline(always)]
pub fn link_program(link: u64) -> u64 {
    field(link, f::BPF_LINK_PROG).unwrap_or(0)
}
