//! Formatting of text for people.

use std::fmt::Display;
use std::time::Duration;

/// Formats a count with its noun: `1 file`, `3 files`.
pub(crate) fn pluralize<N: Display + PartialEq + From<u8>>(count: N, noun: &str) -> String {
    let plural = if count == N::from(1) { "" } else { "s" };
    format!("{count} {noun}{plural}")
}

/// A duration with the precision that matters to a person.
pub(crate) fn elapsed(duration: Duration) -> String {
    match duration.as_secs() {
        0..10 => format!("{:.1} s", duration.as_secs_f64()),
        seconds @ 10..60 => format!("{seconds} s"),
        seconds => format!("{} min {} s", seconds / 60, seconds % 60),
    }
}

/// A text as one word for a shell, quoted in any case.
pub(crate) fn shell_quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''").replace('!', r"'\!'"))
}

/// A text in the quotes of bash and zsh that have escape sequences.
fn ansi_c_quoted(text: &str) -> String {
    let escaped = |c: char| match c {
        '\'' | '\\' => format!("\\{c}"),
        '!' => r"\x21".to_owned(),
        c if c.is_control() => format!(r"\u{:04x}", u32::from(c)),
        c => c.to_string(),
    };
    format!("$'{}'", text.chars().map(escaped).collect::<String>())
}

/// A text as one word of a suggested command: quoted if it contains a character with a meaning for a
/// shell, and without control characters, which would have a meaning for the terminal.
pub(crate) fn shell_word(text: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "._-/+=:,@%…".contains(c);
    match !text.is_empty() && text.chars().all(is_plain) {
        true => text.to_owned(),
        false if text.contains(char::is_control) => ansi_c_quoted(text),
        false => shell_quoted(text),
    }
}

/// A path as one word of a suggested command, which is never an option.
pub(crate) fn shell_path(path: &str) -> String {
    match path.starts_with('-') {
        true => shell_word(&format!("./{path}")),
        false => shell_word(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_one_word_for_a_shell() {
        assert_eq!(shell_quoted("/a b'c!"), r"'/a b'\''c'\!''");
        assert_eq!(shell_word("a'\\\n\u{1b}[2J"), r"$'a\'\\\u000a\u001b[2J'");
        for (path, word) in [
            ("../plan.json", "../plan.json"),
            ("-x.json", "./-x.json"),
            ("my plan;x.json", "'my plan;x.json'"),
            ("é/$(id)", "'é/$(id)'"),
            ("", "''"),
        ] {
            assert_eq!(shell_path(path), word);
        }
    }
}
