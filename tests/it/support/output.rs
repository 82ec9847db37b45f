//! What a finished program said.

use std::path::Path;

use super::http::HttpServer;

/// Status and streams, with helpers that show both when a test fails.
pub(crate) struct Output {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    /// What a snapshot shows as `[sandbox]`.
    names: Vec<(String, &'static str)>,
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
        let names = served
            .chain([(sandbox.to_string_lossy().into_owned(), "[sandbox]")])
            .collect();
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
            names,
        }
    }

    /// Fails unless the exit status is `expected`.
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

    /// Standard output as one JSON document.
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| {
            panic!(
                "{error}\nstdout:\n{}\nstderr:\n{}",
                self.stdout, self.stderr
            );
        })
    }

    /// Both streams for a snapshot: the sandbox's path, object ids and times replaced.
    pub(crate) fn shown(&self) -> String {
        let both = format!("{}---\n{}", self.stdout, self.stderr);
        masked(
            &self
                .names
                .iter()
                .fold(both, |both, (name, shown)| both.replace(name, shown)),
        )
    }
}

/// A text with its object ids, whole or short, replaced.
pub(crate) fn masked(text: &str) -> String {
    text.split_inclusive(|c: char| !c.is_ascii_alphanumeric())
        .map(mask)
        .collect()
}

/// Replaces a word that is an object id, whole or short.
fn mask(word: &str) -> String {
    let id = word.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
    let hexadecimal = id
        .bytes()
        .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    if hexadecimal && (id.len() == 40 || (id.len() == 7 && id.bytes().any(|b| b.is_ascii_digit())))
    {
        word.replacen(id, if id.len() == 40 { "[id]" } else { "[short]" }, 1)
    } else {
        word.to_owned()
    }
}
