//! An executable or library: where its code is, and the names its symbol tables give to it (elf(5)).

use object::{
    LittleEndian,
    elf::{
        ELFCLASS64, ELFDATA2LSB, ELFMAG, FileHeader64, NT_GNU_BUILD_ID, PT_LOAD, PT_NOTE,
        ProgramHeader64, Rela64, SHT_DYNSYM, SHT_NOBITS, SHT_RELA, SHT_SYMTAB, STT_FUNC,
        STT_GNU_IFUNC, SectionHeader64, Sym64,
    },
    pod::{Pod, from_bytes},
};

use super::bytes::{Read, Source};

type Header = FileHeader64<LittleEndian>;

/// Segments and sections that are looked at; real files have some dozens.
const MOST_SEGMENTS: u16 = 128;
const MOST_SECTIONS: u16 = 1_024;
/// Most of a symbol table that is read (bytes): 2.7 million symbols.
const MOST_SYMBOLS: u64 = 64 * 1024 * 1024;
/// `R_X86_64_RELATIVE` and `R_AARCH64_RELATIVE` (elf.h).
const RELATIVE: [u64; 2] = [8, 1027];
/// Most of a note segment that is read (bytes).
const MOST_NOTES: u64 = 4_096;

/// A piece of the file that is loaded at an address.
#[derive(Clone, Copy, Debug)]
pub struct Segment {
    pub offset: u64,
    pub address: u64,
    pub size: u64,
}

/// A section with bytes in the file.
#[derive(Clone, Debug)]
pub struct Section {
    pub name: String,
    pub offset: u64,
    pub address: u64,
    pub size: u64,
    kind: u32,
    link: usize,
}

/// A 64-bit little-endian ELF file.
pub struct Image<S> {
    pub source: S,
    pub segments: Vec<Segment>,
    pub sections: Vec<Section>,
    /// The build id in hexadecimal.
    pub build_id: Option<String>,
}

/// A function and how far into it an address is (bytes).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    pub name: String,
    pub offset: u64,
}

impl<S: Source> Image<S> {
    /// Reads the headers; `None` for any other kind of file.
    pub fn open(source: S) -> Option<Self> {
        let header: Header = pod(&source, 0)?;
        let ident = header.e_ident;
        if ident.magic != ELFMAG || ident.class != ELFCLASS64 || ident.data != ELFDATA2LSB {
            return None;
        }
        let e = LittleEndian;
        let (mut segments, mut build_id) = (Vec::new(), None);
        for number in 0..header.e_phnum.get(e).min(MOST_SEGMENTS) {
            let at = row::<ProgramHeader64<LittleEndian>>(header.e_phoff.get(e), number.into());
            let Some(segment) = pod::<ProgramHeader64<LittleEndian>>(&source, at) else { break };
            let (offset, size) = (segment.p_offset.get(e), segment.p_filesz.get(e));
            match segment.p_type.get(e) {
                PT_LOAD => segments.push(Segment { offset, address: segment.p_vaddr.get(e), size }),
                PT_NOTE if build_id.is_none() => {
                    let most = usize::try_from(size.min(MOST_NOTES)).unwrap_or(0);
                    build_id = build_id_in(&source.up_to(offset, most));
                }
                _ => {}
            }
        }
        let sections = sections(&source, &header);
        Some(Self { source, segments, sections, build_id })
    }

    /// The address the file gives to what is at `offset` in it.
    pub fn address_of(&self, offset: u64) -> Option<u64> {
        let inside = |s: &&Segment| offset.checked_sub(s.offset).is_some_and(|at| at < s.size);
        let segment = self.segments.iter().find(inside)?;
        Some((offset - segment.offset).wrapping_add(segment.address))
    }

    /// The section of this name.
    pub fn section(&self, name: &str) -> Option<&Section> {
        self.sections.iter().find(|section| section.name == name)
    }

    /// Where in the file an address is.
    pub fn offset_of(&self, address: u64) -> Option<u64> {
        let inside = |s: &&Segment| address.checked_sub(s.address).is_some_and(|at| at < s.size);
        let segment = self.segments.iter().find(inside)?;
        Some((address - segment.address).wrapping_add(segment.offset))
    }

    /// The pointer at an address; a position-independent file may hold it in a relocation only.
    pub fn pointer(&self, address: u64) -> Option<u64> {
        let written = self.source.u64(self.offset_of(address)?)?;
        if written != 0 {
            return Some(written);
        }
        self.relocation(|at, to| (at == address).then_some(to))
    }

