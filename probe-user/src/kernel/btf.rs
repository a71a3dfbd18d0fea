//! A small reader of BTF, for the offsets of a few fields.
//!
//! General BTF libraries build all 150,000 types of a kernel (tens of MB) to answer some twenty
//! questions. This one keeps the raw bytes and a position per type. Format:
//! Documentation/bpf/btf.rst. Any input is safe: every read is checked.

use std::collections::HashMap;

use thiserror::Error;

/// Why bytes are not BTF.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum BtfError {
    #[error("no BTF magic number; is this file BTF (as /sys/kernel/btf/vmlinux is)?")]
    Magic,
    #[error("BTF ends in the middle of its header or types; the file is damaged or cut short")]
    Truncated,
    #[error("BTF type kind {0} is not known; the kernel is newer than this reader")]
    UnknownKind(u32),
}

pub mod file;

const MAGIC: u16 = 0xeb9f;

mod kind {
    pub const INT: u32 = 1;
    pub const ARRAY: u32 = 3;
    pub const STRUCT: u32 = 4;
    pub const UNION: u32 = 5;
    pub const ENUM: u32 = 6;
    pub const TYPEDEF: u32 = 8;
    pub const VOLATILE: u32 = 9;
    pub const CONST: u32 = 10;
    pub const FUNC_PROTO: u32 = 13;
    pub const VAR: u32 = 14;
    pub const DATASEC: u32 = 15;
    pub const DECL_TAG: u32 = 17;
    pub const TYPE_TAG: u32 = 18;
    pub const ENUM64: u32 = 19;
}

/// Deepest nesting of anonymous members and typedefs that is followed.
const DEEPEST: u32 = 16;

/// The types of a kernel.
pub struct Btf<'a> {
    types: &'a [u8],
    strings: &'a [u8],
    /// Where type `i + 1` begins in `types`.
    positions: Vec<u32>,
}

/// A type's fixed part.
#[derive(Clone, Copy)]
struct Type {
    name: u32,
    kind: u32,
    /// Number of members, values or parameters.
    len: usize,
    /// Member offsets have bitfield sizes in their upper byte.
    with_bitfields: bool,
    /// Size, or the type referred to.
    size_or_type: u32,
    /// Where what follows the fixed part begins.
    tail: usize,
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_le_bytes(bytes.try_into().ok()?))
}

