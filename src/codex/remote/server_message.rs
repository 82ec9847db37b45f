//! Messages of the server: the lines that git prints with the prefix `remote:`, complete up to a
//! limit.

use crate::paths::escaped;

/// More lines than this are cut at the beginning.
const MAX_LINES: usize = 200;
/// More bytes than this are cut at the beginning.
const MAX_BYTES: usize = 64 << 10;
/// The prefix of a line of the server.
const MARK: &str = "remote:";

/// The labels of the progress of git on the server, which arrives as messages.
const PROGRESS: [&str; 8] = [
    "Enumerating objects",
    "Counting objects",
    "Compressing objects",
    "Receiving objects",
    "Unpacking objects",
    "Resolving deltas",
    "Checking objects",
    "Checking connectivity",
];

/// The messages of the server in lines of standard error, without the prefix, escaped. Only the
/// progress of git on the server is left out. Secrets must be masked in `lines` already: a secret
/// that is cut in two could not be found.
pub(in crate::codex) fn server_words(lines: &[String]) -> Vec<String> {
    let words = lines
        .iter()
        .filter_map(|line| unmarked_line(line))
        .map(str::trim_end)
        .filter(|line| !is_progress_of_server(line));
    let words: Vec<_> = words
        .map(|line| escaped(line.replace('\t', "    ").as_bytes()).to_string())
        .collect();

    bounded(without_blank_ends(&words))
}

/// Whether a line has the prefix of messages of the server.
pub(crate) fn is_of_server(line: &str) -> bool {
    line.starts_with(MARK)
}

/// Adds the prefix to a line of the server.
pub(in crate::codex) fn mark(line: &str) -> String {
    format!("{MARK} {line}")
}

/// Adds the prefix to messages of the server.
pub(crate) fn marked(words: &[String]) -> impl Iterator<Item = String> {
    words.iter().map(|line| mark(line).trim_end().to_owned())
}

/// The messages of the server in `lines`, without the prefix.
pub(crate) fn unmarked(lines: &[String]) -> Vec<String> {
    let words = lines.iter().filter_map(|line| unmarked_line(line));
    words.map(str::to_owned).collect()
}

/// A line of the server without the prefix. `None` if the line has none.
pub(in crate::codex) fn unmarked_line(line: &str) -> Option<&str> {
    let words = line.strip_prefix(MARK)?;
    Some(words.strip_prefix(' ').unwrap_or(words))
}

/// Whether a line is progress in git's format: `Writing objects:  50% (1/2)`.
pub(super) fn is_progress(line: &str) -> bool {
    let Some((_, numbers)) = line.split_once(": ") else {
        return false;
    };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let Some((share, rest)) = numbers.trim_start().split_once("% (") else {
        return false;
    };
    let counts = rest
        .split_once(')')
        .and_then(|(counts, _)| counts.split_once('/'));
    digits(share) && counts.is_some_and(|(done, total)| digits(done) && digits(total))
}

fn is_progress_of_server(line: &str) -> bool {
    let is_label = |label: &str| {
        line.strip_prefix(label)
            .is_some_and(|rest| rest.starts_with(": "))
    };
    PROGRESS.iter().any(|label| is_label(label)) && (is_progress(line) || line.ends_with(", done."))
}

fn without_blank_ends(mut words: &[String]) -> &[String] {
    while let [first, rest @ ..] = words
        && first.is_empty()
    {
        words = rest;
    }
    while let [rest @ .., last] = words
        && last.is_empty()
    {
        words = rest;
    }
    words
}

/// The last lines of `words`, after a line with the number of omitted lines and bytes if there are
/// any.
fn bounded(words: &[String]) -> Vec<String> {
    let mut bytes = 0;
    let kept = words
        .iter()
        .rev()
        .take(MAX_LINES)
        .take_while(|line| {
            bytes += line.len() + 1;
            bytes <= MAX_BYTES
        })
        .count();
    let (cut, kept) = words.split_at(words.len() - kept);

    match (cut, kept) {
        ([], kept) => kept.to_vec(),
        // The last line alone is too long.
        ([.., last], []) => {
            let start = (last.len() - MAX_BYTES..last.len())
                .find(|at| last.is_char_boundary(*at))
                .unwrap_or(last.len());
            vec![note(cut.len() - 1, start), last[start..].to_owned()]
        }
        (cut, kept) => {
            let bytes = cut.iter().map(|line| line.len() + 1).sum();
            [&[note(cut.len(), bytes)], kept].concat()
        }
    }
}

fn note(lines: usize, bytes: usize) -> String {
    let lines = crate::text::pluralize(lines, "earlier line");
    format!("[… cut: {lines}, {bytes} bytes]")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words_of(lines: impl IntoIterator<Item = impl AsRef<str>>) -> Vec<String> {
        let lines: Vec<_> = lines
            .into_iter()
            .map(|line| line.as_ref().to_owned())
            .collect();
        server_words(&lines)
    }

    #[test]
    fn messages_are_complete() {
        let lines = [
            "Writing objects: 100% (3/3), done.",
            "remote: ",
            "remote:   indented\tcell        ",
            "remote: coverage 71% (needs 80%)",
            "remote: Resolving deltas: 100% (1/1), done.        ",
            "remote:",
            "remote: hint: ask the owners",
            "remote: Total 3 (delta 0)",
            "remote: \u{1b}[31mred\u{1b}[0m",
            "remote:         ",
            "error: failed to push some refs",
        ];
        let expected = [
            "  indented    cell",
            "coverage 71% (needs 80%)",
            "",
            "hint: ask the owners",
            "Total 3 (delta 0)",
            "\\u{1b}[31mred\\u{1b}[0m",
        ];
        assert_eq!(words_of(lines), expected);
    }

    #[test]
    fn first_lines_of_many_are_omitted() {
        let words = words_of((0..1000).map(|number| format!("remote: {number}")));
        assert_eq!(words.len(), 201);
        assert_eq!(words[0], "[… cut: 800 earlier lines, 3090 bytes]");
        assert_eq!((words[1].as_str(), words[200].as_str()), ("800", "999"));
    }

    #[test]
    fn start_of_long_lines_is_omitted() {
        let long = |letter: &str, count| format!("remote: {}", letter.repeat(count));
        let words = words_of([long("a", 40_000), long("b", 40_000), long("c", 100)]);
        assert_eq!(words[0], "[… cut: 1 earlier line, 40001 bytes]");
        assert_eq!(words.len(), 3);

        let words = words_of([long("é", 40_000)]);
        assert_eq!(words[0], "[… cut: 0 earlier lines, 14464 bytes]");
        assert_eq!(words[1].len(), MAX_BYTES);
    }

    #[test]
    fn progress_has_a_percentage_and_counts() {
        for (line, expected) in [
            ("Writing objects:  50% (1/2)", true),
            ("Receiving objects: 100% (2/2), 1.5 KiB, done.", true),
            ("coverage: 71% (needs 80%)", false),
            ("coverage 71% (7/10)", false),
            ("fatal: it is 100% (sic)", false),
        ] {
            assert_eq!(is_progress(line), expected, "{line}");
        }
    }
}
