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

/// Tests are named by module and function, as `trust::a_file_of_another_user_decides_nothing`.
#[test]
fn the_tests_that_the_security_page_names_exist() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(repository.join("SECURITY.md")).unwrap();
    let mut named = 0;

    let is_header = |line: &&str| line.ends_with("| test |") || line.starts_with("| ---");
    let rows = page.lines().filter(|line| line.starts_with("| "));
    for row in rows.filter(|row| !is_header(row)) {
        let cell = row
            .trim_end_matches([' ', '|'])
            .rsplit(" | ")
            .next()
            .unwrap();
        let tests: Vec<&str> = cell.split('`').filter(|part| part.contains("::")).collect();
        assert!(!tests.is_empty(), "no test is named: {row}");
        named += tests.len();

        for test in tests {
            let (module, function) = test.rsplit_once("::").unwrap();
            let module = repository.join("tests/it").join(module.replace("::", "/"));
            let files = [module.with_extension("rs"), module.join("mod.rs")];
            let mut texts = files
                .iter()
                .filter_map(|file| fs::read_to_string(file).ok());
            let function = format!("#[test]\nfn {function}() {{");
            assert!(
                texts.any(|text| text.contains(&function)),
                "SECURITY.md names `{test}`"
            );
        }
    }
    assert!(named > 30, "{named} tests are named");
}
