//! Pushes once, to one branch or several, and finds out what happened to each.
//!
//! The reply to the push does not decide: each branch is queried again. If the branch contains
//! commits of the run, they are verified. If it has another tip, it has moved. If it has the same
//! tip, the same push is tried again after a temporary failure: the transport failed, another push
//! held the lock of the branch, or the server that took the push saw another tip. Any other
//! rejection is final. The table at [`judge`] has all cases.

use std::thread;
use std::time::{Duration, Instant};

use super::commit::{Committed, ContentsFailure};
use super::scan::SourceFailure;
use crate::codex::remote::error::{RemoteError, RemoteErrorKind};
use crate::codex::remote::server_message::{marked, unmarked};
use crate::codex::remote::{PushReply, Rejection, RejectionKind, RemoteRefs};
use crate::event::{Event, Stage};
use crate::object::ObjectId;
use crate::outcome::SyncError;
use crate::sync::remote_session::{PushTarget, RemoteSession};
use crate::sync::request::SyncRequest;

/// The time for which an accepted push is looked for: a replica that answers queries may lag behind
/// the server that accepted the push.
const REPLICA_LAG: Duration = Duration::from_secs(3);

/// The reason why a push is unverified if the server sends only a part of the branch's history.
const PARTIAL_HISTORY: &str =
    "the server shows only a part of the branch's history, which does not contain the commits";

/// The push of a lane's commits.
pub(super) struct LanePush {
    /// The index of the branch among the targets of the session.
    pub(super) target: usize,
    /// The heads of the attempts that may have landed, oldest first. The last one is pushed.
    pub(super) heads: Vec<ObjectId>,
    /// A commit that all of these attempts are on top of.
    pub(super) boundary: Option<ObjectId>,
}

/// The result of one push to several branches.
pub(super) enum PushResults {
    /// The result of each lane, in the order of the lanes. An error means that the branch, as the
    /// server shows it, contains no commit of this attempt.
    Judged(Vec<Result<PushOutcome, SyncError>>),
    /// Files of a project changed while they were sent. Nothing landed: plan again without the
    /// project.
    SourceChanged(SourceFailure),
}

/// The result of one push to one branch.
pub(super) enum PushOutcome {
    /// The branch contains commits of the run.
    Verified {
        /// The heads of the attempts that the branch contains. The last attempt may not be among
        /// them.
        heads: Vec<ObjectId>,
        /// The server's message, one string per line.
        words: Vec<String>,
    },
    /// The branch has another tip, so the run must plan again on top of it.
    BranchMoved(Setback),
    /// The branch has the same tip, and the same push may succeed a moment later.
    RetryableFailure(Setback),
    /// The server does not accept this push.
    Rejected(Rejection),
    /// The push was sent completely, and it is unknown whether it landed or will land, because of
    /// this error.
    Unknown(SyncError),
}

/// The reason why a push did not land and may be tried again.
pub(super) enum Setback {
    /// The server rejected the push.
    Rejected(Rejection),
    /// The transport failed.
    Transport {
        error: RemoteError,
        /// Whether the push was sent completely, so that it may land later.
        sent: bool,
    },
}

impl Setback {
    /// The reason, on one line.
    pub(super) fn reason(&self) -> String {
        match self {
            Self::Rejected(rejection) => rejection.reason.clone(),
            Self::Transport { error, .. } => error.to_string(),
        }
    }

    /// The server's message, one string per line.
    pub(super) fn words(&self) -> Vec<String> {
        match self {
            Self::Rejected(rejection) => rejection.words.clone(),
            Self::Transport { error, .. } => unmarked(&error.detail),
        }
    }

    /// Whether the commits can still land.
    pub(super) fn is_undetermined(&self) -> bool {
        matches!(self, Self::Transport { sent: true, .. })
    }