impl<'a> Btf<'a> {
    /// Reads the header and finds where each type begins.
    ///
    /// # Errors
    /// [`BtfError`] when the bytes are not whole BTF of known kinds.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, BtfError> {
        if bytes.get(..2) != Some(&MAGIC.to_le_bytes()) {
            return Err(BtfError::Magic);
        }
        let header = |at| u32_at(bytes, at).map(|n| n as usize).ok_or(BtfError::Truncated);
        let section = |offset: usize, len: usize| {
            let from = header(4)?.checked_add(header(offset)?).ok_or(BtfError::Truncated)?;
            let to = from.checked_add(header(len)?).ok_or(BtfError::Truncated)?;
            bytes.get(from..to).ok_or(BtfError::Truncated)
        };
        let mut btf = Self { types: section(8, 12)?, strings: section(16, 20)?, positions: vec![] };
        let mut at = 0;
        while at < btf.types.len() {
            btf.positions.push(u32::try_from(at).map_err(|_| BtfError::Truncated)?);
            let ty = btf.type_at(at).ok_or(BtfError::Truncated)?;
            at = ty.tail + tail_len(ty)?;
        }
        Ok(btf)
    }

    fn type_at(&self, at: usize) -> Option<Type> {
        let info = u32_at(self.types, at + 4)?;
        Some(Type {
            name: u32_at(self.types, at)?,
            kind: info >> 24 & 0x1f,
            len: (info & 0xffff) as usize,
            with_bitfields: info >> 31 == 1,
            size_or_type: u32_at(self.types, at + 8)?,
            tail: at + 12,
        })
    }

    fn type_of(&self, id: u32) -> Option<Type> {
        let at = *self.positions.get(id.checked_sub(1)? as usize)?;
        self.type_at(at as usize)
    }

    fn string(&self, at: u32) -> &'a [u8] {
        let rest = self.strings.get(at as usize..).unwrap_or_default();
        rest.split(|byte| *byte == 0).next().unwrap_or_default()
    }

    /// All structs and enums with one of `names`; a name may stand for several.
    #[must_use]
    pub fn named<'n>(&self, names: &[&'n str]) -> HashMap<&'n str, Vec<u32>> {
        let mut found: HashMap<&str, Vec<u32>> = names.iter().map(|name| (*name, vec![])).collect();
        for (index, at) in self.positions.iter().enumerate() {
            let Some(ty) = self.type_at(*at as usize) else { continue };
            let container =
                matches!(ty.kind, kind::STRUCT | kind::UNION | kind::ENUM | kind::ENUM64);
            if !container || ty.name == 0 {
                continue;
            }
            let name = std::str::from_utf8(self.string(ty.name)).unwrap_or_default();
            if let Some(ids) = found.get_mut(name) {
                ids.extend(u32::try_from(index + 1));
            }
        }
        found
    }

    /// The variables of a section, each with its offset (bytes) in it.
    #[must_use]
    pub fn variables(&self, section: &str) -> Vec<(&'a [u8], u32)> {
        let types = self.positions.iter().filter_map(|at| self.type_at(*at as usize));
        let of_name = |ty: &Type| self.string(ty.name) == section.as_bytes();
        let mut sections = types.filter(|ty| ty.kind == kind::DATASEC).filter(of_name);
        let Some(section) = sections.next() else { return Vec::new() };
        let entries = (0..section.len).map(|index| section.tail + index * 12);
        let variable = |at| {
            let variable = self.type_of(u32_at(self.types, at)?)?;
            Some((self.string(variable.name), u32_at(self.types, at + 4)?))
        };
        entries.filter_map(variable).collect()
    }

    /// Size (bytes) of a struct or enum.
    #[must_use]
    pub fn size(&self, id: u32) -> Option<u32> {
        Some(self.type_of(id)?.size_or_type)
    }

    /// Offset (bytes) of a member of struct `id`, dotted through nested structs; or the value of an
    /// enum's entry.
    #[must_use]
    pub fn locate(&self, id: u32, path: &str) -> Option<u32> {
        let ty = self.type_of(id)?;
        if matches!(ty.kind, kind::ENUM | kind::ENUM64) {
            return self.enum_value(ty, path);
        }
        let (mut bits, mut inside) = (0u32, id);
        for name in path.split('.') {
            let (offset, member) = self.member(inside, name.as_bytes(), 0)?;
            bits = bits.checked_add(offset)?;
            inside = member;
        }
        (bits % 8 == 0).then_some(bits / 8)
    }

    fn enum_value(&self, ty: Type, name: &str) -> Option<u32> {
        let width = if ty.kind == kind::ENUM64 { 12 } else { 8 };
        (0..ty.len).map(|index| ty.tail + index * width).find_map(|at| {
            let entry = u32_at(self.types, at)?;
            (self.string(entry) == name.as_bytes()).then(|| u32_at(self.types, at + 4))?
        })
    }

    /// Offset (bits) and type of a member, looking into anonymous structs and unions.
    fn member(&self, id: u32, name: &[u8], depth: u32) -> Option<(u32, u32)> {
        if depth > DEEPEST {
            return None;
        }
        let ty = self.type_of(id)?;
        match ty.kind {
            kind::TYPEDEF | kind::CONST | kind::VOLATILE | kind::TYPE_TAG => {
                return self.member(ty.size_or_type, name, depth + 1);
            }
            kind::STRUCT | kind::UNION => {}
            _ => return None,
        }
        (0..ty.len).map(|index| ty.tail + index * 12).find_map(|at| {
            let (entry, member) = (u32_at(self.types, at)?, u32_at(self.types, at + 4)?);
            let mut offset = u32_at(self.types, at + 8)?;
            if ty.with_bitfields {
                offset &= 0x00ff_ffff;
            }
            if entry == 0 {
                let (inner, member) = self.member(member, name, depth + 1)?;
                return Some((offset.checked_add(inner)?, member));
            }
            (self.string(entry) == name).then_some((offset, member))
        })
    }
}

/// Length of what follows a type's fixed part (bytes).
fn tail_len(ty: Type) -> Result<usize, BtfError> {
    Ok(match ty.kind {
        kind::INT | kind::VAR | kind::DECL_TAG => 4,
        kind::ARRAY => 12,
        kind::STRUCT | kind::UNION | kind::DATASEC | kind::ENUM64 => ty.len * 12,
        kind::ENUM | kind::FUNC_PROTO => ty.len * 8,
        // PTR, FWD, TYPEDEF, VOLATILE, CONST, RESTRICT, FUNC, FLOAT, TYPE_TAG
        2 | 7..=12 | 16 | kind::TYPE_TAG => 0,
        other => return Err(BtfError::UnknownKind(other)),
    })
}

#[cfg(test)]
mod tests;
