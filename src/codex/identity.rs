//! The author and the committer of a run's commits.

use super::git_config::Settings;
use crate::environment::Environment;
use crate::workspace::CommitPolicy;

/// Name, e-mail address and time of an author or committer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Person {
    name: String,
    email: String,
    /// Seconds since the epoch, UTC.
    seconds: i64,
}

impl Person {
    /// The value of the `author` or `committer` header of a commit.
    pub(crate) fn header(&self) -> String {
        format!("{} {} +0000", self.name_and_email(), self.seconds)
    }

    /// The e-mail address.
    pub(crate) fn email(&self) -> &str {
        &self.email
    }

    /// `NAME <EMAIL>`.
    pub(crate) fn name_and_email(&self) -> String {
        format!("{} <{}>", self.name, self.email)
    }
}

/// Author and committer of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    /// `commit.author`, else the author that git would record.
    pub author: Person,
    /// `commit.author`, else the committer that git would record.
    pub committer: Person,
}

/// Determines author and committer: `commit.author`, else git's variables, else git's
/// configuration, else a fallback that names this program. The time is `SOURCE_DATE_EPOCH` if it is
/// set, else `now` (seconds since the epoch), for all commits of the run.
pub(crate) fn identity(
    policy: &CommitPolicy,
    settings: &Settings,
    environment: &Environment,
    now: i64,
) -> Identity {
    let seconds = environment.time(now);
    let pick = |role: &str, what: &str, fallback: &str| {
        let variable = |role: &str| environment.get(&format!("GIT_{role}_{what}"));
        let other = if role == "AUTHOR" {
            "COMMITTER"
        } else {
            "AUTHOR"
        };
        let found = variable(role)
            .or_else(|| settings.get(&format!("user.{}", what.to_lowercase())))
            .or_else(|| variable(other));
        clean(found.unwrap_or(fallback))
    };
    let person = |role: &str| match &policy.author {
        Some(author) => Person {
            name: clean(&author.name),
            email: clean(&author.email),
            seconds,
        },
        None => Person {
            name: pick(role, "NAME", "fractary-codex"),
            email: pick(role, "EMAIL", "fractary-codex@localhost"),
            seconds,
        },
    };
    Identity {
        author: person("AUTHOR"),
        committer: person("COMMITTER"),
    }
}

/// Removes the characters that would break a commit's header or a trailer.
pub(super) fn clean(text: &str) -> String {
    text.chars()
        .filter(|c| !c.is_control() && !matches!(c, '<' | '>'))
        .collect::<String>()
        .trim()
        .to_owned()
}