    /// The minimum delay before the next attempt. `failures` is the number of the last attempts
    /// that failed while the tip stayed the same.
    pub(super) fn min_delay(&self, failures: u32) -> Duration {
        let slow = Duration::from_millis(700) * failures;
        match self {
            Self::Rejected(rejection) if rejection.kind == RejectionKind::Outdated => slow,
            Self::Rejected(_) => Duration::ZERO,
            Self::Transport { error, .. } => match error.advice.retry_after {
                Some(requested) => requested,
                None if error.kind == RemoteErrorKind::RateLimited => slow,
                None => Duration::ZERO,
            },
        }
    }
}

/// The state of the branch after a push, compared with its state before.
enum BranchState {
    /// The branch contains these heads of attempts.
    Contains(Vec<ObjectId>),
    /// The branch has the same tip.
    Unmoved,
    /// The branch contains the old tip, and commits of others on top of the old tip.
    Advanced,
    /// The branch does not contain the old tip.
    Rewritten,
    /// The branch does not exist.
    Missing,
    /// The server sends only a part of the branch's history, which does not contain the commits.
    PartialHistory,
}

/// Pushes the commits of several lanes at once, and finds out whether they landed.
///
/// An error means that no branch, as the server shows it, contains a commit of this attempt.
pub(super) fn push(
    session: &mut RemoteSession,
    request: &SyncRequest<'_>,
    committed: &Committed,
    lanes: &[LanePush],
) -> Result<PushResults, SyncError> {
    let store = session.store();
    let sent = committed.with_contents(request, store, |contents| {
        let branches = committed.branches.iter();
        let updates: Vec<_> = branches
            .map(|branch| session.update(branch.target, branch.head))
            .collect();
        during(request, Stage::Push, || {
            session.transport.push(store, &updates, contents)
        })
    });
    let replies = match sent {
        Ok(Ok(replies)) => replies.into_iter().map(Ok).collect(),
        Ok(Err(error)) => vec![Err(error); lanes.len()],
        Err(ContentsFailure::Source(failure)) => return Ok(PushResults::SourceChanged(failure)),
        Err(ContentsFailure::Store(error)) => return Err(store.unwritable(error).into()),
    };

    let _span = tracing::debug_span!("verify").entered();
    let is_accepted =
        |reply: &Result<PushReply, _>| matches!(reply, Ok(PushReply::Accepted { .. }));
    let patience = if replies.iter().any(is_accepted) {
        REPLICA_LAG.min(request.workspace.remote.timeout.push_verdict)
    } else {
        Duration::ZERO
    };
    let queried = during(request, Stage::Verify, || {
        wait_for_heads(session, lanes, &replies, patience)
    });
    let with_replies = lanes.iter().zip(replies);
    Ok(PushResults::Judged(match queried {
        Ok((refs, states)) => {
            session.newer_refs = Some(refs);
            with_replies
                .zip(states)
                .map(|((lane, reply), state)| judge(session, request, lane, reply, state))
                .collect()
        }
        Err(error) => with_replies
            .map(|(_, reply)| unverified(session, reply, error.clone()))
            .collect(),
    }))
}

/// Does `work` and reports it as a stage.
fn during<T>(request: &SyncRequest<'_>, stage: Stage, work: impl FnOnce() -> T) -> T {
    request.reporter.event(&Event::Started { stage });
    let result = work();
    request.reporter.event(&Event::Finished { stage });
    result
}

/// Queries the branches until each contains its last head, or until `patience` is over. A branch
/// whose update the server did not accept is not waited for.
fn wait_for_heads(
    session: &RemoteSession,
    lanes: &[LanePush],
    replies: &[Result<PushReply, RemoteError>],
    patience: Duration,
) -> Result<(RemoteRefs, Vec<BranchState>), RemoteError> {
    let end = Instant::now() + patience;
    let mut delay = Duration::from_millis(100);
    loop {
        let refs = session.query_targets()?;
        let states: Vec<_> = lanes
            .iter()
            .map(|lane| state_of(session, lane, &refs))
            .collect::<Result<_, _>>()?;
        let is_certain = |index: usize| {
            let (lane, reply) = (&lanes[index], &replies[index]);
            let is_rejected = lanes.len() > 1 && matches!(reply, Ok(PushReply::Rejected(_)));
            match &states[index] {
                BranchState::Contains(found) => found.last() == lane.heads.last(),
                // A replica that shows later commits of others would show the commits of this run
                // as well.
                BranchState::Advanced => true,
                _ => is_rejected,
            }
        };
        if (0..lanes.len()).all(is_certain) || Instant::now() + delay > end {
            return Ok((refs, states));
        }
        thread::park_timeout(delay);
        delay = (delay * 2).min(Duration::from_secs(1));
    }
}

