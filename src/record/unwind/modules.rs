//! The modules (executable, libraries, vDSO) that are loaded now, as the dynamic linker lists them.
//!
//! For the collector's thread only: the list is taken under the dynamic linker's lock. While that is held nothing is
//! allocated, so an allocator that loads code or unwinds cannot lock the two in the other order.

use std::ffi::{CStr, OsStr, c_int, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use crate::record::stack::Module;

/// A module and where it says how to unwind it.
#[derive(Clone, Debug)]
pub(super) struct Loaded {
    pub(super) module: Module,
    /// The memory that begins with `.eh_frame_hdr` and ends with the segment it is in; empty without one.
    pub(super) unwind: (usize, usize),
}

/// The list, and the dynamic linker's counters that tell whether it is still the same.
#[derive(Debug, Default)]
pub(super) struct Listing {
    pub(super) modules: Vec<Loaded>,
    pub(super) generation: Generation,
    /// Modules that did not fit: loaded between sizing the list and taking it, or beyond its bound.
    pub(super) left_out: usize,
}

/// Modules loaded and unloaded since the process began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Generation {
    loaded: u64,
    unloaded: u64,
}

/// Room for this many modules in one list.
const ROOM: usize = 1024;
const PATH_BYTES: usize = 256;
const BUILD_ID_BYTES: usize = 32;

/// The counters alone: a look at the first module.
pub(super) fn generation() -> Generation {
    let mut generation = Generation::default();
    iterate(&mut |info| {
        generation = Generation::of(info);
        Visit::Stop
    });
    generation
}

/// All modules.
pub(super) fn list() -> Listing {
    let mut found: Vec<Image> = Vec::with_capacity(ROOM);
    let mut listing = Listing::default();
    iterate(&mut |info| {
        listing.generation = Generation::of(info);
        if found.len() == found.capacity() {
            listing.left_out += 1;
        } else if let Some(image) = Image::of(info) {
            found.push(image);
        }
        Visit::Next
    });
    listing.modules = found.iter().enumerate().map(|(n, image)| image.to_loaded(n == 0)).collect();
    listing
}

/// Calls `look` with the bytes of `loaded.unwind` if the module is still there, and keeps it there meanwhile.
/// `look` must not allocate or wait.
pub(super) fn with_unwind_sections(loaded: &Loaded, look: &mut dyn FnMut(&[u8])) {
    iterate(&mut |info| {
        if Image::of(info).is_none_or(|image| image.bias != loaded.module.bias || image.unwind != loaded.unwind) {
            return Visit::Next;
        }
        let (start, end) = loaded.unwind;
        // SAFETY: the range is within a readable segment of this module, which was found in its headers just now; the
        // dynamic linker cannot unmap it before this call of ours returns.
        look(unsafe { std::slice::from_raw_parts(start as *const u8, end - start) });
        Visit::Stop
    });
}

enum Visit {
    Next,
    Stop,
}

fn iterate(visit: &mut dyn FnMut(&libc::dl_phdr_info) -> Visit) {
    unsafe extern "C" fn each(info: *mut libc::dl_phdr_info, _: usize, visit: *mut c_void) -> c_int {
        // SAFETY: the linker passes a valid `info` for the time of the call, and `visit` is what was passed below.
        let (info, visit) = unsafe { (&*info, &mut *visit.cast::<&mut dyn FnMut(&libc::dl_phdr_info) -> Visit>()) };
        matches!(visit(info), Visit::Stop).into()
    }
    let mut visit = visit;
    // SAFETY: `each` is called only during this call, with this pointer, while `visit` is borrowed for it.
    unsafe { libc::dl_iterate_phdr(Some(each), (&raw mut visit).cast()) };
}

impl Generation {
    fn of(info: &libc::dl_phdr_info) -> Self {
        Self { loaded: info.dlpi_adds, unloaded: info.dlpi_subs }
    }
}

/// A module as copied out under the linker's lock, without allocation.
struct Image {
    path: [u8; PATH_BYTES],
    path_len: usize,
    bias: usize,
    start: usize,
    end: usize,
    file_offset: u64,
    build_id: [u8; BUILD_ID_BYTES],
    build_id_len: usize,
    unwind: (usize, usize),
}

impl Image {
    /// `None` for what has no code.
    fn of(info: &libc::dl_phdr_info) -> Option<Self> {
        let headers = Headers::of(info);
        let first = headers.code().min_by_key(|segment| segment.p_vaddr)?;
        let last = headers.code().max_by_key(|segment| segment.p_vaddr)?;
        let mut image = Self {
            path: [0; PATH_BYTES],
            path_len: 0,
            bias: headers.bias,
            start: headers.address(first),
            end: headers.address(last).wrapping_add(last.p_memsz as usize),
            file_offset: first.p_offset,
            build_id: [0; BUILD_ID_BYTES],
            build_id_len: 0,
            unwind: headers.unwind(),
        };
        image.path_len = copy(headers.path(info), &mut image.path);
        image.build_id_len = copy(headers.build_id(), &mut image.build_id);
        Some(image)
    }

    fn to_loaded(&self, is_main: bool) -> Loaded {
        let named = PathBuf::from(OsStr::from_bytes(&self.path[..self.path_len]));
        let path = if is_main { std::env::current_exe().unwrap_or(named) } else { named };
        let module = Module {
            path,
            bias: self.bias,
            start: self.start,
            end: self.end,
            file_offset: self.file_offset,
            build_id: self.build_id[..self.build_id_len].to_vec(),
            is_main,
        };
        Loaded { module, unwind: self.unwind }
    }
}

