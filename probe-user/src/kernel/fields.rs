//! Offsets of kernel fields, looked up in the kernel's BTF.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use probe_common::field::{COUNT, FIELDS, KernelField, MISSING, OF_SOME_KERNELS};
use thiserror::Error;

use super::{
    btf::{
        Btf, BtfError,
        file::{self, FileError},
    },
    fingerprint::{self, Verdict},
};

/// Where the kernel shows its own types.
pub const VMLINUX: &str = "/sys/kernel/btf/vmlinux";

/// Where a field is that some kernels keep elsewhere: the mutex of real-time kernels is an rt_mutex
/// (include/linux/mutex.h).
const ELSEWHERE: [(usize, &str); 1] = [(probe_common::field::MUTEX_OWNER, "rtmutex.owner")];

/// Types every kernel has: where they are missing, the BTF is of something else.
const OF_EVERY_KERNEL: [usize; 2] =
    [probe_common::field::TASK_TGID, probe_common::field::NET_NS_INUM];

/// Why there are no offsets.
#[derive(Debug, Error)]
pub enum FieldsError {
    #[error(
        "cannot read {VMLINUX}: {0}; the kernel was built without CONFIG_DEBUG_INFO_BTF, or /sys is not mounted: give its BTF with --btf FILE"
    )]
    Unreadable(#[from] io::Error),
    #[error("{VMLINUX}: {0}")]
    Damaged(#[from] BtfError),
    #[error("--btf {}: {error}", file.display())]
    File { file: PathBuf, error: FileError },
    #[error(
        "--btf {}: {error}; give the BTF of the running kernel ({release}), as its /sys/kernel/btf/vmlinux or its vmlinux with debug information has it",
        file.display()
    )]
    NotBtf { file: PathBuf, error: BtfError, release: String },
    #[error(
        "--btf {}: there is no struct task_struct with a tgid in it, so this is not the BTF of a kernel (of a module or of a program perhaps); give that of the running kernel ({release})",
        file.display()
    )]
    NotAKernel { file: PathBuf, release: String },
    #[error(
        "--btf {}: it is of another kernel or another build: {fit} of {variables} per-CPU variables are where it says; give the BTF of the running kernel ({release})",
        file.display()
    )]
    OtherKernel { file: PathBuf, fit: usize, variables: usize, release: String },
}

/// The offset of each field of `probe_common::field`, and those this kernel should have and lacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offsets {
    pub values: [u32; COUNT],
    pub missing: Vec<KernelField>,
}

impl Offsets {
    /// Knows nothing: programs read no kernel structure and leave those facts out.
    #[must_use]
    pub fn unknown() -> Self {
        Self { values: [MISSING; COUNT], missing: FIELDS.to_vec() }
    }

    /// Whether anything is known: then a field that is missing is not there.
    #[must_use]
    pub fn are_known(&self) -> bool {
        self.values.iter().any(|value| *value != MISSING)
    }

    /// Looks every field up in the running kernel's BTF.
    ///
    /// # Errors
    /// [`FieldsError`] when there is no readable BTF.
    pub fn of_running_kernel() -> Result<Self, FieldsError> {
        let bytes = fs::read(Path::new(VMLINUX))?;
        Ok(Self::of(&Btf::parse(&bytes)?))
    }

    /// Looks every field up in a file's BTF: raw, as [`VMLINUX`] is, or the `.BTF` section of an ELF
    /// file. Whether it is of the running kernel (`release`) is told by where its per-CPU variables
    /// are; not recognised is a build that differs in structures alone, and none where the file lists no
    /// such variables or the kernel hides its addresses.
    ///
    /// # Errors
    /// [`FieldsError`]: names the file and what is wrong with it.
    pub fn of_file(path: &Path, release: &str) -> Result<Self, FieldsError> {
        let (file, release) = (|| path.to_owned(), || release.to_owned());
        let bytes = file::read(path).map_err(|error| FieldsError::File { file: file(), error })?;
        let damaged = |error| FieldsError::NotBtf { file: file(), error, release: release() };
        let btf = Btf::parse(&bytes).map_err(damaged)?;
        let offsets = Self::of(&btf);
        if OF_EVERY_KERNEL.iter().any(|index| offsets.values[*index] == MISSING) {
            return Err(FieldsError::NotAKernel { file: file(), release: release() });
        }
        match fingerprint::compare(&btf) {
            Verdict::Other { fit, variables } => {
                let (file, release) = (file(), release());
                Err(FieldsError::OtherKernel { file, fit, variables, release })
            }
            Verdict::Unknown => {
                log::warn!(
                    "--btf {}: whether it is of this very kernel cannot be told: the file lists too few \
                     per-CPU variables (that of 5.10 has none), or /proc/kallsyms hides where they \
                     are; wrong BTF makes findings wrong",
                    path.display()
                );
                Ok(offsets)
            }
            Verdict::Same => Ok(offsets),
        }
    }

    pub(crate) fn of(btf: &Btf<'_>) -> Self {
        let mut containers: Vec<&str> = FIELDS.iter().map(|field| field.container).collect();
        containers.sort_unstable();
        containers.dedup();
        let named = btf.named(&containers);
        let locate = |field: &KernelField, member: &str| {
            named.get(field.container)?.iter().find_map(|id| btf.locate(*id, member))
        };
        let mut values = FIELDS.map(|field| locate(&field, field.member).unwrap_or(MISSING));
        for (index, member) in ELSEWHERE {
            if values[index] == MISSING {
                values[index] = locate(&FIELDS[index], member).unwrap_or(MISSING);
            }
        }
        let lacks = |index: &usize| values[*index] == MISSING && !OF_SOME_KERNELS.contains(index);
        let missing = (0..COUNT).filter(lacks).map(|index| FIELDS[index]).collect();
        Self { values, missing }
    }
}

#[cfg(test)]
mod tests;
