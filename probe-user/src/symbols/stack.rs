//! From the addresses of a stack to the frames that tell a reader something.

use std::io;

use super::{
    Outcome, Trace,
    bytes::{Budget, Read},
    elf::Image,
    go::{GoFunction, Line, Table},
    maps::{self, Mapping},
};

/// Frames of one stack that are looked at, and that are shown.
const MOST_FRAMES: usize = 32;
const MOST_SHOWN: usize = 8;
/// Longest name that is shown (characters); generic Rust can fill a page.
const LONGEST: usize = 160;
/// Longest call instruction on x86-64 (bytes): opcode, operand, displacement, prefix.
const LONGEST_CALL: u64 = 7;

/// Ways into the kernel: where a socket is made by everybody, so they say nothing.
const WRAPPERS: [&str; 9] = [
    "syscall.",
    "internal/runtime/syscall.",
    "runtime/internal/syscall.",
    "internal/syscall/unix.",
    "golang.org/x/sys/unix.",
    "socket+",
    "__socket+",
    "syscall+",
    "rustix::",
];
/// C libraries, by the beginning of the file's name.
const C_LIBRARIES: [&str; 3] = ["libc.so", "libc-", "ld-musl"];
/// Functions that nobody calls: a stack that ends in one is whole.
const OUTERMOST: [&str; 5] = ["main+", "_start+", "__libc_start", "clone3+", "start_thread+"];

/// A mapped file, opened once a stack.
struct Opened<'a> {
    mapping: &'a Mapping,
    image: Option<Image<Budget>>,
    go: Option<Table>,
}

/// One frame.
struct Frame {
    text: String,
    go: bool,
    outermost: bool,
    wrapper: bool,
}

/// Names the frames of a stack of a process that still lives. `caller` is the word that was on top of
/// the stack, or 0.
pub fn trace(pid: u32, addresses: &[u64], caller: u64, count: impl Fn(Outcome)) -> Trace {
    let mappings = match maps::of_process(pid) {
        Ok(mappings) => mappings,
        Err(error) => {
            count(Outcome::Unreadable);
            return Trace::unreadable(match error.kind() {
                io::ErrorKind::NotFound => "the process was gone before its stack was looked up",
                _ => "the process's memory map may not be read",
            });
        }
    };
    let mut walk = Walk { pid, mappings: &mappings, opened: Vec::new() };
    let mut frames: Vec<Frame> = Vec::new();
    let mut broken = false;
    for (address, place) in with_caller(addresses, caller).take(MOST_FRAMES) {
        match walk.frames(address, place) {
            Some((found, outcome)) => {
                count(outcome);
                frames.extend(found);
            }
            None if place == Place::Guess => {}
            None => {
                broken = !frames.last().is_some_and(|frame| frame.go);
                break;
            }
        }
    }
    let whole = frames.last().is_some_and(|frame| frame.go || frame.outermost)
        || addresses.len() >= MOST_FRAMES;
    let short = broken || !whole;
    let first = frames.iter().position(|frame| !frame.wrapper).unwrap_or(0);
    let last =
        frames.iter().rposition(|frame| !frame.wrapper).map_or(frames.len(), |last| last + 1);
    let shown = frames.into_iter().take(last).skip(first).take(MOST_SHOWN);
    let frames = shown.map(|frame| frame.text);
    Trace {
        frames: frames.collect(),
        unreadable: short.then(|| "the stack is cut short: built without frame pointers".into()),
    }
}

/// What an address of a stack is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Where the process left user space.
    Entry,
    /// The word on top of the stack, which may be a return address.
    Guess,
    /// What a frame pointer led to, which should be one.
    Return,
}

/// The addresses, innermost first, with the caller where the walk by frame pointers steps over it.
fn with_caller(addresses: &[u64], caller: u64) -> impl Iterator<Item = (u64, Place)> {
    let known = caller == 0 || addresses.get(1) == Some(&caller);
    let guess = (!known).then_some((caller, Place::Guess));
    let (first, rest) = addresses.split_at(addresses.len().min(1));
    let entry = first.iter().map(|address| (*address, Place::Entry));
    let rest = rest.iter().map(|address| (*address, Place::Return));
    entry.chain(guess).chain(rest).filter(|(address, _)| *address != 0)
}

struct Walk<'a> {
    pid: u32,
    mappings: &'a [Mapping],
    opened: Vec<Opened<'a>>,
}

