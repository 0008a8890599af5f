//! One ELF file as memory: sections, symbols, build id. Holds the mapping and nothing else; what is read from it borrows it.

use std::fs::File;
use std::path::Path;

use memmap2::Mmap;
use object::read::elf::ElfFile64;
use object::{
    CompressionFormat, LittleEndian, Object, ObjectSection, ObjectSegment, ObjectSymbol, SegmentFlags, SymbolKind,
};

use crate::collect::process::system::map_file;

type Elf<'a> = ElfFile64<'a, LittleEndian>;

/// A mapped ELF file.
pub(super) struct Image {
    file: File,
    map: Mmap,
}

/// A function of the symbol table.
#[derive(Debug, Clone, Copy)]
pub(super) struct Symbol<'a> {
    pub(super) name: &'a str,
    pub(super) begin: u64,
    pub(super) size: u64,
}

impl Image {
    pub(super) fn open(path: &Path) -> Option<Image> {
        let file = File::open(path).ok()?;
        let image = Image { map: map_file(&file).ok()?, file };
        image.elf()?;
        Some(image)
    }

    /// Whether the file still has the length that was mapped; reading past a shortened file would be a fault.
    pub(super) fn is_whole(&self) -> bool {
        self.file.metadata().is_ok_and(|meta| meta.len() == self.map.len() as u64)
    }

    fn elf(&self) -> Option<Elf<'_>> {
        Elf::parse(&*self.map).ok()
    }

    pub(super) fn build_id(&self) -> Option<Box<[u8]>> {
        Some(self.elf()?.build_id().ok()??.into())
    }

    /// Where the code at a file offset is, as the file counts addresses. A separate debug file has no code and other offsets;
    /// there it is the beginning of the first segment of code.
    pub(super) fn code_address(&self, offset: u64) -> Option<u64> {
        let elf = self.elf()?;
        let is_code = |flags| matches!(flags, SegmentFlags::Elf { p_flags, .. } if p_flags.contains(object::elf::PF_X));
        let code = || elf.segments().filter(|segment| is_code(segment.flags()));
        let within = code().find_map(|segment| {
            let (begin, size) = segment.file_range();
            let inside = offset.checked_sub(begin).filter(|&at| at < size)?;
            segment.address().checked_add(inside)
        });
        within.or_else(|| code().map(|segment| segment.address()).min())
    }

    /// Name of the separate debug file, as `objcopy --add-gnu-debuglink` left it.
    pub(super) fn debug_link(&self) -> Option<String> {
        let elf = self.elf()?;
        let (name, _checksum) = elf.gnu_debuglink().ok()??;
        String::from_utf8(name.to_vec()).ok().filter(|name| !name.is_empty() && !name.contains('/'))
    }

    /// Bytes of a section; empty where it is absent or compressed.
    pub(super) fn section(&self, name: &str) -> &[u8] {
        let data = self.elf().and_then(|elf| elf.section_by_name(name)?.compressed_data().ok());
        data.filter(|data| data.format == CompressionFormat::None).map(|data| data.data).unwrap_or_default()
    }

    pub(super) fn has_dwarf(&self) -> bool {
        !self.section(".debug_info").is_empty()
    }

    pub(super) fn has_symbols(&self) -> bool {
        self.elf().is_some_and(|elf| elf.symbol_table().is_some())
    }

    /// Calls `found` with each function: of the full table, or of the exported ones where that is stripped.
    pub(super) fn each_function<'a>(&'a self, mut found: impl FnMut(Symbol<'a>)) {
        let Some(elf) = self.elf() else { return };
        let mut take = |name: object::Result<&'a str>, kind: SymbolKind, begin: u64, size: u64| {
            if let Ok(name) = name
                && kind == SymbolKind::Text
                && begin != 0
            {
                found(Symbol { name, begin, size });
            }
        };
        if elf.symbol_table().is_some() {
            elf.symbols().for_each(|s| take(s.name(), s.kind(), s.address(), s.size()));
        } else {
            elf.dynamic_symbols().for_each(|s| take(s.name(), s.kind(), s.address(), s.size()));
        }
    }
}
