//! Keys without a form of their own.
//!
//! Such a key is a random value after a name that has a word such as `key` or `token`. The name of
//! the service is a part of this name, or near it. Or else the name is one that only secrets have.

use std::ops::Range;
use std::sync::LazyLock;

use aho_corasick::AhoCorasick;
use bstr::ByteSlice;
use regex::bytes::{Regex, RegexBuilder};

use super::letter_pairs::unreadable_share;
use super::randomness::{DIGEST_WORDS, MIN_ENTROPY, PLACEHOLDERS, is_mixed, is_random};
use super::rule::separator;
use super::services::{SERVICES, SERVICES_WITH_COMMON_NAMES};
use super::word_set::WordSet;

/// The minimum and the maximum length of a key.
const LENGTHS: std::ops::RangeInclusive<usize> = 16..=400;
/// The greatest distance from the name of a service to the name of its key, in bytes.
const MAX_DISTANCE: usize = 96;
/// The greatest distance from the word such as `key` to the value, in bytes.
const MAX_NAME: usize = 140;
/// The minimum share of unreadable pairs in a key of at least [`LONG`] characters, and in others.
/// Hexadecimal digits are an exception.
const MIN_UNREADABLE_LONG: f64 = 0.2;
const MIN_UNREADABLE: f64 = 0.27;
const LONG: usize = 32;
/// The minimum length of each part of a key with dots, and of such a key. The parts of names of hosts
/// and files are shorter, and so are the names of constants.
const MIN_PART: usize = 6;
const MIN_WITH_PARTS: usize = 24;

/// Starts of values that are public, encrypted, or the work of another rule.
const PUBLIC_STARTS: [&[u8]; 21] = [
    b"AAAAB3", b"AAAAC3", b"AAAAE2", b"MII", b"MFk", b"MCow", b"LS0t", b"eyJ", b"age1", b"pk_",
    b"pk-", b"pk.", b"phc_", b"pub", b"ssh", b"sha1", b"sha2", b"sha3", b"sha5", b"http", b"//",
];
/// Words in the name of a value that is public.
static PUBLIC_NAMES: WordSet = WordSet::new(&[
    "public",
    "publishable",
    "sitekey",
    "site_key",
    "site-key",
    "encrypted",
    "thumbprint",
    "etag",
    "pubkey",
    "hash",
]);
/// Words of values that are used in tests.
static TEST_WORDS: WordSet = WordSet::new(&["test", "sandbox"]);
/// Last words of names whose values identify or describe a key, in lower case.
const DESCRIPTIONS: [&str; 21] = [
    "id", "ids", "sid", "name", "file", "path", "url", "uri", "type", "prefix", "suffix", "len",
    "length", "size", "format", "ttl", "version", "alg", "arn", "class", "ref",
];

/// The words of [`NAME`] and [`SECRET_NAME`], or their starts. Few values are after such a word, and to
/// search these words is faster than to look at the value.
static NAME_WORDS: WordSet = WordSet::new(&[
    "key",
    "token",
    "secret",
    "salt",
    "pass",
    "pwd",
    "pat",
    "auth",
    "credential",
    "bearer",
    "webhook",
    "appid",
    "app_id",
    "cookie",
    "sas",
]);

/// A name with a word such as `key`, up to its value: the word, the rest of the name, and what is
/// between.
static NAME: LazyLock<Regex> = LazyLock::new(|| {
    const PATTERN: &str = concat!(
        r"(key|token|secret|passw(?:or)?d|passphrase|pwd|pass|pat|auth(?:orization)?|credentials?|bearer|webhook|appid|app_id|cookie|sas)",
        r"(s?(?:[_.-]|(?-i:[A-Z]))[A-Za-z0-9_.-]{0,24}|s|[0-9]{1,2})?",
        r"(?: [A-Za-z0-9' ]{1,60}?)??",
        separator!(),
        "$"
    );
    compiled(PATTERN)
});

/// A name that only secrets have, such as `AUTH_SECRET` or `apiKey`, up to its value.
static SECRET_NAME: LazyLock<Regex> = LazyLock::new(|| {
    const PATTERN: &str = concat!(
        r"(?:client[ _.-]?secret|",
        r"(?:api|access|account|admin|app|auth|bot|consumer|cookie|csrf|deploy|derivation|deterministic|encryption|fernet|hmac|jwt|master|oauth|otp|payload|primary|private|refresh|secret|security|service|session|signing|token|validation|webhook)",
        r"[ _.-]{0,2}(?:key|secret|token|salt)s?(?:_base)?)",
        separator!(),
        "$"
    );
    compiled(PATTERN)
});
/// The minimum length of a key that has such a name.
const MIN_NAMED: usize = 24;
/// The length of the text before such a name, on its line, in which words of placeholders are searched.
const NAME_LEAD: usize = 24;
/// Such names whose values are often public.
static PUBLIC_SECRET_NAMES: WordSet = WordSet::new(&["app_key", "appkey", "app-key", "app key"]);
/// The length of the groups of a UUID, which is more often an identifier than a secret.
const UUID: [usize; 5] = [8, 4, 4, 4, 12];

