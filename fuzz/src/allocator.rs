//! An allocator that takes a large request for a length that was believed before it was checked.

use std::alloc::{GlobalAlloc, Layout, System};

/// Most that one request may ask for (bytes). Inputs are some thousand; tables of fixed size that the
/// pipeline makes are smaller than this.
const MOST: usize = 64 << 20;

struct Strict;

fn check(bytes: usize) {
    if bytes > MOST {
        eprintln!("a request for {bytes} bytes of memory");
        std::process::abort();
    }
}

// SAFETY: every call is passed on unchanged to the system's allocator, which keeps the contract.
unsafe impl GlobalAlloc for Strict {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        check(layout.size());
        // SAFETY: the caller's layout, as it came.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        check(layout.size());
        // SAFETY: the caller's layout, as it came.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller's memory and layout, as they came.
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        check(size);
        // SAFETY: the caller's memory, layout and size, as they came.
        unsafe { System.realloc(memory, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Strict = Strict;
