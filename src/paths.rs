//! Paths inside the codex: `/`-separated bytes, checked once, then carried as a type.
//!
//! Names are bytes, as in git. They are escaped only when they are shown.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ffi::OsString;
use std::fmt;
use std::path::{Component, Path, PathBuf};

use bstr::{BStr, BString, ByteSlice};
use rayon::prelude::*;
use unicode_normalization::UnicodeNormalization;

use crate::platform;

/// The name of the directory that holds the files of a workspace or a project.
pub(crate) const FRACTARY_DIR: &str = ".fractary";

/// A relative path in the codex that can be written safely: no empty, `.`, `..` or `.git` or
/// `.gitmodules` segment, no NUL.
///
/// Invariant: never empty, never starts or ends with `/`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CodexPath(BString);

/// Why bytes are not a path in the codex.
#[derive(Debug, Clone, Copy, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidPath {
    /// The path is empty.
    #[error("the path is empty")]
    Empty,
    /// Starts with `/`.
    #[error("the path is absolute")]
    Absolute,
    /// A segment that is empty, `.` or `..`.
    #[error("the path has an empty, `.` or `..` segment")]
    Dots,
    /// A segment that git takes for its own directory, on this or another file system.
    #[error("the path has a `.git` segment")]
    DotGit,
    /// A segment that git takes for its list of submodules: a link or other contents make a
    /// repository unsound.
    #[error("the path has a `.gitmodules` segment, which git would read as its own")]
    GitModules,
    /// A NUL byte, which no tree entry can hold.
    #[error("the path has a NUL byte")]
    Nul,
    /// A name with a separator in it, or one that Windows takes for a drive.
    #[error("the name has a `/`, a `\\` or a drive letter in it")]
    Separator,
    /// A name that this system cannot have, with the reason.
    #[error("{0}")]
    System(&'static str),
    /// A name that no usual file system holds.
    #[error("the name has more than {MAX_NAME} bytes")]
    TooLong,
}

/// The maximum length of a file name on Linux, in bytes. Other systems have similar limits.
const MAX_NAME: usize = 255;

impl CodexPath {
    /// Checks `bytes`; one trailing `/` is accepted and dropped.
    pub fn new(bytes: &[u8]) -> Result<Self, InvalidPath> {
        let bytes = bytes.strip_suffix(b"/").unwrap_or(bytes);
        if bytes.is_empty() {
            return Err(InvalidPath::Empty);
        }
        if bytes[0] == b'/' {
            return Err(InvalidPath::Absolute);
        }
        for segment in bytes.split(|b| *b == b'/') {
            check_segment(segment)?;
        }
        Ok(Self(bytes.into()))
    }

    /// The bytes, without leading or trailing `/`.
    pub fn as_bstr(&self) -> &BStr {
        self.0.as_bstr()
    }

    /// The path in the codex of `path`, which is relative to this directory.
    pub fn join(&self, path: &BStr) -> BString {
        bstr::join("/", [self.as_bstr(), path]).into()
    }

    /// The directory that is as deep as this one and contains `path`; `None` if `path` is not below such
    /// a directory.
    pub(crate) fn same_level_above(&self, path: &BStr) -> Option<Self> {
        let depth = self.as_bstr().find_iter("/").count();
        let end = path.find_iter("/").nth(depth)?;
        Self::new(&path[..end]).ok()
    }

    /// The path with a `/` at the end, in the form that is the same for paths which only some file
    /// systems distinguish. A directory overlaps another one if one of these forms begins with the
    /// other.
    pub(crate) fn folded_directory(&self) -> BString {
        let mut path = folded(self.as_bstr());
        path.push(b'/');
        path
    }
}

/// The path of `below` in `directory`, which is empty for the root.
pub(crate) fn join_below(directory: &BStr, below: &BStr) -> BString {
    if directory.is_empty() {
        below.to_owned()
    } else {
        bstr::join("/", [directory, below]).into()
    }
}

impl fmt::Display for CodexPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        escaped(&self.0).fmt(f)
    }
}

