//! Proofs that a match is a secret, and not a placeholder, an example or another text of the same
//! form.

use std::ops::Range;

use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use bstr::ByteSlice;
use libdeflater::Crc;
use serde_json::Value;

use super::long_words::long_words;
use super::rule::Proof;

/// The minimum entropy of a secret, in bits per character.
const MIN_ENTROPY: f64 = 2.9;
/// The minimum entropy of a password in a URL.
const MIN_PASSWORD_ENTROPY: f64 = 3.0;
/// The greatest distance of the two parts of an AWS key pair, in bytes.
const PAIR_DISTANCE: usize = 300;
/// The greatest distance from the first line of a key to its text, in bytes.
const KEY_DISTANCE: usize = 120;

/// Words of placeholders, in lower case.
const PLACEHOLDERS: [&str; 18] = [
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
];
/// Words of passwords in documentation, in lower case.
const PASSWORDS: [&str; 9] = [
    "password", "passw", "passwd", "secret", "token", "$", "%", "s3cr3t", "hunter2",
];
/// Hosts of documentation and of the own machine.
const HOSTS: [&str; 14] = [
    "localhost",
    "127.",
    "0.0.0.0",
    "[::",
    "host",
    "hostname",
    "server",
    "example",
    "domain",
    "yourdomain",
    "mydomain",
    "foo",
    "bar",
    "test",
];

/// The place of the secret and the text of its digest, if the match `whole` with the group `secret`
/// is proven to be one.
pub(super) fn prove(
    proof: Proof,
    contents: &[u8],
    whole: &Range<usize>,
    secret: Range<usize>,
) -> Option<(Range<usize>, Vec<u8>)> {
    let text = &contents[secret.clone()];
    let own = |secret: Range<usize>| {
        let subject = contents[secret.clone()].to_vec();
        (secret, subject)
    };
    match proof {
        Proof::Random => is_random(text, MIN_ENTROPY).then(|| own(secret)),
        Proof::Checksum => {
            (has_checksum(text) && is_random(text, MIN_ENTROPY)).then(|| own(secret))
        }
        Proof::WebToken => is_web_token(text).then(|| own(secret)),
        Proof::AwsPair => pair(contents, whole).map(own),
        Proof::KeyText => key_text(contents, whole),
        Proof::UrlPassword => {
            let account = account(text)?;
            Some((secret, account))
        }
    }
}

/// Whether a text looks random: no placeholder, no run of equal or consecutive characters, and many
/// different ones.
fn is_random(text: &[u8], min_entropy: f64) -> bool {
    let lower = text.to_ascii_lowercase();
    !contains_any(&lower, &PLACEHOLDERS)
        && longest_run(text, |a, b| a == b) < 6
        && longest_run(&lower, |a, b| a.wrapping_add(1) == b) < 8
        && entropy(text) >= min_entropy
}

fn contains_any(text: &[u8], words: &[&str]) -> bool {
    words.iter().any(|word| text.contains_str(word))
}

/// The length of the longest run in which each character `follows` the one before.
fn longest_run(text: &[u8], follows: impl Fn(u8, u8) -> bool) -> usize {
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
fn entropy(text: &[u8]) -> f64 {
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
    let lower = claims.to_ascii_lowercase();
    let is_example = contains_any(
        &lower,
        &[
            "example",
            "john doe",
            "1234567890",
            "jane doe",
            r#""some":"payload""#,
        ],
    );
    let signature = parts.next().unwrap_or_default();
    header.get("alg").is_some() && !is_example && is_random(signature, MIN_ENTROPY)
}

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
            && has(u8::is_ascii_digit)
            && is_random(text, 3.8)
    })
}

/// A key whose first line ends with `begin`: its place, and the first line of its text, which is the
/// next long word, if that is near and base64.
fn key_text(contents: &[u8], begin: &Range<usize>) -> Option<(Range<usize>, Vec<u8>)> {
    // The name of the key type precedes the match. The last line of a key has the same end.
    let before = &contents[begin.start.saturating_sub(40)..begin.start];
    let start = if contents[begin.clone()].starts_with(b"Private-Lines") {
        begin.start
    } else {
        begin.start - before.len() + before.rfind(b"-----BEGIN ")?
    };
    let rest = &contents[begin.end..];
    let word = long_words(rest).next()?;
    // In a JSON string, a line break is `\n`, and `\` separates words.
    let is_escaped = word.start > 0 && rest[word.start - 1] == b'\\';
    let text = &rest[word.start + usize::from(is_escaped)..word.end];
    let is_base64 = text
        .iter()
        .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'='));
    let is_small = before.ends_with(b"RSA ") && is_small_key(text);
    let is_key = word.start < KEY_DISTANCE
        && !is_small
        && text.len() >= 40
        && is_base64
        && is_random(&text[..text.len().min(64)], 3.5);
    is_key.then(|| (start..begin.end + word.end, text.to_vec()))
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

/// The user and the host of a URL's `USER:PASSWORD@HOST`, if the password looks random and the host
/// is not one of documentation.
fn account(text: &[u8]) -> Option<Vec<u8>> {
    let (info, host) = text.split_once_str("@")?;
    let (user, password) = info.split_once_str(":")?;
    let lower = password.to_ascii_lowercase();
    let has = |is: fn(&u8) -> bool| u8::from(password.iter().any(is));
    let classes =
        has(u8::is_ascii_lowercase) + has(u8::is_ascii_uppercase) + has(u8::is_ascii_digit);
    let is_secret = classes >= 2
        && is_random(password, MIN_PASSWORD_ENTROPY)
        && !contains_any(&lower, &PASSWORDS);

    let host = host.to_ascii_lowercase();
    let is_documented = HOSTS.iter().any(|name| {
        let rest = host.strip_prefix(name.as_bytes());
        let is_prefix = name.ends_with(['.', ':']);
        rest.is_some_and(|rest| is_prefix || rest.is_empty() || matches!(rest[0], b'.' | b':'))
    });
    let is_documented = is_documented
        || contains_any(
            &host,
            &["example.", ".example", ".invalid", ".test", "yourdomain"],
        );
    (is_secret && !is_documented).then(|| [user, b"@", &host].concat())
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

    #[test]
    fn account_of_a_url_leaves_out_the_password() {
        for (text, expected) in [
            (
                "app:kX9_tw-Lq2Zr8v@db.corp.net:5432",
                Some("app@db.corp.net:5432"),
            ),
            ("app:password123456@db.corp.net", None),
            ("app:kX9_tw-Lq2Zr8v@localhost:5432", None),
            ("app:kX9_tw-Lq2Zr8v@db.example.com", None),
            ("app:kX9_tw-Lq2Zr8v@127.0.0.1", None),
            ("app:${PASSWORD_9aX}@db.corp.net", None),
            ("app:aaaaaaaaaaaa@db.corp.net", None),
            ("user:correcthorsebattery@db.corp.net", None),
        ] {
            let found = account(text.as_bytes());
            assert_eq!(found.as_deref(), expected.map(str::as_bytes), "{text}");
        }
    }
}
