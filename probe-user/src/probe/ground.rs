//! What loading starts from: the kernel as it is, and what the user asked for.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::choice::{Choice, Choices};
use crate::kernel::{
    facts::Facts,
    fields::{FieldsError, Offsets},
};

/// How `run` and `doctor` are told to use the kernel.
#[derive(Args, Debug, Default)]
pub struct Wanted {
    /// Use only this rung: fexit, kprobe or tracepoint for every hook (for tests), or HOOK=RUNG for one,
    /// as in "tc/requests=kprobe". May be given again. By default each hook takes the best that works
    #[arg(long, value_name = "[HOOK=]RUNG")]
    rung: Vec<Choice>,
    /// Read the places of kernel fields from this file (raw BTF, or a vmlinux that has it) and not from
    /// the kernel, for kernels that show no BTF. It must be of the very kernel that runs
    #[arg(long, value_name = "FILE")]
    btf: Option<PathBuf>,
}

/// Where the places of kernel fields are from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FieldsFrom {
    /// The kernel's own BTF.
    Kernel,
    File(PathBuf),
    /// Nobody knows them.
    Nowhere,
}

/// The kernel, what is known of it, and how it shall be hooked.
#[derive(Clone, Debug)]
pub struct Ground {
    pub facts: Facts,
    pub offsets: Offsets,
    pub fields_from: FieldsFrom,
    pub choices: Choices,
}

impl Ground {
    /// Looks at the running kernel.
    ///
    /// # Errors
    /// [`FieldsError`] when the user's file is of no use. A kernel without BTF is no error.
    pub fn survey(wanted: Wanted) -> Result<Self, FieldsError> {
        let (facts, choices) = (Facts::read(), Choices::new(wanted.rung));
        let (offsets, fields_from) = match wanted.btf {
            Some(file) => (Offsets::of_file(&file, &facts.release)?, FieldsFrom::File(file)),
            None if facts.btf => match Offsets::of_running_kernel() {
                Ok(offsets) => (offsets, FieldsFrom::Kernel),
                Err(error) => {
                    log::warn!("{error}");
                    (Offsets::unknown(), FieldsFrom::Nowhere)
                }
            },
            None => (Offsets::unknown(), FieldsFrom::Nowhere),
        };
        Ok(Self { facts, offsets, fields_from, choices })
    }
}
