//! Describes the sync branches of a run for people.

use super::style::Style;
use crate::object::ObjectId;
use crate::outcome::{ProjectOutcome, Proposal, ProposalState, Pushed, SyncBranch, SyncOutcome};
use crate::paths::escaped;
use crate::text::pluralize;

/// The branches of a run in a few words: that of the codex, and the sync branches if there are any.
/// `name` formats the name of a branch. `None` if the run ended before they were known.
pub(super) fn branches(outcome: &SyncOutcome, name: impl Fn(&str) -> String) -> Option<String> {
    let base = name(outcome.remote.branch.as_deref()?);
    Some(match outcome.remote.sync_branches.as_slice() {
        [] => base,
        [only] => format!("{}, to be merged into {base}", name(&only.branch)),
        several => format!("{} sync branches, to be merged into {base}", several.len()),
    })
}

/// The last line of a run with sync branches: the pushed commits, or the reason why none was pushed.
/// `None` if the run failed, because the error explains it.
pub(super) fn destination(outcome: &SyncOutcome, style: Style) -> Option<String> {
    let remote = &outcome.remote;
    let base = format!("`{}`", shown(remote.branch.as_deref()?));
    let url = &remote.url;
    let branches = match remote.sync_branches.as_slice() {
        [only] => format!("`{}`", shown(&only.branch)),
        several => counted(several.len()),
    };
    match outcome.pushed {
        Pushed::Verified => Some(style.strong(pushed(outcome, &base))),
        Pushed::Unknown => {
            Some(style.bad(format!("sent to {branches} of {url}, but not confirmed")))
        }
        Pushed::No if outcome.failure.is_some() => None,
        Pushed::No if outcome.dry_run => {
            let recorded = outcome
                .recorded
                .and_then(|time| jiff::Timestamp::from_second(time).ok())
                .map(|time| format!(", as recorded at {time}"))
                .unwrap_or_default();
            let compared = compared(outcome, &base);
            Some(format!(
                "dry run: nothing was written; compared with {compared} of {url}{recorded}"
            ))
        }
        Pushed::No => {
            let is_complete = !outcome
                .projects
                .iter()
                .any(|project| project.outcome.is_own_fault());
            let compared = compared(outcome, &base);
            Some(if is_complete {
                format!("nothing to push: {compared} of {url} is already up to date")
            } else {
                format!("nothing was pushed: {compared} of {url} is unchanged")
            })
        }
    }
}

/// The pushed commits and their branches. `base` names the branch of the codex.
fn pushed(outcome: &SyncOutcome, base: &str) -> String {
    let url = &outcome.remote.url;
    let commits = outcome
        .projects
        .iter()
        .filter(|project| {
            matches!(
                project.outcome,
                ProjectOutcome::Synced(_)
                    | ProjectOutcome::Proposed(_)
                    | ProjectOutcome::PushedOnly(_)
            )
        })
        .count();
    let pushed: Vec<_> = outcome
        .remote
        .sync_branches
        .iter()
        .filter(|branch| branch.is_pushed)
        .collect();
    let what = match (commits, pushed.iter().any(|branch| branch.merges_base)) {
        (0, true) => format!("a merge of {base}"),
        (_, true) => format!("a merge of {base} and {}", pluralize(commits, "commit")),
        (_, false) => pluralize(commits, "commit"),
    };
    match pushed.as_slice() {
        [only] => {
            let name = shown(&only.branch);
            let after = short(only.after);
            let tips = match only.before {
                None => format!("new at {after}"),
                Some(before) if only.creates_branch => {
                    format!("created again at {after} instead of {}", before.short())
                }
                before => format!("{} → {after}", short(before)),
            };
            format!(
                "pushed {what} to `{name}` of {url}, to be merged into {base}: {tips}, confirmed"
            )
        }
        several => {
            let branches = counted(several.len());
            format!("pushed {what} to {branches} of {url}, to be merged into {base}, confirmed")
        }
    }
}

/// The commits that the sources were compared with.
fn compared(outcome: &SyncOutcome, base: &str) -> String {
    let base = format!("{base} ({})", short(outcome.remote.before));
    match outcome.remote.sync_branches.as_slice() {
        [
            SyncBranch {
                branch,
                before: Some(tip),
                ..
            },
        ] => format!("`{}` ({})", shown(branch), tip.short()),
        [_] | [] => base,
        several => {
            let existing = several.iter().filter(|branch| branch.before.is_some());
            format!("{base} with {}", counted(existing.count()))
        }
    }
}

/// The line of a pull request.
pub(super) fn proposal(proposal: &Proposal) -> String {
    let branch = shown(&proposal.branch);
    let (Some(url), Some(number)) = (&proposal.url, proposal.number) else {
        return format!("pushed only: `{branch}` has no confirmed pull request");
    };
    let url = shown(url);
    let verb = match proposal.state {
        ProposalState::Created => "opened",
        ProposalState::Updated => "updated",
        ProposalState::Unchanged | ProposalState::PushedOnly => "open",
    };
    // The time of day is in the JSON document.
    let day = proposal.created.as_deref().map(|created| {
        let day = created.split_once('T').map_or(created, |(day, _)| day);
        shown(day)
    });
    let since = match (proposal.state, day) {
        (ProposalState::Created, _) | (_, None) => String::new(),
        (_, Some(day)) => format!(", waiting for review since {day}"),
    };
    format!("pull request {number} {verb}: {url} (`{branch}`{since})")
}

fn counted(branches: usize) -> String {
    match branches {
        1 => "1 sync branch".to_owned(),
        count => format!("{count} sync branches"),
    }
}

fn short(tip: Option<ObjectId>) -> String {
    tip.map_or_else(|| "no commits".to_owned(), |tip| tip.short())
}

fn shown(branch: &str) -> String {
    escaped(branch.as_bytes()).to_string()
}
