//! The heap of a process that lives for a few milliseconds: handed out from one end of a stretch of zeroed memory, so that
//! few pages are touched and no system call is made. What does not fit any more, and what is large, is the C library's.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::UnsafeCell;
use std::hint::spin_loop;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, Ordering};

/// Far more than a usual container takes.
const ROOM: usize = 512 << 10;
/// What is larger goes to the C library, which gives it back to the kernel. Large enough for a message between parent and
/// init: the first block of the C library costs some calls and page faults.
const LARGEST: usize = 64 << 10;
/// Blocks are of 16 bytes, 32 bytes, 64 bytes and so on up to [`LARGEST`]; a freed one waits for the next of its size.
const SMALLEST: usize = 16;
const SIZES: usize = (LARGEST / SMALLEST).trailing_zeros() as usize + 1;

/// The heap.
pub struct Heap {
    memory: UnsafeCell<Memory>,
    taken: AtomicBool,
    books: UnsafeCell<Books>,
}

#[repr(C, align(4096))]
struct Memory([u8; ROOM]);

/// What is handed out of the memory. Apart from it, for nobody may hold a reference to all of the memory: its blocks are
/// others'.
struct Books {
    used: usize,
    free: [*mut u8; SIZES],
}

/// What a block holds when it is handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Content {
    /// It is handed out for the first time: its pages need not be touched to be zero.
    Zeroes,
    /// What somebody left.
    Remains,
}

// SAFETY: `books` is only reached by whoever has set `taken`, and a block of `memory` only by whom it was handed out to.
unsafe impl Sync for Heap {}

impl Heap {
    /// An empty one.
    #[allow(clippy::new_without_default, reason = "a heap is a static, and Default is not const")]
    pub const fn new() -> Heap {
        Heap {
            memory: UnsafeCell::new(Memory([0; ROOM])),
            taken: AtomicBool::new(false),
            books: UnsafeCell::new(Books { used: 0, free: [null_mut(); SIZES] }),
        }
    }

    fn alone<T>(&self, act: impl FnOnce(&mut Books) -> T) -> T {
        while self.taken.swap(true, Ordering::Acquire) {
            spin_loop();
        }
        // SAFETY: nobody else has set `taken`, and `act` can't keep the reference.
        let result = act(unsafe { &mut *self.books.get() });
        self.taken.store(false, Ordering::Release);
        result
    }

    /// A block for `layout`, and what is in it; none where there is no room any more.
    fn hand_out(&self, layout: Layout) -> Option<(*mut u8, Content)> {
        let index = index(layout);
        self.alone(|books| {
            let first = books.free[index];
            if !first.is_null() {
                // SAFETY: a free block begins with the next one of its list.
                books.free[index] = unsafe { first.cast::<*mut u8>().read() };
                return Some((first, Content::Remains));
            }
            let size = SMALLEST << index;
            let start = books.used.next_multiple_of(size.min(64));
            if start + size > ROOM {
                return None;
            }
            books.used = start + size;
            // SAFETY: `start` lies in the memory, with room for `size` behind it.
            Some((unsafe { self.start().add(start) }, Content::Zeroes))
        })
    }

    fn start(&self) -> *mut u8 {
        self.memory.get().cast()
    }

    fn owns(&self, block: *mut u8) -> bool {
        let start = self.start().addr();
        (start..start + ROOM).contains(&block.addr())
    }
}

/// Whether we hand such a block out, while there is room.
fn is_ours_to_give(layout: Layout) -> bool {
    layout.size() <= LARGEST && layout.align() <= 64
}

fn index(layout: Layout) -> usize {
    let size = layout.size().max(layout.align()).max(SMALLEST).next_power_of_two();
    (size / SMALLEST).trailing_zeros() as usize
}

