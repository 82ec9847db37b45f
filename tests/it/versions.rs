//! The version of a release, which several files repeat.

use std::fs;
use std::path::Path;

/// Files, each with a text that the version follows.
const REPETITIONS: [(&str, &str); 11] = [
    ("CHANGELOG.md", "\n## ["),
    ("README.md", "fractary-codex@v"),
    ("README.md", "fractary/fractary-codex:"),
    ("docs/ci.md", "fractary-codex@v"),
    ("docs/ci.md", "fractary-codex/v"),
    ("docs/ci.md", "releases/download/v"),
    ("docs/ci.md", "rev: v"),
    ("examples/ci-env/github-workflow.yml", "fractary-codex@v"),
    ("examples/fleet/github-workflow.yml", "fractary-codex@v"),
    ("packaging/gitlab/publish.yml", "fractary/fractary-codex:"),
    ("fuzz/Cargo.lock", "name = \"fractary-codex\"\nversion = \""),
];

#[test]
fn files_repeat_the_version_of_the_package() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (file, before) in REPETITIONS {
        let text = fs::read_to_string(root.join(file)).unwrap();
        let is_history = file == "CHANGELOG.md";
        let found: Vec<&str> = text
            .split(before)
            .skip(1)
            .map(|after| {
                let end = after.find(|c: char| !(c.is_ascii_alphanumeric() || ".-".contains(c)));
                &after[..end.unwrap_or(after.len())]
            })
            .filter(|version| *version != "Unreleased")
            .take(if is_history { 1 } else { usize::MAX })
            .collect();
        assert!(!found.is_empty(), "{file} has no {before:?}");
        for version in found {
            assert_eq!(
                version,
                env!("CARGO_PKG_VERSION"),
                "{file}, after {before:?}"
            );
        }
    }
}
