//! The user, the password and the host of a URL.

use bstr::ByteSlice;
use percent_encoding::percent_decode;

use super::letter_pairs::unreadable_share;
use super::randomness::{contains_any, entropy, has_placeholder, is_random};
use super::word_set::WordSet;

/// Words of passwords in documentation.
static PASSWORDS: WordSet = WordSet::new(&[
    "password", "passw0rd", "p@ssw0rd", "pass", "p@ss", "pwd", "secret", "s3cr3t", "token",
    "hunter2", "qwerty", "letmein", "1234", "abcd",
]);
/// The minimum share of unreadable pairs in a password of letters.
const MIN_UNREADABLE: f64 = 0.2;
/// Names of hosts in documentation, alone or with a top-level domain.
const HOSTS: [&str; 12] = [
    "localhost",
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
    "company",
];
/// Top-level domains that are reserved for documentation and tests.
const RESERVED_DOMAINS: [&str; 5] = ["example", "test", "invalid", "localhost", "localdomain"];

/// The user and the host of a URL's `USER:PASSWORD@HOST`, if the password looks random and the host
/// is not one of documentation.
pub(super) fn url_account(text: &[u8]) -> Option<Vec<u8>> {
    let (info, host) = text.split_once_str("@")?;
    let (user, password) = info.split_once_str(":")?;
    let host = host.to_ascii_lowercase();
    let host = host.trim_end_with(|sign| matches!(sign, '.' | ':' | '!' | '*' | '_'));
    (is_password(password) && !is_documented(host)).then(|| [user, b"@", host].concat())
}

/// Whether a password looks random, and is no variable of a template.
pub(super) fn is_password(encoded: &[u8]) -> bool {
    let password: Vec<_> = percent_decode(encoded).collect();
    let password = password.as_slice();
    let has = |is: fn(&u8) -> bool| u8::from(password.iter().any(is));
    let classes = has(u8::is_ascii_lowercase)
        + has(u8::is_ascii_uppercase)
        + has(u8::is_ascii_digit)
        + has(u8::is_ascii_punctuation);
    let min_entropy = if classes >= 3 { 2.6 } else { 3.0 };
    let has_letters_and_digits = has(u8::is_ascii_alphabetic) + has(u8::is_ascii_digit) == 2;
    // The capital letters of joined words do not follow each other.
    let mut pairs = password.windows(2);
    let has_both_cases = has(u8::is_ascii_lowercase) + has(u8::is_ascii_uppercase) == 2;
    let has_capitals = has_both_cases && pairs.any(|pair| pair.iter().all(u8::is_ascii_uppercase));
    let is_unreadable = has_both_cases && unreadable_share(password) >= MIN_UNREADABLE;
    let is_mixed = has_letters_and_digits || classes >= 3 || has_capitals || is_unreadable;
    is_mixed
        && classes >= 2
        && !is_variable(encoded)
        && !is_word_with_number(password)
        && is_random(password, min_entropy)
        && entropy(password) >= min_entropy
        && !has_placeholder(password, &PASSWORDS)
}

/// Whether a password is one word with a number after it, as in documentation.
fn is_word_with_number(password: &[u8]) -> bool {
    let word = password.trim_end_with(|sign| sign.is_ascii_digit());
    let number = password.len() - word.len();
    let is_word = |word: &[u8]| word.iter().all(u8::is_ascii_lowercase);
    number <= 4 && word.get(1..).is_some_and(is_word)
}

/// Whether a password contains `${VAR}`, `$(VAR)`, `{{VAR}}` or `%(VAR)s`, or is `$VAR` or `%VAR%`.
fn is_variable(password: &[u8]) -> bool {
    let is_name = |name: &[u8]| {
        let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
        let has = |is: fn(&u8) -> bool| name.iter().any(is);
        let has_both_cases = has(u8::is_ascii_lowercase) && has(u8::is_ascii_uppercase);
        name.iter().all(is_part) && (!has_both_cases || !has(u8::is_ascii_digit))
    };
    let variable = password.strip_prefix(b"$");
    let between = password
        .strip_prefix(b"%")
        .and_then(|rest| rest.strip_suffix(b"%"));
    contains_any(password, &["{", "}", "$(", "%("]) || variable.or(between).is_some_and(is_name)
}

