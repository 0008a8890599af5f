//! Reports as files: each is written whole under another name, then renamed into place; the oldest go.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::report::Report;
use crate::error::{Error, Result};

const PREFIX: &str = "heapwatch-";
const SUFFIX: &str = ".json";

/// Writes `heapwatch-SERVICE-PID-TIME.json` into the directory, which is made if it is missing, and removes all but the newest
/// `keep` of this service and process. Errors: the file cannot be written (no space, read-only); then nothing of it is left.
pub fn write(report: &Report, directory: &Path, keep: usize) -> Result<PathBuf> {
    let failed = |e: io::Error| Error::cannot_write(&format!("a report into {}", directory.display()), e);
    fs::create_dir_all(directory).map_err(failed)?;
    let stem = stem(report);
    let time = (report.taken_at_s * 1000.0).max(0.0) as u64;
    let target = directory.join(format!("{stem}{time:015}{SUFFIX}"));
    let partial = directory.join(format!(".{stem}{time:015}.partial"));
    let written = write_file(&partial, report.to_json().as_bytes()).and_then(|()| fs::rename(&partial, &target));
    if let Err(e) = written {
        // What is half-written must not stay; if it cannot be removed either, its name says what it is.
        let _ = fs::remove_file(&partial);
        return Err(failed(e));
    }
    remove_all_but(directory, &stem, keep);
    Ok(target)
}

/// The newest report that [`write()`] left in `directory`, of whichever service. Errors: the directory cannot be read; it has none.
pub fn newest(directory: &Path) -> Result<PathBuf> {
    let name = directory.display();
    let entries = fs::read_dir(directory).map_err(|e| Error::cannot_read(&name.to_string(), e))?;
    let dumps = entries.filter_map(|e| {
        let path = e.ok()?.path();
        Some((taken_at_ms(path.file_name()?.to_str()?)?, path))
    });
    let newest = dumps.max().map(|(_, path)| path);
    newest.ok_or_else(|| {
        Error::input(format!("{name} has no {PREFIX}*{SUFFIX}; name the directory that reports are dumped to"))
    })
}

/// The time in a dump's name; `None` for other files.
fn taken_at_ms(name: &str) -> Option<u64> {
    let stem = name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?;
    stem.rsplit('-').next()?.parse().ok()
}

fn stem(report: &Report) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' };
    let service: String = report.process.service.chars().map(plain).take(100).collect();
    format!("{PREFIX}{service}-{}-", report.process.pid)
}

fn write_file(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(content)?;
    // On disk before the name says so, for the machine may go down with the process.
    file.sync_all()
}

fn remove_all_but(directory: &Path, stem: &str, keep: usize) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    let ours = |name: &str| name.starts_with(stem) && name.ends_with(SUFFIX);
    let mut names: Vec<String> =
        entries.filter_map(|e| e.ok()?.file_name().into_string().ok()).filter(|n| ours(n)).collect();
    names.sort_unstable();
    let surplus = names.len().saturating_sub(keep);
    for name in &names[..surplus] {
        // Another process may have removed it; next time there is one more to remove.
        let _ = fs::remove_file(directory.join(name));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(taken_at_s: f64) -> Report {
        let mut report = Report { schema: super::super::report::SCHEMA.into(), taken_at_s, ..Report::default() };
        report.process.service = "a/b ü".into();
        report
    }

    #[test]
    fn the_newest_are_kept_and_can_be_read_back() {
        let dir = tempfile::tempdir().unwrap();
        let inside = dir.path().join("made");
        for second in 0..5 {
            write(&report(f64::from(second)), &inside, 2).unwrap();
        }
        let mut left: Vec<_> = fs::read_dir(&inside).unwrap().map(|e| e.unwrap().path()).collect();
        left.sort();
        assert_eq!(left.len(), 2);
        assert_eq!(newest(&inside).unwrap(), left[1]);
        assert!(newest(dir.path()).unwrap_err().to_string().contains("no heapwatch-"));
        let text = fs::read_to_string(&left[1]).unwrap();
        assert_eq!(Report::from_json(&text, "dump").unwrap().taken_at_s, 4.0);
    }

    #[test]
    fn a_directory_that_cannot_be_written_is_an_error_and_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "x").unwrap();
        let e = write(&report(1.0), &file, 1).unwrap_err();
        assert!(e.is_io() && e.to_string().contains("file"), "{e}");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
