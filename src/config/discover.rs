//! Finds and reads the files of the layers.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::node::{self, Node, Value};
use super::problem::{Problem, Problems, Source};
use crate::workspace::mapping::{ClaimPatterns, Claims};

/// The directory that marks a workspace.
pub(super) const MARK: &str = ".fractary";
const EXTENSIONS: [&str; 4] = ["yaml", "yml", "toml", "json"];

/// A file's section `codex`, and where it was found.
#[derive(Debug, Clone)]
pub(super) struct Found {
    /// The file.
    pub(super) path: PathBuf,
    /// The section.
    pub(super) section: Node,
}

/// The files `stem.*` in `directory`; more than one is a problem that names them.
pub(super) fn read(directory: &Path, stem: &str, problems: &mut Problems) -> Option<Found> {
    let there = |path: &PathBuf| path.symlink_metadata().is_ok();
    let paths: Vec<_> =
        EXTENSIONS.iter().map(|extension| directory.join(format!("{stem}.{extension}"))).filter(there).collect();
    if let [first, second, ..] = paths.as_slice() {
        let message = format!("there is `{}` too, and only one of them can count", second.display());
        problems.push(Problem::new("", message).hint("remove one").at(Source::File(first.as_path().into()), 0));
    }
    read_file(paths.first()?, problems)
}

/// Reads one file; what is wrong with it is told, and then it counts as empty.
pub(super) fn read_file(path: &Path, problems: &mut Problems) -> Option<Found> {
    let found = |section| Some(Found { path: path.to_owned(), section });
    let mut fail = |line: u32, message: String, hint: &str| {
        let problem = Problem::new("", message).at(Source::File(path.into()), line);
        problems.push(if hint.is_empty() { problem } else { problem.hint(hint) });
        found(Node::map())
    };
    let text = match fs::read(path) {
        Ok(bytes) => match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => {
                let line = error.as_bytes()[..error.utf8_error().valid_up_to()].iter().filter(|b| **b == b'\n').count();
                return fail(line as u32 + 1, "not UTF-8 text".to_owned(), "save the file as UTF-8");
            }
        },
        Err(error) if error.kind() == io::ErrorKind::IsADirectory => {
            return fail(0, "this is a directory, not a file".to_owned(), "");
        }
        Err(error) => return fail(0, format!("cannot be read: {error}"), ""),
    };
    let is_toml = path.extension().is_some_and(|extension| extension == "toml");
    let parsed = if is_toml { node::parse_toml(&text) } else { node::parse_yaml(&text) };
    match parsed {
        Err(error) => fail(error.line, error.message, ""),
        Ok(Node { value: Value::Null, .. }) => found(Node { value: Value::Null, line: 0 }),
        Ok(Node { value: Value::Map(mut map), .. }) => match map.remove("codex") {
            None => found(Node { value: Value::Null, line: 0 }),
            Some(entry) => match entry.node.value {
                Value::Map(_) => found(entry.node),
                Value::Null => found(Node::map()),
                _ => fail(entry.line, "`codex` is not a map of keys".to_owned(), ""),
            },
        },
        Ok(other) => fail(other.line, "not a map of keys".to_owned(), "the keys of this tool stand under `codex:`"),
    }
}

/// The workspace's file for `directory`: the nearest upwards that has a section `codex`, unless one further out has
/// members or projects that cover that one's directory.
pub(super) fn workspace(directory: &Path, problems: &mut Problems) -> Option<Found> {
    let mut found = directory.ancestors().filter_map(|ancestor| {
        let mark = ancestor.join(MARK);
        let file = if mark.is_dir() { read(&mark, "config", problems)? } else { return None };
        (file.section.value != Value::Null).then_some((ancestor.to_owned(), file))
    });
    let (inner, nearest) = found.next()?;
    let outer = found.find(|(root, file)| covers(root, &file.section, &inner));
    Some(outer.map_or(nearest, |(_, file)| file))
}

/// Whether the workspace at `root` counts `directory` as one of its projects.
fn covers(root: &Path, section: &Node, directory: &Path) -> bool {
    let Ok(below) = directory.strip_prefix(root) else { return false };
    let claims = member_claims(&texts(section, &["workspace", "members"]), &texts(section, &["workspace", "exclude"]));
    if claims.is_some_and(|claims| !claims.claim(below.as_os_str().as_encoded_bytes()).is_empty()) {
        return true;
    }
    let Some((Node { value: Value::Map(projects), .. }, _)) = section.at(&["projects"]) else { return false };
    projects.iter().any(|(name, entry)| match entry.node.at(&["root"]) {
        Some((Node { value: Value::Text(path), .. }, _)) => root.join(path) == directory,
        _ => root.join(name) == directory,
    })
}

/// Globs of directories, compiled; `None` if there are none or one is bad (which is told elsewhere).
pub(super) fn member_claims(members: &[String], exclude: &[String]) -> Option<Claims> {
    let trimmed = |globs: &[String]| globs.iter().map(|glob| glob.trim_end_matches('/').to_owned()).collect::<Vec<_>>();
    let patterns = ClaimPatterns {
        include: trimmed(members),
        exclude: trimmed(exclude),
        mappings: Vec::new(),
        default_excludes: true,
    };
    if members.is_empty() { None } else { Claims::new(patterns).ok() }
}

/// The directories under `root` that are members, in path order.
pub(super) fn members(root: &Path, members: &[String], exclude: &[String]) -> Vec<PathBuf> {
    let Some(claims) = member_claims(members, exclude) else { return Vec::new() };
    let below = {
        let root = root.to_owned();
        move |path: &Path| {
            path.strip_prefix(&root).map(|p| p.as_os_str().as_encoded_bytes().to_vec()).unwrap_or_default()
        }
    };
    let is_member = {
        let claims = claims.clone();
        move |path: &[u8]| !claims.claim(path).is_empty()
    };
    let walker = ignore::WalkBuilder::new(root)
        .standard_filters(false)
        .sort_by_file_path(Path::cmp)
        .filter_entry({
            let (below, is_member) = (below.clone(), is_member.clone());
            move |entry| {
                let path = below(entry.path());
                let kind = entry.file_type();
                let directory = kind.is_some_and(|kind| kind.is_dir() || (kind.is_symlink() && entry.path().is_dir()));
                entry.depth() == 0 || (directory && (claims.can_hold(&path) || is_member(&path)))
            }
        })
        .build();
    let directories = walker.flatten().filter(|entry| entry.depth() > 0 && is_member(&below(entry.path())));
    directories.map(ignore::DirEntry::into_path).collect()
}

fn texts(node: &Node, path: &[&str]) -> Vec<String> {
    let Some((Node { value: Value::List(list), .. }, _)) = node.at(path) else { return Vec::new() };
    let texts = list.iter().filter_map(|node| match &node.value {
        Value::Text(text) => Some(text.clone()),
        _ => None,
    });
    texts.collect()
}
