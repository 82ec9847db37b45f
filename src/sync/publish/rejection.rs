//! Pushes that the server rejects: the projects that its message is about, and the errors.

use std::collections::{BTreeMap, BTreeSet};

use super::commit::CommittedBranch;
use super::isolation::{Isolation, RejectionScope};
use super::plan::Planned;
use super::push::{Setback, no_verdict};
use crate::codex::remote::{Rejection, RejectionKind};
use crate::config::OnDeclined;
use crate::object::ObjectId;
use crate::outcome::SyncError;
use crate::paths::escaped;
use crate::sync::remote_session::RemoteSession;
use crate::sync::request::SyncRequest;
use crate::workspace::Project;

/// Decides what follows from a rejected push. If other projects can still land, or the codex has
/// them already, the rejected ones are withheld. Otherwise the rejection is an error of the run.
///
/// So is that of a single project that changes, unless the server's message names it: the server
/// may reject every push.
pub(super) fn isolate(
    request: &SyncRequest<'_>,
    session: &RemoteSession,
    isolation: &mut Isolation,
    planned: &Planned,
    committed: &CommittedBranch,
    rejection: Rejection,
) -> Result<(), SyncError> {
    let named = named_projects(request, committed, &rejection.words);
    let pushed: BTreeSet<_> = committed.commits.keys().copied().collect();
    let is_about_projects = match rejection.kind {
        RejectionKind::Declined | RejectionKind::TooLarge => true,
        RejectionKind::SignatureRequired => {
            isolation.are_named(&pushed)
                || (!named.is_empty() && named.len() < committed.commits.len())
        }
        RejectionKind::BranchClosed | RejectionKind::Outdated | RejectionKind::Locked => false,
    };
    let isolates = request.workspace.on_declined == OnDeclined::Isolate && !request.atomic;
    if !isolates || !is_about_projects || committed.commits.is_empty() {
        return Err(rejected(request, session, committed, rejection));
    }

    let is_named = !named.is_empty();
    isolation.reject(&pushed, &rejection, named);

    let changed = planned.changed();
    // Projects that have landed are up to date in the next plan.
    let is_any_in_codex = planned.is_any_up_to_date();
    match isolation.scope(&changed, is_any_in_codex, is_named) {
        RejectionScope::SomeProjects => Ok(()),
        RejectionScope::EachProject => Err(SyncError::AllRejected {
            place: session.transport.url().host_or_path(),
            branch: session.targets[committed.target].branch.clone(),
            projects: changed.len(),
        }),
        RejectionScope::EveryPush => {
            isolation.clear_rejections();
            Err(rejected(request, session, committed, rejection))
        }
    }
}

/// The error for a push that the server rejected. It names the projects that the server's message
/// is about.
fn rejected(
    request: &SyncRequest<'_>,
    session: &RemoteSession,
    committed: &CommittedBranch,
    rejection: Rejection,
) -> SyncError {
    let pushed = pushed_projects(request, committed);
    let named = named_projects(request, committed, &rejection.words);
    let is_about_all = named.len() == pushed.len();
    let (named, others): (Vec<_>, Vec<_>) = pushed
        .iter()
        .partition(|(index, ..)| !is_about_all && named.contains_key(index));
    let names = |projects: Vec<&(usize, &Project, ObjectId)>| {
        let names = projects
            .into_iter()
            .map(|(_, project, _)| project.name.clone());
        names.collect()
    };
    SyncError::Rejected {
        place: session.transport.url().host_or_path(),
        branch: session.targets[committed.target].branch.clone(),
        is_sync_branch: session.has_sync_branches,
        rejection: Box::new(rejection),
        named: names(named),
        others: names(others),
    }
}

/// The projects of a push, each with its index and commit.
fn pushed_projects<'r>(
    request: &SyncRequest<'r>,
    committed: &CommittedBranch,
) -> Vec<(usize, &'r Project, ObjectId)> {
    committed
        .commits
        .iter()
        .map(|(index, commit)| (*index, request.projects[*index], *commit))
        .collect()
}

/// The error for a run that has no attempt left. `has_moved` is whether the branch moved during the
/// last attempt.
pub(super) fn given_up(
    request: &SyncRequest<'_>,
    session: &RemoteSession,
    committed: &CommittedBranch,
    setback: Setback,
    has_moved: bool,
    attempts: u32,
) -> SyncError {
    match setback {
        Setback::Transport { error, sent: true } => {
            no_verdict(session, &session.targets[committed.target], error)
        }
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
            branch: session.targets[committed.target].branch.clone(),
            attempts,
            last: rejection.reason,
            words: rejection.words,
        },
    }
}

/// The projects of a push to one branch that the server's message names, by index, each with the
/// lines that are about it.
///
/// Hooks print the new tip of the branch whatever they are about. So the last of several commits
/// names its project only if the message has other commits as well.
fn named_projects(
    request: &SyncRequest<'_>,
    committed: &CommittedBranch,
    words: &[String],
) -> BTreeMap<usize, Vec<String>> {
    let pushed = pushed_projects(request, committed);
    let is_mentioned = |commit: &ObjectId| {
        let commit = commit.to_string();
        words.iter().any(|line| contains_commit(line, &commit))
    };
    let is_tip = |commit: &ObjectId| *commit == committed.head && pushed.len() > 1;
    let mut others = pushed.iter().filter(|(.., commit)| !is_tip(commit));
    let lists_commits = others.any(|(.., commit)| is_mentioned(commit));
    let projects = pushed.iter().map(|(index, project, commit)| {
        let counts = lists_commits || !is_tip(commit);
        (*index, *project, counts.then_some(*commit))
    });
    named(projects, words)
}