/// The state of a branch in a list of refs. Fetches its history if it has another tip.
fn state_of(
    session: &RemoteSession,
    lane: &LanePush,
    refs: &RemoteRefs,
) -> Result<BranchState, RemoteError> {
    let target = &session.targets[lane.target];
    let (heads, boundary) = (&lane.heads, lane.boundary);
    Ok(match session.tip_in(refs, &target.branch) {
        None if target.tip.is_none() => BranchState::Unmoved,
        None => BranchState::Missing,
        // The clone contains the whole history of an attempt.
        Some(tip) if heads.contains(&tip) => {
            BranchState::Contains(session.store().search(tip, heads, boundary).found)
        }
        Some(tip) if Some(tip) == target.tip => BranchState::Unmoved,
        Some(_) => match session.search_branch(lane.target, heads, boundary) {
            Ok(search) if !search.found.is_empty() => BranchState::Contains(search.found),
            Ok(search) if !search.is_complete => BranchState::PartialHistory,
            Ok(search) if search.has_boundary || boundary.is_none() => BranchState::Advanced,
            Ok(_) => BranchState::Rewritten,
            Err(error) if error.kind == RemoteErrorKind::BranchMissing => BranchState::Missing,
            Err(error) => return Err(error),
        },
    })
}

/// Decides on the result, given the reply to the push and the state of the branch:
///
/// | branch | accepted | rejected | lost, or not sent completely |
/// |---|---|---|---|
/// | contains a head | verified | verified | verified |
/// | unmoved | error: not in branch | rejected, or retryable if locked or outdated | retryable if transient, else unknown if sent, else the error |
/// | advanced | error: not in branch | moved | moved |
/// | rewritten | error: removed | moved | moved |
/// | partial history | unknown | moved | moved |
/// | missing | error: removed | error: branch gone | error: branch gone |
///
/// The exceptions:
///
/// - Accepted, but for a ref other than the branch (`instead`): the error is "not in branch", also
///   if the branch was rewritten or is missing.
/// - Rejected as too large: rejected, also if the branch has moved.
/// - Rejected because the server hides the branch: rejected, because the branch only seems to be
///   missing.
/// - The server did not read the request, and would not read it next time
///   ([`RemoteErrorKind::precludes_landing`]): the error, also if the branch has moved.
/// - A branch that is missing, and that this run has never seen, has moved.
fn judge(
    session: &RemoteSession,
    request: &SyncRequest<'_>,
    lane: &LanePush,
    reply: Result<PushReply, RemoteError>,
    state: BranchState,
) -> Result<PushOutcome, SyncError> {
    let target = &session.targets[lane.target];
    let is_gone = matches!(state, BranchState::Missing) && target.existed;
    let has_moved = !matches!(state, BranchState::Unmoved);
    match (reply, state) {
        (reply, BranchState::Contains(heads)) => {
            let words = match reply {
                Ok(PushReply::Accepted { words, .. }) => words,
                Ok(PushReply::Lost(error)) => unmarked(&error.detail),
                _ => Vec::new(),
            };
            Ok(PushOutcome::Verified { heads, words })
        }
        (Ok(PushReply::Accepted { instead, words }), state) => {
            accepted_but_missing(session, request, lane, instead, words, &state)
        }
        (Ok(PushReply::Rejected(rejection)), _) if is_gone && rejection.is_of_hidden_branch() => {
            Ok(PushOutcome::Rejected(rejection))
        }
        _ if is_gone => Err(session.gone(target.branch.clone())),
        (Ok(PushReply::Rejected(rejection)), _) => Ok(after_rejection(rejection, has_moved)),
        (Ok(PushReply::Lost(error)), _) => after_failure(session, target, error, true, has_moved),
        (Err(error), _) => after_failure(session, target, error, false, has_moved),
    }
}