impl<'a> Walk<'a> {
    /// The frames an address is in, innermost first; `None` when it is in no code, or no call stands
    /// before it.
    fn frames(&mut self, address: u64, place: Place) -> Option<(Vec<Frame>, Outcome)> {
        // A return address is behind its call: the call is what the reader looks for.
        let returned = place != Place::Entry;
        let address = address - u64::from(returned);
        let inside = |mapping: &&Mapping| (mapping.start..mapping.end).contains(&address);
        let mapping = self.mappings.iter().find(inside)?;
        let file = match mapping.name() {
            "" => "generated code",
            name => name,
        };
        let into = (address - mapping.start).wrapping_add(mapping.offset);
        let opened = self.open(mapping);
        let Some(image) = &opened.image else {
            let text = format!("{file}+{into:#x} (unreadable)");
            return Some((vec![Frame::plain(text)], Outcome::Unreadable));
        };
        let Some(at) = image.address_of(into) else {
            let text = format!("{file}+{into:#x}");
            return Some((vec![Frame::plain(text)], Outcome::Unnamed));
        };
        let after_call = !returned || is_after_call(&image.source, into.saturating_add(1));
        let go = opened.go.as_ref().map(|table| table.functions_at(&image.source, at));
        if let Some(functions) = go.filter(|functions| !functions.is_empty()) {
            // Go writes return addresses of its own making at the outer end of its stacks.
            let real = after_call || place == Place::Return;
            let frames = functions.into_iter().map(Frame::of_go).collect();
            return real.then_some((frames, Outcome::Named));
        }
        let (text, outcome) = match image.function_at(at) {
            Some(function) => {
                let name = format!("{:#}", rustc_demangle::demangle(&function.name));
                let text = format!("{}+{:#x} ({file})", shorten(&name), function.offset);
                (text, Outcome::Named)
            }
            None if image.source.is_cut_short() => {
                (format!("{file}+{at:#x} (unreadable)"), Outcome::Unreadable)
            }
            None => {
                let id = image.build_id.as_ref().map(|id| format!(", build id {id}"));
                (format!("{file}+{at:#x} (no symbol{})", id.unwrap_or_default()), Outcome::Unnamed)
            }
        };
        let in_library = C_LIBRARIES.iter().any(|library| file.starts_with(library));
        let frame = Frame::plain(text);
        let outermost = frame.outermost || (in_library && returned);
        let frame = Frame { outermost, wrapper: frame.wrapper || in_library, ..frame };
        after_call.then(|| (vec![frame], outcome))
    }

    fn open(&mut self, mapping: &'a Mapping) -> &Opened<'a> {
        let same = |opened: &Opened<'_>| opened.mapping == mapping;
        let place = self.opened.iter().position(same).unwrap_or_else(|| {
            let image = mapping.open(self.pid).ok().map(Budget::new).and_then(Image::open);
            let go = image.as_ref().and_then(Table::find);
            self.opened.push(Opened { mapping, image, go });
            self.opened.len() - 1
        });
        &self.opened[place]
    }
}

impl Frame {
    fn of_go(function: GoFunction) -> Self {
        let name = shorten(&function.name);
        let text = match function.line {
            Some(Line { file, number, inlined: false }) => format!("{name} ({file}:{number})"),
            Some(Line { file, number, .. }) => format!("{name} (inlined {file}:{number})"),
            None => name,
        };
        Self { go: true, ..Self::plain(text) }
    }

    fn plain(text: String) -> Self {
        let begins = |names: &[&str]| names.iter().any(|name| text.starts_with(name));
        let (outermost, wrapper) = (begins(&OUTERMOST), begins(&WRAPPERS));
        Self { text, go: false, outermost, wrapper }
    }
}

fn shorten(name: &str) -> String {
    match name.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &name[..end]),
        None => name.to_owned(),
    }
}

/// Whether a call ends at this offset of the file: `e8 rel32`, or `ff /2` with any operand. What a
/// frame pointer names that was none is hardly ever behind one.
#[cfg(target_arch = "x86_64")]
fn is_after_call(source: &impl Read, offset: u64) -> bool {
    let Some(from) = offset.checked_sub(LONGEST_CALL) else { return false };
    let Some(code) = source.array::<{ LONGEST_CALL as usize }>(from) else { return false };
    let indirect = |length: usize| {
        let call = &code[code.len() - length..];
        call[0] == 0xff && call[1] & 0x38 == 0x10
    };
    code[2] == 0xe8 || [2, 3, 4, 6, 7].into_iter().any(indirect)
}

/// Instructions of other machines are not known here.
#[cfg(not(target_arch = "x86_64"))]
fn is_after_call(_: &impl Read, _: u64) -> bool {
    true
}

#[cfg(test)]
mod tests;
