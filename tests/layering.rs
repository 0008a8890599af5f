//! Holds the architecture: which stage may use which, and where `unsafe` may stand. Reads the sources, runs nothing.

use std::fs;
use std::path::{Path, PathBuf};

/// A stage, and the crate paths that it may name. `crate::error` and `crate::snapshot` are for all but record.
const MAY_USE: [(&str, &[&str]); 7] = [
    ("record", &["record", "snapshot"]),
    ("collect", &["collect", "record", "snapshot", "analyze::trend", "analyze::series", "error"]),
    ("analyze", &["analyze", "snapshot", "error"]),
    ("export", &["export", "analyze", "snapshot", "error", "collect::symbols", "record::stack", "gc", "source"]),
    ("source", &["source", "analyze", "error"]),
    ("symbolize", &["symbolize", "collect::symbols", "export::pprof", "snapshot", "error"]),
    ("tower", &["tower", "record::scope", "snapshot"]),
];

fn sources(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut found = Vec::new();
    for path in entries.map(|e| e.unwrap().path()) {
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
    found
}

/// The code of a file without its tests, which may use what they like, and without comments.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    let before_tests = text.split("#[cfg(test)]\nmod tests").next().unwrap_or(&text);
    let code = |line: &str| line.split("//").next().unwrap_or("").to_owned();
    before_tests.lines().map(code).collect::<Vec<_>>().join("\n")
}

/// Paths after `crate::`, of plain uses and of the first names in a braced list.
fn crate_paths(code: &str) -> Vec<String> {
    let mut paths = Vec::new();
    for after in code.split("crate::").skip(1) {
        let plain: String = after.chars().take_while(|c| c.is_alphanumeric() || *c == '_' || *c == ':').collect();
        match after.strip_prefix('{') {
            Some(list) => {
                let list = list.split('}').next().unwrap_or("");
                paths.extend(list.split(',').map(|p| p.trim().to_owned()).filter(|p| !p.is_empty()));
            }
            None => paths.push(plain),
        }
    }
    paths
}

fn stage_files(stage: &str) -> Vec<PathBuf> {
    let mut files = sources(Path::new(&format!("src/{stage}")));
    let own = PathBuf::from(format!("src/{stage}.rs"));
    files.extend(own.is_file().then_some(own));
    files
}

#[test]
fn each_stage_uses_only_what_comes_before_it() {
    let mut wrong = Vec::new();
    for (stage, allowed) in MAY_USE {
        for file in stage_files(stage) {
            for path in crate_paths(&code(&file)) {
                if path.starts_with(|c: char| c.is_uppercase()) || path.is_empty() {
                    continue; // Re-exports at the crate's root: Error, Result, ….
                }
                if !allowed.iter().any(|a| path == *a || path.starts_with(&format!("{a}::"))) {
                    wrong.push(format!("{}: crate::{path}", file.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "a stage reaches where it must not:\n{}", wrong.join("\n"));
}

#[test]
fn analysis_reads_no_clock_and_no_file() {
    let forbidden = ["Instant::now", "SystemTime::now", "std::fs", "File::", "std::env", "static mut"];
    let mut wrong = Vec::new();
    for file in stage_files("analyze") {
        let code = code(&file);
        wrong.extend(forbidden.iter().filter(|f| code.contains(**f)).map(|f| format!("{}: {f}", file.display())));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn unsafe_stays_where_it_belongs() {
    let allowed = ["src/record/", "src/collect/process"];
    let is_unsafe = |code: &str| ["unsafe {", "unsafe fn", "unsafe impl"].iter().any(|u| code.contains(u));
    let wrong: Vec<String> = sources(Path::new("src"))
        .into_iter()
        .filter(|file| !allowed.iter().any(|a| file.starts_with(a) || file.to_string_lossy().starts_with(a)))
        .filter(|file| is_unsafe(&code(file)))
        .map(|file| file.display().to_string())
        .collect();
    assert!(wrong.is_empty(), "unsafe outside record/ and collect/process: {wrong:?}");
}

#[test]
fn the_reader_sees_both_forms_of_paths() {
    let paths = crate_paths("use crate::record::{a};\nuse crate::{collect, snapshot::B};\nlet x = crate::export::y();");
    assert_eq!(paths, ["record::", "collect", "snapshot::B", "export::y"]);
}
