//! `.env` files, read as node's dotenv reads them: a value is what stands there, `$` and all. (The crates that read them
//! put variables in, which takes a part of many a password.)

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use super::env::{CONFIG, LOG, PREFIX, SAFE_DIRECTORY};
use super::file;
use super::location::{LayerKind, Location, Origin};
use super::problem::{Diagnostics, Problem};
use crate::environment::Environment;
use crate::platform::is_special;

/// Variables that count only in the environment of the process. A file that a workspace carries must neither choose the
/// workspace nor declare itself safe.
const OF_THE_PROCESS: [&str; 3] = [CONFIG, LOG, SAFE_DIRECTORY];

/// The file of variables that belongs to the workspace at `root`.
pub(super) fn file_of(root: &Path) -> PathBuf {
    root.join(".fractary/env/.env")
}

/// Adds the variables of the file at `path`, if it exists, to those that are not set yet. Returns their names.
pub(super) fn read(
    path: &Path,
    environment: &mut Environment,
    diagnostics: &mut Diagnostics,
) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let whole = Origin::whole(
        LayerKind::Environment,
        Location::File(path.to_owned()),
        path,
    );
    let content = if is_special(path) {
        Err(io::Error::other("not a regular file"))
    } else {
        std::fs::read(path)
    };
    let bytes = match content {
        Ok(bytes) => bytes,
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            return names;
        }
        Err(error) => {
            diagnostics
                .problems
                .push(file::unreadable(path, &error).at(&whole));
            return names;
        }
    };
    let Ok(text) = String::from_utf8(bytes) else {
        diagnostics
            .problems
            .push(Problem::new("the file is not UTF-8 text").at(&whole));
        return names;
    };
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let known: BTreeSet<String> = environment
        .iter()
        .map(|(name, _)| name.to_owned())
        .chain(environment.unreadable().map(str::to_owned))
        .collect();
    for variable in parse(text) {
        match variable {
            Ok((name, _)) if OF_THE_PROCESS.contains(&name.as_str()) => {
                let message =
                    format!("`{name}` has no effect here: it is read before this file is found");
                diagnostics.warnings.push(
                    Problem::new(message)
                        .at(&whole)
                        .hint("set it in the environment of the process"),
                );
            }
            Ok((name, value)) => {
                if !known.contains(&name) && names.insert(name.clone()) {
                    environment.set_default(name, value);
                }
            }
            Err(unreadable) => {
                let at = Origin {
                    line: u32::try_from(unreadable.line).unwrap_or(0),
                    ..whole.clone()
                };
                diagnostics.problems.push(
                    Problem::new(unreadable.reason)
                        .at(&at)
                        .hint(unreadable.hint),
                );
            }
        }
    }
    names
}

/// Whether a variable of the file is more than what `${…}` stands for: a key of ours, or a token. Nothing else in it has a
/// say in a run: not where a token may go, and not in what git does.
pub(super) fn reaches_the_run(name: &str) -> bool {
    name.starts_with(PREFIX) || ["GITHUB_TOKEN", "GH_TOKEN"].contains(&name)
}

/// A line that cannot be read, from 1, and what to do about it. Never what stands in it: it may be a secret.
#[derive(Debug, PartialEq, Eq)]
struct Unreadable {
    line: usize,
    reason: &'static str,
    hint: &'static str,
}

/// The variables of `text` in their order, and the lines that are none.
fn parse(text: &str) -> Vec<Result<(String, String), Unreadable>> {
    let mut found = Vec::new();
    let mut rest = text;
    let mut line = 1;
    while !rest.is_empty() {
        let here = rest.trim_start_matches([' ', '\t']);
        let end = here.find('\n').map_or(here.len(), |end| end + 1);
        let mut length = end;
        if !here[..end].trim().is_empty() && !here.starts_with('#') {
            match variable(here, end) {
                Ok((name, value, whole)) => {
                    found.push(Ok((name, value)));
                    length = whole;
                }
                Err((reason, hint)) => found.push(Err(Unreadable { line, reason, hint })),
            }
        }
        line += here[..length].matches('\n').count();
        rest = &here[length..];
    }
    found
}

/// What cannot be read, and what to do about it.
type Complaint = (&'static str, &'static str);