/// Checks one segment of a path by git's rules for trees, for all platforms at once.
pub fn check_segment(segment: &[u8]) -> Result<(), InvalidPath> {
    match segment {
        b"" | b"." | b".." => Err(InvalidPath::Dots),
        _ if is_gits_own(segment, b".git", &[b"git~1"]) => Err(InvalidPath::DotGit),
        _ if is_gits_own(segment, b".gitmodules", &MODULES_ON_NTFS) => Err(InvalidPath::GitModules),
        _ if segment.contains(&0) => Err(InvalidPath::Nul),
        _ => Ok(()),
    }
}

/// Checks a name from a tree of the codex before a file or directory of that name is created: like
/// [`check_segment`], and no platform may read it as more than one name, or find it too long.
pub(crate) fn check_file_name(name: &[u8]) -> Result<(), InvalidPath> {
    check_segment(name)?;
    if name.len() > MAX_NAME {
        return Err(InvalidPath::TooLong);
    }
    let drive = matches!(name, [letter, b':', ..] if letter.is_ascii_alphabetic());
    if drive || name.contains(&b'/') || name.contains(&b'\\') {
        return Err(InvalidPath::Separator);
    }
    match platform::name_problem(name) {
        Some(reason) => Err(InvalidPath::System(reason)),
        None => Ok(()),
    }
}

/// The form of a path that file systems compare if they ignore case and Unicode form.
pub(crate) fn folded(path: &[u8]) -> BString {
    match path.to_str() {
        Ok(text) if text.is_ascii() => text.to_ascii_lowercase().into(),
        Ok(text) => text
            .nfd()
            // Converted to upper case first, so that `ß` equals `ss`, and the two small forms of
            // sigma are equal.
            .flat_map(char::to_uppercase)
            .flat_map(char::to_lowercase)
            .nfc()
            .collect::<String>()
            .into(),
        Err(_) => path.to_ascii_lowercase().into(),
    }
}

/// The short names that NTFS may give to `.gitmodules`.
const MODULES_ON_NTFS: [&[u8]; 5] = [
    b"gitmod~1",
    b"gitmod~2",
    b"gitmod~3",
    b"gitmod~4",
    b"gi7eba~1",
];

/// Whether NTFS or HFS+ reads `segment` as `name`: they ignore case, trailing dots and spaces and
/// some code points, and NTFS knows `short` names.
fn is_gits_own(segment: &[u8], name: &[u8], short: &[&[u8]]) -> bool {
    let visible = without_ignorable(segment);
    // On NTFS, the text after `:` names a stream of the same file, and `\\` separates names.
    visible.split(|b| *b == b'\\').any(|part| {
        let part = part.split(|b| *b == b':').next().unwrap_or(part);
        let part = part.trim_end_with(|c| matches!(c, '.' | ' '));
        part.eq_ignore_ascii_case(name)
            || short.iter().any(|short| part.eq_ignore_ascii_case(short))
    })
}

/// The name without the code points that HFS+ ignores. This is computed for each name of each path,
/// so a name in ASCII, which has none, is not copied.
fn without_ignorable(name: &[u8]) -> Cow<'_, [u8]> {
    if name.is_ascii() {
        return Cow::Borrowed(name);
    }

    let is_ignorable = |c: char| matches!(c, '\u{200c}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{206a}'..='\u{206f}' | '\u{feff}');
    let visible = name.chars().filter(|c| !is_ignorable(*c));
    Cow::Owned(visible.collect::<String>().into_bytes())
}

/// An absolute path with its links resolved, whether or not it exists: a link to a missing file is
/// resolved as well.
pub fn resolved(path: &Path) -> PathBuf {
    if let Ok(real) = dunce::canonicalize(path) {
        return real;
    }

    let mut real = PathBuf::new();
    let mut links = 0;
    let mut pending: Vec<OsString> = Vec::new();
    let push = |pending: &mut Vec<OsString>, path: &Path| {
        let components = path.components().rev();
        pending.extend(components.map(|component| component.as_os_str().to_owned()));
    };
    push(&mut pending, path);

    while let Some(component) = pending.pop() {
        if component == ".." {
            real.pop();
            continue;
        }
        // An absolute component replaces the path.
        let here = real.join(&component);
        match here.read_link() {
            Ok(target) if links < MAX_LINKS => {
                links += 1;
                push(&mut pending, &target);
            }
            _ => real = here,
        }
    }
    real
}

