//! Where the kernel's files are found, and files that stay open between reads.
//!
//! Every path of this stage goes through a [`ProcRoot`], so that a test reads a directory tree of its own and a
//! container can read its host's. Invariant: a read is bounded in bytes, and a file that cannot be read gives a reason,
//! never a panic.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// The most bytes taken from one kernel file; what stands beyond is not read. `/proc/stat` of a machine with hundreds
/// of cores is the largest file here.
pub const FILE_BOUND_BYTES: usize = 1 << 20;

const CHUNK_BYTES: usize = 4096;

/// The directory that stands for `/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcRoot(PathBuf);

impl Default for ProcRoot {
    fn default() -> ProcRoot {
        ProcRoot::new("/")
    }
}

impl ProcRoot {
    /// A tree with `proc` and `sys` in it.
    pub fn new(path: impl Into<PathBuf>) -> ProcRoot {
        ProcRoot(path.into())
    }

    /// The place of an absolute path under this root. `..` in the path cannot lead out of the root.
    pub fn path(&self, absolute: &str) -> PathBuf {
        let mut path = self.0.clone();
        path.extend(absolute.split('/').filter(|part| !matches!(*part, "" | "." | "..")));
        path
    }

    /// The bytes of a file, or why they cannot be had.
    pub fn read(&self, absolute: &str) -> Result<Vec<u8>, String> {
        let mut file = KeptFile::new(self, absolute);
        file.read()?;
        Ok(file.buffer)
    }

    /// The text of a file; bytes that are not UTF-8 are replaced.
    pub fn text(&self, absolute: &str) -> Result<String, String> {
        self.read(absolute).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// A file that is opened once and read again from its start at every call: one `pread`, no `open`.
#[derive(Debug)]
pub struct KeptFile {
    path: PathBuf,
    shown: String,
    file: Option<File>,
    buffer: Vec<u8>,
}

impl KeptFile {
    /// Nothing is opened before the first read.
    pub fn new(root: &ProcRoot, absolute: &str) -> KeptFile {
        KeptFile { path: root.path(absolute), shown: absolute.to_owned(), file: None, buffer: Vec::new() }
    }

    /// The path as the kernel names it, without the root.
    pub fn name(&self) -> &str {
        &self.shown
    }

    /// The present content. After a failure the file is opened anew at the next call, as a control group can be removed
    /// and made again.
    pub fn read(&mut self) -> Result<&[u8], String> {
        match self.fill() {
            Ok(()) => Ok(&self.buffer),
            Err(e) => {
                self.file = None;
                Err(format!("{}: {e}", self.shown))
            }
        }
    }

    /// The present content as a single number.
    pub fn number(&mut self) -> Result<u64, String> {
        let parsed = super::text::number(self.read()?);
        parsed.ok_or_else(|| format!("{}: not a number", self.shown))
    }

    fn fill(&mut self) -> io::Result<()> {
        let file = match &self.file {
            Some(file) => file,
            None => self.file.insert(open(&self.path)?),
        };
        read_from_start(file, &mut self.buffer)
    }
}

fn open(path: &Path) -> io::Result<File> {
    let file = File::open(path)?;
    if file.metadata()?.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    Ok(file)
}

fn read_from_start(file: &File, buffer: &mut Vec<u8>) -> io::Result<()> {
    let mut filled = 0;
    while filled < FILE_BOUND_BYTES {
        buffer.resize(filled + CHUNK_BYTES, 0);
        match file.read_at(&mut buffer[filled..], filled as u64) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    buffer.truncate(filled);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dots_cannot_leave_the_root() {
        assert_eq!(ProcRoot::new("/r").path("/proc/../../etc//./passwd"), Path::new("/r/proc/etc/passwd"));
    }

    #[test]
    fn a_kept_file_sees_new_content_and_survives_its_removal() {
        let dir = tempfile::tempdir().unwrap();
        let root = ProcRoot::new(dir.path());
        let mut file = KeptFile::new(&root, "/usage");
        assert!(file.read().unwrap_err().starts_with("/usage: "));
        std::fs::write(dir.path().join("usage"), "12\n").unwrap();
        assert_eq!(file.number(), Ok(12));
        std::fs::write(dir.path().join("usage"), "7\n").unwrap();
        assert_eq!(file.number(), Ok(7));
        std::fs::write(dir.path().join("usage"), "max\n").unwrap();
        assert_eq!(file.number(), Err("/usage: not a number".to_owned()));
    }

    #[test]
    fn a_read_is_bounded_and_a_directory_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let root = ProcRoot::new(dir.path());
        std::fs::write(dir.path().join("big"), vec![b'x'; 3 * FILE_BOUND_BYTES]).unwrap();
        assert_eq!(root.read("/big").unwrap().len(), FILE_BOUND_BYTES);
        assert!(root.read("/").is_err());
    }
}
