//! The report of every error that a user can meet: its kind, message, hints and causes. `exit` has
//! the exit statuses.
//!
//! The message comes from the error type itself. Kinds are stable identifiers, which programs rely
//! on.

use std::collections::BTreeSet;
use std::error::Error;
use std::io;
use std::time::Duration;

use bstr::BString;

use crate::cache::{CONTROL, CacheError, Refusal, RefusalKind};
use crate::codex::remote::error::{RemoteError, RemoteErrorKind};
use crate::codex::remote::server_message::marked;
use crate::codex::remote::{Rejection, RejectionKind};
use crate::codex::signing::{SignatureFormat, SigningError};
use crate::codex::store::StoreError;
use crate::config::Direction;
use crate::config::problem::Problems;
use crate::config::tree::key_path;
use crate::names::ProjectName;
use crate::outcome::{ExistingBranches, ForgeError, ForgeKind, ForgeRejection};
use crate::outcome::{ProjectError, ProjectOutcome, ProjectReport, Pushed, SyncError, SyncOutcome};
use crate::paths::{escaped, shown};
use crate::plan::{DeletedFrom, OtherDirectory, Withheld};
use crate::platform;
use crate::report::ErrorReport;
use crate::report::issue::{Issue, IssueSeverity};
use crate::scan::{ScanError, UnreadableObject, UnusableRepository};
use crate::sync::FormerDirectoryError;
use crate::sync::changed_since::ChangedSinceError;
use crate::sync::fetch::{CopyFault, FetchError};
use crate::sync::trace::TraceError;
use crate::text::{pluralize, shell_word};
use crate::workspace::SelectError;
use crate::workspace::document_uri::InvalidUri;

/// The hint for a push that is too large for the server.
const SIZE_LIMIT_HINT: &str = "raise the server's limit for the size of a push (nginx: `client_max_body_size`, git: `receive.maxInputSize`)";
/// The maximum number of projects that the hint for a rejected push names.
const MAX_NAMED: usize = 10;
/// The maximum number of branches that the hint for a missing branch names.
const MAX_BRANCHES: usize = 5;
/// The maximum number of entries in other lists.
const MAX_LISTED: usize = 20;

/// Reports the errors of a configuration. A single error is the message itself; of several, each
/// one is a cause.
pub(super) fn of_configuration(problems: &Problems) -> ErrorReport {
    let issues: Box<[Issue]> = problems
        .iter()
        .map(|problem| Issue::new(problem, IssueSeverity::Error).with_source(problem))
        .collect();
    if let [issue] = &*issues {
        return ErrorReport {
            kind: "configuration".into(),
            message: issue.text.clone(),
            hints: issue.hint.iter().cloned().collect(),
            causes: Vec::new(),
            issues,
        };
    }

    let causes = issues.iter().map(|issue| match &issue.hint {
        Some(hint) => format!("{} ({hint})", issue.text),
        None => issue.text.clone(),
    });
    ErrorReport {
        kind: "configuration".into(),
        message: pluralize(problems.total(), "configuration error"),
        hints: Vec::new(),
        causes: causes.collect(),
        issues,
    }
}

/// Reports that no projects could be selected.
pub(super) fn of_selection(error: &SelectError) -> ErrorReport {
    let hints = match error {
        SelectError::Unknown {
            close: Some(close), ..
        } => vec![format!("did you mean `{close}`?")],
        SelectError::Unknown { known, .. } | SelectError::NoMatch { known, .. } => {
            vec![known_projects(known)]
        }
        SelectError::BadPattern(_) => Vec::new(),
        SelectError::Unclear { known } => vec![
            "select projects with `-p NAME`, or use `--all`".to_owned(),
            known_projects(known),
        ],
    };
    ErrorReport {
        kind: "usage".into(),
        message: error.to_string(),
        hints,
        causes: Vec::new(),
        ..ErrorReport::default()
    }
}

/// Reports why the changed projects cannot be selected.
pub(super) fn of_changed_since(error: &ChangedSinceError) -> ErrorReport {
    let hint = match error {
        ChangedSinceError::UnknownRevision { .. } => {
            "fetch the revision, or use another one, e.g. `--changed-since origin/main`".to_owned()
        }
        ChangedSinceError::Shallow { hint, .. } => {
            format!("clone more commits: {hint}")
        }
        ChangedSinceError::NoBuild => {
            "name a revision, e.g. `--changed-since origin/main`".to_owned()
        }
    };
    ErrorReport {
        kind: "usage".into(),
        message: error.to_string(),
        hints: vec![hint],
        causes: Vec::new(),
        ..ErrorReport::default()
    }
}

/// Reports a text that is not the URI of a document.
pub(super) fn of_uri(error: &InvalidUri) -> ErrorReport {
    let hint = match error {
        InvalidUri::Directory { uri } => format!(
            "fetch the documents in it with `{}/**`",
            escaped(uri.as_bytes())
        ),
        InvalidUri::Rejected { .. } | InvalidUri::Path { .. } => {
            "a document is `codex://ORGANIZATION/PROJECT/PATH`, in the codex of the configuration"
                .to_owned()
        }
    };
    ErrorReport {
        kind: "usage".into(),
        message: error.to_string(),
        hints: vec![hint],
        causes: Vec::new(),
        ..ErrorReport::default()
    }
}