/// As much of `from` as fits, and how much that is.
fn copy(from: &[u8], to: &mut [u8]) -> usize {
    let len = from.len().min(to.len());
    to[..len].copy_from_slice(&from[..len]);
    len
}

/// A module's program headers.
struct Headers<'a> {
    bias: usize,
    all: &'a [libc::Elf64_Phdr],
}

impl<'a> Headers<'a> {
    fn of(info: &'a libc::dl_phdr_info) -> Self {
        let all = if info.dlpi_phdr.is_null() {
            &[]
        } else {
            // SAFETY: the linker gives the address and number of the headers it has mapped, for the time of its call.
            unsafe { std::slice::from_raw_parts(info.dlpi_phdr, info.dlpi_phnum as usize) }
        };
        Self { bias: info.dlpi_addr as usize, all }
    }

    fn address(&self, segment: &libc::Elf64_Phdr) -> usize {
        self.bias.wrapping_add(segment.p_vaddr as usize)
    }

    fn of_type(&self, kind: u32) -> impl Iterator<Item = &'a libc::Elf64_Phdr> + use<'a> {
        self.all.iter().filter(move |segment| segment.p_type == kind)
    }

    fn code(&self) -> impl Iterator<Item = &'a libc::Elf64_Phdr> + use<'a> {
        self.of_type(libc::PT_LOAD).filter(|segment| segment.p_flags & libc::PF_X != 0)
    }

    /// From `.eh_frame_hdr` to the end of what is mapped with it.
    fn unwind(&self) -> (usize, usize) {
        let Some(header) = self.of_type(libc::PT_GNU_EH_FRAME).next() else { return (0, 0) };
        let start = self.address(header);
        self.of_type(libc::PT_LOAD)
            .filter(|segment| segment.p_flags & libc::PF_R != 0)
            .map(|segment| (self.address(segment), self.address(segment).wrapping_add(segment.p_filesz as usize)))
            .find(|&(from, to)| from <= start && start < to)
            .map_or((0, 0), |(_, to)| (start, to))
    }

    fn path(&self, info: &'a libc::dl_phdr_info) -> &'a [u8] {
        if info.dlpi_name.is_null() {
            return &[];
        }
        // SAFETY: the linker's names end in a zero byte and stay for the time of its call.
        unsafe { CStr::from_ptr(info.dlpi_name) }.to_bytes()
    }

    fn build_id(&self) -> &'a [u8] {
        let mapped = |note: &&libc::Elf64_Phdr| {
            let end = note.p_vaddr.saturating_add(note.p_filesz);
            self.of_type(libc::PT_LOAD).any(|load| {
                load.p_flags & libc::PF_R != 0
                    && load.p_vaddr <= note.p_vaddr
                    && end <= load.p_vaddr.saturating_add(load.p_filesz)
            })
        };
        self.of_type(libc::PT_NOTE)
            .filter(mapped)
            .find_map(|note| {
                // SAFETY: a note segment that lies within a readable loaded segment is mapped while the module is.
                let bytes =
                    unsafe { std::slice::from_raw_parts(self.address(note) as *const u8, note.p_filesz as usize) };
                find_build_id(bytes)
            })
            .unwrap_or(&[])
    }
}

/// The description of the GNU build-id note among `notes`.
fn find_build_id(mut notes: &[u8]) -> Option<&[u8]> {
    const BUILD_ID: u32 = 3;
    loop {
        let (head, rest) = notes.split_at_checked(12)?;
        let word = |at: usize| Some(u32::from_ne_bytes(head.get(at..at + 4)?.try_into().ok()?));
        let (name_len, len, kind) = (word(0)? as usize, word(4)? as usize, word(8)?);
        let (name, rest) = rest.split_at_checked(name_len.checked_next_multiple_of(4)?)?;
        let description = rest.get(..len)?;
        if kind == BUILD_ID && name == b"GNU\0" {
            return Some(description);
        }
        notes = rest.get(len.checked_next_multiple_of(4)?..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_code_is_in_the_executable_and_libc_is_listed() {
        let listing = list();
        let here = generation as *const () as usize;
        let main = &listing.modules[0].module;
        assert!(main.is_main && main.start <= here && here < main.end, "{main:?}");
        assert_eq!(main.path, std::env::current_exe().unwrap());
        assert!(listing.modules.iter().any(|loaded| loaded.module.path.to_string_lossy().contains("libc.so")));
        assert_eq!(listing.generation, generation());
        assert_eq!(listing.left_out, 0);
    }

    #[test]
    fn the_build_id_is_the_one_in_the_file() {
        use object::Object;
        let main = list().modules.remove(0).module;
        let file = std::fs::read(&main.path).unwrap();
        let id = object::File::parse(&*file).unwrap().build_id().unwrap().unwrap_or_default().to_vec();
        assert_eq!(main.build_id, id);
    }

    #[test]
    fn cut_off_notes_have_no_build_id() {
        let mut note = Vec::new();
        for word in [4_u32, 3, 3] {
            note.extend(word.to_ne_bytes());
        }
        note.extend(b"GNU\0abc\0");
        assert_eq!(find_build_id(&note), Some(&b"abc"[..]));
        for len in 0..19 {
            assert_eq!(find_build_id(&note[..len]), None, "{len} bytes");
        }
    }
}
