//! Markdown for a forge that contains text of others. That text is in code spans, where it has no
//! meaning.

use std::fmt::Write;

/// The maximum number of characters of a text in a code span.
const MAX_SPAN: usize = 300;

/// A text in a code span, also in the cell of a table.
pub(crate) fn span(text: &str) -> String {
    let mut inner = String::new();
    for c in text.chars().take(MAX_SPAN) {
        match c {
            '`' => inner.push('\''),
            '|' => inner.push_str("\\|"),
            '<' => inner.push('‹'),
            c if c.is_control() => inner.push(' '),
            c => inner.push(c),
        }
    }
    let inner = inner.trim();
    if inner.is_empty() {
        return "` `".to_owned();
    }
    format!("`{inner}`")
}

/// A link, if the address contains no character with a meaning in Markdown.
pub(crate) fn link(text: &str, address: Option<&str>) -> String {
    let is_plain = |address: &&str| {
        let is_allowed = |c: char| c.is_ascii_alphanumeric() || "-._~/:%+".contains(c);
        address.starts_with("https://") && address.chars().all(is_allowed)
    };
    match address.filter(is_plain) {
        Some(address) => format!("[{}]({address})", span(text)),
        None => span(text),
    }
}

/// Appends `addition` if it fits.
pub(crate) fn push_within(text: &mut String, addition: &str, room: usize) -> bool {
    let fits = text.chars().count() + addition.chars().count() <= room;
    if fits {
        text.push_str(addition);
    }
    fits
}

/// Appends a list as far as it fits, and the number of the other entries. Returns that number.
pub(crate) fn push_list(
    text: &mut String,
    title: &str,
    rows: impl ExactSizeIterator<Item = String>,
    room: usize,
) -> usize {
    let count = rows.len();
    if count == 0 || !push_within(text, title, room) {
        return count;
    }
    for (number, row) in rows.enumerate() {
        if !push_within(text, &row, room) {
            let _ = writeln!(text, "\n… and {} more", count - number);
            return count - number;
        }
    }
    0
}

/// At most `limit` characters of a text, with a sign if it is cut.
pub(crate) fn shortened(text: &str, limit: usize) -> String {
    if text.chars().count() <= limit {
        return text.to_owned();
    }
    let kept: String = text.chars().take(limit.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}
