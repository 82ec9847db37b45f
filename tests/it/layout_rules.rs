//! Layout rules of the source tree that the compiler does not check.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// An API that only some files of `src` may use.
struct Rule {
    /// The texts that show its use.
    signs: &'static [&'static str],
    /// The files, or folders that end with `/`.
    allowed: &'static [&'static str],
}

/// The launcher `bin/fractary.rs` is a program of its own and does not use the library.
const LAUNCHER: &str = "bin/fractary.rs";

const OS_APIS: Rule = Rule {
    signs: &[
        "std::os::",
        "rustix::",
        "cfg(unix)",
        "cfg(windows)",
        "cfg!(windows)",
        "windows_sys::",
        "signal_hook::",
        "cfg(target_os",
        "libc::",
        "nix::",
    ],
    allowed: &["platform/", LAUNCHER],
};

const GIT: Rule = Rule {
    signs: &["git2::", "gix_packetline::", "Command::new(\"git"],
    allowed: &["codex/"],
};

/// The parser for the forms of a git URL, which does not read or run anything.
const GIT_URLS: Rule = Rule {
    signs: &["gix_url::"],
    allowed: &["codex/", "url.rs"],
};

const PROCESS_STATE: Rule = Rule {
    signs: &[
        "env::args",
        "env::var(",
        "env::var_os(",
        "env::vars",
        "env::current_dir",
        "env::set_current_dir",
        "env::temp_dir",
        "io::stdin(",
        "io::stdout(",
        "io::stderr(",
        "process::exit",
        "panic::set_hook",
        "print!(",
        "println!(",
    ],
    allowed: &["cli/", LAUNCHER],
};

impl Rule {
    /// The uses in a file that is not allowed to have any, each as `FILE:LINE: SIGN`. Comments do
    /// not count.
    fn violations(&self, file: &str, text: &str) -> Vec<String> {
        let is_allowed = self.allowed.iter().any(|allowed| {
            file == *allowed || (allowed.ends_with('/') && file.starts_with(allowed))
        });
        if is_allowed {
            return Vec::new();
        }

        let mut found = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let is_comment = line.trim_start().starts_with("//");
            for sign in self
                .signs
                .iter()
                .filter(|sign| !is_comment && uses(line, sign))
            {
                found.push(format!("{file}:{}: {sign}", number + 1));
            }
        }
        found
    }

    #[track_caller]
    fn check(&self) {
        let violations: Vec<_> = source_files()
            .iter()
            .flat_map(|(file, text)| self.violations(file, text))
            .collect();
        assert!(violations.is_empty(), "{violations:#?}");
    }
}

/// Whether the line contains the sign, and not as the end of a longer name.
fn uses(line: &str, sign: &str) -> bool {
    line.match_indices(sign).any(|(start, _)| {
        let before = line[..start].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || c == '_')
    })
}

/// The name below `src` and the text of every source file.
pub(crate) fn source_files() -> Vec<(String, String)> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&source, &mut files);
    assert!(files.len() > 80);

    files
        .iter()
        .map(|file| {
            let name = file.strip_prefix(&source).unwrap().to_str().unwrap();
            (name.to_owned(), fs::read_to_string(file).unwrap())
        })
        .collect()
}

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
fn only_platform_uses_os_apis() {
    OS_APIS.check();
}

#[test]
fn only_the_codex_folder_uses_git() {
    GIT.check();
    GIT_URLS.check();
}

#[test]
fn only_the_command_line_uses_the_state_of_the_process() {
    PROCESS_STATE.check();
}

/// The name of the type that a line defines. An associated type, which is an indented alias, is not
/// a type of its own.
fn defined_type(line: &str) -> Option<&str> {
    let trimmed = line.trim_start();
    let is_indented = trimmed.len() < line.len();
    let definition = match trimmed.strip_prefix("pub") {
        Some(rest) if rest.starts_with('(') => rest.split_once(") ")?.1,
        Some(rest) => rest.trim_start(),
        None => trimmed,
    };
    let (keyword, rest) = definition.split_once(' ')?;
    let defines_type = match keyword {
        "struct" | "enum" | "trait" => true,
        "type" => !is_indented,
        _ => false,
    };
    let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_');
    defines_type.then(|| &rest[..end.unwrap_or(rest.len())])
}

/// The types that are defined twice, each as `NAME: FILE, FILE`.
fn duplicate_types(files: &[(String, String)]) -> Vec<String> {
    let mut definitions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (file, text) in files {
        for name in text.lines().filter_map(defined_type) {
            definitions.entry(name).or_default().push(file);
        }
    }
    definitions
        .iter()
        .filter(|(_, files)| files.len() > 1)
        .map(|(name, files)| format!("{name}: {}", files.join(", ")))
        .collect()
}

#[test]
fn no_two_types_share_a_name() {
    // Each system has one of these files, with the same types.
    for other_system in ["platform/unix.rs", "platform/windows.rs"] {
        let mut files = source_files();
        files.retain(|(file, _)| file != other_system);
        let duplicates = duplicate_types(&files);
        assert!(duplicates.is_empty(), "{duplicates:#?}");
    }
}

#[test]
fn second_type_of_a_name_is_found() {
    let file = |name: &str, text: &str| (name.to_owned(), text.to_owned());
    let files = [
        file("plan.rs", "pub(crate) struct Entry<'e> {\n}\nenum State;\n"),
        file("cache/mod.rs", "    pub trait Entry {\n"),
        file("a.rs", "    type State = u8;\n/// struct State\n"),
    ];
    assert_eq!(duplicate_types(&files), ["Entry: plan.rs, cache/mod.rs"]);
}

#[test]
fn use_in_another_file_is_a_violation() {
    let text = "// git2::Oid\nuse git2::Oid;\nuse my_git2::Oid;\n";
    assert_eq!(
        GIT.violations("sync/mod.rs", text),
        ["sync/mod.rs:2: git2::"]
    );
    assert_eq!(GIT.violations("codex/store.rs", text), [""; 0]);
    assert_eq!(GIT.violations("codex.rs", text), ["codex.rs:2: git2::"]);

    let text = "    println!(\"{}\", std::env::args().count());\n";
    assert_eq!(
        PROCESS_STATE.violations("report/human.rs", text),
        [
            "report/human.rs:1: env::args",
            "report/human.rs:1: println!("
        ]
    );
    assert_eq!(PROCESS_STATE.violations("cli/mod.rs", text), [""; 0]);
}

/// Tests are named by module and function, as `trust::file_of_another_user_is_ignored`.
#[test]
fn tests_that_the_security_page_names_exist() {
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