/// The result if the server rejected the push.
fn after_rejection(rejection: Rejection, has_moved: bool) -> PushOutcome {
    match rejection.kind {
        RejectionKind::TooLarge => PushOutcome::Rejected(rejection),
        _ if has_moved => PushOutcome::BranchMoved(Setback::Rejected(rejection)),
        RejectionKind::Declined
        | RejectionKind::BranchClosed
        | RejectionKind::SignatureRequired => PushOutcome::Rejected(rejection),
        RejectionKind::Locked | RejectionKind::Outdated => {
            PushOutcome::RetryableFailure(Setback::Rejected(rejection))
        }
    }
}

/// The result if the transport failed. `is_sent` is whether the push was sent completely before, so
/// that it can still land.
fn after_failure(
    session: &RemoteSession,
    target: &PushTarget,
    error: RemoteError,
    is_sent: bool,
    has_moved: bool,
) -> Result<PushOutcome, SyncError> {
    let is_transient = error.kind.is_transient();
    if error.kind.precludes_landing() && !is_transient {
        return Err(error.into());
    }

    let setback = |error| Setback::Transport {
        error,
        sent: is_sent,
    };
    if has_moved {
        Ok(PushOutcome::BranchMoved(setback(error)))
    } else if is_transient {
        Ok(PushOutcome::RetryableFailure(setback(error)))
    } else if is_sent {
        Ok(PushOutcome::Unknown(no_verdict(session, target, error)))
    } else {
        Err(error.into())
    }
}

/// The result if the server accepted the push and the branch does not contain it.
fn accepted_but_missing(
    session: &RemoteSession,
    request: &SyncRequest<'_>,
    lane: &LanePush,
    instead: Option<String>,
    words: Vec<String>,
    state: &BranchState,
) -> Result<PushOutcome, SyncError> {
    let place = session.transport.url().host_or_path();
    let branch = session.targets[lane.target].branch.clone();
    let Some(commit) = lane.heads.last().copied() else {
        unreachable!("the last head is the one that was pushed");
    };
    match state {
        BranchState::PartialHistory => {
            let detail = std::iter::once(PARTIAL_HISTORY.to_owned()).chain(marked(&words));
            let source = RemoteError::new(
                RemoteErrorKind::Other,
                &request.workspace.remote.url,
                detail.collect(),
            );
            Ok(PushOutcome::Unknown(SyncError::Unverified {
                place,
                source: Box::new(source),
            }))
        }
        BranchState::Rewritten | BranchState::Missing if instead.is_none() => {
            Err(SyncError::LandedThenRemoved {
                place,
                branch,
                commit,
                words,
            })
        }
        _ => Err(SyncError::NotInBranch {
            place,
            branch,
            commit,
            instead,
            words,
        }),
    }
}

/// The error for a push that was sent completely and whose result the server did not report.
pub(super) fn no_verdict(
    session: &RemoteSession,
    target: &PushTarget,
    error: RemoteError,
) -> SyncError {
    SyncError::NoVerdict {
        place: session.transport.url().host_or_path(),
        branch: target.branch.clone(),
        source: Box::new(error),
    }
}

/// The result if the branch could not be queried after the push, because of `query_error`.
fn unverified(
    session: &RemoteSession,
    reply: Result<PushReply, RemoteError>,
    mut query_error: RemoteError,
) -> Result<PushOutcome, SyncError> {
    let words = match reply {
        // This push did not land, whatever the state of the branch is.
        Ok(PushReply::Rejected(rejection)) => {
            query_error.detail.extend(marked(&rejection.words));
            return Err(query_error.into());
        }
        // The push was not sent completely.
        Err(error) => return Err(error.into()),
        Ok(PushReply::Accepted { words, .. }) => words,
        Ok(PushReply::Lost(_)) => Vec::new(),
    };
    query_error.detail.extend(marked(&words));
    Ok(PushOutcome::Unknown(SyncError::Unverified {
        place: session.transport.url().host_or_path(),
        source: Box::new(query_error),
    }))
}