/// Reports why a URI has no document.
pub(super) fn of_fetch(error: &FetchError) -> ErrorReport {
    let (kind, hints) = match error {
        FetchError::NotFound { close, .. } => {
            let close = close.as_ref();
            let close = close.map(|uri| format!("did you mean `{}`?", escaped(uri.as_bytes())));
            (
                "not-found",
                close.into_iter().chain(present_names(error)).collect(),
            )
        }
        FetchError::NoMatch { .. } => ("not-found", Vec::new()),
        FetchError::Directory { uri } => {
            let hint = format!(
                "fetch the documents in it with `{}/**`",
                escaped(uri.as_bytes())
            );
            ("is-directory", vec![hint])
        }
        FetchError::Link { .. } => {
            let hint = "symlinks of the codex are not followed; fetch the target by its own URI";
            ("is-link", vec![hint.to_owned()])
        }
        FetchError::Submodule { .. } => ("is-submodule", Vec::new()),
        FetchError::NotCached { .. } => {
            let hint = "drop `--offline`, or pull it first: add it to `sync.from_codex.include`";
            ("not-cached", vec![hint.to_owned()])
        }
        FetchError::UnusableCopy { fault, .. } => {
            let sync = match fault {
                CopyFault::Modified => {
                    "replace the modified file with `fractary-codex sync --from-codex --force`"
                }
                CopyFault::Removed | CopyFault::Outdated => {
                    "pull again with `fractary-codex sync --from-codex`"
                }
            };
            ("not-cached", vec![format!("drop `--offline`, or {sync}")])
        }
    };
    ErrorReport {
        kind: kind.into(),
        message: error.to_string(),
        hints,
        causes: Vec::new(),
        ..ErrorReport::default()
    }
}

/// Reports why a path cannot be traced.
pub(super) fn of_trace(error: &TraceError) -> ErrorReport {
    let (kind, hint) = match error {
        TraceError::Missing(missing) => return of_fetch(missing),
        TraceError::Directory { .. } => (
            "is-directory",
            "name files, or a glob such as `codex://ORG/PROJECT/docs/**`".to_owned(),
        ),
        TraceError::Outside { .. } => (
            "not-in-a-project",
            "name a file of a project, or a path of the codex such as `projects/NAME/README.md`"
                .to_owned(),
        ),
        TraceError::NotClaimed { .. } => (
            "not-published",
            "`fractary-codex config explain sync.to_codex.include` shows where the patterns come from"
                .to_owned(),
        ),
        TraceError::NotPublished { project, .. } => (
            "not-published",
            format!("publish it with `fractary-codex sync -p {project}`"),
        ),
        TraceError::Cut { .. } => (
            "unknown-origin",
            "the repository of the codex is shallow, or lacks commits: fetch its whole history there, and check it with `git fsck`".to_owned(),
        ),
    };
    ErrorReport {
        kind: kind.into(),
        message: error.to_string(),
        hints: vec![hint],
        causes: Vec::new(),
        ..ErrorReport::default()
    }
}

/// The names in the directory in which a document was searched.
fn present_names(error: &FetchError) -> Option<String> {
    let FetchError::NotFound {
        directory,
        count,
        names,
        ..
    } = error
    else {
        return None;
    };
    if names.is_empty() {
        return None;
    }
    let place = match directory.is_empty() {
        true => "the codex".to_owned(),
        false => format!("`{}` of the codex", escaped(directory)),
    };
    let listed: Vec<_> = names
        .iter()
        .map(|name| format!("`{}`", escaped(name)))
        .collect();
    let more = match count - names.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    Some(format!("{place} contains {}{more}", listed.join(", ")))
}

fn known_projects(names: &[String]) -> String {
    format!("the projects are {}", listed(names, MAX_LISTED))
}

/// Names up to `max` of them, and the number of the others.
fn listed(names: &[String], max: usize) -> String {
    let shown = names.iter().take(max).map(|name| format!("`{name}`"));
    let shown = shown.collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(max) {
        0 => shown,
        omitted => format!("{shown} and {omitted} more"),
    }
}

/// Reports that a project cannot be retired or renamed.
pub(super) fn of_former_directory(error: &FormerDirectoryError) -> ErrorReport {
    let hint = match error {
        FormerDirectoryError::StillConfigured { .. } => {
            "remove it from the configuration, or rename it there, before you run this command"
        }
        FormerDirectoryError::Overlaps { .. } | FormerDirectoryError::Nested { .. } => {
            "give the former directory of the project with `--directory DIR`"
        }
        FormerDirectoryError::Ambiguous { .. } => "select one of them with `--directory DIR`",
    };
    ErrorReport {
        kind: "usage".into(),
        message: error.to_string(),
        hints: vec![hint.to_owned()],
        causes: Vec::new(),
        ..ErrorReport::default()
    }
}

/// Reports the error that ended a run, if there was one.
///
/// For an interrupted run, and for a clone or a key that could not be used, the message also says
/// that nothing was pushed: the user cannot conclude it from the error, and only the outcome knows
/// it.
pub(crate) fn of_run(outcome: &SyncOutcome) -> Option<ErrorReport> {
    let error = outcome.failure.as_ref()?;
    let mut report = of_error(error);

    let is_ambiguous = matches!(
        error,
        SyncError::Interrupted(_)
            | SyncError::Store(_)
            | SyncError::Signing(_)
            | SyncError::PlanDiffers { .. }
            | SyncError::UnexpectedPlan { .. }
    );
    let publishes = outcome.direction != Direction::FromCodex && !outcome.dry_run;
    if is_ambiguous && publishes && outcome.pushed == Pushed::No {
        report.message.push_str("; nothing was pushed");
    }
    Some(report)
}

/// Reports an error that ends a run or one of its steps.
pub(super) fn of_error(error: &SyncError) -> ErrorReport {
    ErrorReport {
        kind: kind(error).into(),
        message: error.to_string(),
        hints: hints(error),
        causes: causes(error),
        ..ErrorReport::default()
    }
}

