//! The secrets of a loaded configuration: they are masked in its messages, and rejected as the values
//! of other keys, which are printed and published.

use super::configuration::Configuration;
use super::problem::Problem;
use super::source_line;
use super::tree::{Node, NodeValue, key_path};
use super::values::is_secret;
use crate::environment::JOB_TOKENS;
use crate::secret::Secret;
use crate::url::RemoteUrl;

/// The length from which a secret is recognised inside of a text: a shorter one can be a part of any
/// word.
const LONG: usize = 8;
/// The length of the start of a secret by which a shortened one is recognised.
const START: usize = 16;

/// The secrets, each with the key or the variable that gives it.
pub(crate) struct ConfiguredSecrets(Vec<(String, Secret)>);

impl ConfiguredSecrets {
    /// The secrets of all layers, and the tokens of the job.
    pub(crate) fn of(configuration: &Configuration) -> Self {
        let mut secrets = Vec::new();
        for layer in configuration.layers.iter() {
            each_text(&layer.tree, &mut Vec::new(), &mut |path, text, _| {
                if is_secret(path) {
                    secrets.push((key_path(path), Secret::new(text)));
                }
            });
        }
        for name in JOB_TOKENS {
            if let Some(token) = configuration.environment.get(name) {
                secrets.push((name.to_owned(), Secret::new(token)));
            }
        }
        Self(secrets)
    }

    /// Masks the secrets in the problems.
    pub(crate) fn mask(&self, problems: &mut [Problem]) {
        if self.0.is_empty() {
            return;
        }
        for problem in problems {
            problem.message = self.masked(&problem.message);
            problem.hint = problem.hint.take().map(|hint| self.masked(&hint));
            problem.key = problem.key.take().map(|key| self.masked(&key));
            let line = problem.origin.as_ref().and_then(source_line::line_at);
            problem.hides_line |= line.is_some_and(|line| self.masked(&line) != line);
        }
    }

    /// `text` without the secrets. A name that is shown can differ from the secret in its case.
    fn masked(&self, text: &str) -> String {
        self.0
            .iter()
            .fold(text.to_owned(), |text, (_, secret)| match secret.reveal() {
                short if short.len() < LONG => text.replace(&format!("`{short}`"), "`***`"),
                secret => without(&text, secret),
            })
    }

    /// The errors about values of other keys that contain a secret. The account of a URL is no such
    /// value: it is masked, and never published.
    pub(crate) fn misplaced(&self, configuration: &Configuration) -> Vec<Problem> {
        let mut problems = Vec::new();
        for layer in configuration.layers.iter() {
            each_text(&layer.tree, &mut Vec::new(), &mut |path, text, node| {
                let contains = |(_, secret): &&(String, Secret)| {
                    let secret = secret.reveal();
                    secret.len() >= LONG && text.contains(secret) && !is_masked(text, secret)
                };
                let found = self.0.iter().filter(|_| !is_secret(path)).find(contains);
                if let Some((name, _)) = found {
                    let key = key_path(path);
                    let message =
                        format!("`{key}` contains the secret of `{name}`, and would be printed");
                    let hint = format!("a secret belongs into `{name}` only");
                    let problem = Problem::new(message).hint(hint).key(key).at(&node.at);
                    problems.push(problem);
                }
            });
        }
        problems
    }
}

/// Whether `text` is a URL that is printed without the secret.
fn is_masked(text: &str, secret: &str) -> bool {
    text.contains("://")
        && RemoteUrl::parse(text, "/".as_ref()).is_ok_and(|url| !url.to_string().contains(secret))
}

/// `text` with `***` for each occurrence of the secret, or of its beginning if it is long.
fn without(text: &str, secret: &str) -> String {
    let start: String = secret.chars().take(START).collect();
    let start = start.to_ascii_lowercase();
    let lower = text.to_ascii_lowercase();
    let mut masked = String::with_capacity(text.len());
    let mut rest = 0;
    while let Some(found) = lower[rest..].find(&start) {
        let at = rest + found;
        masked.push_str(&text[rest..at]);
        masked.push_str("***");
        let same = text[at..].chars().zip(secret.chars());
        let same = same.take_while(|(one, other)| one.eq_ignore_ascii_case(other));
        rest = at + same.map(|(c, _)| c.len_utf8()).sum::<usize>();
    }
    masked + &text[rest..]
}

/// Calls `visit` for every text below `node`.
fn each_text(node: &Node, path: &mut Vec<String>, visit: &mut impl FnMut(&[String], &str, &Node)) {
    match &node.value {
        NodeValue::Nothing => {}
        NodeValue::Text(text) => visit(path, text, node),
        NodeValue::Map(map) => {
            for (name, entry) in map {
                path.push(name.clone());
                each_text(&entry.node, path, visit);
                path.pop();
            }
        }
        NodeValue::List(list) => {
            for (number, element) in list.iter().enumerate() {
                path.push(number.to_string());
                each_text(element, path, visit);
                path.pop();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secret_is_masked_in_any_case_and_if_it_is_shortened() {
        for (text, secret, masked) in [
            (
                "a s3cretS3cret b, S3CRETs3cret",
                "s3cretS3cret",
                "a *** b, ***",
            ),
            ("`0123456789abcdefgh…`", "0123456789abcdefghijk", "`***…`"),
            (
                "0123456789abcdeX",
                "0123456789abcdefghijk",
                "0123456789abcdeX",
            ),
            ("üs3crets3crät", "s3crets3crät", "ü***"),
        ] {
            assert_eq!(without(text, secret), masked, "{text}");
        }
    }
}
