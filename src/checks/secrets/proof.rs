//! Proofs that a match is a secret, and not a placeholder, an example or another text of the same
//! form.

use std::ops::Range;

use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD};
use bstr::ByteSlice;
use libdeflater::Crc;
use serde_json::Value;

use super::letter_pairs::unreadable_share;
use super::named_key::is_key;
use super::private_key::private_key;
use super::randomness::{DIGEST_WORDS, MIN_ENTROPY, MIN_UNREADABLE_LETTERS, is_mixed, is_random};
use super::rule::Proof;
use super::url_account::{is_password, url_account};
use super::word_set::WordSet;

/// The greatest distance of the two parts of an AWS key pair, in bytes.
const PAIR_DISTANCE: usize = 300;

/// The greatest distance of the members of a JSON web key, in bytes.
const MEMBER_DISTANCE: usize = 3_000;

/// The place of the secret and the text of its digest, if the match `whole` with the group `secret`
/// is proven to be one. `random` is the part of the secret that is random.
pub(super) fn prove(
    proof: Proof,
    contents: &[u8],
    whole: &Range<usize>,
    secret: Range<usize>,
    random: &Range<usize>,
) -> Option<(Range<usize>, Vec<u8>)> {
    let text = &contents[random.clone()];
    let own = |secret: Range<usize>| {
        let subject = contents[secret.clone()].to_vec();
        (secret, subject)
    };
    match proof {
        Proof::Random => is_random(text, MIN_ENTROPY).then(|| own(secret)),
        Proof::Checksum => {
            (has_checksum(text) && is_random(text, MIN_ENTROPY)).then(|| own(secret))
        }
        Proof::Named => {
            let name = &contents[whole.start..secret.start];
            let is_secret = !DIGEST_WORDS.is_any_in(name) && is_mixed(text);
            (is_secret && is_random(text, MIN_ENTROPY)).then(|| own(secret))
        }
        Proof::WebToken => is_web_token(text).then(|| own(secret)),
        Proof::AwsPair => pair(contents, whole).map(own),
        Proof::PrivateKey => private_key(contents, whole),
        Proof::WrappedKey => wrapped_key(text).map(|key| (secret, key)),
        Proof::JsonWebKey => {
            let is_key = is_web_key_member(contents, whole) && is_random(text, MIN_ENTROPY);
            is_key.then(|| own(secret))
        }
        Proof::Password => is_password(text).then(|| own(secret)),
        Proof::Account => is_account(text).then(|| own(secret)),
        Proof::Header => is_key(text).then(|| own(secret)),
        Proof::UrlPassword => {
            let account = url_account(text)?;
            Some((secret, account))
        }
    }
}

/// The text of a private key in base64 as a whole, without line breaks.
fn wrapped_key(text: &[u8]) -> Option<Vec<u8>> {
    // A number of characters that four does not divide has no full last byte.
    let whole = text.len() / 4 * 4;
    let key = BASE64_STANDARD.decode(&text[..whole]).ok()?;
    let start = key.find("PRIVATE KEY")?;
    let end = start + key[start..].find("----")? + 4;
    private_key(&key, &(start..end)).map(|(_, text)| text)
}

/// Whether a text is a user and a password in base64, or such a password alone.
fn is_account(text: &[u8]) -> bool {
    let digits = text.trim_end_with(|sign| sign == '=');
    let account = BASE64_STANDARD_NO_PAD.decode(digits).unwrap_or_default();
    let password = account
        .split_once_str(":")
        .map_or(&account[..], |(_, password)| password);
    password.len() >= 8 && account.iter().all(u8::is_ascii_graphic) && is_password(password)
}

/// Whether a member is that of a private JSON web key: `d`, or `k` of a symmetric key.
fn is_web_key_member(contents: &[u8], member: &Range<usize>) -> bool {
    let start = member.start.saturating_sub(MEMBER_DISTANCE);
    let end = contents.len().min(member.end + MEMBER_DISTANCE);
    let around = &contents[start..end];
    let is_symmetric = around.contains_str(r#""oct"#);
    let is_private = contents[member.start..].starts_with(br#""d"#);
    around.contains_str(r#""kty"#) && (is_private || is_symmetric)
}

/// Whether the last six characters are the CRC-32 of the thirty before them, in base 62.
fn has_checksum(text: &[u8]) -> bool {
    const DIGITS: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let Some(start) = text.len().checked_sub(36) else {
        return false;
    };
    let (body, sum) = text[start..].split_at(30);
    let mut crc = Crc::new();
    crc.update(body);
    let mut rest = crc.sum();
    sum.iter().rev().all(|digit| {
        let expected = DIGITS[(rest % 62) as usize];
        rest /= 62;
        *digit == expected
    })
}

/// Whether a text is a JSON web token, and not one of the well-known examples.
fn is_web_token(text: &[u8]) -> bool {
    let mut parts = text.split(|byte| *byte == b'.');
    let mut object = || -> Option<(Value, Vec<u8>)> {
        let json = BASE64_URL_SAFE_NO_PAD.decode(parts.next()?).ok()?;
        let value: Value = serde_json::from_slice(&json).ok()?;
        value.is_object().then_some((value, json))
    };
    let (Some((header, _)), Some((_, claims))) = (object(), object()) else {
        return false;
    };
    let is_example = EXAMPLE_CLAIMS.is_any_in(&claims);
    let signature = parts.next().unwrap_or_default();
    header.get("alg").is_some() && !is_example && is_random(signature, MIN_ENTROPY)
}

/// Words in the claims of JSON web tokens in documentation.
static EXAMPLE_CLAIMS: WordSet = WordSet::new(&[
    "example",
    "john doe",
    "1234567890",
    "jane doe",
    r#""some":"payload""#,
]);

/// The secret access key near the identifier of an AWS key: 40 characters of base64 that are no
/// other digest.
fn pair(contents: &[u8], identifier: &Range<usize>) -> Option<Range<usize>> {
    if !is_random(&contents[identifier.clone()], MIN_ENTROPY) {
        return None;
    }
    let start = identifier.start.saturating_sub(PAIR_DISTANCE);
    let end = contents.len().min(identifier.end + PAIR_DISTANCE);
    let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    let mut at = start;
    let runs = contents[start..end].split(|byte| !is_base64(*byte));
    let mut runs = runs.map(|run| {
        let place = at..at + run.len();
        at = place.end + 1;
        place
    });
    runs.find(|run| {
        let text = &contents[run.clone()];
        let has = |is: fn(&u8) -> bool| text.iter().any(is);
        text.len() == 40
            && has(u8::is_ascii_uppercase)
            && has(u8::is_ascii_lowercase)
            && (has(u8::is_ascii_digit) || unreadable_share(text) >= MIN_UNREADABLE_LETTERS)
            && is_random(text, 3.8)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksum_is_that_of_the_published_example() {
        // From the announcement of the format.
        let example = ["ghp_zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ", "0mLq17"].concat();
        assert!(has_checksum(example.as_bytes()));
        assert!(!has_checksum(example.replace("0mLq", "0mLr").as_bytes()));
        assert!(!has_checksum(b"short"));
    }
}
