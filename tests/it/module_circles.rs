//! No modules of the library use each other in a circle, which also holds for a module and its
//! submodules. Paths are read as text: `use` declarations and paths in the code, but neither
//! comments nor unit tests.

use std::collections::{BTreeMap, BTreeSet};

use crate::layout_rules::source_files;

/// The path of a module below the crate's root.
type ModulePath = Vec<String>;

/// The module that a file below `src` defines. `None` for programs and unit tests.
fn module_of(file: &str) -> Option<ModulePath> {
    let mut path: ModulePath = file
        .strip_suffix(".rs")?
        .split('/')
        .map(str::to_owned)
        .collect();
    let is_program = path[0] == "main" || path[0] == "bin";
    if is_program || path.iter().any(|name| name == "tests") {
        return None;
    }
    match path.last().map(String::as_str) {
        Some("mod") => {
            path.pop();
        }
        Some("lib") if path.len() == 1 => path.clear(),
        _ => {}
    }
    Some(path)
}

/// The code of a file without comments, unit tests, and the paths in `pub(in …)`.
fn code_of(text: &str) -> String {
    let (code, _) = text.split_once("#[cfg(test)]\nmod ").unwrap_or((text, ""));
    let mut code: String = code
        .lines()
        .flat_map(|line| [line.split("//").next().unwrap_or_default(), "\n"])
        .collect();
    while let Some(start) = code.find("pub(in ") {
        let length = code[start..].find(')').unwrap();
        code.replace_range(start..=start + length, "pub");
    }
    code
}

/// The words and the paths in `code`. A group is resolved: `a::{b, c::d}` is `a::b` and `a::c::d`.
fn paths_in(code: &str) -> Vec<String> {
    let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    let mut found = Vec::new();
    let mut rest = code;
    while let Some(start) = rest.find(is_part) {
        rest = &rest[start..];
        let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        let (path, after) = rest.split_at(end);
        rest = after;
        if path.ends_with("::") && after.starts_with('{') {
            let (group, after) = split_group(after);
            let inner = paths_in(group).into_iter();
            found.extend(inner.map(|inner| format!("{path}{inner}")));
            rest = after;
        } else {
            found.push(path.to_owned());
        }
    }
    found
}

/// The inside of the braces that `text` begins with, and the text after them.
fn split_group(text: &str) -> (&str, &str) {
    let mut depth = 0;
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return (&text[1..at], &text[at + 1..]);
        }
    }
    panic!("the braces are not closed: {text}");
}

/// The module of `modules` that `path` leads into from the code of `user`.
fn target(path: &str, user: &ModulePath, modules: &BTreeSet<ModulePath>) -> Option<ModulePath> {
    let mut names = path.split("::").peekable();
    let mut module = match *names.peek()? {
        "crate" => {
            names.next();
            Vec::new()
        }
        "self" | "super" => user.clone(),
        child => {
            let mut module = user.clone();
            module.push(child.to_owned());
            modules.contains(&module).then(|| user.clone())?
        }
    };
    while let Some(name @ ("self" | "super")) = names.peek().copied() {
        if name == "super" {
            module.pop()?;
        }
        names.next();
    }

    for name in names {
        module.push(name.to_owned());
        if !modules.contains(&module) {
            module.pop();
            break;
        }
    }
    Some(module)
}

/// The uses that are part of a circle, each as `USER -> USED`.
fn circles(files: &[(String, String)]) -> Vec<String> {
    let texts: BTreeMap<ModulePath, &str> = files
        .iter()
        .filter_map(|(file, text)| Some((module_of(file)?, text.as_str())))
        .collect();
    let modules: BTreeSet<ModulePath> = texts.keys().cloned().collect();

    let mut uses: BTreeMap<ModulePath, BTreeSet<ModulePath>> = BTreeMap::new();
    for (module, text) in texts.iter().filter(|(module, _)| !module.is_empty()) {
        let paths = paths_in(&code_of(text)).into_iter();
        let used = paths
            .filter(|path| path.contains("::"))
            .filter_map(|path| target(&path, module, &modules))
            .filter(|used| used != module && !used.is_empty())
            .collect();
        uses.insert(module.clone(), used);
    }

    uses.iter()
        .flat_map(|(module, used)| used.iter().map(move |used| (module, used)))
        .filter(|(module, used)| all_used(used, &uses).contains(*module))
        .map(|(module, used)| format!("{} -> {}", module.join("::"), used.join("::")))
        .collect()
}

/// The modules that `module` uses, directly or through others.
fn all_used<'u>(
    module: &'u ModulePath,
    uses: &'u BTreeMap<ModulePath, BTreeSet<ModulePath>>,
) -> BTreeSet<&'u ModulePath> {
    let mut found = BTreeSet::new();
    let mut open = vec![module];
    while let Some(module) = open.pop() {
        for used in uses.get(module).into_iter().flatten() {
            if found.insert(used) {
                open.push(used);
            }
        }
    }
    found
}

#[test]
fn no_modules_use_each_other_in_a_circle() {
    let circles = circles(&source_files());
    assert!(circles.is_empty(), "{circles:#?}");
}

#[test]
fn circle_of_a_module_and_its_submodule_is_found() {
    let file = |name: &str, text: &str| (name.to_owned(), text.to_owned());
    let mut files = vec![
        file("lib.rs", "pub mod cache;\npub use cache::Cache;\n"),
        file("url.rs", "pub struct Url;\n"),
        file("cache/mod.rs", "mod dir;\nuse dir::{CacheDir, self};\n"),
        file(
            "cache/dir.rs",
            "/// See [`super::Cache`].\nuse crate::{url::Url};\npub(in crate::cache) struct CacheDir;\n\
             #[cfg(test)]\nmod tests {\n    use super::super::Cache;\n}\n",
        ),
    ];
    assert_eq!(circles(&files), [""; 0]);

    for use_of_parent in [
        "use super::Cache;\n",
        "use crate::{\n    cache::{Cache as Other},\n};\n",
        "fn f() -> super::Cache {}\n",
    ] {
        files[3] = file("cache/dir.rs", use_of_parent);
        let expected = ["cache -> cache::dir", "cache::dir -> cache"];
        assert_eq!(circles(&files), expected, "{use_of_parent}");
    }
}

#[test]
fn circle_of_three_modules_is_found() {
    let file = |name: &str, text: &str| (name.to_owned(), text.to_owned());
    let files = [
        file("main.rs", "use crate::a::A;\n"),
        file("a.rs", "use crate::b::{self, B};\n"),
        file("b/mod.rs", "pub use crate::c::C;\n"),
        file("c.rs", "static A: crate::a::A = crate::a::A;\n"),
        file("d.rs", "use super::a;\n"),
    ];
    assert_eq!(circles(&files), ["a -> b", "b -> c", "c -> a"]);
}