/// The stable identifier of the error for programs, which is documented in the schema of the
/// output.
fn kind(error: &SyncError) -> &'static str {
    match error {
        SyncError::Remote(remote) => remote.kind.name(),
        SyncError::Store(store) => store_kind(store),
        SyncError::Cache(cache) => cache_kind_and_hint(cache).0,
        SyncError::Signing(signing) => signing_kind(signing),
        SyncError::Rejected { rejection, .. } => rejection_kind(rejection),
        SyncError::AllRejected { .. } => "declined",
        SyncError::RetriesExhausted { .. } => "retries-exhausted",
        SyncError::BranchGone { .. } => "branch-gone",
        SyncError::LandedThenRemoved { .. } => "landed-then-removed",
        SyncError::NotInBranch { .. } => "not-in-branch",
        SyncError::Unverified { .. } => "unverified",
        SyncError::NoVerdict { .. } => "no-verdict",
        SyncError::LocalMissing { .. } => "not-found",
        SyncError::BranchMissing { .. }
        | SyncError::NoDefaultBranch { .. }
        | SyncError::NothingToMergeInto { .. } => "branch-missing",
        SyncError::NothingRecorded { .. } | SyncError::OfflinePull { .. } => "nothing-recorded",
        SyncError::SyncBranchIsBase { .. } => "configuration",
        SyncError::AtomicBranches => "usage",
        SyncError::NotInCodex { .. } => "not-in-codex",
        SyncError::NothingPublished { .. } => "nothing-published",
        SyncError::TargetExists { .. } => "target-exists",
        SyncError::NotMovable { .. } => "not-movable",
        SyncError::NotDeletable { .. } => "not-deletable",
        SyncError::Forge(forge) => forge_kind(forge),
        SyncError::NotProposed { .. } => "not-proposed",
        SyncError::PlanDiffers { .. } => "plan-differs",
        SyncError::UnexpectedPlan { .. } => "unexpected-plan",
        SyncError::Atomic => "atomic",
        SyncError::Interrupted(_) => "interrupted",
    }
}

/// The identifier of a rejected push. All reasons but the size have the same one, because servers
/// do not give them in a form that programs can rely on.
fn rejection_kind(rejection: &Rejection) -> &'static str {
    match rejection.kind {
        RejectionKind::TooLarge => "too-large",
        _ => "declined",
    }
}

/// The suggestions for the user, the most likely one first.
fn hints(error: &SyncError) -> Vec<String> {
    // A run after a push with an unknown result cannot do harm: it compares with the branch as it
    // then is.
    let again = "run again: commits that were accepted are found up to date, the others are pushed";

    match error {
        SyncError::Remote(remote) => remote_hint(remote).into_iter().collect(),
        SyncError::Store(store) => vec![store_hint(store)],
        SyncError::Cache(cache) => cache_kind_and_hint(cache).1.into_iter().collect(),
        SyncError::Signing(signing) => signing_hints(signing),
        SyncError::Rejected {
            rejection,
            is_sync_branch: true,
            ..
        } if rejection.kind == RejectionKind::BranchClosed && !rejection.is_of_nested_branch() => {
            vec![
                "the server accepts no push to this sync branch from you: get permission to push to it, or use another name (`push.branch`)"
                    .to_owned(),
            ]
        }
        SyncError::Rejected {
            rejection,
            named,
            others,
            ..
        } => rejection_hints(rejection, named, others),
        SyncError::AllRejected { .. } => {
            vec!["see the server's message for each project".to_owned()]
        }
        SyncError::RetriesExhausted { .. } => {
            vec!["no changes were lost; run again or raise `--retries N` (`push.retries`)".to_owned()]
        }
        SyncError::BranchGone { is_sync_branch: true, .. } => {
            vec!["run again: the next sync creates it from the branch of the codex".to_owned()]
        }
        SyncError::BranchGone { branch, .. } => {
            let branch = escaped(branch.as_bytes());
            vec![format!(
                "restore `{branch}` on the server, or set `remote.branch` to its new name, and run again"
            )]
        }
        SyncError::LandedThenRemoved { .. } => vec![
            "another client force-pushed the branch during the run: find and stop it, then run again"
                .to_owned(),
        ],
        SyncError::NotInBranch { branch, .. } => {
            let branch = escaped(branch.as_bytes());
            vec![format!(
                "look for a new review (pull request, change) on the server; `{branch}` may only accept changes that way"
            )]
        }
        SyncError::Unverified { source, .. } => {
            [again.to_owned()].into_iter().chain(remote_hint(source)).collect()
        }
        SyncError::NoVerdict { .. } => vec![
            again.to_owned(),
            "if the server's hooks are slow, raise `remote.timeout.push_verdict`".to_owned(),
        ],
        SyncError::LocalMissing { path } => vec![format!(
            "create it with `git init --bare {path}`, or with a sync that publishes and `remote.create: true`"
        )],
        SyncError::BranchMissing { branch, existing, is_created, .. } => {
            let creation = creation_hint(branch, existing, *is_created);
            [creation].into_iter().chain(branch_hints(existing)).collect()
        }
        SyncError::NoDefaultBranch { existing, .. } => {
            let correction = "correct it on the server: `git symbolic-ref HEAD refs/heads/NAME`";
            branch_hints(existing).chain([correction.to_owned()]).collect()
        }
        SyncError::NothingRecorded { .. } => {
            vec!["run a sync first, or drop `--offline`".to_owned()]
        }
        SyncError::OfflinePull { .. } => vec!["drop `--offline`".to_owned()],
        SyncError::SyncBranchIsBase { .. } => vec![
            "use another name, or push to the branch of the codex with `push.mode: direct`"
                .to_owned(),
        ],
        SyncError::NothingToMergeInto { branch, existing, .. } => {
            let branch = escaped(branch.as_bytes());
            let creation = match existing.allow_creation {
                true => format!(
                    "create `{branch}` on the server, or with a first sync with `--push-mode direct --config remote.create=true`"
                ),
                false => format!("create `{branch}` on the server"),
            };
            [creation].into_iter().chain(branch_hints(existing)).collect()
        }
        SyncError::AtomicBranches => vec![
            "remove `{project}` from `push.branch`, so that all projects share one branch".to_owned(),
        ],
        SyncError::NotInCodex { .. } => vec![
            "check the name, or give the directory with `--directory DIR`".to_owned(),
        ],
        SyncError::NothingPublished { .. } => vec![
            "to delete files that no sync has published as well, run again with `--include-others`"
                .to_owned(),
        ],
        SyncError::TargetExists { .. } => vec![
            "if a sync has already published the project there, remove the old directory with `fractary-codex retire`"
                .to_owned(),
        ],
        SyncError::NotMovable { .. } | SyncError::NotDeletable { .. } => vec!["correct the entry in the codex with git".to_owned()],
        SyncError::Forge(forge) => forge_hints(forge),
        SyncError::NotProposed { source, .. } => {
            let again = "run again: the next run opens the pull request, even if nothing has changed";
            [again.to_owned()].into_iter().chain(forge_hints(source)).collect()
        }
        SyncError::PlanDiffers { options, .. } => vec![format!(
            "look at the changes with {}, and save a new plan with `--plan-out FILE`",
            dry_run(options)
        )],
        SyncError::UnexpectedPlan { options, .. } => vec![
            format!("look at the present plan with {}", dry_run(options)),
            "the id differs even if only other paths of the codex have changed; a plan that is saved with `--plan-out FILE` still applies then (`--plan FILE`)"
                .to_owned(),
        ],
        SyncError::Atomic => vec![
            "fix the failed or withheld projects, or drop `--atomic` to publish the others"
                .to_owned(),
        ],
        SyncError::Interrupted(_) => Vec::new(),
    }
}

