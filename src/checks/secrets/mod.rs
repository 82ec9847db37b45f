//! Secrets: tokens, keys and passwords in the formats that their services publish.
//!
//! A secret is a long word, and few words of a document are long. So the search looks at long words
//! only, and at the text right before them, which can name a setting or begin a key. In this text an
//! automaton looks for the keywords of all rules, and a keyword leads to the regular expression of
//! its rule, which is compiled when it is first needed.
//!
//! A finding never contains the secret. Its digest is that of the secret, which is long and random,
//! so that it cannot be computed backwards. A password in a URL can be short: its digest is that of
//! the user and the host.

mod long_words;
mod proof;
mod rule;
mod rules;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{LazyLock, OnceLock};

use aho_corasick::{AhoCorasick, AhoCorasickKind};
use regex::bytes::{Regex, RegexBuilder};

use super::finding::{ContentCheck, Detection};
use long_words::long_words;
use rule::{Anchor, SecretRule};
use rules::RULES;

/// The length of the text before a long word in which keywords are searched, in bytes.
const LEAD: usize = 80;
/// The greatest length of a secret, in bytes.
const MAX_LENGTH: usize = 12_000;

/// Detects the secrets of a file.
pub(super) fn detect(contents: &[u8]) -> Vec<Detection> {
    let mut found: BTreeMap<usize, (usize, Detection)> = BTreeMap::new();
    let mut searched = 0;
    for word in long_words(contents) {
        let start = word.start.saturating_sub(LEAD).max(searched);
        searched = word.end;
        let text = &contents[start..word.end];
        let hits = SEARCH.automaton.find_overlapping_iter(text);
        let mut candidates: Vec<_> = hits
            .flat_map(|hit| {
                let rules = &SEARCH.rules[hit.pattern().as_usize()];
                rules.iter().map(move |rule| (*rule, start + hit.start()))
            })
            .collect();
        candidates.sort_unstable();

        for (rule, keyword) in candidates {
            let Some((secret, subject)) = matching(contents, &word, rule, keyword) else {
                continue;
            };
            let last = found.range(..secret.end).next_back();
            if last.is_some_and(|(_, (end, _))| *end > secret.start) {
                continue;
            }
            let SecretRule { kind, name, .. } = RULES[rule];
            let detection = Detection {
                check: ContentCheck::Secrets,
                kind,
                offset: secret.start,
                message: name.to_owned(),
                subject,
            };
            found.insert(secret.start, (secret.end, detection));
        }
    }
    found
        .into_values()
        .map(|(_, detection)| detection)
        .collect()
}

/// The place of the secret that a rule finds at a keyword, and the text that its digest is made of.
fn matching(
    contents: &[u8],
    word: &Range<usize>,
    rule: usize,
    keyword: usize,
) -> Option<(Range<usize>, Vec<u8>)> {
    let SecretRule { anchor, proof, .. } = RULES[rule];
    let is_in_word = |at: usize| contents.get(at).is_some_and(u8::is_ascii_alphanumeric);
    let start = match anchor {
        Anchor::Word => word.start,
        Anchor::Keyword if keyword > 0 && is_in_word(keyword - 1) => return None,
        Anchor::Keyword | Anchor::Setting => keyword,
    };
    let end = match anchor {
        Anchor::Word => word.end,
        Anchor::Keyword | Anchor::Setting => contents.len().min(start + MAX_LENGTH),
    };

    let groups = SEARCH.regex(rule).captures(&contents[start..end])?;
    let whole = groups.get(0)?.range();
    let whole = start + whole.start..start + whole.end;
    let is_inside_word = |at: usize| at > 0 && is_in_word(at - 1) && is_in_word(at);
    let begins_inside = anchor == Anchor::Word && is_inside_word(whole.start);
    if begins_inside || is_inside_word(whole.end) {
        return None;
    }
    let secret = groups.get(1).map_or(whole.clone(), |group| {
        start + group.start()..start + group.end()
    });
    proof::prove(proof, contents, &whole, secret)
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
            } = RULES[rule];
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
