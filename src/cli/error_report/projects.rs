//! Why a project failed or was withheld.

use std::io;

use clap::CommandFactory;

use super::rejections::{NESTED_BRANCH_HINT, SIZE_LIMIT_HINT, rejection_kind};
use super::storage::{cache_kind_and_hint, refusal_hints};
use super::wording::{MAX_LISTED, sources};
use crate::cli::args::{Cli, accepted_by};
use crate::codex::remote::server_message::marked;
use crate::codex::remote::{Rejection, RejectionKind};
use crate::config::Direction;
use crate::config::tree::key_path;
use crate::names::ProjectName;
use crate::outcome::{ProjectError, ProjectOutcome, ProjectReport};
use crate::paths::escaped;
use crate::plan::{DeletedFrom, OtherDirectory, Withheld};
use crate::report::ErrorReport;
use crate::scan::{ScanError, UnreadableObject, UnusableRepository};
use crate::text::{pluralize, shell_word};

/// Reports why a project failed or was withheld. `None` if it is as it should be. `target` are the
/// options that a suggested `sync` repeats.
pub(crate) fn of_project(project: &ProjectReport, target: &[String]) -> Option<ErrorReport> {
    let report = |kind: &'static str, message: String, hint: Option<String>, causes| ErrorReport {
        kind: kind.into(),
        message,
        hints: hint.into_iter().collect(),
        causes,
        ..ErrorReport::default()
    };

    Some(match &project.outcome {
        ProjectOutcome::Failed(error) => return Some(of_failed_project(&project.name, error)),
        ProjectOutcome::Incomplete(entries) => {
            let message = format!(
                "{} of the codex could not be written to the cache",
                pluralize(entries.len(), "path")
            );
            let listed = entries
                .iter()
                .take(MAX_LISTED)
                .map(|(path, reason)| format!("`{}`: {reason}", escaped(path)));
            let omitted = entries.len().saturating_sub(MAX_LISTED);
            let rest = (omitted > 0).then(|| format!("and {omitted} more"));
            let causes = listed.chain(rest).collect();
            ErrorReport {
                hints: refusal_hints(entries),
                ..report("incomplete", message, None, causes)
            }
        }
        ProjectOutcome::Withheld(reason) => {
            let hint = withheld_hint(project, reason, target);
            report("withheld", reason.to_string(), Some(hint), Vec::new())
        }
        ProjectOutcome::Rejected(rejection) => of_rejected_project(rejection),
        ProjectOutcome::Recorded(problem) => ErrorReport {
            kind: problem.kind.clone().into(),
            message: problem.message.clone(),
            hints: problem.hints.clone(),
            causes: problem.causes.clone(),
            ..ErrorReport::default()
        },
        ProjectOutcome::Undecided => {
            let message =
                "not pushed: the server rejects some projects, and the search for them has ended";
            let hint = "run again: the search continues with the projects that are left";
            report(
                "declined",
                message.to_owned(),
                Some(hint.to_owned()),
                Vec::new(),
            )
        }
        ProjectOutcome::PullRequestClosed { number, url } => {
            let url = escaped(url.as_bytes());
            let message = format!("pull request {number} with the same contents was closed: {url}");
            let hint = "reopen it, or change the files; they are proposed again once they differ";
            report(
                "pull-request-closed",
                message,
                Some(hint.to_owned()),
                Vec::new(),
            )
        }
        ProjectOutcome::PushedOnly(_) => {
            let message = "pushed to the sync branch, but its pull request is not confirmed";
            report("not-proposed", message.to_owned(), None, Vec::new())
        }
        ProjectOutcome::WithheldByOthers => {
            let message = "another project failed or was withheld, and `--atomic` is set";
            report("atomic", message.to_owned(), None, Vec::new())
        }
        ProjectOutcome::NotLanded => {
            let message = "its changes did not land, because the run ended with an error";
            report("not-landed", message.to_owned(), None, Vec::new())
        }
        ProjectOutcome::Sent(_) => {
            let message = "sent, but not confirmed";
            report("unverified", message.to_owned(), None, Vec::new())
        }
        ProjectOutcome::UpToDate
        | ProjectOutcome::WouldSync
        | ProjectOutcome::Synced(_)
        | ProjectOutcome::Proposed(_)
        | ProjectOutcome::Pulled => return None,
    })
}

