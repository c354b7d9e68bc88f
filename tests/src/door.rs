//! System calls by number, through either of the kernel's doors: `syscall` of x86-64 or `int 0x80`
//! of i386, and with registers that hold more than the kernel looks at.

use std::{arch::asm, ffi::CString, io, num::NonZeroUsize};

use nix::{
    errno::Errno,
    libc,
    sys::mman::{MapFlags, ProtFlags, mmap_anonymous},
};

/// Which numbers and registers are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    Native,
    /// x86-64 with a number whose upper half is not zero.
    Wide,
    Compat,
}

/// A door, and memory that both can point into: below 4 GiB.
pub struct Caller {
    door: Door,
    next: usize,
    end: usize,
}

/// A number of either ABI.
#[derive(Clone, Copy, Debug)]
pub struct Number {
    pub native: i64,
    pub compat: u32,
}

impl Caller {
    /// # Errors
    /// When there is no memory.
    pub fn new(door: Door) -> io::Result<Self> {
        const BYTES: usize = 1 << 16;
        let length = NonZeroUsize::new(BYTES).ok_or(io::ErrorKind::InvalidInput)?;
        let flags = MapFlags::MAP_PRIVATE | MapFlags::MAP_32BIT;
        // SAFETY: a new mapping at no particular place; it stays for the life of the process.
        let memory =
            unsafe { mmap_anonymous(None, length, ProtFlags::PROT_READ | ProtFlags::PROT_WRITE, flags) }?;
        let next = memory.as_ptr() as usize;
        Ok(Self { door, next, end: next + BYTES })
    }

    /// Whether the i386 ABI holds.
    #[must_use]
    pub fn is_narrow(&self) -> bool {
        self.door == Door::Compat
    }

    /// Puts bytes into memory that the call can read and write; their address.
    ///
    /// # Errors
    /// When the room is used up.
    pub fn put(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let address = self.next;
        self.next += bytes.len().next_multiple_of(8);
        if self.next > self.end {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        // SAFETY: within the mapping, and nobody else has this part of it.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), address as *mut u8, bytes.len()) };
        Ok(address)
    }

    /// A string with its end.
    ///
    /// # Errors
    /// As [`Self::put`].
    pub fn text(&mut self, text: &str) -> io::Result<usize> {
        self.put(CString::new(text)?.as_bytes_with_nul())
    }

    /// Words as wide as the ABI's pointers.
    ///
    /// # Errors
    /// As [`Self::put`].
    pub fn words(&mut self, words: &[usize]) -> io::Result<usize> {
        let narrow = self.is_narrow();
        let bytes: Vec<u8> = words
            .iter()
            .flat_map(|word| word.to_ne_bytes().into_iter().take(if narrow { 4 } else { 8 }))
            .collect();
        self.put(&bytes)
    }

    /// Makes the call.
    ///
    /// # Errors
    /// Its errno.
    pub fn call(&self, number: Number, arguments: &[usize]) -> Result<usize, Errno> {
        let mut all = [0; 6];
        all[..arguments.len()].copy_from_slice(arguments);
        match self.door {
            Door::Native => native(number.native, all),
            Door::Wide => native(number.native | 0x5eed << 32, all),
            Door::Compat => compat(number.compat, all),
        }
    }
}

fn native(number: i64, arguments: [usize; 6]) -> Result<usize, Errno> {
    let [a, b, c, d, e, f] = arguments;
    // SAFETY: callers pass addresses of memory that lives as long as the process, of the size that
    // the call expects.
    let result = unsafe { libc::syscall(number, a, b, c, d, e, f) };
    if result < 0 { Err(Errno::last()) } else { Ok(result as usize) }
}

fn compat(number: u32, arguments: [usize; 6]) -> Result<usize, Errno> {
    let mut block = [number; 7];
    for (word, argument) in block[1..].iter_mut().zip(arguments) {
        // A negative descriptor is cut to 32 bits too.
        *word = argument as u32;
    }
    let result: i64;
    // SAFETY: as for `native`. The compiler keeps rbx and rbp for itself, so they are saved by
    // hand; the kernel leaves r8 to r11 undefined.
    unsafe {
        asm!(
            "push rbx", "push rbp",
            "mov eax, [r12]", "mov ebx, [r12 + 4]", "mov ecx, [r12 + 8]", "mov edx, [r12 + 12]",
            "mov esi, [r12 + 16]", "mov edi, [r12 + 20]", "mov ebp, [r12 + 24]",
            "int 0x80",
            "pop rbp", "pop rbx",
            in("r12") block.as_ptr(),
            out("rax") result, out("rcx") _, out("rdx") _, out("rsi") _, out("rdi") _,
            out("r8") _, out("r9") _, out("r10") _, out("r11") _,
        );
    }
    if (-4095..0).contains(&result) { Err(Errno::from_raw(-result as i32)) } else { Ok(result as usize) }
}
