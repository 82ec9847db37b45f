//! Who commits, and when.

use super::git_config::GitConfig;
use crate::environment::Environment;
use crate::workspace::CommitPolicy;

/// Name, e-mail and time of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    name: String,
    email: String,
    /// Seconds since the epoch, UTC.
    seconds: i64,
}

impl Signature {
    /// As a commit's header writes it.
    pub fn header(&self) -> String {
        format!("{} <{}> {} +0000", self.name, self.email, self.seconds)
    }
}

/// Author and committer of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Who wrote.
    pub author: Signature,
    /// Who committed.
    pub committer: Signature,
}

/// `commit.author`, else git's variables, else git's own configuration, else a fallback that says what it is. The time
/// is `SOURCE_DATE_EPOCH` where it is set, else `now` (seconds since the epoch), once for the whole run.
pub fn identity(policy: &CommitPolicy, environment: &Environment, now: i64) -> Identity {
    let seconds = environment.time(now);
    let configuration = GitConfig::open(environment);
    let pick = |role: &str, what: &str, fallback: &str| {
        let variable = |role: &str| {
            environment
                .get(&format!("GIT_{role}_{what}"))
                .map(str::to_owned)
        };
        let other = if role == "AUTHOR" {
            "COMMITTER"
        } else {
            "AUTHOR"
        };
        variable(role)
            .or_else(|| configuration.text(&format!("user.{}", what.to_lowercase())))
            .or_else(|| variable(other))
            .unwrap_or_else(|| fallback.to_owned())
    };
    let signature = |role: &str| match &policy.author {
        Some(author) => Signature {
            name: clean(&author.name),
            email: clean(&author.email),
            seconds,
        },
        None => Signature {
            name: clean(&pick(role, "NAME", "fractary-codex")),
            email: clean(&pick(role, "EMAIL", "fractary-codex@localhost")),
            seconds,
        },
    };
    Identity {
        author: signature("AUTHOR"),
        committer: signature("COMMITTER"),
    }
}

/// Without the characters that would break a commit's header.
fn clean(text: &str) -> String {
    text.chars()
        .filter(|c| !c.is_control() && !matches!(c, '<' | '>'))
        .collect::<String>()
        .trim()
        .to_owned()
}
