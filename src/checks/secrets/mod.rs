//! Secrets: tokens, keys and passwords in the formats that their services publish.
//!
//! A secret is a long word, and few words of a document are long. So the search looks at long words
//! only, and at the text right before them, which can name a setting or begin a key. In this text an
//! automaton looks for the keywords of all rules, and a keyword leads to the regular expression of
//! its rule, which is compiled when it is first needed.
//!
//! A word without such a format can still be a key whose name or whose service precedes it: this is
//! the mechanism of [`named_key`].
//!
//! A finding never contains the secret. Its digest is that of the secret, which is long and random,
//! so that it cannot be computed backwards. A password in a URL can be short: its digest is that of
//! the user and the host.

mod letter_pairs;
mod long_words;
mod named_key;
mod named_rules;
mod private_key;
mod proof;
mod randomness;
mod rule;
mod rules;
mod services;
mod tool_rules;
mod url_account;
mod word_set;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{LazyLock, OnceLock};

use aho_corasick::{AhoCorasick, AhoCorasickKind};
use regex::bytes::{Regex, RegexBuilder};

use super::finding::{ContentCheck, Detection};
use long_words::long_words;
use named_key::named_key;
use named_rules::NAMED;
use rule::{Anchor, Proof, SecretRule};
use rules::FORMATS;
use tool_rules::TOOLS;

/// The length of the text before a long word in which keywords are searched, in bytes.
const LEAD: usize = 96;
/// The greatest length of a secret, in bytes.
const MAX_LENGTH: usize = 12_000;

/// All rules. Of two rules that match the same text, the first one reports it.
static RULES: LazyLock<Vec<&SecretRule>> =
    LazyLock::new(|| FORMATS.iter().chain(NAMED).chain(TOOLS).collect());

/// Detects the secrets of a file.
pub(super) fn detect(contents: &[u8]) -> Vec<Detection> {
    let mut found = FoundSecrets::default();
    let mut searched = 0;
    let is_varied = |word: &Range<usize>| is_varied(&contents[word.clone()]);
    for word in long_words(contents).filter(is_varied) {
        let start = word.start.saturating_sub(LEAD).max(searched);
        searched = word.end;
        let text = &contents[start..word.end];
        let hits = SEARCH.automaton.find_overlapping_iter(text);
        let mut candidates: Vec<_> = hits
            .flat_map(|hit| {
                let rules = &SEARCH.rules[hit.pattern().as_usize()];
                let keyword = start + hit.start();
                let continues = continues_word(contents, keyword);
                let can_begin =
                    move |rule: &&usize| !continues || RULES[**rule].anchor != Anchor::Keyword;
                let rules = rules.iter().filter(can_begin);
                rules.map(move |rule| (*rule, keyword))
            })
            .collect();
        candidates.sort_unstable();

        for (rule, keyword) in candidates {
            let Some((secret, subject)) = matching(contents, &word, rule, keyword) else {
                continue;
            };
            let SecretRule { kind, name, .. } = *RULES[rule];
            found.add(secret, kind, name.to_owned(), subject);
        }
        if let Some((secret, service)) = named_key(contents, &word) {
            let subject = contents[secret.clone()].to_vec();
            let (kind, message) = match service {
                Some(service) => ("service-key", format!("a key of {service}")),
                None => ("named-key", "a secret key or token".to_owned()),
            };
            found.add(secret, kind, message, subject);
        }
    }
    let detections = found.0.into_values();
    detections.map(|(_, detection)| detection).collect()
}

/// Whether a text contains a secret, by its format or by what precedes it.
pub(crate) fn contains_secret(text: &[u8]) -> bool {
    !detect(text).is_empty()
}

/// The secrets that were found: their ends and what is reported, by their starts.
#[derive(Default)]
struct FoundSecrets(BTreeMap<usize, (usize, Detection)>);

impl FoundSecrets {
    /// Adds a secret. Of two that overlap, the first one is kept.
    fn add(&mut self, secret: Range<usize>, kind: &'static str, message: String, subject: Vec<u8>) {
        let last = self.0.range(..secret.end).next_back();
        if last.is_some_and(|(_, (end, _))| *end > secret.start) {
            return;
        }
        let detection = Detection {
            check: ContentCheck::Secrets,
            kind,
            offset: secret.start,
            message,
            subject,
        };
        self.0.insert(secret.start, (secret.end, detection));
    }
}

/// Whether a word can contain a secret. Most long words of a text are paths, whose parts are short
/// or have only lower-case letters; no secret consists of such parts. Only an account in a URL can,
/// because its password is often short.
fn is_varied(word: &[u8]) -> bool {
    const SHORT: usize = 5;
    const LONG: usize = 16;
    let is_part = |part: &[u8]| {
        let has = |is: fn(&u8) -> bool| part.iter().any(is);
        let has_digit = has(u8::is_ascii_digit);
        let kinds = [
            has_digit,
            has(u8::is_ascii_uppercase),
            has(u8::is_ascii_lowercase),
        ];
        match kinds.into_iter().filter(|has| *has).count() {
            3 => true,
            2 => part.len() >= SHORT,
            _ => has_digit && part.len() >= LONG,
        }
    };
    word.contains(&b'@')
        || word
            .split(|byte| !byte.is_ascii_alphanumeric())
            .any(is_part)
}