/// Reports that the server rejects a project, with its message.
fn of_rejected_project(rejection: &Rejection) -> ErrorReport {
    let hints = if rejection.is_of_nested_branch() {
        vec![NESTED_BRANCH_HINT.to_owned()]
    } else if rejection.kind == RejectionKind::TooLarge {
        vec![SIZE_LIMIT_HINT.to_owned()]
    } else {
        let correct = if rejection.words.is_empty() {
            "ask for the rule that the server applies, then correct or exclude the files"
        } else {
            "correct or exclude the files that the server rejects"
        };
        vec![format!("{correct}; the next sync pushes the project again")]
    };
    ErrorReport {
        kind: rejection_kind(rejection).into(),
        message: format!("rejected by the server: {}", rejection.reason),
        hints,
        causes: marked(&rejection.words).collect(),
        ..ErrorReport::default()
    }
}

/// Reports the error of one project.
fn of_failed_project(name: &ProjectName, error: &ProjectError) -> ErrorReport {
    let (kind, hint) = match error {
        ProjectError::Scan(error) => scan_kind_and_hint(name, error),
        ProjectError::Cache(error) => cache_kind_and_hint(error),
        ProjectError::Patterns(_) => ("patterns", Some("correct `sync.from_codex`".to_owned())),
    };
    let causes = match error {
        ProjectError::Cache(error) => sources(error.as_ref()),
        _ => sources(error),
    };
    ErrorReport {
        kind: kind.into(),
        message: error.to_string(),
        hints: hint.into_iter().collect(),
        causes,
        ..ErrorReport::default()
    }
}

/// The way to sync a withheld project. For the deletion guards it is the exact command, which repeats
/// the options of `target`.
fn withheld_hint(project: &ProjectReport, reason: &Withheld, target: &[String]) -> String {
    let name = &project.name;
    let direction = match project.direction {
        Direction::FromCodex => " --from-codex",
        _ => "",
    };
    let command = |option: &str| {
        let replaced = [setting(direction.trim_start()), setting(option)];
        let repeated = target
            .iter()
            .filter(|word| !replaced.contains(&setting(word)));
        let repeated: String = repeated.map(|word| format!(" {word}")).collect();
        format!("run `fractary-codex sync -p {name}{direction}{repeated} {option}`")
    };
    match reason {
        Withheld::Obstructed { obstacle, .. } => {
            let obstacle = escaped(obstacle);
            format!("move or delete `{obstacle}` in the codex, or exclude the path")
        }
        Withheld::Drift { .. } => format!(
            "take the changes over into the sources; to overwrite them, {}",
            command("--config sync.on_drift=overwrite")
        ),
        Withheld::UnknownDrift { .. } => format!(
            "compare the files with the codex; to overwrite them, {}",
            command("--config sync.on_drift=overwrite")
        ),
        Withheld::Findings {
            other_directory, ..
        } => {
            let correction = "correct the files, or allow the findings with `sync.checks.allow`; `--no-checks` turns all checks off";
            match other_directory {
                Some(other) => format!(
                    "{}; otherwise, {correction}",
                    move_hint(name, other, target)
                ),
                None => correction.to_owned(),
            }
        }
        Withheld::Uncommitted(_) => format!("commit the files, or {}", command("--allow-dirty")),
        Withheld::UnknownSourceState { .. } => command("--allow-dirty"),
        Withheld::SourceBranch { .. } | Withheld::UnknownSourceBranch { .. } => {
            "publish from one of the branches, or change `sync.to_codex.branches`".to_owned()
        }
        Withheld::NothingMatches {
            from: DeletedFrom::Cache,
            ..
        } => format!(
            "check the patterns (`sync.from_codex.include`) and the branch of the codex; if intended, {}",
            command("--allow-mass-delete")
        ),
        Withheld::NothingMatches { .. } => format!(
            "check the patterns (`sync.to_codex.include`); if intended, {}",
            command("--allow-mass-delete")
        ),
        Withheld::TooManyDeletions {
            deleted,
            pruned,
            claimed,
            ..
        } if deleted < claimed => {
            let limit = format!("--max-delete {}", deleted + pruned);
            format!("if intended, {}", command(&limit))
        }
        Withheld::TooManyDeletions { .. } | Withheld::NoneSurvives { .. } => {
            format!("if intended, {}", command("--allow-mass-delete"))
        }
    }
}