/// The call of a function, up to an argument.
static CALL: LazyLock<Regex> = LazyLock::new(|| {
    compiled(r#"[A-Za-z0-9_.]{0,30}\([ \t]{0,4}(?:["'][A-Za-z0-9_.@-]{1,40}["'],[ \t]{0,4})?["']$"#)
});

fn compiled(pattern: &str) -> Regex {
    let regex = RegexBuilder::new(pattern)
        .unicode(false)
        .case_insensitive(true)
        .build();
    regex.unwrap_or_else(|_| unreachable!("the pattern is valid"))
}

/// The key in a long word: its place, and the name of the service, if it is known.
pub(super) fn named_key(
    contents: &[u8],
    word: &Range<usize>,
) -> Option<(Range<usize>, Option<&'static str>)> {
    let value = values(contents, word)
        .find(|value| can_be_named(contents, value) && is_key(&contents[value.clone()]))?;
    // A line after `-----` is a part of a block, such as a private key with a passphrase.
    if contents[..value.start].trim_ascii_end().ends_with(b"-----") {
        return None;
    }
    if let Some(service) = service_of(contents, &value) {
        return Some((value, Some(service)));
    }
    has_secret_name(contents, &value).then_some((value, None))
}

/// Whether a word of a name or the call of a function is near a value.
fn can_be_named(contents: &[u8], value: &Range<usize>) -> bool {
    if !LENGTHS.contains(&value.len()) {
        return false;
    }
    let before = &contents[value.start.saturating_sub(MAX_NAME)..value.start];
    let is_quoted = before.ends_with(b"\"") || before.ends_with(b"'");
    is_quoted && before.contains(&b'(') || NAME_WORDS.is_any_in(before)
}

/// Whether the name of a value says that it is a secret, and not a placeholder.
fn has_secret_name(contents: &[u8], value: &Range<usize>) -> bool {
    let start = value.start.saturating_sub(MAX_NAME);
    let Some(name) = SECRET_NAME.find(&contents[start..value.start]) else {
        return false;
    };
    let name = start + name.start();
    let lead = &contents[name.saturating_sub(NAME_LEAD)..name];
    let line = lead.rsplit(|byte| *byte == b'\n').next().unwrap_or(lead);
    let name = &contents[name - line.len()..value.start];

    let is_public = [&PUBLIC_NAMES, &PUBLIC_SECRET_NAMES, &DIGEST_WORDS]
        .iter()
        .any(|words| words.is_any_in(name));
    let is_example = PLACEHOLDERS.begins_word_in(name) || TEST_WORDS.begins_word_in(name);
    let groups = contents[value.clone()].split(|byte| *byte == b'-');
    let is_uuid = groups.map(<[u8]>::len).eq(UUID);
    value.len() >= MIN_NAMED && !is_uuid && !is_public && !is_example
}

/// The service of a value that looks like a key.
fn service_of(contents: &[u8], value: &Range<usize>) -> Option<&'static str> {
    let start = value.start.saturating_sub(MAX_NAME);
    let before = &contents[start..value.start];
    let (name, is_call) = match NAME.captures(before) {
        Some(groups) => {
            let rest = groups.get(2).map_or(&b""[..], |rest| rest.as_bytes());
            if is_description(rest) {
                return None;
            }
            (start + groups.get(1)?.start(), false)
        }
        None => (start + CALL.find(before)?.start(), true),
    };

    let service = service(contents, name, value.start, is_call)?;
    let name = &contents[service.place.start.min(name)..value.start];
    let is_public = PUBLIC_NAMES.is_any_in(name) || DIGEST_WORDS.is_any_in(name);
    (!is_public).then_some(service.name)
}

/// The runs of characters of keys in a word.
fn values(contents: &[u8], word: &Range<usize>) -> impl Iterator<Item = Range<usize>> {
    let is_part = |byte: &u8| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'_' | b'-' | b'.' | b'~')
    };
    let (mut at, end) = (word.start, word.end);
    std::iter::from_fn(move || {
        let start = at + contents[at..end].iter().position(is_part)?;
        let rest = &contents[start..end];
        let length = rest.iter().position(|byte| !is_part(byte));
        let length = length.unwrap_or(rest.len());
        let padding = rest[length..].iter().take_while(|byte| **byte == b'=');
        let padding = padding.take(2).count();
        at = start + length;
        let dots = rest[..length]
            .iter()
            .rev()
            .take_while(|byte| **byte == b'.');
        let (dots, is_last) = (dots.count(), at + padding == end);
        let padding = if is_last { padding } else { 0 };
        Some(start..at + padding - if padding == 0 { dots } else { 0 })
    })
}