/// Whether a host is one of documentation, or the own machine.
fn is_documented(host: &[u8]) -> bool {
    let name = host.split(|byte| *byte == b':').next().unwrap_or_default();
    let is_own = host.starts_with(b"[::") || name.starts_with(b"127.") || name == b"0.0.0.0";
    let labels: Vec<_> = name.rsplit(|byte| *byte == b'.').collect();
    let is_one_of = |label: &[u8], words: &[&str]| {
        let mut words = words.iter();
        words.any(|word| word.as_bytes() == label)
    };
    let is_example = match labels[..] {
        [only] => is_one_of(only, &HOSTS),
        [top, second] => is_one_of(top, &RESERVED_DOMAINS) || is_one_of(second, &HOSTS),
        [top, second, ..] => is_one_of(top, &RESERVED_DOMAINS) || second == b"example",
        [] => true,
    };
    is_own || is_example || contains_any(name, &["yourdomain", "your-", "example."])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn account_of_a_url_leaves_out_the_password() {
        for (text, expected) in [
            (
                "app:kX9_tw-Lq2Zr8v@db.corp.net:5432",
                Some("app@db.corp.net:5432"),
            ),
            ("app:kX9%40tw$Lq2Zr@db:5432", Some("app@db:5432")),
            ("app:$kX9twLq2Zr@pg", Some("app@pg")),
            (
                "app:kX9twLq2Zr@server.acme.com",
                Some("app@server.acme.com"),
            ),
            ("app:kX9twLq2Zr@test.acme.com", Some("app@test.acme.com")),
            ("app:kX9twLq2Zr@foo.acme.io", Some("app@foo.acme.io")),
            ("app:kX9twk2q@10.0.0.7:5432", Some("app@10.0.0.7:5432")),
            (":kX9twk2qLq@redis:6379", Some("@redis:6379")),
            ("app:UheVgpAWNRTJ@db", Some("app@db")),
            ("app:MuzyXkcnanQu@db", Some("app@db")),
            ("app:NqVwYS81pwdVP7Hb1DX8@db", Some("app@db")),
            ("app:your-password-here@db", None),
            ("app:S3cretPassw0rd!@db", None),
            ("app:CorrectHorseBattery@db.corp.net", None),
            ("app:openstack1@db.corp.net", None),
            ("app:apples%2Foranges@db.corp.net", None),
            ("app:password123456@db.corp.net", None),
            ("app:kX9_tw-Lq2Zr8v@localhost:5432", None),
            ("app:kX9_tw-Lq2Zr8v@db.example.com", None),
            ("app:kX9_tw-Lq2Zr8v@example.org", None),
            ("app:kX9_tw-Lq2Zr8v@db.corp.test", None),
            ("app:kX9_tw-Lq2Zr8v@db.invalid:80", None),
            ("app:kX9_tw-Lq2Zr8v@127.0.0.1", None),
            ("app:kX9_tw-Lq2Zr8v@[::1]:80", None),
            ("app:kX9_tw-Lq2Zr8v@host:80", None),
            ("app:${PASSWORD_9aX}@db.corp.net", None),
            ("app:$DB_PASS_9@db.corp.net", None),
            ("app:$dbPassphrase@db.corp.net", None),
            ("app:%DB_PASS_9X%@db.corp.net", None),
            ("app:aaaaaaaaaaaa@db.corp.net", None),
            ("user:correcthorsebattery@db.corp.net", None),
        ] {
            let found = url_account(text.as_bytes());
            assert_eq!(found.as_deref(), expected.map(str::as_bytes), "{text}");
        }
    }
}
