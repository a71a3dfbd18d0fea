//! Go's own table of functions and lines, `.gopclntab`: the runtime needs it for panics, so `-ldflags
//! "-s -w"` and strip(1) leave it in. The layout is that of runtime/symtab.go and
//! debug/gosym/pclntab.go for Go 1.16, 1.18 and 1.20 and later; before 1.16 it was another one.

use super::{
    bytes::{Read, Source},
    elf::Image,
    varint,
};

mod inlined;

use inlined::Inlined;

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
/// Functions copied into each other at one address; more are not looked at.
const MOST_INLINED: usize = 16;

// struct _func in runtime/runtime2.go: after the start, 32-bit fields in this order: name, args,
// deferreturn, pcsp, then
const PCFILE: u64 = 4;
const PCLN: u64 = 5;
const NPCDATA: u64 = 6;
const CU_OFFSET: u64 = 7;

/// A function of a Go program, and where in it an address is.
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
    /// It is of some function that the compiler copied into this one.
    pub inlined: bool,
}

/// The table of one program.
pub struct Table {
    /// Size of an entry of the function table (bytes): the low half is the function's start.
    wide: bool,
    /// Instructions begin at multiples of this (bytes).
    quantum: u64,
    inlined: Inlined,
    functions: u64,
    /// What the starts count from; 0 before 1.18.
    text: u64,
    names: u64,
    units: u64,
    files: u64,
    pcs: u64,
    index: u64,
}

/// The fields of a function, without its start, and how far into it an address is (bytes).
struct Found {
    fields: u64,
    into: u64,
}

/// A field of a function.
fn field<S: Source>(source: &S, fields: u64, number: u64) -> Option<u64> {
    source.u32(fields.checked_add(4 * number)?).map(u64::from)
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
            MAGIC_1_18 | MAGIC_1_20 => (false, Self::text(image, base.checked_add(24)?)?, 3),
            _ => return None,
        };
        let table = Self {
            wide,
            quantum: head[6].into(),
            inlined: Inlined::find(image, base, magic, text),
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

    /// What the functions' starts count from. Go 1.26 keeps it out of the table: there it is where the
    /// code begins.
    fn text<S: Source>(image: &Image<S>, field: u64) -> Option<u64> {
        let written = image.address_of(field).and_then(|address| image.pointer(address));
        let begin = || image.section(".text").map(|text| text.address);
        written.or_else(begin)
    }

    /// The functions that an address of the program is in, innermost first: those that the compiler
    /// copied into each other, and the one that holds them.
    pub fn functions_at<S: Source>(&self, source: &S, address: u64) -> Vec<GoFunction> {
        let Some(found) = self.find_function(source, address) else { return Vec::new() };
        let mut functions = Vec::new();
        let mut into = found.into;
        while functions.len() < MOST_INLINED {
            let line = self.line(source, found.fields, into);
            let index = self.inlined_at(source, found.fields, into);
            let call = index.and_then(|index| self.inlined_call(source, found.fields, index));
            if let Some((name, call_at)) = call {
                functions.push(GoFunction { name, line });
                into = call_at;
                continue;
            }
            let line = line.map(|line| Line { inlined: index.is_some(), ..line });
            let name = source.u32(found.fields).and_then(|name| self.name(source, name));
            functions.extend(name.map(|name| GoFunction { name, line }));
            break;
        }
        functions
    }

    /// The entry of the function that an address is in.
    fn find_function<S: Source>(&self, source: &S, address: u64) -> Option<Found> {
        if address < self.start(source, 0)? || address >= self.start(source, self.functions)? {
            return None;
        }
        let (mut low, mut high) = (0, self.functions);
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if self.start(source, middle)? <= address { low = middle } else { high = middle }
        }
        let into = address.checked_sub(self.start(source, low)?)?;
        let offset = if self.wide {
            source.u64(self.entry(low)?.checked_add(8)?)?
        } else {
            source.u32(self.entry(low)?.checked_add(4)?)?.into()
        };
        let fields = self.index.checked_add(offset)?.checked_add(if self.wide { 8 } else { 4 })?;
        Some(Found { fields, into })
    }

    fn name<S: Source>(&self, source: &S, offset: u32) -> Option<String> {
        source.text(self.names.checked_add(offset.into())?)
    }

    /// The line of an address `into` the function with these `fields` (bytes).
    fn line<S: Source>(&self, source: &S, fields: u64, into: u64) -> Option<Line> {
        let file = self.value(source, field(source, fields, PCFILE)?, into)?;
        let number = self.value(source, field(source, fields, PCLN)?, into)?;
        let unit = u64::try_from(file).ok()?.checked_add(field(source, fields, CU_OFFSET)?)?;
        let name = source.u32(self.units.checked_add(unit.checked_mul(4)?)?)?;
        let path = source.text(self.files.checked_add(name.into())?)?;
        let file = path.rsplit('/').next().unwrap_or(&path).to_owned();
        Some(Line { file, number: u64::try_from(number).ok()?, inlined: false })
    }

    /// What one of the tables of values says `into` a function.
    fn value<S: Source>(&self, source: &S, table: u64, into: u64) -> Option<i64> {
        let bytes = source.up_to(self.pcs.checked_add(table)?, LONGEST_TABLE);
        varint::value_at(&bytes, into, self.quantum)
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

#[cfg(test)]
mod tests;
