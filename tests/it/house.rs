//! Rules of the house that no compiler holds us to.

use std::fs;
use std::path::{Path, PathBuf};

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
fn every_file_fits_a_head_and_one_alone_names_an_operating_system() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&source, &mut files);
    assert!(files.len() > 80);
    // The launcher is a program of its own, with both ways in it.
    let may_name_systems = [source.join("platform.rs"), source.join("bin/fractary.rs")];
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.lines().count() <= 400, "{}: two concepts?", file.display());
        let names =
            ["std::os::", "rustix::", "cfg(unix)", "cfg(windows)", "libc::"].iter().find(|name| text.contains(**name));
        assert!(may_name_systems.contains(&file) || names.is_none(), "{}: {}", file.display(), names.unwrap());
    }
}