const NO_VARIABLE: Complaint = (
    "not a line of the form NAME=VALUE",
    "write NAME=VALUE, or put `#` before what is a remark",
);
const OPEN: Complaint = (
    "a quote is not closed",
    "close it, or put a value that holds one into quotes of the other kind",
);
const BEHIND: Complaint = (
    "something stands behind the closing quote",
    "put the whole value into quotes of the other kind",
);

/// Name and value at the start of `text`, whose first line ends at `end`, and the length of what was read.
fn variable(text: &str, end: usize) -> Result<(String, String, usize), Complaint> {
    let (name, value) = text[..end].split_once('=').ok_or(NO_VARIABLE)?;
    let name = match name.trim().strip_prefix("export") {
        Some(rest) if rest.starts_with([' ', '\t']) => rest.trim_start(),
        _ => name.trim(),
    };
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    if name.is_empty()
        || name.starts_with(|c: char| c.is_ascii_digit())
        || !name.chars().all(is_name)
    {
        return Err(NO_VARIABLE);
    }
    let given = value.trim_start();
    let Some(quote) = given.chars().next().filter(|c| matches!(c, '"' | '\'')) else {
        let remark = value
            .match_indices('#')
            .find(|(at, _)| *at == 0 || value[..*at].ends_with([' ', '\t']));
        let value = &value[..remark.map_or(value.len(), |(at, _)| at)];
        return Ok((name.to_owned(), value.trim().to_owned(), end));
    };
    // What is quoted may go on over lines.
    let inside = end - given.len() + 1;
    let (value, length) = quoted(&text[inside..], quote).ok_or(OPEN)?;
    let after = &text[inside + length..];
    let behind = &after[..after.find('\n').map_or(after.len(), |end| end + 1)];
    if !behind.trim().is_empty() && !behind.trim().starts_with('#') {
        return Err(BEHIND);
    }
    Ok((name.to_owned(), value, inside + length + behind.len()))
}

/// The text up to the closing `quote`, and the length with it. Double quotes know `\n`, `\r`, `\t`, `\"`, `\\` and `\$`;
/// any other backslash is one.
fn quoted(text: &str, quote: char) -> Option<(String, usize)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, c)) = characters.next() {
        if c == quote {
            return Some((value, at + 1));
        }
        if c != '\\' || quote == '\'' {
            value.push(c);
            continue;
        }
        match characters.next()?.1 {
            'n' => value.push('\n'),
            'r' => value.push('\r'),
            't' => value.push('\t'),
            c @ ('"' | '\\' | '$') => value.push(c),
            other => value.extend(['\\', other]),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_taken_as_they_stand() {
        for (line, expected) in [
            ("A=abc$def", "abc$def"),
            ("A=${B} {x} $1", "${B} {x} $1"),
            ("A=two words", "two words"),
            ("  export A = x  # why", "x"),
            ("A=x#y", "x#y"),
            ("A=# nothing", ""),
            ("A=", ""),
            ("A=a=b\\n", "a=b\\n"),
            ("A='a \"b\" $c \\n' # why", "a \"b\" $c \\n"),
            ("A=\"a 'b' $c\\n\\\"\\\\\\d\"", "a 'b' $c\n\"\\\\d"),
            ("A=it's", "it's"),
            ("A='one\ntwo'", "one\ntwo"),
            ("A=\"x\"\r", "x"),
            ("A=ü\r", "ü"),
        ] {
            assert_eq!(
                parse(&format!("# first\n\n{line}\nB=after")),
                both(expected),
                "{line}"
            );
        }
    }

    fn both(expected: &str) -> [Result<(String, String), Unreadable>; 2] {
        [("A", expected), ("B", "after")]
            .map(|(name, value)| Ok((name.to_owned(), value.to_owned())))
    }

    #[test]
    fn what_cannot_be_read_is_told_by_its_line() {
        for (text, line, reason) in [
            ("A=1\nno variable\n", 2, "not a line of the form NAME=VALUE"),
            ("A='1\n2'\n\n=x", 4, "not a line of the form NAME=VALUE"),
            ("1A=x", 1, "not a line of the form NAME=VALUE"),
            ("A=\"x", 1, "a quote is not closed"),
            ("A='it's'", 1, "something stands behind the closing quote"),
        ] {
            let invalid: Vec<_> = parse(text).into_iter().filter_map(Result::err).collect();
            assert_eq!(
                (invalid[0].line, invalid[0].reason),
                (line, reason),
                "{text}"
            );
        }
    }
}
