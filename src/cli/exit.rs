//! Exit statuses, as documented in `--help`, the README and the man page.

use crate::cache::CacheError;
use crate::codex::remote::error::{RemoteError, RemoteErrorKind};
use crate::interrupt::{Interrupt, Interrupted};
use crate::outcome::{SyncError, SyncOutcome};
use crate::sync::fetch::FetchError;

/// Done, or nothing to do.
pub(crate) const DONE: u8 = 0;
/// Some projects failed or were withheld; the others are done.
pub(crate) const SOME_FAILED: u8 = 1;
/// Wrong usage of the command line.
pub(crate) const USAGE: u8 = 2;
/// The configuration is invalid.
pub(crate) const CONFIGURATION: u8 = 3;
/// The remote cannot be reached, found, read or authenticated to.
pub(crate) const REMOTE: u8 = 4;
/// The push was rejected, or all retries failed.
pub(crate) const PUSH: u8 = 5;
/// `--check`: a project is out of date.
pub(crate) const OUT_OF_DATE: u8 = 6;
/// An internal error of the program.
pub(crate) const INTERNAL: u8 = 70;

/// The exit status of a finished run. A run that was stopped by a signal exits with the status of
/// that signal, even if all of its work was done.
pub(crate) fn of_run(outcome: &SyncOutcome, interrupt: &Interrupt) -> u8 {
    if let Err(interrupted) = interrupt.check() {
        return of_signal(interrupted);
    }

    let is_incomplete = outcome
        .projects
        .iter()
        .any(|project| project.outcome.status().is_held_up());
    match &outcome.failure {
        Some(error) => of_error(error),
        None if is_incomplete => SOME_FAILED,
        None => DONE,
    }
}

/// The exit status for an error that ended a run.
pub(crate) fn of_error(error: &SyncError) -> u8 {
    match error {
        SyncError::Remote(remote) => of_remote(remote),
        SyncError::Cache(cache) => of_cache(cache),
        // Keys and programs are part of this machine's configuration of git.
        SyncError::Signing(_) | SyncError::SyncBranchIsBase { .. } => CONFIGURATION,
        SyncError::AtomicBranches | SyncError::NotInCodex { .. } => USAGE,
        SyncError::Store(_)
        | SyncError::Unverified { .. }
        | SyncError::NoVerdict { .. }
        | SyncError::LocalMissing { .. }
        | SyncError::BranchMissing { .. }
        | SyncError::NoDefaultBranch { .. }
        | SyncError::NothingToMergeInto { .. }
        | SyncError::NothingRecorded { .. }
        | SyncError::Forge(_)
        | SyncError::NotProposed { .. }
        | SyncError::OfflinePull { .. } => REMOTE,
        SyncError::Rejected { .. }
        | SyncError::AllRejected { .. }
        | SyncError::RetriesExhausted { .. }
        | SyncError::BranchGone { .. }
        | SyncError::LandedThenRemoved { .. }
        | SyncError::NotInBranch { .. }
        | SyncError::PlanDiffers { .. }
        | SyncError::UnexpectedPlan { .. } => PUSH,
        SyncError::Atomic
        | SyncError::NothingPublished { .. }
        | SyncError::TargetExists { .. }
        | SyncError::NotMovable { .. }
        | SyncError::NotDeletable { .. } => SOME_FAILED,
        SyncError::Interrupted(interrupted) => of_signal(*interrupted),
    }
}

/// The exit status for a cache that a `cache` command cannot use.
pub(crate) fn of_cache(error: &CacheError) -> u8 {
    match error {
        CacheError::Interrupted(interrupted) => of_signal(*interrupted),
        _ => SOME_FAILED,
    }
}

/// The exit status for a URI without a document. A document that does not exist is not a failure of
/// the remote.
pub(crate) fn of_fetch(error: &FetchError) -> u8 {
    match error {
        FetchError::NotCached { .. } | FetchError::UnusableCopy { .. } => REMOTE,
        FetchError::NotFound { .. }
        | FetchError::NoMatch { .. }
        | FetchError::Directory { .. }
        | FetchError::Link { .. }
        | FetchError::Submodule { .. } => SOME_FAILED,
    }
}

fn of_remote(error: &RemoteError) -> u8 {
    match error.kind {
        RemoteErrorKind::Interrupted(interrupted) => of_signal(interrupted),
        _ => REMOTE,
    }
}

/// The exit status of a command that a signal has ended.
pub(crate) fn of_signal(Interrupted(signal): Interrupted) -> u8 {
    128 + signal as u8
}

/// Selects the exit status of a command from those of its parts. The order of precedence is:
/// signal, usage, configuration, remote, push, some failed, out of date.
pub(crate) fn first(statuses: impl IntoIterator<Item = u8>) -> u8 {
    let rank = |status: &u8| match *status {
        DONE => u8::MAX,
        signal if signal > 128 => 0,
        SOME_FAILED => PUSH + 1,
        OUT_OF_DATE => PUSH + 2,
        other => other,
    };
    statuses.into_iter().min_by_key(rank).unwrap_or(DONE)
}
