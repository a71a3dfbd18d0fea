//! Functions that Go's compiler copied into others: a small function hardly ever has code of its own.
//! Their names are in trees that the runtime finds through its module data (runtime/symtab.go,
//! runtime/symtabinl.go).

use super::{MAGIC_1_18, MAGIC_1_20, NPCDATA, Table, field};
use crate::symbols::{
    bytes::{Read, Source},
    elf::Image,
};

/// `PCDATA_InlTreeIndex` and `FUNCDATA_InlTree` in internal/abi/symtab.go.
const TREE_INDEX: u64 = 2;
const TREE: u64 = 3;
/// `moduledata.text`, in words.
const TEXT: u64 = 22;
/// A word of data, and most of a program's data that is searched (bytes).
const WORD: usize = 8;
const MOST_SEARCHED: u64 = 64 * 1024 * 1024;

/// How this version of Go keeps the trees.
#[derive(Clone, Copy)]
pub struct Inlined {
    /// What the functions' trees count from in the file; `None` when it was not found.
    trees: Option<u64>,
    /// Fields of a function before its tables.
    fields: u64,
    /// Size of a node, and where in it are the name and the place of the call (bytes).
    node: u64,
    name: u64,
    call: u64,
}

impl Inlined {
    /// Looks for the module data, which begins with the address of the table at `base`.
    pub fn find<S: Source>(image: &Image<S>, base: u64, magic: u32, text: u64) -> Self {
        let (go_func, fields, node, name, call) = match magic {
            MAGIC_1_20 => (Some(40), 10, 16, 4, 8),
            MAGIC_1_18 => (Some(38), 9, 20, 12, 16),
            // Before, the trees were named by their addresses.
            _ => (None, 9, 20, 12, 16),
        };
        let trees = go_func.and_then(|word| trees(image, image.address_of(base)?, word, text));
        Self { trees, fields, node, name, call }
    }
}

/// Where in the file `moduledata.gofunc`, the word `go_func` of it, points to.
fn trees<S: Source>(image: &Image<S>, table: u64, go_func: u64, text: u64) -> Option<u64> {
    let of_module = |module: u64| {
        let word = |number: u64| image.pointer(module.checked_add(8 * number)?);
        // types, etypes, rodata and gofunc stand in this order, in the module and in the program.
        let ordered =
            word(go_func - 3)? <= word(go_func - 2)? && word(go_func - 1)? <= word(go_func)?;
        (word(TEXT)? == text && ordered).then(|| image.offset_of(word(go_func)?)).flatten()
    };
    let written = image.segments.iter().find_map(|segment| {
        let size = segment.size.min(MOST_SEARCHED);
        image.source.scan(segment.offset, size, WORD, |at, bytes| {
            let points = u64::from_le_bytes(*bytes.first_chunk()?) == table;
            points.then(|| of_module(image.address_of(at)?)).flatten()
        })
    });
    written.or_else(|| image.relocation(|at, to| (to == table).then(|| of_module(at)).flatten()))
}

impl Table {
    /// Which node of its function's tree an address is in; `None` in code of the function itself.
    pub(super) fn inlined_at<S: Source>(&self, source: &S, fields: u64, into: u64) -> Option<u64> {
        if field(source, fields, NPCDATA)? <= TREE_INDEX {
            return None;
        }
        let table = field(source, fields, self.inlined.fields + TREE_INDEX)?;
        let index = (table != 0).then(|| self.value(source, table, into)).flatten()?;
        u64::try_from(index).ok()
    }

    /// The function of a node, and how far into the outer function it was called (bytes).
    pub(super) fn inlined_call<S: Source>(
        &self,
        source: &S,
        fields: u64,
        index: u64,
    ) -> Option<(String, u64)> {
        let Inlined { trees, fields: count, node, name, call } = self.inlined;
        let tables = count + field(source, fields, NPCDATA)?;
        // The last byte of the fields is how many more tables follow.
        let more = source.array::<1>(fields.checked_add(4 * count - 1)?)?[0];
        let tree =
            field(source, fields, tables + TREE).filter(|tree| *tree != u64::from(u32::MAX))?;
        let node = (u64::from(more) > TREE)
            .then(|| trees?.checked_add(tree)?.checked_add(index.checked_mul(node)?))
            .flatten()?;
        let name = self.name(source, source.u32(node.checked_add(name)?)?)?;
        Some((name, source.u32(node.checked_add(call)?)?.into()))
    }
}