/// Whether a value looks like a key.
pub(super) fn is_key(value: &[u8]) -> bool {
    if !LENGTHS.contains(&value.len()) || PUBLIC_STARTS.iter().any(|start| value.starts_with(start))
    {
        return false;
    }
    let has = |is: fn(&u8) -> bool| value.iter().any(is);
    let has_digit = has(u8::is_ascii_digit);
    let is_varied = has_digit || has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase);
    let is_path = has(|byte| *byte == b'/') && has(|byte| b"._-~".contains(byte));
    let mut parts = value.split(|byte| *byte == b'.');
    let is_name = value.len() < MIN_WITH_PARTS && value.contains(&b'.')
        || parts.any(|part| part.len() < MIN_PART);
    if !is_varied || is_path || is_name {
        return false;
    }

    let is_hexadecimal = |byte: &u8| byte.is_ascii_hexdigit() || *byte == b'-';
    let min_unreadable = match value.len() {
        _ if value.iter().all(is_hexadecimal) => 0.0,
        LONG.. => MIN_UNREADABLE_LONG,
        _ => MIN_UNREADABLE,
    };
    unreadable_share(value) >= min_unreadable
        && is_mixed(value)
        && is_random(value, MIN_ENTROPY)
        && !TEST_WORDS.is_any_in(value)
}

/// Whether the last word of a name says that the value only describes a key.
fn is_description(rest: &[u8]) -> bool {
    let mut start = rest.len();
    while start > 0 && rest[start - 1].is_ascii_alphabetic() {
        start -= 1;
        let is_joint = start > 0 && rest[start - 1].is_ascii_lowercase();
        if is_joint && rest[start].is_ascii_uppercase() {
            break;
        }
    }
    let last = rest[start..].to_ascii_lowercase();
    DESCRIPTIONS.iter().any(|word| word.as_bytes() == last)
}

/// A place where a service is named.
struct NamedService {
    place: Range<usize>,
    name: &'static str,
}

/// The service that is named near the name of a value. `name` is the place of the word such as
/// `key`, or that of the call.
fn service(contents: &[u8], name: usize, value: usize, is_call: bool) -> Option<NamedService> {
    let start = if is_call {
        name
    } else {
        name.saturating_sub(MAX_DISTANCE)
    };
    let near = &contents[start..value];
    // What another paragraph names is another subject.
    let paragraph = start + near.rfind("\n\n").map_or(0, |at| at + 2);
    let names = NAMES
        .automaton
        .find_overlapping_iter(&contents[paragraph..value]);
    let names = names.filter_map(|hit| {
        let place = paragraph + hit.start()..paragraph + hit.end();
        let (service, is_common) = NAMES.services[hit.pattern().as_usize()];
        let is_near = !is_common || is_call || is_joined(contents, &place, name);
        let is_named = is_near && is_word(contents, &place);
        is_named.then_some(NamedService {
            place,
            name: service,
        })
    });
    names.last()
}

/// Whether the name of a service and a word such as `key` are parts of one name.
fn is_joined(contents: &[u8], service: &Range<usize>, name: usize) -> bool {
    let between = if service.start < name {
        service.end..name
    } else {
        name..service.start
    };
    // There is nothing between the two if the word is in the name of the service: `FusionAuth`.
    let between = contents.get(between).unwrap_or_default();
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    between == b" " || between.iter().all(is_name)
}

/// Whether the name of a service is a word, or a part of a name in one of the usual forms.
fn is_word(contents: &[u8], place: &Range<usize>) -> bool {
    let first = contents[place.start];
    let last = contents[place.end - 1];
    let begins = place.start.checked_sub(1).is_none_or(|before| {
        let before = contents[before];
        !before.is_ascii_alphanumeric() || before.is_ascii_lowercase() && first.is_ascii_uppercase()
    });
    let rest = &contents[place.end..];
    let ends = rest.first().is_none_or(|after| {
        let is_joint = last.is_ascii_lowercase() && after.is_ascii_uppercase();
        !after.is_ascii_alphabetic() || is_joint
    });
    let rest = rest[..rest.len().min(8)].to_ascii_lowercase();
    begins
        && (ends
            || CONTINUATIONS
                .iter()
                .any(|word| rest.starts_with(word.as_bytes())))
}

/// Words that can follow the name of a service without a separator.
const CONTINUATIONS: [&str; 17] = [
    "api", "key", "token", "secret", "access", "client", "auth", "app", "pass", "admin", "account",
    "user", "bot", "webhook", "hq", "io", "ai",
];

static NAMES: LazyLock<ServiceNames> = LazyLock::new(|| {
    let services = SERVICES.iter().map(|name| (*name, false));
    let services = services.chain(SERVICES_WITH_COMMON_NAMES.iter().map(|name| (*name, true)));
    let forms = services.flat_map(|service| {
        let name = service.0;
        let separators: &[_] = if name.contains(' ') {
            &["", "_", "-", ".", " "]
        } else {
            &[""]
        };
        let form = move |separator: &&str| (name.replace(' ', separator), service);
        separators.iter().map(form)
    });
    let (forms, services): (Vec<_>, Vec<_>) = forms.unzip();
    let automaton = AhoCorasick::builder()
        .ascii_case_insensitive(true)
        .build(forms);
    ServiceNames {
        automaton: automaton.unwrap_or_else(|_| unreachable!("the names are few and short")),
        services,
    }
});

/// The automaton of the names of services.
struct ServiceNames {
    automaton: AhoCorasick,
    /// The service of each form of a name, and whether the name is also a common word.
    services: Vec<(&'static str, bool)>,
}
