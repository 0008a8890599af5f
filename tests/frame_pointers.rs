//! A program whose functions keep frame pointers is walked by them, and its stacks are those that libgcc finds.
//!
//! The walk follows frame pointers in the executable it is linked into, so it takes an executable built for them: all of
//! `tests/stack.rs`, with the recorder's unwinder as a crate of its own, since that needs three of the dependencies only.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use std::path::Path;
use std::process::Command;

const MANIFEST: &str = r#"
[package]
name = "heapwatch"
version = "0.0.0"
edition = "2024"

[lib]
path = "lib.rs"

[[test]]
name = "stack"
path = "ROOT/tests/stack.rs"

[dependencies]
libc = "0.2"
gimli = { version = "0.34", default-features = false, features = ["read", "std"] }
parking_lot = "0.12"

[workspace]
"#;

const LIBRARY: &str = r#"
pub mod record {
    #[path = "ROOT/src/record/stack.rs"]
    pub mod stack;
    #[path = "ROOT/src/record/unwind/mod.rs"]
    mod unwind;
}
"#;

fn write(folder: &Path, file: &str, text: &str) {
    std::fs::write(folder.join(file), text.replace("ROOT", env!("CARGO_MANIFEST_DIR"))).unwrap();
}

#[test]
fn a_program_built_for_frame_pointers_is_walked_by_them() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("frame_pointers");
    std::fs::create_dir_all(&folder).unwrap();
    write(&folder, "Cargo.toml", MANIFEST);
    write(&folder, "lib.rs", LIBRARY);
    std::fs::copy(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.lock"), folder.join("Cargo.lock")).unwrap();
    let tested = Command::new(env!("CARGO"))
        .args(["test", "--offline", "--test", "stack", "--target-dir", "target"])
        .current_dir(&folder)
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env("RUSTFLAGS", "-Cforce-frame-pointers=yes -Copt-level=1")
        .env("HEAPWATCH_TEST_METHOD", "frame_pointers")
        .output()
        .unwrap();
    let (out, err) = (String::from_utf8_lossy(&tested.stdout), String::from_utf8_lossy(&tested.stderr));
    assert!(tested.status.success(), "{out}\n{err}");
}