/// The lanes of a push that the server's message names by one of their projects, by index, each with
/// the lines that are about it.
pub(super) fn named_lanes(
    request: &SyncRequest<'_>,
    branches: &[CommittedBranch],
    words: &[String],
) -> BTreeMap<usize, Vec<String>> {
    let projects = branches.iter().flat_map(|branch| {
        let projects = pushed_projects(request, branch).into_iter();
        projects.map(|(_, project, commit)| (branch.target, project, Some(commit)))
    });
    named(projects, words)
}

/// The prefix of a path in a message of gitolite's rules.
const GITOLITE: &str = "VREF/NAME/";
/// The minimum length of an abbreviated commit id, as in git.
const MIN_ABBREVIATION: usize = 7;

/// The projects that the server's message names by their commit, their directory in the codex, or
/// a path below it, by their index or that of their lane. Each has the lines that name it, and those
/// that name no project.
fn named<'p>(
    pushed: impl Iterator<Item = (usize, &'p Project, Option<ObjectId>)>,
    words: &[String],
) -> BTreeMap<usize, Vec<String>> {
    let projects: Vec<_> = pushed
        .map(|(index, project, commit)| {
            let directory = escaped(project.to.as_bstr()).to_string();
            (index, directory, commit.map(|commit| commit.to_string()))
        })
        .collect();
    let of_line = |line: &String| -> BTreeSet<usize> {
        projects
            .iter()
            .filter(|(_, directory, commit)| {
                let is_mentioned = |commit: &String| contains_commit(line, commit);
                contains_path(line, directory) || commit.as_ref().is_some_and(is_mentioned)
            })
            .map(|(index, ..)| *index)
            .collect()
    };
    let lines: Vec<_> = words.iter().map(|line| (line, of_line(line))).collect();

    let named: BTreeSet<_> = lines.iter().flat_map(|(_, named)| named).copied().collect();
    named
        .into_iter()
        .map(|index| {
            let about = lines
                .iter()
                .filter(|(_, named)| named.is_empty() || named.contains(&index))
                .map(|(line, _)| (*line).clone());
            (index, about.collect())
        })
        .collect()
}

/// Whether `line` contains `directory` or a path below it, not as a part of a longer name.
fn contains_path(line: &str, directory: &str) -> bool {
    let is_in_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
    let begins = |at: usize| {
        let before = &line[..at];
        if before.ends_with(GITOLITE) {
            return true;
        }
        let before = before.strip_suffix('/').unwrap_or(before);
        let last = before.chars().next_back();
        !last.is_some_and(|c| is_in_name(c) || matches!(c, '.' | '/'))
    };
    let ends = |at: usize| {
        // A full stop may end the sentence.
        let after = line[at..].trim_start_matches('.');
        // A single name can be an ordinary word.
        !after.starts_with(is_in_name) && (directory.contains('/') || line[at..].starts_with('/'))
    };
    line.match_indices(directory)
        .any(|(at, _)| begins(at) && ends(at + directory.len()))
}

/// Whether `line` contains the id of a commit, in full or abbreviated.
fn contains_commit(line: &str, commit: &str) -> bool {
    line.split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| word.len() >= MIN_ABBREVIATION)
        .any(|word| commit.starts_with(word))
}

#[cfg(test)]
mod tests {
    use super::{contains_commit, contains_path};

    #[test]
    fn only_a_whole_path_is_found() {
        for (line, expected) in [
            ("projects/a/", true),
            ("projects/a", true),
            ("changes below projects/a.", true),
            ("projects/a: frozen", true),
            ("FATAL: W VREF/NAME/projects/a/docs/x.md acme DENIED", true),
            ("file 'projects/a/x.md' is protected", true),
            ("not allowed: /projects/a/x.md", true),
            ("other-projects/a/x.md", false),
            ("other/projects/a/x.md", false),
            ("projects/ab/x.md", false),
            ("projects/a-b is frozen", false),
            ("projects/a.md", false),
        ] {
            assert_eq!(contains_path(line, "projects/a"), expected, "{line}");
        }
        assert!(contains_path("docs/x.md is protected", "docs"));
        assert!(!contains_path("please read the docs for the rules", "docs"));
    }

    #[test]
    fn commits_can_be_abbreviated() {
        let commit = "0123456789abcdef0123456789abcdef01234567";
        for (line, expected) in [
            (format!("commit: {commit}"), true),
            ("- commit 0123456789ab: not signed".to_owned(), true),
            ("(0123456)".to_owned(), true),
            ("rule 012345".to_owned(), false),
            ("1234567".to_owned(), false),
            (format!("x{commit}"), false),
        ] {
            assert_eq!(contains_commit(&line, commit), expected, "{line}");
        }
    }
}
