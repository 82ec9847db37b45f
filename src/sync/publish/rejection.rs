//! The errors of a push that the server does not accept.

use super::commit::Committed;
use super::push::{Setback, no_verdict};
use crate::codex::remote::{Rejection, RejectionKind};
use crate::names::ProjectName;
use crate::object::ObjectId;
use crate::outcome::SyncError;
use crate::paths::escaped;
use crate::sync::remote_session::RemoteSession;
use crate::sync::request::SyncRequest;
use crate::workspace::Project;

/// The error for a push that the server rejected. It names the projects that the server's message
/// is about.
pub(super) fn rejected(
    request: &SyncRequest<'_>,
    session: &RemoteSession,
    committed: &Committed,
    rejection: Rejection,
) -> SyncError {
    let pushed: Vec<_> = committed
        .commits
        .iter()
        .map(|(number, commit)| (request.projects[*number], *commit))
        .collect();
    let named = named(&pushed, &rejection.words);
    let (named, others) = pushed
        .iter()
        .map(|(project, _)| project.name.clone())
        .partition(|name| named.contains(name));
    SyncError::Rejected {
        place: session.transport.url().host_or_path(),
        branch: session.target.branch.clone(),
        rejection: Box::new(rejection),
        named,
        others,
    }
}

/// The error for a run that has no attempt left. `has_moved` is whether the branch moved during the
/// last attempt.
pub(super) fn given_up(
    request: &SyncRequest<'_>,
    session: &RemoteSession,
    committed: &Committed,
    setback: Setback,
    has_moved: bool,
    attempts: u32,
) -> SyncError {
    match setback {
        Setback::Transport { error, sent: true } => no_verdict(session, error),
        Setback::Transport { error, sent: false } => error.into(),
        Setback::Rejected(mut rejection) if !has_moved => {
            if rejection.kind == RejectionKind::Outdated {
                let reason = rejection.reason;
                rejection.reason =
                    format!("{reason}: the server shows another tip to pushes than to fetches");
            }
            rejected(request, session, committed, rejection)
        }
        Setback::Rejected(rejection) => SyncError::RetriesExhausted {
            place: session.transport.url().host_or_path(),
            branch: session.target.branch.clone(),
            attempts,
            last: rejection.reason,
            words: rejection.words,
        },
    }
}

/// The prefix of a path in a message of gitolite's rules.
const GITOLITE: &str = "VREF/NAME/";

/// The projects that the server's message names by their commit or by their path in the codex. If
/// it names all of them, it is about the push as a whole, and the result is empty.
fn named(pushed: &[(&Project, ObjectId)], words: &[String]) -> Vec<ProjectName> {
    let is_named = |(project, commit): &&(&Project, ObjectId)| {
        let path = format!("{}/", escaped(project.to.as_bstr()));
        let commit = commit.to_string();
        words
            .iter()
            .any(|line| line.contains(&commit) || contains(line, &path))
    };
    let named: Vec<_> = pushed
        .iter()
        .filter(is_named)
        .map(|(project, _)| project.name.clone())
        .collect();
    if named.len() == pushed.len() {
        Vec::new()
    } else {
        named
    }
}

/// Whether `line` contains `path` as a whole path, not as the end of a longer one.
fn contains(line: &str, path: &str) -> bool {
    let begins = |at: usize| {
        let before = &line[..at];
        if before.ends_with(GITOLITE) {
            return true;
        }
        let before = before.strip_suffix('/').unwrap_or(before);
        let last = before.chars().next_back();
        !last.is_some_and(|c| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '/'))
    };
    line.match_indices(path).any(|(at, _)| begins(at))
}

#[cfg(test)]
mod tests {
    use super::contains;

    #[test]
    fn only_a_whole_path_is_found() {
        for (line, expected) in [
            ("projects/a/", true),
            ("FATAL: W VREF/NAME/projects/a/docs/x.md acme DENIED", true),
            ("file 'projects/a/x.md' is protected", true),
            ("not allowed: /projects/a/x.md", true),
            ("other-projects/a/x.md", false),
            ("other/projects/a/x.md", false),
            ("projects/ab/x.md", false),
        ] {
            assert_eq!(contains(line, "projects/a/"), expected, "{line}");
        }
    }
}
