//! Private keys in lines of base64 after a first line that names them.
//!
//! The lines can be indented, quoted, or one string with `\n`. Headers such as `DEK-Info` or
//! `Comment` can precede them.

use std::ops::Range;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bstr::ByteSlice;

use super::randomness::{PLACEHOLDERS, contains_any, entropy, has_placeholder, longest_run};

/// The greatest distance from the first line of a key to its text, in bytes.
const MAX_DISTANCE: usize = 1_000;
/// The greatest length of a key, in bytes.
const MAX_LENGTH: usize = 16_000;
/// The greatest length of a line break in the text of a key, with indentation and quotes.
const MAX_BREAK: usize = 80;
/// The minimum length of the first line of a key's text, and of the lines after it.
const MIN_FIRST_LINE: usize = 40;
const MIN_LINE: usize = 20;
/// The minimum length of a key that ends with an ellipsis.
const MIN_SHORTENED: usize = 400;

/// The place of a private key whose first line ends with `begin`, and its text without line breaks.
pub(super) fn private_key(
    contents: &[u8],
    begin: &Range<usize>,
) -> Option<(Range<usize>, Vec<u8>)> {
    // The name of the key type precedes the match. The last line of a key has the same end.
    let before = &contents[begin.start.saturating_sub(40)..begin.start];
    let start = if contents[begin.clone()].starts_with(b"Private-Lines") {
        begin.start
    } else {
        let name = before.rfind(b"BEGIN ")?;
        let dashes = before[..name].trim_end_with(|sign| matches!(sign, '-' | ' '));
        begin.start - before.len() + dashes.len()
    };

    let end = contents.len().min(begin.end + MAX_LENGTH);
    let rest = &contents[begin.end..end];
    let (text, length) = key_text(rest);
    let is_shortened = text.len() < MIN_SHORTENED && is_ellipsis(&rest[length..]);
    let is_small = before.ends_with(b"RSA ") && is_small_key(&text);
    (!is_shortened && !is_small && is_key(&text)).then(|| (start..begin.end + length, text))
}

/// The base64 text of a key without line breaks, and the length that it has with them.
fn key_text(rest: &[u8]) -> (Vec<u8>, usize) {
    let mut text = Vec::new();
    let mut last = 0;
    for line in base64_lines(rest) {
        let limit = if text.is_empty() {
            MAX_DISTANCE
        } else {
            MAX_BREAK
        };
        let between = &rest[last..line.start];
        if between.len() > limit || between.contains_str("----") {
            break;
        }
        let is_text = if text.is_empty() {
            line.len() >= MIN_FIRST_LINE && !is_header(between)
        } else {
            line.len() >= MIN_LINE
        };
        if is_text {
            text.extend_from_slice(&rest[line.clone()]);
            last = line.end;
        }
    }
    (text, last)
}

/// The places of base64 characters. In a string, a line break is `\n`.
fn base64_lines(text: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let is_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at + text[at..].iter().position(is_base64)?;
        let length = text[start..]
            .iter()
            .take_while(|byte| is_base64(byte))
            .count();
        at = start + length;
        let is_escaped =
            text[..start].ends_with(b"\\") && matches!(text[start], b'n' | b'r' | b't');
        Some(start + usize::from(is_escaped)..at)
    })
}

/// Whether a text ends within the value of a header: after its name, or within a URL.
fn is_header(text: &[u8]) -> bool {
    let is_separator =
        |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, b'"' | b'\'' | b'>');
    let word = text.rsplit(is_separator).next().unwrap_or_default();
    let word = word.rsplit_once_str("\\n").map_or(word, |(_, word)| word);
    word.contains(&b':') || text.ends_with(b": ")
}

fn is_ellipsis(rest: &[u8]) -> bool {
    contains_any(&rest[..rest.len().min(8)], &["..", "…"])
}

/// Whether a text looks like that of a key. Its first half can be the header of its format, which is
/// not random.
fn is_key(text: &[u8]) -> bool {
    let start = &text[..text.len().min(64)];
    let end = &text[text.len() / 2..];
    text.len() >= MIN_FIRST_LINE
        && entropy(text) >= 3.5
        && longest_run(end, |a, b| a == b) < 8
        && longest_run(end, |a, b| a.wrapping_add(1) == b) < 8
        && !has_placeholder(start, &PLACEHOLDERS)
}

/// Whether an RSA key has fewer than 1024 bits. Such a key is only used in tests. The text begins
/// with the length of the key's structure.
fn is_small_key(text: &[u8]) -> bool {
    let start = text.get(..8).map(|start| BASE64_STANDARD.decode(start));
    match start.and_then(Result::ok).as_deref() {
        Some([0x30, 0x82, high, low, ..]) => u16::from_be_bytes([*high, *low]) < 500,
        _ => false,
    }
}
