//! Texts that look like a token. Here, unlike in the check of documents, a text that is none may be
//! masked as well: a message does not need it.

use crate::checks::secrets::contains_secret;

/// The least length of a random word.
const LENGTH: usize = 20;

/// Whether a text contains a secret by its format, or a long random word.
pub(crate) fn can_contain_token(text: &str) -> bool {
    let mut words = text.split(|c: char| !c.is_ascii_alphanumeric());
    words.any(is_random) || contains_secret(text.as_bytes())
}

/// Whether a word is long and mixes letters of both cases with digits in several places. In names,
/// digits are in one or two places.
fn is_random(word: &str) -> bool {
    let has = |is: fn(&u8) -> bool| word.as_bytes().iter().any(is);
    let numbers = word.split(|c: char| !c.is_ascii_digit());
    word.len() >= LENGTH
        && has(u8::is_ascii_uppercase)
        && has(u8::is_ascii_lowercase)
        && numbers.filter(|number| !number.is_empty()).count() > 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_words_are_distinguished_from_names() {
        for (text, expected) in [
            ("`ghp_0a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R`", true),
            ("glpat-x1Y2z3A4b5C6d7E8f9G0", true),
            ("MyVeryLongProject2024Name", false),
            ("docs/2024/Architecture-2-v3/Notes", false),
        ] {
            assert_eq!(can_contain_token(text), expected, "{text}");
        }
    }
}