/// The place of the secret that a rule finds at a keyword, and the text that its digest is made of.
fn matching(
    contents: &[u8],
    word: &Range<usize>,
    rule: usize,
    keyword: usize,
) -> Option<(Range<usize>, Vec<u8>)> {
    let SecretRule { anchor, proof, .. } = *RULES[rule];
    let start = match anchor {
        Anchor::Word => word.start,
        Anchor::Keyword | Anchor::Setting => keyword,
    };
    let end = match anchor {
        Anchor::Word => word.end,
        Anchor::Keyword | Anchor::Setting => contents.len().min(start + MAX_LENGTH),
    };

    let groups = SEARCH.regex(rule).captures(&contents[start..end])?;
    let whole = groups.get(0)?.range();
    let whole = start + whole.start..start + whole.end;
    let begins_inside = anchor == Anchor::Word && continues_word(contents, whole.start);
    let ends_inside = [whole.end - 1, whole.end]
        .iter()
        .all(|at| is_in_word(contents, *at));
    let is_key = matches!(proof, Proof::PrivateKey);
    if begins_inside || ends_inside || !is_key && continues_block(contents, whole.start) {
        return None;
    }
    let secret = groups.get(1).map_or(whole.clone(), |group| {
        start + group.start()..start + group.end()
    });
    let random = groups.name("random").map_or(secret.clone(), |group| {
        start + group.start()..start + group.end()
    });
    proof::prove(proof, contents, &whole, secret, &random)
}

fn is_in_word(contents: &[u8], at: usize) -> bool {
    contents.get(at).is_some_and(u8::is_ascii_alphanumeric)
}

/// Whether the text at `at` continues a word. An escape such as `\n` or `%3D` before it is no word.
fn continues_word(contents: &[u8], at: usize) -> bool {
    let before = &contents[..at];
    let is_escape = |length: usize, sign: &[u8]| {
        let start = before.len().checked_sub(length);
        start.is_some_and(|start| before[start..].starts_with(sign))
    };
    let is_in_word = at > 0 && is_in_word(contents, at - 1) && is_in_word(contents, at);
    let is_after_escape = matches!(before, [.., b'\\', b'n' | b'r' | b't'])
        || is_escape(3, b"%")
        || is_escape(6, b"\\u");
    is_in_word && !is_after_escape
}

/// Whether the text at `at` is the start of a line after a line of base64. Such a line is a part of
/// an image or of another file.
fn continues_block(contents: &[u8], at: usize) -> bool {
    const LINE: usize = 56;
    let before = &contents[..at];
    let previous = before.trim_ascii_end();
    let is_new_line = before[previous.len()..].contains(&b'\n');
    let line = previous
        .len()
        .checked_sub(LINE)
        .map(|start| &previous[start..]);
    let is_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    is_new_line && line.is_some_and(|line| line.iter().all(is_base64))
}

static SEARCH: LazyLock<SecretSearch> = LazyLock::new(SecretSearch::new);

/// The automaton and the compiled rules.
struct SecretSearch {
    automaton: AhoCorasick,
    /// The indexes of the rules of each keyword.
    rules: Vec<Vec<usize>>,
    /// The regular expressions, by rule.
    regexes: Vec<OnceLock<Regex>>,
}

impl SecretSearch {
    fn new() -> Self {
        let mut keywords: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (index, rule) in RULES.iter().enumerate() {
            for keyword in rule.keywords {
                keywords.entry(keyword).or_default().push(index);
            }
        }
        let automaton = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .kind(Some(AhoCorasickKind::DFA))
            .build(keywords.keys());
        Self {
            automaton: automaton.unwrap_or_else(|_| unreachable!("the keywords are few and short")),
            rules: keywords.into_values().collect(),
            regexes: RULES.iter().map(|_| OnceLock::new()).collect(),
        }
    }

    fn regex(&self, rule: usize) -> &Regex {
        self.regexes[rule].get_or_init(|| {
            let SecretRule {
                anchor, pattern, ..
            } = *RULES[rule];
            let anchored = match anchor {
                Anchor::Word => pattern.to_owned(),
                Anchor::Keyword | Anchor::Setting => format!("^(?:{pattern})"),
            };
            let regex = RegexBuilder::new(&anchored).unicode(false).build();
            regex.unwrap_or_else(|_| unreachable!("the patterns are valid"))
        })
    }
}

#[cfg(test)]
mod tests;