/// The lines that explain the error: messages of the server, and the errors below this one.
fn causes(error: &SyncError) -> Vec<String> {
    match error {
        SyncError::Remote(remote) => remote_details(remote),
        SyncError::Unverified { source, .. } | SyncError::NoVerdict { source, .. } => {
            [vec![source.to_string()], remote_details(source)].concat()
        }
        SyncError::Rejected { rejection, .. } => marked(&rejection.words).collect(),
        SyncError::RetriesExhausted { words, .. } | SyncError::LandedThenRemoved { words, .. } => {
            marked(words).collect()
        }
        SyncError::NotInBranch { instead, words, .. } => {
            let explanation = match instead {
                Some(instead) => format!("the server updated `{instead}` instead"),
                None => "the commits were landed, then removed by another client, or the server turned the push into a review"
                    .to_owned(),
            };
            [explanation].into_iter().chain(marked(words)).collect()
        }
        SyncError::Signing(signing) => [signing.detail().to_vec(), sources(signing)].concat(),
        SyncError::PlanDiffers { differences, .. } => {
            let listed = differences.iter().take(MAX_LISTED).map(ToString::to_string);
            let omitted = differences.len().saturating_sub(MAX_LISTED);
            let rest = (omitted > 0).then(|| format!("and {omitted} more"));
            listed.chain(rest).collect()
        }
        SyncError::Forge(forge) => forge_details(forge),
        SyncError::NotProposed { source, .. } => {
            [vec![source.to_string()], forge_details(source)].concat()
        }
        SyncError::Interrupted(_) => Vec::new(),
        _ => sources(error),
    }
}

/// The messages of git and of the server, and the credentials that were tried.
fn remote_details(error: &RemoteError) -> Vec<String> {
    error.detail.iter().chain(&error.tried).cloned().collect()
}

fn rejection_hints(
    rejection: &Rejection,
    named: &[ProjectName],
    others: &[ProjectName],
) -> Vec<String> {
    if rejection.is_of_hidden_branch() {
        return vec![
            "the server hides this branch from clients (`transfer.hideRefs`): use another branch (`remote.branch`), or change that setting"
                .to_owned(),
        ];
    }

    if rejection.kind == RejectionKind::TooLarge {
        let fewer = "or publish fewer projects per run with `-p NAME`";
        return [SIZE_LIMIT_HINT]
            .into_iter()
            .chain((others.len() > 1).then_some(fewer))
            .map(str::to_owned)
            .collect();
    }

    if rejection.is_of_nested_branch() {
        return vec![NESTED_BRANCH_HINT.to_owned()];
    }

    if rejection.kind == RejectionKind::BranchClosed {
        return vec![protected_branch_hint()];
    }
    if rejection.kind == RejectionKind::SignatureRequired {
        return vec![
            "sign the commits: set `commit.sign: always` and git's `user.signingkey`, and register the key on the server"
                .to_owned(),
        ];
    }

    let mut rejected = "the branch may be protected, or a server hook rejects the push".to_owned();
    if !rejection.words.is_empty() {
        rejected.push_str(": see the server's message");
    }
    [rejected]
        .into_iter()
        .chain(isolation_hint(named, others))
        .collect()
}

/// The hint for a branch that cannot exist beside another one.
const NESTED_BRANCH_HINT: &str = "a branch of the server has a name that begins or continues this one: set another name with `push.branch`";

/// The way past a branch that accepts no push from this user.
fn protected_branch_hint() -> String {
    "the server accepts no push to this branch from you: push to a sync branch for a review (`push.mode: branch`), get permission to push, or use another branch (`remote.branch`, `push.branch`)"
        .to_owned()
}

