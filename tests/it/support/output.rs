//! The output of a finished program.

use std::path::Path;

use super::http::HttpServer;

/// The exit status and both streams. The assertions here show the streams when they fail.
pub(crate) struct Output {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    /// The texts to replace in a snapshot, such as the sandbox's path by `[sandbox]`.
    replacements: Vec<(String, &'static str)>,
}

impl Output {
    pub(crate) fn new(
        output: std::process::Output,
        sandbox: &Path,
        server: Option<&HttpServer>,
    ) -> Self {
        let codex = "[sandbox]/codex.git";
        let served = server
            .into_iter()
            .flat_map(|server| [(server.url("codex.git"), codex), (server.place(), codex)]);
        let replacements = served
            .chain([(sandbox.to_string_lossy().into_owned(), "[sandbox]")])
            .collect();
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
            replacements,
        }
    }

    /// Asserts that the exit status is `expected`.
    #[track_caller]
    pub(crate) fn code(self, expected: i32) -> Self {
        assert_eq!(
            self.code,
            Some(expected),
            "stdout:\n{}\nstderr:\n{}",
            self.stdout,
            self.stderr
        );
        self
    }

    /// Parses standard output as a single JSON document.
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| {
            panic!(
                "{error}\nstdout:\n{}\nstderr:\n{}",
                self.stdout, self.stderr
            );
        })
    }

    /// Both streams for a snapshot, with the path of the sandbox and all object ids replaced.
    pub(crate) fn shown(&self) -> String {
        let mut text = format!("{}---\n{}", self.stdout, self.stderr);
        for (from, to) in &self.replacements {
            text = text.replace(from, to);
        }
        masked(&text)
    }
}

/// Replaces all full and abbreviated object ids in a text.
pub(crate) fn masked(text: &str) -> String {
    text.split_inclusive(|c: char| !c.is_ascii_alphanumeric())
        .map(mask)
        .collect()
}

/// Replaces the word if it is a full or abbreviated object id. An abbreviated id may have no digit;
/// no word of the messages has seven letters from `a` to `f`.
fn mask(word: &str) -> String {
    let id = word.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
    let is_hexadecimal = id
        .bytes()
        .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    match id.len() {
        40 if is_hexadecimal => word.replacen(id, "[id]", 1),
        7 if is_hexadecimal => word.replacen(id, "[short]", 1),
        _ => word.to_owned(),
    }
}
