//! Layout rules of the source tree that no compiler checks.

use std::fs;
use std::path::{Path, PathBuf};

/// What only `platform.rs` may use. The launcher is a program of its own and does without the library.
const OS_APIS: [&str; 5] = [
    "std::os::",
    "rustix::",
    "cfg(unix)",
    "cfg(windows)",
    "libc::",
];

fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();

        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn only_platform_rs_uses_os_apis() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let allowed = [source.join("platform.rs"), source.join("bin/fractary.rs")];
    let mut files = Vec::new();
    sources(&source, &mut files);
    assert!(files.len() > 80);

    for file in files.iter().filter(|file| !allowed.contains(file)) {
        let text = fs::read_to_string(file).unwrap();

        for api in OS_APIS {
            assert!(!text.contains(api), "{} uses {api}", file.display());
        }
    }
}