/// Resolves many paths, as [`resolved`] does. The directory that contains several of them is resolved
/// only once: with thousands of projects, that is most of the work.
#[derive(Default)]
pub(crate) struct PathResolver {
    /// The parents of the paths, each with its resolved path.
    parents: HashMap<PathBuf, PathBuf>,
}

impl PathResolver {
    /// The same as [`resolved`].
    pub(crate) fn resolve(&mut self, path: &Path) -> PathBuf {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return resolved(path);
        };
        if !self.parents.contains_key(parent) {
            self.parents.insert(parent.to_owned(), resolved(parent));
        }
        let here = self.parents[parent].join(name);
        if here.is_symlink() {
            resolved(path)
        } else {
            here
        }
    }

    /// Resolves many paths at once, in parallel.
    pub(crate) fn resolve_all<'p>(paths: impl IntoIterator<Item = &'p Path>) -> Vec<PathBuf> {
        let paths: Vec<_> = paths.into_iter().collect();
        let parts = paths.par_chunks(PER_THREAD);
        let parts = parts.map(|part| {
            let mut resolver = Self::default();
            let resolved = part.iter().map(|path| resolver.resolve(path));
            resolved.collect::<Vec<_>>()
        });
        parts.flatten_iter().collect()
    }
}

/// The number of paths that a thread resolves at a time.
const PER_THREAD: usize = 256;

/// The maximum number of links in a chain, as in Linux.
pub(crate) const MAX_LINKS: u32 = 40;

/// Replaces `~` or `~/` at the start of a path by the home directory, if that is known.
pub(crate) fn below_home(path: &str, home: Option<&str>) -> String {
    match (path.strip_prefix('~'), home) {
        (Some(rest), Some(home)) if rest.is_empty() || rest.starts_with('/') => {
            format!("{home}{rest}")
        }
        _ => path.to_owned(),
    }
}

/// `base/path` with `.` and `..` removed from the text. The disk is not read, so the path need not
/// exist, and `a/link/..` is `a`.
pub(crate) fn absolute(base: &Path, path: &Path) -> PathBuf {
    let mut absolute = PathBuf::new();
    for component in base.join(path).components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                absolute.pop();
            }
            other => absolute.push(other),
        }
    }
    absolute
}

/// Text from outside, safe for a terminal or a JSON string: control characters, characters that
/// reorder or hide text, and bytes that are not UTF-8 are written as escapes.
pub(crate) fn escaped(bytes: &[u8]) -> impl fmt::Display + '_ {
    Escaped(bytes)
}

/// A path of this machine, escaped in the same way.
pub(crate) fn shown(path: &Path) -> impl fmt::Display + '_ {
    escaped(path.as_os_str().as_encoded_bytes())
}

struct Escaped<'a>(&'a [u8]);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            for c in chunk.valid().chars() {
                let hidden = matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{206f}' | '\u{feff}');
                if c.is_control() || hidden {
                    write!(f, "{}", c.escape_default())?;
                } else {
                    write!(f, "{c}")?;
                }
            }
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_could_leave_or_harm_the_codex_are_rejected() {
        for bad in [
            "",
            "/",
            "/a",
            "a//b",
            ".",
            "..",
            "a/../b",
            "a/.",
            ".git",
            "a/.GIT/b",
            "a/git~1",
            "a/.git.",
            "a/.g\u{200c}it",
            "a\0b",
            ".git::$INDEX",
            "a/.git\\x",
            "x\\.GIT",
            "docs/.gitmodules",
            "docs/.gitMODULES ",
            "gitmod~1",
        ] {
            assert!(CodexPath::new(bad.as_bytes()).is_err(), "{bad:?}");
        }
        for good in [
            "a",
            "a/",
            "projects/x",
            ".github/x",
            ".gitignore",
            "a b/ü",
            "...",
            "x.git",
        ] {
            assert!(CodexPath::new(good.as_bytes()).is_ok(), "{good:?}");
        }
    }

    #[test]
    fn shown_names_cannot_drive_a_terminal() {
        assert_eq!(
            escaped(b"a\x1b[31m\n\xff\xc3\xa9").to_string(),
            "a\\u{1b}[31m\\n\\xff\u{e9}"
        );
    }
}
