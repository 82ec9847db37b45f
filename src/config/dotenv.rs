//! `.env` files, in the format of node's dotenv.
//!
//! A value is taken literally, with any `$`: the crates that parse this format expand variables,
//! which would cut a part out of many passwords.

use std::io;
use std::path::Path;

use super::file;
use super::location::Origin;
use super::problem::Problem;
use crate::platform::is_special;

/// Returns the variables of the file at `path`, in their order; none if it does not exist. `whole`
/// is its origin.
pub(super) fn read(
    path: &Path,
    whole: &Origin,
    problems: &mut Vec<Problem>,
) -> Vec<(String, String)> {
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
            return Vec::new();
        }
        Err(error) => {
            problems.push(file::unreadable(path, &error).at(whole));
            return Vec::new();
        }
    };
    let Ok(text) = String::from_utf8(bytes) else {
        problems.push(Problem::new("the file is not UTF-8 text").at(whole));
        return Vec::new();
    };

    let mut variables = Vec::new();
    for variable in parse(text.strip_prefix('\u{feff}').unwrap_or(&text)) {
        match variable {
            Ok(variable) => variables.push(variable),
            Err(InvalidLine { line, reason, hint }) => {
                let at = Origin {
                    line: u32::try_from(line).unwrap_or(0),
                    ..whole.clone()
                };
                problems.push(Problem::new(reason).at(&at).hint(hint));
            }
        }
    }
    variables
}

/// A line that cannot be parsed. Its text is left out, because it can contain a secret.
#[derive(Debug, PartialEq, Eq)]
struct InvalidLine {
    /// The line number, from 1.
    line: usize,
    reason: &'static str,
    hint: &'static str,
}

/// Returns the variables of `text` in their order, and an error for each line that is not a
/// variable.
fn parse(text: &str) -> Vec<Result<(String, String), InvalidLine>> {
    let mut parsed = Vec::new();
    let mut rest = text;
    let mut line = 1;
    while !rest.is_empty() {
        let here = rest.trim_start_matches([' ', '\t']);
        let end = here.find('\n').map_or(here.len(), |end| end + 1);
        let mut length = end;
        if !here[..end].trim().is_empty() && !here.starts_with('#') {
            match variable(here, end) {
                Ok((name, value, whole)) => {
                    parsed.push(Ok((name, value)));
                    length = whole;
                }
                Err((reason, hint)) => parsed.push(Err(InvalidLine { line, reason, hint })),
            }
        }
        line += here[..length].matches('\n').count();
        rest = &here[length..];
    }
    parsed
}

/// A reason and its hint.
type Complaint = (&'static str, &'static str);

const NOT_A_VARIABLE: Complaint = (
    "not a line of the form NAME=VALUE",
    "write NAME=VALUE, or start a comment with `#`",
);
const UNCLOSED_QUOTE: Complaint = (
    "unclosed quote",
    "close it, or use the other kind of quotes for a value that contains one",
);
const TEXT_AFTER_QUOTE: Complaint = (
    "unexpected text after the closing quote",
    "use the other kind of quotes for the whole value",
);

/// Parses the variable at the start of `text`. Its first line ends at `end`. Returns its name, its
/// value and the number of bytes read.
fn variable(text: &str, end: usize) -> Result<(String, String, usize), Complaint> {
    let (name, value) = text[..end].split_once('=').ok_or(NOT_A_VARIABLE)?;
    let name = match name.trim().strip_prefix("export") {
        Some(rest) if rest.starts_with([' ', '\t']) => rest.trim_start(),
        _ => name.trim(),
    };
    if !is_name(name) {
        return Err(NOT_A_VARIABLE);
    }

    let given = value.trim_start();
    let Some(quote) = given.chars().next().filter(|c| matches!(c, '"' | '\'')) else {
        let comment = value
            .match_indices('#')
            .find(|(at, _)| *at == 0 || value[..*at].ends_with([' ', '\t']));
        let value = &value[..comment.map_or(value.len(), |(at, _)| at)];
        return Ok((name.to_owned(), value.trim().to_owned(), end));
    };

    // A quoted value can span several lines.
    let inside = end - given.len() + 1;
    let (value, length) = quoted(&text[inside..], quote).ok_or(UNCLOSED_QUOTE)?;
    let after = &text[inside + length..];
    let rest_of_line = &after[..after.find('\n').map_or(after.len(), |end| end + 1)];
    if !rest_of_line.trim().is_empty() && !rest_of_line.trim().starts_with('#') {
        return Err(TEXT_AFTER_QUOTE);
    }
    let whole = inside + length + rest_of_line.len();
    Ok((name.to_owned(), value, whole))
}

fn is_name(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    !text.is_empty() && !text.starts_with(|c: char| c.is_ascii_digit()) && text.chars().all(allowed)
}

/// Returns the text up to the closing `quote`, and the number of bytes including that quote; `None`
/// if it is not closed.
///
/// In double quotes, `\n`, `\r`, `\t`, `\"`, `\\` and `\$` are escapes. Any other backslash is
/// literal.
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
    fn values_are_literal() {
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

    fn both(expected: &str) -> [Result<(String, String), InvalidLine>; 2] {
        [("A", expected), ("B", "after")]
            .map(|(name, value)| Ok((name.to_owned(), value.to_owned())))
    }

    #[test]
    fn invalid_lines_are_reported_by_number() {
        for (text, line, reason) in [
            ("A=1\nno variable\n", 2, "not a line of the form NAME=VALUE"),
            ("A='1\n2'\n\n=x", 4, "not a line of the form NAME=VALUE"),
            ("1A=x", 1, "not a line of the form NAME=VALUE"),
            ("A=\"x", 1, "unclosed quote"),
            ("A='it's'", 1, "unexpected text after the closing quote"),
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
