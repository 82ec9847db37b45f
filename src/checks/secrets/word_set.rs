//! A set of words that is searched in many texts.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use aho_corasick::AhoCorasick;

/// Words, and the automaton that finds them in any case. It is built when it is first needed.
pub(super) struct WordSet {
    words: &'static [&'static str],
    automaton: OnceLock<AhoCorasick>,
}

impl WordSet {
    pub(super) const fn new(words: &'static [&'static str]) -> Self {
        Self {
            words,
            automaton: OnceLock::new(),
        }
    }

    /// Whether a text contains one of the words.
    pub(super) fn is_any_in(&self, text: &[u8]) -> bool {
        self.automaton().is_match(text)
    }

    /// Whether one of the words begins a word of the text: `test` in `test_key` and `acmeTestKey`, but
    /// not in `latest`.
    pub(super) fn begins_word_in(&self, text: &[u8]) -> bool {
        let mut hits = self.automaton().find_overlapping_iter(text);
        hits.any(|hit| {
            let before = text[..hit.start()].last();
            let is_inner = before.is_some_and(u8::is_ascii_alphabetic);
            let is_capital = text[hit.start()].is_ascii_uppercase();
            !is_inner || is_capital && before.is_some_and(u8::is_ascii_lowercase)
        })
    }

    /// The words that a text contains, each once.
    pub(super) fn all_in(&self, text: &[u8]) -> BTreeSet<&'static str> {
        let hits = self.automaton().find_overlapping_iter(text);
        hits.map(|hit| self.words[hit.pattern().as_usize()])
            .collect()
    }

    fn automaton(&self) -> &AhoCorasick {
        self.automaton.get_or_init(|| {
            let automaton = AhoCorasick::builder()
                .ascii_case_insensitive(true)
                .build(self.words);
            automaton.unwrap_or_else(|_| unreachable!("the words are few and short"))
        })
    }
}
