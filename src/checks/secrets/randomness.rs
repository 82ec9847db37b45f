//! Random texts: those that no person writes.

use bstr::ByteSlice;

use super::letter_pairs::unreadable_share;
use super::word_set::WordSet;

/// The minimum entropy of a secret, in bits per character.
pub(super) const MIN_ENTROPY: f64 = 2.9;

/// Words of placeholders.
pub(super) static PLACEHOLDERS: WordSet = WordSet::new(&[
    "example",
    "xxxx",
    "your",
    "placeholder",
    "dummy",
    "changeme",
    "change_me",
    "redacted",
    "sample",
    "fake",
    "notreal",
    "not-real",
    "not_real",
    "replace",
    "insert",
    "foobar",
    // The key of the storage emulator of Azure, which its documentation shows.
    "eby8vdm02xnocqflquwjpllmetlcdxj1ouzft50usrz6ifsufq2uverc",
    "....",
]);

/// Words before a hexadecimal text that is no secret.
pub(super) static DIGEST_WORDS: WordSet = WordSet::new(&[
    "sha1",
    "sha2",
    "sha5",
    "sha:",
    "sha=",
    "sha ",
    "md5",
    "commit",
    "digest",
    "checksum",
    "revision",
    "integrity",
    "fingerprint",
]);

/// The minimum share of unreadable pairs in a key without a form of its own.
const MIN_UNREADABLE: f64 = 0.15;
/// The minimum share in a text without a digit.
pub(super) const MIN_UNREADABLE_LETTERS: f64 = 0.25;
/// The length of a run of equal characters that a random text does not have, except in a long text,
/// whose structure can contain such a run: zero bytes are `A` in base64.
const MAX_RUN: usize = 6;
/// The length from which a word of a placeholder is no part of a random text by chance.
const MIN_CERTAIN: usize = 7;
/// The minimum length of a random text beside a shorter word.
const MIN_BESIDE: usize = 14;
/// The minimum share of unreadable pairs in a random text beside a shorter word.
const MIN_UNREADABLE_BESIDE: f64 = 0.35;

/// Whether a text looks random: no placeholder, no run of equal or consecutive characters, and many
/// different ones.
pub(super) fn is_random(text: &[u8], min_entropy: f64) -> bool {
    let lower = text.to_ascii_lowercase();
    !has_placeholder(text, &PLACEHOLDERS)
        && longest_run(text, |a, b| a == b) < MAX_RUN.max(text.len() / 8)
        && longest_run(&lower, |a, b| a.wrapping_add(1) == b) < 8
        && entropy(text) >= min_entropy
}

/// Whether a text is unreadable, has digits and letters or letters of both cases, and is no name
/// whose words are joined by `-` or `_`.
pub(super) fn is_mixed(text: &[u8]) -> bool {
    let has = |is: fn(&u8) -> bool| text.iter().any(is);
    let is_hexadecimal = text
        .iter()
        .all(|byte| byte.is_ascii_hexdigit() || *byte == b'-');
    let has_both_cases = has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase);
    let is_joined = text.iter().any(|byte| matches!(byte, b'-' | b'_'));
    let has_digits = has(u8::is_ascii_digit)
        && has(u8::is_ascii_alphabetic)
        && (is_hexadecimal || has_both_cases || !is_joined);
    let unreadable = unreadable_share(text);
    let is_unreadable = has_both_cases && unreadable >= MIN_UNREADABLE_LETTERS;
    unreadable >= MIN_UNREADABLE && (has_digits || is_unreadable)
}

/// Whether a text contains one of the words of placeholders. A text that is random beside one short
/// word contains it by chance.
pub(super) fn has_placeholder(text: &[u8], words: &WordSet) -> bool {
    let found = words.all_in(text);
    match found.first() {
        Some(word) if found.len() == 1 && word.len() < MIN_CERTAIN => !is_random_beside(text, word),
        first => first.is_some(),
    }
}

/// Whether a text without a word is random.
fn is_random_beside(text: &[u8], word: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let mut rest = Vec::with_capacity(text.len());
    let mut end = 0;
    for start in lower.find_iter(word) {
        rest.extend_from_slice(&text[end..start]);
        end = start + word.len();
    }
    rest.extend_from_slice(&text[end..]);
    rest.len() >= MIN_BESIDE && unreadable_share(&rest) >= MIN_UNREADABLE_BESIDE
}

pub(super) fn contains_any(text: &[u8], words: &[&str]) -> bool {
    words.iter().any(|word| text.contains_str(word))
}

/// The length of the longest run in which each character `follows` the one before.
pub(super) fn longest_run(text: &[u8], follows: impl Fn(u8, u8) -> bool) -> usize {
    let mut longest = 1;
    let mut run = 1;
    for pair in text.windows(2) {
        run = if follows(pair[0], pair[1]) {
            run + 1
        } else {
            1
        };
        longest = longest.max(run);
    }
    longest
}

/// The entropy of the characters, in bits per character.
pub(super) fn entropy(text: &[u8]) -> f64 {
    let mut counts = [0_u32; 256];
    for byte in text {
        counts[*byte as usize] += 1;
    }
    let length = text.len() as f64;
    let used = counts.iter().filter(|count| **count > 0);
    used.map(|count| {
        let share = f64::from(*count) / length;
        -share * share.log2()
    })
    .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_do_not_look_random() {
        for text in [
            "AKIAIOSFODNN7EXAMPLE",
            "ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
            "hf_yourTokenHereABCDEFabcdefQRSTUVqrst",
            "dapi00000000000000000000000000000000",
            "abcdefghijklmnopqrstuvwxyz0123456789",
            "0123456789abcdef0123456789abcdef",
            "abababababababababababababababababab",
        ] {
            assert!(!is_random(text.as_bytes(), MIN_ENTROPY), "{text}");
        }
        assert!(is_random(b"9f86d081884c7d659a2feaa0c55ad015", MIN_ENTROPY));
    }
}
