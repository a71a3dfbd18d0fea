//! Go's own table of functions and lines, `.gopclntab`: the runtime needs it for panics, so `-ldflags
//! "-s -w"` and strip(1) leave it in. The layout is that of runtime/symtab.go and
//! debug/gosym/pclntab.go for Go 1.16, 1.18 and 1.20 and later; before 1.16 it was another one.

use super::{
    bytes::{Read, Source},
    elf::{Image, Section},
    varint,
};

const MAGIC_1_16: u32 = 0xffff_fffa;
const MAGIC_1_18: u32 = 0xffff_fff0;
const MAGIC_1_20: u32 = 0xffff_fff1;

/// Where the linker puts the table: by itself, or in a position-independent program.
const SECTIONS: [&str; 2] = [".gopclntab", ".data.rel.ro.gopclntab"];
/// What every Go program has, also when a C linker merged the section of the table into another.
const BUILD_INFO: &str = ".go.buildinfo";
/// The linker aligns the table to this much (bytes).
const ALIGN: usize = 32;
/// Most of a file that is searched for the table (bytes).
const MOST_SEARCHED: u64 = 256 * 1024 * 1024;
/// Functions a program may have; Kubernetes' have 100,000.
const MOST_FUNCTIONS: u64 = 8_000_000;
/// Most of one function's line table that is read (bytes).
const LONGEST_TABLE: usize = 64 * 1024;
/// `PCDATA_InlTreeIndex` in internal/abi/symtab.go: -1 in code that is no other function's.
const INLINE_TREE_INDEX: u64 = 2;
/// `R_X86_64_RELATIVE` and `R_AARCH64_RELATIVE` (elf.h).
const RELATIVE: [u64; 2] = [8, 1027];

/// A function of a Go program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GoFunction {
    /// With its package: `main.(*dataplane).findHostMTU`.
    pub name: String,
    /// The line, when the table has it.
    pub line: Option<Line>,
}

/// A line of the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Name of the file, without its directory.
    pub file: String,
    pub number: u64,
    /// It is of a function that the compiler copied into this one. That one's name is found through
    /// the runtime's module data only, which has no fixed layout.
    pub inlined: bool,
}

/// The table of one program.
pub struct Table {
    /// Where it begins in the file.
    base: u64,
    /// Size of an entry of the function table (bytes): the low half is the function's start.
    wide: bool,
    /// Functions say where they begin in the source, since 1.20.
    has_start_line: bool,
    functions: u64,
    /// What the starts count from; 0 before 1.18.
    text: u64,
    names: u64,
    units: u64,
    files: u64,
    pcs: u64,
    index: u64,
}

impl Table {
    /// The table of a program, if it is one of Go.
    pub fn find<S: Source>(image: &Image<S>) -> Option<Self> {
        if let Some(section) = SECTIONS.iter().find_map(|name| image.section(name)) {
            return Self::at(image, section.offset);
        }
        // Without section headers nothing says whether it is Go: the table must say it itself.
        if !image.sections.is_empty() && image.section(BUILD_INFO).is_none() {
            return None;
        }
        let mut left = MOST_SEARCHED;
        image.segments.iter().find_map(|segment| {
            let size = segment.size.min(left);
            left -= size;
            image.source.scan(segment.offset, size, ALIGN, |at, bytes| {
                let magic = u32::from_le_bytes(*bytes.first_chunk()?);
                matches!(magic, MAGIC_1_16 | MAGIC_1_18 | MAGIC_1_20)
                    .then(|| Self::at(image, at))
                    .flatten()
            })
        })
    }

    /// The table that begins at `base` in the file.
    fn at<S: Source>(image: &Image<S>, base: u64) -> Option<Self> {
        let source = &image.source;
        // Magic, two zeros, the least instruction size, the pointer size.
        let head: [u8; 8] = source.array(base)?;
        let magic = u32::from_le_bytes(*head.first_chunk()?);
        if head[4..6] != [0, 0] || !matches!(head[6], 1 | 2 | 4) || head[7] != 8 {
            return None;
        }
        let word = |number: u64| source.u64(base.checked_add(8 + 8 * number)?);
        let place = |number| base.checked_add(word(number)?);
        let (wide, text, first) = match magic {
            MAGIC_1_16 => (true, 0, 2),
            MAGIC_1_18 | MAGIC_1_20 => (false, Self::text(image, base + 24)?, 3),
            _ => return None,
        };
        let table = Self {
            base,
            wide,
            has_start_line: magic == MAGIC_1_20,
            functions: word(0).filter(|count| (1..MOST_FUNCTIONS).contains(count))?,
            text,
            names: place(first)?,
            units: place(first + 1)?,
            files: place(first + 2)?,
            pcs: place(first + 3)?,
            index: place(first + 4)?,
        };
        let (start, end) = (table.start(source, 0)?, table.start(source, table.functions)?);
        (start < end).then_some(table)
    }

