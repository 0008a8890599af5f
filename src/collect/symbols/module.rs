//! A file that is mapped as code into the process.

use std::path::PathBuf;

/// One mapped binary or shared library.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Module {
    /// Where the file was when it was mapped. Empty for code without a file (the vDSO).
    pub path: PathBuf,
    /// Address in the process minus address in the file.
    pub bias: u64,
    /// First mapped address.
    pub start: u64,
    /// One past the last mapped address.
    pub end: u64,
    /// The build id of the code in memory, where it has one.
    pub build_id: Option<Box<[u8]>>,
    /// The program itself, not a library: read through `/proc/self/exe`, which survives its replacement on disk.
    pub main: bool,
}

impl Module {
    /// Whether an address of the process lies in it.
    pub fn contains(&self, address: u64) -> bool {
        (self.start..self.end).contains(&address)
    }

    /// The file's name without its directory.
    pub fn name(&self) -> String {
        self.path.file_name().map_or_else(|| "[unknown]".to_owned(), |name| name.to_string_lossy().into_owned())
    }
}