/// How to publish the projects that a rejection is not about. `named` are the projects that the
/// server's message names.
fn isolation_hint(named: &[ProjectName], others: &[ProjectName]) -> Option<String> {
    let quoted = |names: &[ProjectName]| {
        let names = names.iter().map(|name| format!("`{name}`"));
        names.collect::<Vec<_>>().join(", ")
    };
    match (named, others) {
        ([], [] | [_]) => None,
        ([], _) => Some(
            "if the server rejects only some projects, publish the others with `push.on_declined: isolate` or `-p NAME`".to_owned(),
        ),
        (named, others) if named.len() <= MAX_NAMED && others.len() <= MAX_NAMED => {
            let options: String = others.iter().map(|name| format!(" -p {name}")).collect();
            Some(format!(
                "the server names {}; publish the others with `fractary-codex sync{options}`",
                quoted(named)
            ))
        }
        (named, _) => Some(format!(
            "the server names {}; publish the others with `-p NAME`",
            quoted(&named[..named.len().min(MAX_NAMED)])
        )),
    }
}

/// The hint to create a missing branch.
fn creation_hint(branch: &str, existing: &ExistingBranches, is_created: bool) -> String {
    let branch = escaped(branch.as_bytes());
    match is_created {
        _ if !existing.allow_creation => format!(
            "create `{branch}` on the server: a sync does not create it, because HEAD names no existing branch to start from"
        ),
        true => format!("the next sync that publishes creates `{branch}`"),
        false => format!(
            "a sync that publishes creates `{branch}` from the default branch with `remote.create: true`, unless the server hides `{branch}` from you"
        ),
    }
}

/// The hints to use a branch that exists.
fn branch_hints(existing: &ExistingBranches) -> impl Iterator<Item = String> {
    let ExistingBranches {
        default,
        all,
        environment,
        ..
    } = existing;
    let key = match environment {
        Some(environment) => key_path(&["sync", "environments", environment]),
        None => "remote.branch".to_owned(),
    };
    let of_default = default.as_ref().map(|default| {
        let default = escaped(default.as_bytes());
        format!("or use the default branch: `--config {key}={default}`")
    });
    let mut others: Vec<_> = all
        .iter()
        .filter(|name| Some(*name) != default.as_ref())
        .map(|name| escaped(name.as_bytes()).to_string())
        .collect();
    // Names with a slash are mostly those of working branches.
    others.sort_by_key(|name| (name.contains('/'), name.clone()));
    let of_others = (!others.is_empty()).then(|| {
        let listed = listed(&others, MAX_BRANCHES);
        match default {
            Some(_) => format!("the other branches are {listed}"),
            None => format!("set `{key}` to an existing branch: {listed}"),
        }
    });
    of_default.into_iter().chain(of_others)
}

/// The command of a dry run with these options.
fn dry_run(options: &[String]) -> String {
    let options = options.iter().map(|word| shell_word(word) + " ");
    format!(
        "`fractary-codex sync {}--dry-run`",
        options.collect::<String>()
    )
}

/// The hints for paths that could not be written to a cache, one for each kind of reason.
fn refusal_hints(entries: &[(BString, Refusal)]) -> Vec<String> {
    let kinds: BTreeSet<_> = entries.iter().map(|(_, refusal)| refusal.kind).collect();
    let hints = kinds.into_iter().filter_map(|kind| match kind {
        RefusalKind::Name => Some(
            "paths that this file system cannot have: rename them in the codex, or exclude them with `sync.from_codex.exclude`",
        ),
        RefusalKind::Permission => {
            Some("make the directories of these paths in the cache writable for this user")
        }
        RefusalKind::Other => None,
    });
    hints.map(str::to_owned).collect()
}

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
/// from that of the project only in case. The command repeats those options of `target` that it has.
fn move_hint(name: &ProjectName, other: &OtherDirectory, target: &[String]) -> String {
    const OPTIONS: [&str; 6] = [
        "-C=",
        "--config=",
        "--config-file=",
        "--env=",
        "--push-mode=",
        "--work-id=",
    ];
    let repeated = target.iter().filter(|word| {
        let word = word.trim_start_matches('\'');
        OPTIONS.iter().any(|option| word.starts_with(option))
    });
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

/// Reports that a cache cannot be used.
pub(super) fn of_cache(error: &CacheError) -> ErrorReport {
    let (kind, hint) = cache_kind_and_hint(error);
    ErrorReport {
        kind: kind.into(),
        message: error.to_string(),
        hints: hint.into_iter().collect(),
        causes: sources(error),
        ..ErrorReport::default()
    }
}

/// The identifier of an error of a cache, and the suggestion for it.
fn cache_kind_and_hint(error: &CacheError) -> (&'static str, Option<String>) {
    let (kind, hint) = match error {
        CacheError::Write { source, .. } if is_full(source) => (
            "disk-full",
            "free some space; the existing files are unchanged",
        ),
        CacheError::Record { source, .. } if is_full(source) => {
            ("disk-full", "free some space, and run again")
        }
        CacheError::Open { .. } | CacheError::Write { .. } | CacheError::Record { .. } => (
            "cache",
            "make it writable, or set `cache.dir` to another directory",
        ),
        CacheError::Damaged { path, file } => {
            let hint = format!(
                "delete the directory, and the next sync writes it again; to keep local edits, delete only `{}`",
                shown(&path.join(CONTROL).join(file))
            );
            return ("cache", Some(hint));
        }
        CacheError::Interrupted(_) => return ("interrupted", None),
    };
    (kind, Some(hint.to_owned()))
}

/// Whether the disk is full, or the quota of the user is used up.
fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}