// SAFETY: a block lies in `memory`, is as large and aligned as its size class, and is in one place only: handed out, or on
// the list of free ones.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if !is_ours_to_give(layout) {
            // SAFETY: the caller's promises are those the system's heap wants.
            return unsafe { System.alloc(layout) };
        }
        match self.hand_out(layout) {
            Some((block, _)) => block,
            // SAFETY: as above.
            None => unsafe { System.alloc(layout) },
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if !is_ours_to_give(layout) {
            // SAFETY: as above.
            return unsafe { System.alloc_zeroed(layout) };
        }
        match self.hand_out(layout) {
            Some((block, Content::Zeroes)) => block,
            Some((block, Content::Remains)) => {
                // SAFETY: the block is this long, and nobody else's.
                unsafe { block.write_bytes(0, layout.size()) };
                block
            }
            // SAFETY: as above.
            None => unsafe { System.alloc_zeroed(layout) },
        }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if !self.owns(block) {
            // SAFETY: what is not ours came from there, with this layout.
            return unsafe { System.dealloc(block, layout) };
        }
        self.alone(|books| {
            let index = index(layout);
            // SAFETY: nobody uses the block any more, and it has room for a pointer and is aligned for one.
            unsafe { block.cast::<*mut u8>().write(books.free[index]) };
            books.free[index] = block;
        });
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if !self.owns(block) {
            // SAFETY: as above.
            return unsafe { System.realloc(block, layout, size) };
        }
        // SAFETY: the caller promises that `size` is one a layout can have.
        let wanted = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        if is_ours_to_give(wanted) && index(wanted) == index(layout) {
            return block;
        }
        // SAFETY: the caller's promises.
        let new = unsafe { self.alloc(wanted) };
        if !new.is_null() {
            // SAFETY: two different blocks, each at least this long.
            unsafe { block.copy_to_nonoverlapping(new, layout.size().min(size)) };
            // SAFETY: the caller gives the old one up.
            unsafe { self.dealloc(block, layout) };
        }
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static HEAP: Heap = Heap::new();

    fn layout(size: usize) -> Layout {
        Layout::from_size_align(size, 8).expect("a layout")
    }

    /// A block full of `byte`.
    fn taken(size: usize, byte: u8) -> *mut u8 {
        // SAFETY: the size is not zero.
        let block = unsafe { HEAP.alloc(layout(size)) };
        assert!(!block.is_null() && block.addr().is_multiple_of(8));
        // SAFETY: the block is this long.
        unsafe { block.write_bytes(byte, size) };
        block
    }

    fn content(block: *mut u8, size: usize) -> Vec<u8> {
        // SAFETY: the tests keep their blocks, of this size, until they give them back.
        unsafe { std::slice::from_raw_parts(block, size) }.to_vec()
    }

    #[test]
    fn blocks_keep_apart_grow_and_come_back() {
        // Far more than there is room for: the rest is the C library's.
        let sizes: Vec<usize> = (0..2000).map(|number| 1 + number * 37 % 3000).collect();
        let byte = |number: usize| u8::try_from(number % 251).expect("a byte");
        let mut blocks: Vec<_> =
            (0..).zip(&sizes).map(|(at, size)| taken(*size, byte(at))).collect();
        for (number, (block, size)) in blocks.iter_mut().zip(&sizes).enumerate() {
            // SAFETY: the block is one of ours, of this layout.
            *block = unsafe { HEAP.realloc(*block, layout(*size), size * 2) };
            assert_eq!(content(*block, *size), vec![byte(number); *size], "{size} bytes");
        }
        for (block, size) in blocks.into_iter().zip(&sizes) {
            // SAFETY: as above, and nobody uses it any more.
            unsafe { HEAP.dealloc(block, layout(size * 2)) };
        }
        // SAFETY: the size is not zero.
        let zeroed = unsafe { HEAP.alloc_zeroed(layout(100)) };
        assert_eq!(content(zeroed, 100), vec![0; 100], "what was used before");
    }

    #[test]
    fn a_block_is_zero_the_first_time_and_when_it_was_used() {
        static HEAP: Heap = Heap::new();
        let layout = layout(50_000);
        for turn in ["never used", "used before", "used twice"] {
            // SAFETY: the size is not zero.
            let block = unsafe { HEAP.alloc_zeroed(layout) };
            assert!(HEAP.owns(block), "there is room for one");
            assert_eq!(content(block, 50_000), vec![0; 50_000], "{turn}");
            // SAFETY: the block is this long.
            unsafe { block.write_bytes(7, 50_000) };
            // SAFETY: nobody uses it any more.
            unsafe { HEAP.dealloc(block, layout) };
        }
    }
}
