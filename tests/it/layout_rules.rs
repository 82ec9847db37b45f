//! Layout rules of the source tree that the compiler does not check.

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
        "cfg(target_os",
        "libc::",
        "nix::",
    ],
    allowed: &["platform.rs", LAUNCHER],
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
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut files = Vec::new();
        sources(&source, &mut files);
        assert!(files.len() > 80);

        let violations: Vec<_> = files
            .iter()
            .flat_map(|file| {
                let name = file.strip_prefix(&source).unwrap().to_str().unwrap();
                self.violations(name, &fs::read_to_string(file).unwrap())
            })
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

/// Tests are named by module and function, as `trust::a_file_of_another_user_decides_nothing`.
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