/// The identifier of an error of the clone.
fn store_kind(error: &StoreError) -> &'static str {
    match error {
        StoreError::Write { source, .. } if is_full(source) => "disk-full",
        StoreError::Write { kept: true, .. } => "kept-clone",
        StoreError::Write { .. } => "temporary-clone",
        StoreError::Git(_) | StoreError::Tree(_) | StoreError::Blob(_) => "codex-unreadable",
    }
}

/// The suggestion for an error of the clone: it depends on whether the clone is kept, and on
/// whether the disk is full.
fn store_hint(error: &StoreError) -> String {
    let (is_kept, is_full) = match error {
        StoreError::Write { kept, source, .. } => (*kept, is_full(source)),
        StoreError::Git(_) | StoreError::Tree(_) | StoreError::Blob(_) => {
            return "check the codex with `git fsck --strict`".to_owned();
        }
    };
    let fix = if is_full {
        "free some space"
    } else if is_kept {
        "make it writable"
    } else {
        "make it a writable directory"
    };
    let alternative = if is_kept {
        "set `clone.strategy: temp`"
    } else {
        "set `TMPDIR` to another directory"
    };
    format!("{fix}, or {alternative}")
}

/// The identifier of an error of the forge. It is the same as that of an error of the remote with
/// the same cause.
fn forge_kind(error: &ForgeError) -> &'static str {
    match error {
        ForgeError::Connection(error) => error.kind.name(),
        ForgeError::NoToken { .. } => "no-credentials",
        ForgeError::UnknownKind { .. } => "unknown-forge",
        ForgeError::Unsupported { .. } => "unsupported-forge",
        ForgeError::NoRepository { .. } => "not-found",
        ForgeError::Insecure { .. } => "insecure",
        ForgeError::Redirected { .. } => "redirected",
        ForgeError::RateLimited { .. } => "rate-limited",
        ForgeError::Rejected { rejection, .. } => match rejection.status {
            401 => "wrong-credentials",
            403 => "forbidden",
            404 => "not-found",
            500.. => "server-failure",
            _ => "forge-rejected",
        },
        ForgeError::Unexpected { .. } => "unexpected-response",
        ForgeError::NoSuchName { .. } => "not-found",
        ForgeError::NotShown { .. } => "not-shown",
        ForgeError::NotOpen { .. } | ForgeError::OtherBranch { .. } => "not-open",
        ForgeError::NoAutoMerge { .. } => "auto-merge",
        ForgeError::Interrupted(_) => "interrupted",
    }
}

/// The suggestions for an error of the forge.
fn forge_hints(error: &ForgeError) -> Vec<String> {
    let hint = match error {
        ForgeError::Connection(error) => match error.kind {
            RemoteErrorKind::HostUnknown | RemoteErrorKind::Refused => {
                "check `forge.api`, and the network".to_owned()
            }
            _ => return remote_hint(error).into_iter().collect(),
        },
        ForgeError::NoToken { .. } => {
            "set `forge.token` (or `FRACTARY_CODEX_FORGE__TOKEN`); git's credential helpers are not asked for the API"
                .to_owned()
        }
        ForgeError::UnknownKind { .. } => {
            "set `forge.kind` to `github`, `gitlab` or `gitea`, and `forge.api` if the API is not on the remote's host"
                .to_owned()
        }
        ForgeError::Unsupported { .. } => {
            "use `push.mode: branch`, and open the pull request on the server".to_owned()
        }
        ForgeError::NoRepository { .. } => "set `forge.repository` to `OWNER/NAME`".to_owned(),
        ForgeError::Insecure { .. } => {
            "set `forge.api` to an https URL, or allow it with `remote.allow_insecure: true`".to_owned()
        }
        ForgeError::Redirected { .. } => {
            "set `remote.url`, `forge.api` or `forge.repository` to the new place".to_owned()
        }
        ForgeError::RateLimited { delay, .. } => {
            run_again_in(*delay)
        }
        ForgeError::Rejected { kind, rejection, .. } => return forge_rejection_hints(*kind, rejection),
        ForgeError::Unexpected { .. } => {
            "check `forge.kind` and `forge.api`; the response may also be the login page of a proxy".to_owned()
        }
        ForgeError::NoSuchName { .. }
        | ForgeError::NotShown { .. }
        | ForgeError::NotOpen { .. }
        | ForgeError::OtherBranch { .. }
        | ForgeError::NoAutoMerge { .. }
        | ForgeError::Interrupted(_) => return Vec::new(),
    };
    vec![hint]
}

/// The hint for a server that limits the rate of requests. A delay of more than 30 days is not named,
/// because the clock of such a server is wrong.
fn run_again_in(delay: Duration) -> String {
    const MAX: Duration = Duration::from_secs(30 * 24 * 60 * 60);
    if delay > MAX {
        return "run again later".to_owned();
    }
    let delay = humantime::format_duration(Duration::from_secs(delay.as_secs()));
    format!("run again in {delay}")
}

/// The hints for a request that a forge rejected, by status: mostly the permissions to grant.
fn forge_rejection_hints(kind: Option<ForgeKind>, rejection: &ForgeRejection) -> Vec<String> {
    let permissions = match kind {
        Some(ForgeKind::GitHub) => {
            "a fine-grained token or an App needs the repository permissions Contents and Pull requests (both read and write); a classic token needs the scope `repo`"
        }
        Some(ForgeKind::GitLab) => {
            "the token needs the scope `api`, and its user at least the role Developer; `CI_JOB_TOKEN` and deploy tokens cannot open merge requests"
        }
        Some(ForgeKind::Gitea) => {
            "the token needs the scopes `write:repository` and, for labels, `write:issue`"
        }
        None => "check the permissions of the token",
    };
    let hint = match rejection.status {
        401 => {
            "check that the token of the API (`forge.token`, else that of the remote) is correct and not expired"
        }
        403 if rejection.mentions("GitHub Actions is not permitted") => {
            "allow GitHub Actions to create pull requests in the settings of the organization and of the repository, or use the token of an App"
        }
        403 => permissions,
        404 => {
            "check `forge.repository`; forges also report this if the token lacks access to the repository"
        }
        500.. => "run again later",
        _ => return Vec::new(),
    };
    let needed = rejection
        .needed
        .as_ref()
        .filter(|_| rejection.status == 403)
        .map(|needed| format!("the server names the permissions that the request needs: {needed}"));
    [hint.to_owned()].into_iter().chain(needed).collect()
}

