//! The long words of a text.

use std::ops::Range;

/// The minimum length of a long word. Shorter words are not searched for secrets.
const MIN_LENGTH: usize = 20;

/// The words of at least [`MIN_LENGTH`] bytes.
///
/// If the last byte of the next possible long word separates words, no long word starts before it.
/// So most bytes of a text with short words are skipped.
pub(super) fn long_words(text: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let mut start = 0;
    std::iter::from_fn(move || {
        while let Some(possible) = text.get(start..start + MIN_LENGTH) {
            if let Some(separator) = last_separator(possible) {
                start += separator + 1;
                continue;
            }
            let rest = &text[start + MIN_LENGTH..];
            let more = rest.iter().position(|byte| is_separator(*byte));
            let word = start..start + MIN_LENGTH + more.unwrap_or(rest.len());
            start = word.end;
            return Some(word);
        }
        None
    })
}

/// The position of a separator in a possible long word; `None` if it has none.
///
/// In a text, most possible words have a space or a line break in their last eight bytes. To compare
/// these at once is faster than one after the other, although another separator may follow.
fn last_separator(possible: &[u8]) -> Option<usize> {
    let (first, last) = possible.split_last_chunk()?;
    match last_space(*last) {
        Some(space) => Some(first.len() + space),
        None => possible.iter().rposition(|byte| is_separator(*byte)),
    }
}

/// The position of the last byte that is a space or an ASCII control character below it.
fn last_space(bytes: [u8; 8]) -> Option<usize> {
    const LOW_BITS: u64 = u64::from_ne_bytes([0x7f; 8]);
    const HIGH_BIT: u64 = u64::from_ne_bytes([0x80; 8]);
    // Added to the low bits of a byte, it sets the high bit if they are greater than a space.
    const ABOVE_SPACE: u64 = u64::from_ne_bytes([0x7f - b' '; 8]);

    let bytes = u64::from_le_bytes(bytes);
    let is_above = ((bytes & LOW_BITS) + ABOVE_SPACE) | bytes;
    let is_space = !is_above & HIGH_BIT;
    (is_space != 0).then(|| 7 - is_space.leading_zeros() as usize / 8)
}

/// Whether the byte is no part of a secret.
fn is_separator(byte: u8) -> bool {
    SEPARATORS[byte as usize]
}

const SEPARATORS: [bool; 256] = {
    let mut separators = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        separators[byte] = byte <= 0x20
            || byte >= 0x7f
            || matches!(
                byte as u8,
                b'"' | b'\''
                    | b'`'
                    | b'<'
                    | b'>'
                    | b'('
                    | b')'
                    | b'['
                    | b']'
                    | b'{'
                    | b'}'
                    | b','
                    | b';'
                    | b'|'
                    | b'\\'
            );
        byte += 1;
    }
    separators
};

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn long_words_are_those_of_a_plain_split(text in "[ab ,\n\u{7f}\u{a0}]{0,200}") {
            let bytes = text.as_bytes();
            let found: Vec<_> = long_words(bytes).map(|word| &bytes[word]).collect();
            let split = bytes.split(|byte| is_separator(*byte));
            let expected: Vec<_> = split.filter(|word| word.len() >= MIN_LENGTH).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
