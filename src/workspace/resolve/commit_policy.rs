//! Resolves the settings of commits.

use super::findings::Findings;
use crate::config::layers::with_default;
use crate::config::tree::key_path;
use crate::config::{Configuration, Problem};
use crate::workspace::settings::{Author, CommitPolicy};
use crate::workspace::template::{self, Unfilled};

/// Resolves the settings of section `commit`, and reports empty texts, unknown placeholders and an
/// incomplete author.
pub(super) fn resolve(configuration: &Configuration, findings: &mut Findings) -> CommitPolicy {
    let commit = configuration.raw.commit.clone();
    let message = with_default(commit.message, "commit.message");
    let texts: [(&[&str], Option<&String>); 3] = [
        (&["commit", "message"], Some(&message)),
        (&["commit", "author", "name"], commit.author.name.as_ref()),
        (&["commit", "author", "email"], commit.author.email.as_ref()),
    ];
    for (path, text) in texts {
        if text.is_some_and(|text| text.trim().is_empty()) {
            let key = key_path(path);
            let problem = Problem::new(format!("`{key}` is empty")).key(key);
            let hint = "remove the key to use the default";
            findings.error(problem.maybe_at(configuration.origin_of(path)).hint(hint));
        }
    }
    check_placeholders(configuration, &message, findings);

    CommitPolicy {
        message,
        author: author(configuration, findings),
        trailers: with_default(commit.trailers, "commit.trailers"),
        credit: with_default(commit.credit, "commit.credit"),
        sign: with_default(commit.sign, "commit.sign"),
    }
}

/// Reports an unknown placeholder. The values are only known when a commit is made.
fn check_placeholders(configuration: &Configuration, message: &str, findings: &mut Findings) {
    const KNOWN: [&str; 7] = [
        "count",
        "project",
        "org",
        "codex_repo",
        "env",
        "branch",
        "subject",
    ];
    let values = KNOWN.map(|name| (name, Some("")));
    if let Err(unfilled @ Unfilled::Unknown { .. }) = template::fill(message, &values) {
        let problem = template::problem("commit.message", unfilled);
        let at = configuration.origin_of(&["commit", "message"]);
        findings.error(problem.maybe_at(at));
    }
}

/// The configured author. Both a name and an e-mail address are required.
fn author(configuration: &Configuration, findings: &mut Findings) -> Option<Author> {
    let author = configuration.raw.commit.author.clone();
    let (has, lacks) = match (author.name, author.email) {
        (None, None) => return None,
        (Some(name), Some(email)) => return Some(Author { name, email }),
        (Some(_), None) => ("name", "email"),
        (None, Some(_)) => ("email", "name"),
    };
    let message = format!("`commit.author` has a `{has}`, but no `{lacks}`");
    let at = configuration.origin_of(&["commit", "author", has]);
    findings.error(Problem::new(message).key("commit.author").maybe_at(at));
    None
}