/// The server's messages, and the tokens that may not be sent to it.
fn forge_details(error: &ForgeError) -> Vec<String> {
    match error {
        ForgeError::Connection(error) => remote_details(error),
        ForgeError::NoToken { tried, .. } => tried.clone(),
        ForgeError::Redirected { to, .. } => vec![format!("it leads to {to}")],
        ForgeError::Rejected { rejection, .. } => {
            let granted = rejection
                .granted
                .as_ref()
                .filter(|_| rejection.status == 403);
            let granted = granted.map(|scopes| format!("the token has the scopes {scopes}"));
            marked(&rejection.messages).chain(granted).collect()
        }
        _ => Vec::new(),
    }
}

fn signing_kind(error: &SigningError) -> &'static str {
    match error {
        SigningError::InvalidSetting { .. }
        | SigningError::NoKey
        | SigningError::KeyCommand { .. }
        | SigningError::RelativeProgram { .. } => "signing-configuration",
        SigningError::Program { .. } => "signing-program",
        SigningError::KeyMissing { .. } => "signing-key-missing",
        SigningError::KeyLocked { .. } => "signing-key-locked",
        SigningError::TimedOut { .. } => "signing-timed-out",
        SigningError::Failed { .. } => "signing-failed",
        SigningError::Store(store) => store_kind(store),
        SigningError::Interrupted(_) => "interrupted",
    }
}

/// The suggestions for an error of signing. The last one is always to publish unsigned commits.
fn signing_hints(error: &SigningError) -> Vec<String> {
    let set = "git config --global";
    let hint = match error {
        SigningError::InvalidSetting { key, .. } => format!("correct it: `{set} {key} VALUE`"),
        SigningError::NoKey => {
            format!("name the key: `{set} user.signingkey ~/.ssh/id_ed25519.pub`")
        }
        SigningError::KeyCommand { .. } => {
            "its first line of output must be `key::` and a public key, or begin with `ssh-`".to_owned()
        }
        SigningError::RelativeProgram { key, .. } => {
            format!("use an absolute path, or the name of a program in `PATH`: `{set} {key} PROGRAM`")
        }
        SigningError::Program { key, .. } => {
            format!("install it, or use another program: `{set} {key} PROGRAM`")
        }
        SigningError::KeyMissing { format, .. } => match format {
            SignatureFormat::Ssh => {
                "check `user.signingkey` of git; if only the public key is in a file, the agent must have the private one (`ssh-add -L`)"
                    .to_owned()
            }
            SignatureFormat::OpenPgp | SignatureFormat::X509 => {
                let program = format.default_program();
                format!("select one of `{program} --list-secret-keys`: `{set} user.signingkey KEY`")
            }
        },
        SigningError::KeyLocked { format, key, .. } => match format {
            SignatureFormat::Ssh => format!("add it to the agent: `ssh-add {}`", key.trim_end_matches(".pub")),
            SignatureFormat::OpenPgp | SignatureFormat::X509 => {
                "unlock it: sign anything with it in a terminal, after `export GPG_TTY=$(tty)`".to_owned()
            }
        },
        SigningError::TimedOut { .. } => {
            "run again, and confirm in the program's window or on the hardware key".to_owned()
        }
        SigningError::Failed { .. } => {
            "check that git can sign with this key: `git commit --allow-empty -S` in a scratch repository".to_owned()
        }
        SigningError::Store(store) => return vec![store_hint(store)],
        SigningError::Interrupted(_) => return Vec::new(),
    };
    let unsigned = "or publish unsigned commits: `--config commit.sign=never`";
    vec![hint, unsigned.to_owned()]
}

