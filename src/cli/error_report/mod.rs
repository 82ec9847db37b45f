//! The report of every error that a user can meet: its kind, message, hints and causes. `exit` has
//! the exit statuses.
//!
//! The message comes from the error type itself. Kinds are stable identifiers, which programs rely
//! on.
//!
//! | | |
//! |---|---|
//! | [`branches`] | branches of the codex that do not exist |
//! | [`documents`] | errors of single documents of the codex: URIs, `fetch` and `trace` |
//! | [`forges`] | errors of the API of a forge |
//! | [`projects`] | why a project failed or was withheld |
//! | [`rejections`] | pushes that the server rejected |
//! | [`remotes`] | errors of the connection to a remote |
//! | [`selection`] | errors before a run: of the configuration, and of the selection of projects |
//! | [`signatures`] | errors of signing |
//! | [`storage`] | errors of the local cache and of the clone of the codex |
//! | [`wording`] | lists of names, and the causes of an error |

mod branches;
mod documents;
mod forges;
mod projects;
mod rejections;
mod remotes;
mod selection;
mod signatures;
mod storage;
mod wording;

use crate::codex::remote::RejectionKind;
use crate::codex::remote::server_message::marked;
use crate::config::Direction;
use crate::outcome::{Pushed, SyncError, SyncOutcome};
use crate::paths::escaped;
use crate::report::ErrorReport;

use branches::{branch_hints, creation_hint};
pub(super) use documents::{of_fetch, of_trace, of_uri};
use forges::{forge_details, forge_hints, forge_kind};
pub(crate) use projects::of_project;
use rejections::{rejection_hints, rejection_kind};
use remotes::{remote_details, remote_hint};
pub(super) use selection::{of_changed_since, of_configuration, of_former_directory, of_selection};
use signatures::{signing_hints, signing_kind};
pub(super) use storage::of_cache;
use storage::{cache_kind_and_hint, store_hint, store_kind};
use wording::{MAX_LISTED, sources};

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
            let creation = match existing.allow_creation(true) {
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

/// The command of a dry run with these options, which are words for a shell.
fn dry_run(options: &[String]) -> String {
    let options = options.iter().map(|word| format!("{word} "));
    format!(
        "`fractary-codex sync {}--dry-run`",
        options.collect::<String>()
    )
}