/// The way to move the files of a project that has another directory in the codex, whose path differs
/// from that of the project only in case. The command repeats the options of `target` that it accepts.
fn move_hint(name: &ProjectName, other: &OtherDirectory, target: &[String]) -> String {
    let repeated = accepted_by(&Cli::command(), "rename", target).into_iter();
    let repeated: String = repeated.map(|word| format!(" {word}")).collect();
    let path = &other.path;
    match &other.left_by {
        Some(former) => format!(
            "move the files of `{former}`, which has left `{path}`, with `fractary-codex rename {former} {name}{repeated}`"
        ),
        None => format!(
            "if `{path}` is the former directory of this project, move its files with `fractary-codex rename OLD {name} --directory {}{repeated}`",
            shell_word(&path.to_string())
        ),
    }
}

/// What an option sets: the option without its value, or for `--config` with the key.
fn setting(option: &str) -> String {
    if ["--to-codex", "--from-codex"].contains(&option) {
        return "the direction".to_owned();
    }
    if ["--max-delete", "--allow-mass-delete"]
        .iter()
        .any(|guard| option.starts_with(guard))
    {
        return "the limit of deletions".to_owned();
    }
    let option = option.replacen(' ', "=", 1);
    let parts = match option.starts_with("--config=") {
        true => 2,
        false => 1,
    };
    option.split('=').take(parts).collect::<Vec<_>>().join("=")
}

/// The identifier of an error of the sources, and the suggestion for it.
fn scan_kind_and_hint(name: &ProjectName, error: &ScanError) -> (&'static str, Option<String>) {
    let (kind, hint) = match error {
        ScanError::Root { .. } => {
            let key = key_path(&["projects", name.as_str(), "root"]);
            let hint = format!("check `{key}`, or remove the project from the configuration");
            return ("root", Some(hint));
        }
        ScanError::Read { source, .. } if source.kind() == io::ErrorKind::NotFound => (
            "read",
            "another process removed it; run again when that process has ended",
        ),
        ScanError::Read { .. } => ("read", "check the file's permissions, or exclude it"),
        ScanError::IgnoreFile { .. } => (
            "read",
            "replace it with a regular file, or set `sync.respect_gitignore: false`",
        ),
        ScanError::Changed { .. } => (
            "changed",
            "another process writes to it; run again when that process has ended",
        ),
        ScanError::Repository { reason, .. } => return ("source", hint_for_repository(reason)),
        ScanError::RootNotCommitted { .. } => (
            "root",
            "commit its files, or set `sync.to_codex.source: worktree` for this project",
        ),
        ScanError::Object {
            source: UnreadableObject::Missing(_),
            ..
        } => (
            "source",
            "the clone is incomplete; `git fetch --refetch` in its repository downloads what is missing",
        ),
        ScanError::Object { .. } => (
            "source",
            "`git fsck` in its repository shows what is damaged; a new clone has all objects",
        ),
        ScanError::Collision(_) => (
            "collision",
            "exclude one of them, or map it to another path",
        ),
        ScanError::Interrupted(_) => return ("interrupted", None),
    };
    (kind, Some(hint.to_owned()))
}

/// The suggestion for a repository that has no committed files to publish.
fn hint_for_repository(reason: &UnusableRepository) -> Option<String> {
    let hint = match reason {
        UnusableRepository::None | UnusableRepository::Bare => {
            "set `sync.to_codex.source: worktree` for this project"
        }
        UnusableRepository::NoCommit => {
            "commit the files, or set `sync.to_codex.source: worktree` for this project"
        }
        UnusableRepository::UnknownRevision(_) => {
            "`--source-rev` is for the repositories of all selected projects; fetch the revision, or select other projects with `-p`"
        }
        UnusableRepository::Unreadable(_) => return None,
    };
    Some(hint.to_owned())
}