/// The suggested fix for an error of the remote. `None` if a signal ended the operation.
fn remote_hint(error: &RemoteError) -> Option<String> {
    let RemoteError { place, url, .. } = error;
    let host = ssh_arguments(place);

    let hint = match error.kind {
        RemoteErrorKind::NoCredentials => {
            "set `remote.token` (or `FRACTARY_CODEX_REMOTE__TOKEN`), or store credentials with `git credential approve`"
        }
        RemoteErrorKind::WrongCredentials => {
            "check that the token is correct and not expired, and that `remote.username` is the user that the server expects"
        }
        RemoteErrorKind::Forbidden if !url.starts_with("http") => {
            "the key is valid but lacks access: give it read and write access to the codex"
        }
        RemoteErrorKind::Forbidden => {
            "the credentials are valid but lack access: give the token read and write access to the codex"
        }
        RemoteErrorKind::NotFound => {
            "check `remote.url` (or `organization` and `codex_repo`); servers also report this if the token lacks access to the repository"
        }
        RemoteErrorKind::HostUnknown => "check the host name in `remote.url`, and the network",
        RemoteErrorKind::Refused => {
            "check the host and port in `remote.url` and that the server is running"
        }
        RemoteErrorKind::TimedOut => {
            "try again; if the server is slow, raise `remote.timeout.idle`"
        }
        RemoteErrorKind::Tls => {
            "install the certificate authority of the server, or set git's `http.sslCAInfo` to its file"
        }
        RemoteErrorKind::SshKeyRefused => {
            return Some(format!(
                "check which key is used: `ssh -v {host}`; in CI, start an agent with the deploy key"
            ));
        }
        RemoteErrorKind::SshHostUnknown => {
            let scan = error
                .advice
                .command
                .clone()
                .unwrap_or_else(|| format!("ssh-keyscan {host} >> ~/.ssh/known_hosts"));
            return Some(format!(
                "compare its key with the published one, then add it: `{scan}`"
            ));
        }
        RemoteErrorKind::SshHostChanged => {
            let removal = error
                .advice
                .command
                .clone()
                .unwrap_or_else(|| format!("ssh-keygen -R {}", known_host(place)));
            return Some(format!(
                "this may be an attack: compare the host's new key with the published one before you remove the old key: `{removal}`"
            ));
        }
        RemoteErrorKind::ServerWithoutGit => {
            return Some(format!(
                "install git on the server, so that `ssh {host} git --version` works"
            ));
        }
        RemoteErrorKind::ShellNoise => {
            return Some(format!(
                "make the shell's start files silent for logins without a terminal; this must print nothing: `ssh {host} true`"
            ));
        }
        RemoteErrorKind::ServerOwnership => {
            "on the server, as the login user, run `git config --global --add safe.directory PATH`, or change the owner"
        }
        RemoteErrorKind::PlainHttp => {
            "set `remote.url` to a port that serves https, or to `http://…` if the network is trusted"
        }
        RemoteErrorKind::Proxy => {
            "check git's `http.proxy` (`git config --show-origin --get-all http.proxy`) and the variables `http_proxy`, `https_proxy`, `all_proxy` and `no_proxy`"
        }
        RemoteErrorKind::NotGit => {
            "check `remote.url`: it must be a URL that `git clone` accepts; the response may also be the login page of a proxy"
        }
        RemoteErrorKind::RateLimited => match error.advice.retry_after {
            Some(wait) => {
                return Some(format!("run again in {}", humantime::format_duration(wait)));
            }
            None => {
                "run again later, or use your own credentials: many servers allow more requests with them"
            }
        },
        RemoteErrorKind::ObjectFormat => {
            "use a codex that stores SHA-1 objects: `git init --bare --object-format=sha1`"
        }
        RemoteErrorKind::Unadvertised => {
            "set `uploadpack.allowAnySHA1InWant` to `true` on the server"
        }
        RemoteErrorKind::GitConfig => {
            "correct the file and line that git names; `git config --list --show-origin` checks it"
        }
        RemoteErrorKind::Rewritten => {
            "find and change the rule: `git config --show-origin --get-regexp 'url\\..*insteadof'`"
        }
        RemoteErrorKind::Redirected => "set `remote.url` to the target URL",
        RemoteErrorKind::Insecure => {
            return Some(format!(
                "use https for `{url}`, or set `remote.allow_insecure: true` if the network is trusted"
            ));
        }
        RemoteErrorKind::BranchMissing => {
            "set `remote.branch` to an existing branch; servers also report this if they hide the branch from you"
        }
        RemoteErrorKind::DubiousOwnership => {
            return Some(format!(
                "if this is intended (in a container, for example), run `git config --global --add safe.directory {url}`"
            ));
        }
        RemoteErrorKind::Damaged => {
            "check the repository with `git fsck --strict` where it is stored; a clone has copies of its objects"
        }
        RemoteErrorKind::ServerFailure => "try again later",
        RemoteErrorKind::RequestRefused => {
            "check `remote.url`, and that the server and its proxies accept pushes over http"
        }
        RemoteErrorKind::NoTransport => "install git 2.31 or newer",
        RemoteErrorKind::ProtocolNotAllowed => {
            "change `GIT_ALLOW_PROTOCOL`, or find the setting: `git config --show-origin --get-regexp '^protocol\\.'`"
        }
        RemoteErrorKind::NotCreated => {
            "check the path in `remote.url`, and that its directory is writable"
        }
        RemoteErrorKind::NoSsh => {
            "install OpenSSH's client, or correct `GIT_SSH_COMMAND` or `core.sshCommand`"
        }
        RemoteErrorKind::NeedsGit => {
            "use `remote.transport: auto`, which runs `git` for this remote"
        }
        RemoteErrorKind::DiskFull => "free some space, or set `TMPDIR` to another directory",
        RemoteErrorKind::Interrupted(_) => return None,
        RemoteErrorKind::Other => "run again with `-vv` to see what git did",
    };
    Some(hint.to_owned())
}

/// The arguments of ssh's programs for a host, which may end with a port.
fn ssh_arguments(place: &str) -> String {
    match place.rsplit_once(':') {
        Some((host, port)) if port.parse::<u16>().is_ok() => format!("-p {port} {host}"),
        _ => place.to_owned(),
    }
}

/// The name of a host, which may end with a port, in a file of known hosts, quoted for a shell.
fn known_host(place: &str) -> String {
    match place.rsplit_once(':') {
        Some((host, port)) if port.parse::<u16>().is_ok() => format!("'[{host}]:{port}'"),
        _ => place.to_owned(),
    }
}

/// The messages of an error's sources, outermost first.
fn sources(error: &dyn Error) -> Vec<String> {
    let chain = std::iter::successors(error.source(), |error: &&(dyn Error + 'static)| {
        (*error).source()
    });
    let of_system = |error: &(dyn Error + 'static)| error.downcast_ref().map(platform::words_of);
    chain
        .map(|error| of_system(error).unwrap_or_else(|| error.to_string()))
        .collect()
}
