//! Offsets of kernel fields, looked up in the running kernel's BTF.

use std::{fs, io, path::Path};

use probe_common::field::{COUNT, FIELDS, KernelField, MISSING, OF_SOME_KERNELS};
use thiserror::Error;

use super::btf::{Btf, BtfError};

/// Where the kernel shows its own types.
pub const VMLINUX: &str = "/sys/kernel/btf/vmlinux";

/// Why there are no offsets.
#[derive(Debug, Error)]
pub enum FieldsError {
    #[error(
        "cannot read {VMLINUX}: {0}; the kernel was built without CONFIG_DEBUG_INFO_BTF, or /sys is not mounted"
    )]
    Unreadable(#[from] io::Error),
    #[error("{VMLINUX}: {0}")]
    Damaged(#[from] BtfError),
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

    pub(crate) fn of(btf: &Btf<'_>) -> Self {
        let mut containers: Vec<&str> = FIELDS.iter().map(|field| field.container).collect();
        containers.sort_unstable();
        containers.dedup();
        let named = btf.named(&containers);
        let locate = |field: &KernelField| {
            named.get(field.container)?.iter().find_map(|id| btf.locate(*id, field.member))
        };
        let values = FIELDS.map(|field| locate(&field).unwrap_or(MISSING));
        let lacks = |index: &usize| values[*index] == MISSING && !OF_SOME_KERNELS.contains(index);
        let missing = (0..COUNT).filter(lacks).map(|index| FIELDS[index]).collect();
        Self { values, missing }
    }
}
