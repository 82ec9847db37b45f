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
            if let Some(separator) = possible.iter().rposition(|byte| is_separator(*byte)) {
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
        fn long_words_are_those_of_a_plain_split(text in "[ab ,\n]{0,200}") {
            let bytes = text.as_bytes();
            let found: Vec<_> = long_words(bytes).map(|word| &bytes[word]).collect();
            let split = bytes.split(|byte| is_separator(*byte));
            let expected: Vec<_> = split.filter(|word| word.len() >= MIN_LENGTH).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