    /// What the functions' starts count from. A position-independent program may hold it in a
    /// relocation only, and Go 1.26 keeps it out of the table: there it is where the code begins.
    fn text<S: Source>(image: &Image<S>, field: u64) -> Option<u64> {
        let written = image.source.u64(field)?;
        if written != 0 {
            return Some(written);
        }
        let address = image.address_of(field)?;
        let relocated = image.relocations().find_map(|Section { offset, size, .. }| {
            // r_offset, r_info, r_addend.
            image.source.scan(*offset, *size, 24, |_, row| {
                let word = |at: usize| row.get(at..)?.first_chunk().map(|b| u64::from_le_bytes(*b));
                let ours = word(0)? == address && RELATIVE.contains(&word(8)?);
                ours.then(|| word(16)).flatten()
            })
        });
        relocated.or_else(|| image.section(".text").map(|text| text.address))
    }

    /// The function that an address of the program is in.
    pub fn function_at<S: Source>(&self, source: &S, address: u64) -> Option<GoFunction> {
        if address < self.start(source, 0)? || address >= self.start(source, self.functions)? {
            return None;
        }
        let (mut low, mut high) = (0, self.functions);
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if self.start(source, middle)? <= address { low = middle } else { high = middle }
        }
        // struct _func in runtime/runtime2.go: start, name, args, deferreturn, pcsp, pcfile, pcln,
        // npcdata, cuOffset; the start is a pointer before 1.18.
        let offset = if self.wide {
            source.u64(self.entry(low)?.checked_add(8)?)?
        } else {
            source.u32(self.entry(low)?.checked_add(4)?)?.into()
        };
        let function = self.index.checked_add(offset)?;
        let fields = function.checked_add(if self.wide { 8 } else { 4 })?;
        let name = self.names.checked_add(source.u32(fields)?.into())?;
        let start = self.start(source, low)?;
        let line = self.line(source, fields, address.checked_sub(start)?);
        Some(GoFunction { name: source.text(name)?, line })
    }

    /// The line of an address `into` the function with these `fields` (bytes).
    fn line<S: Source>(&self, source: &S, fields: u64, into: u64) -> Option<Line> {
        let field = |number: u64| source.u32(fields.checked_add(4 * number)?).map(u64::from);
        let quantum = source.array::<1>(self.base.checked_add(6)?)?[0];
        let value = |table: u64| {
            let bytes = source.up_to(self.pcs.checked_add(table)?, LONGEST_TABLE);
            varint::value_at(&bytes, into, quantum.into())
        };
        let (file, number) = (value(field(4)?)?, value(field(5)?)?);
        let unit = u64::try_from(file).ok()?.checked_add(field(7)?)?;
        let name = source.u32(self.units.checked_add(unit.checked_mul(4)?)?)?;
        let path = source.text(self.files.checked_add(name.into())?)?;
        // Behind the fields, of a size that `_func` has in this version, an offset a table of values.
        let tables = if self.has_start_line { 10 } else { 9 };
        let inlined = (field(6)? > INLINE_TREE_INDEX)
            .then(|| field(tables + INLINE_TREE_INDEX))
            .flatten()
            .filter(|table| *table != 0)
            .and_then(value)
            .is_some_and(|index| index >= 0);
        let file = path.rsplit('/').next().unwrap_or(&path).to_owned();
        Some(Line { file, number: u64::try_from(number).ok()?, inlined })
    }

    /// Where an entry of the function table is.
    fn entry(&self, number: u64) -> Option<u64> {
        self.index.checked_add(number * if self.wide { 16 } else { 8 })
    }

    /// Where a function starts; the one behind the last is the end of the code.
    fn start<S: Source>(&self, source: &S, number: u64) -> Option<u64> {
        let entry = self.entry(number)?;
        if self.wide { source.u64(entry) } else { self.text.checked_add(source.u32(entry)?.into()) }
    }
}