    /// Looks through the relocations that make a pointer, each with its address and what it points
    /// to, until `look` finds what it wants.
    pub fn relocation<T>(&self, mut look: impl FnMut(u64, u64) -> Option<T>) -> Option<T> {
        let mut tables = self.sections.iter().filter(|section| section.kind == SHT_RELA);
        tables.find_map(|table| {
            let row = size_of::<Rela64<LittleEndian>>();
            self.source.scan(table.offset, table.size.min(MOST_SYMBOLS), row, |_, bytes| {
                let (rela, _) = from_bytes::<Rela64<LittleEndian>>(bytes).ok()?;
                let kind = rela.r_info.get(LittleEndian);
                let to = rela.r_addend.get(LittleEndian).cast_unsigned();
                RELATIVE
                    .contains(&kind)
                    .then(|| look(rela.r_offset.get(LittleEndian), to))
                    .flatten()
            })
        })
    }

    /// The function an address is in, by the full symbol table or else the exported symbols. An
    /// address outside of every known function has no name: the nearest one would be a guess.
    pub fn function_at(&self, address: u64) -> Option<Function> {
        [SHT_SYMTAB, SHT_DYNSYM].into_iter().find_map(|kind| {
            let table = self.sections.iter().find(|section| section.kind == kind)?;
            let names = self.sections.get(table.link)?;
            let size = table.size.min(MOST_SYMBOLS);
            let row = size_of::<Sym64<LittleEndian>>();
            self.source.scan(table.offset, size, row, |_, bytes| {
                let (symbol, _) = from_bytes::<Sym64<LittleEndian>>(bytes).ok()?;
                let offset = address.checked_sub(symbol.st_value.get(LittleEndian))?;
                let function = matches!(symbol.st_type(), STT_FUNC | STT_GNU_IFUNC);
                if !function || offset >= symbol.st_size.get(LittleEndian) {
                    return None;
                }
                let at = names.offset.checked_add(symbol.st_name.get(LittleEndian).into())?;
                Some(Function { name: self.source.text(at)?, offset })
            })
        })
    }
}

fn sections<S: Source>(source: &S, header: &Header) -> Vec<Section> {
    let e = LittleEndian;
    let read = |number: u16| {
        let at = row::<SectionHeader64<LittleEndian>>(header.e_shoff.get(e), number.into());
        pod::<SectionHeader64<LittleEndian>>(source, at)
    };
    let count = header.e_shnum.get(e).min(MOST_SECTIONS);
    let Some(names) = (count > 0).then(|| read(header.e_shstrndx.get(e))).flatten() else {
        return Vec::new();
    };
    // Every row has its place, as links between sections are by number.
    (0..count)
        .map_while(read)
        .map(|section| {
            let name = names.sh_offset.get(e).saturating_add(section.sh_name.get(e).into());
            let kind = section.sh_type.get(e);
            Section {
                name: source.text(name).unwrap_or_default(),
                offset: section.sh_offset.get(e),
                address: section.sh_addr.get(e),
                size: if kind == SHT_NOBITS { 0 } else { section.sh_size.get(e) },
                kind,
                link: usize::try_from(section.sh_link.get(e)).unwrap_or(usize::MAX),
            }
        })
        .collect()
}

fn row<T>(table: u64, number: u64) -> u64 {
    table.saturating_add(number * size_of::<T>() as u64)
}

fn pod<T: Pod>(source: &impl Source, offset: u64) -> Option<T> {
    let bytes = source.up_to(offset, size_of::<T>());
    from_bytes::<T>(&bytes).ok().map(|(value, _)| *value)
}

/// The build id in a note segment: size of the name, size of the content, type, name, content, each
/// padded to 4 bytes.
fn build_id_in(notes: &[u8]) -> Option<String> {
    let word = |at: usize| {
        let bytes = notes.get(at..)?.first_chunk()?;
        usize::try_from(u32::from_le_bytes(*bytes)).ok()
    };
    let mut at = 0_usize;
    loop {
        let (name, content, kind) = (word(at)?, word(at + 4)?, word(at + 8)?);
        let begins = at.checked_add(12)?.checked_add(name.checked_next_multiple_of(4)?)?;
        let ends = begins.checked_add(content)?;
        if kind == NT_GNU_BUILD_ID as usize && notes.get(at + 12..at + 16)? == b"GNU\0" {
            let id = notes.get(begins..ends)?;
            return Some(id.iter().map(|byte| format!("{byte:02x}")).collect());
        }
        at = ends.checked_next_multiple_of(4)?;
    }
}
