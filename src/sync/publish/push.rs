//! One push and the truth about it. The verdict is what the remote shows when it is asked again, whatever it answered
//! before: commits of ours in the branch are verified; a branch at another tip has moved; at the same tip, a refusal is
//! final, unless the lock of the branch was held or the transport failed.

use std::thread;
use std::time::{Duration, Instant};

use crate::codex::error::{RemoteError, RemoteErrorKind};
use crate::codex::transport::words::{marked, unmarked};
use crate::codex::transport::{PushReply, Refusal, RefusalKind, RemoteRefs};
use crate::event::{Event, Stage};
use crate::object::ObjectId;
use crate::outcome::SyncError;
use crate::sync::remote_session::RemoteSession;
use crate::sync::request::SyncRequest;

/// How long an accepted push is looked for: a replica that is read from may lag behind the server that took it.
const REPLICA_LAG: Duration = Duration::from_secs(3);

/// What is reported of a history whose beginning the server does not show.
const INCOMPLETE: &str =
    "the server shows only a part of the branch's history, which does not contain the commits";

/// What became of one push.
pub(super) enum PushOutcome {
    /// The branch contains these commits of the run, which may be those of an earlier attempt.
    Verified {
        heads: Vec<ObjectId>,
        words: Vec<String>,
    },
    /// The branch is at another tip: plan again on top of it.
    BranchMoved(Setback),
    /// The branch is at the same tip, and the same push may succeed a moment later.
    RetryableFailure(Setback),
    /// The server does not accept this push.
    Rejected(Refusal),
    /// All of it was sent, and whether it landed, or will land, is not known: the error says why.
    Unknown(SyncError),
}

/// Why a push did not land.
pub(super) enum Setback {
    Refused(Refusal),
    Transport {
        error: RemoteError,
        /// Whether all of it was sent, so that it may land later.
        sent: bool,
    },
}

impl Setback {
    /// The reason on one line.
    pub(super) fn reason(&self) -> String {
        match self {
            Self::Refused(refusal) => refusal.reason.clone(),
            Self::Transport { error, .. } => error.to_string(),
        }
    }

    /// What the server said.
    pub(super) fn words(&self) -> Vec<String> {
        match self {
            Self::Refused(refusal) => refusal.words.clone(),
            Self::Transport { error, .. } => unmarked(&error.detail),
        }
    }

    /// Whether the commits may still land.
    pub(super) fn is_undetermined(&self) -> bool {
        matches!(self, Self::Transport { sent: true, .. })
    }

    /// The shortest time to wait before the next try.
    pub(super) fn pause(&self, tries: u32) -> Duration {
        let slow = Duration::from_millis(700) * tries;
        match self {
            Self::Refused(refusal) if refusal.kind == RefusalKind::Outdated => slow,
            Self::Refused(_) => Duration::ZERO,
            Self::Transport { error, .. } => match error.advice.retry_after {
                Some(requested) => requested,
                None if error.kind == RemoteErrorKind::RateLimited => slow,
                None => Duration::ZERO,
            },
        }
    }
}

/// Where the branch is after a push, compared with where it was before.
enum Standing {
    /// It contains these commits of ours.
    Contains(Vec<ObjectId>),
    Unmoved,
    /// Others committed on top of the tip that it had.
    Advanced,
    /// Its history does not contain the tip that it had.
    Rewritten,
    /// It is not there.
    Missing,
    /// The server does not show enough of its history.
    Unproven,
}

/// Sends the last of `heads` and finds out what became of it. The others are the heads of earlier attempts that may have
/// landed; all of them are on top of `boundary`. An error is a verdict: no commit of this attempt landed, or they are
/// gone.
pub(super) fn push(
    session: &mut RemoteSession,
    request: &SyncRequest<'_>,
    heads: &[ObjectId],
    boundary: Option<ObjectId>,
) -> Result<PushOutcome, SyncError> {
    let [.., head] = *heads else {
        unreachable!("a push follows the commits that it sends");
    };
    let reply = during(request, Stage::Push, || {
        session
            .transport
            .push(session.store(), head, session.target.for_transport())
    });

    let _span = tracing::debug_span!("verify").entered();
    let accepted = matches!(reply, Ok(PushReply::Accepted { .. }));
    let patience = if accepted {
        REPLICA_LAG.min(request.workspace.remote.timeout.push_verdict)
    } else {
        Duration::ZERO
    };
    let seen = during(request, Stage::Verify, || {
        look_for(session, heads, boundary, patience)
    });
    match seen {
        Ok((refs, standing)) => {
            session.refs_after_push = Some(refs);
            judge(session, request, head, reply, standing)
        }
        Err(error) => unanswered(session, reply, error),
    }
}

fn during<T>(request: &SyncRequest<'_>, stage: Stage, work: impl FnOnce() -> T) -> T {
    request.reporter.event(&Event::Started { stage });
    let result = work();
    request.reporter.event(&Event::Finished { stage });
    result
}

/// Asks where the branch is, again and again for as long as `patience` while it does not contain the last of `heads`.
fn look_for(
    session: &RemoteSession,
    heads: &[ObjectId],
    boundary: Option<ObjectId>,
    patience: Duration,
) -> Result<(RemoteRefs, Standing), RemoteError> {
    let end = Instant::now() + patience;
    let mut delay = Duration::from_millis(100);
    loop {
        let (refs, standing) = look(session, heads, boundary)?;
        let is_certain = match &standing {
            Standing::Contains(found) => found.last() == heads.last(),
            // A replica does not show what others pushed after us before it shows ours.
            Standing::Advanced => true,
            _ => false,
        };
        if is_certain || Instant::now() + delay > end {
            return Ok((refs, standing));
        }
        thread::park_timeout(delay);
        delay = (delay * 2).min(Duration::from_secs(1));
    }
}

fn look(
    session: &RemoteSession,
    heads: &[ObjectId],
    boundary: Option<ObjectId>,
) -> Result<(RemoteRefs, Standing), RemoteError> {
    let refs = session.ask_again()?;
    let standing = match refs.tip {
        None if session.target.tip.is_none() => Standing::Unmoved,
        None => Standing::Missing,
        // Ours: the clone has all of it.
        Some(tip) if heads.contains(&tip) => {
            Standing::Contains(session.store().search(tip, heads, boundary).found)
        }
        Some(tip) if Some(tip) == session.target.tip => Standing::Unmoved,
        Some(_) => match session.search_branch(heads, boundary) {
            Ok(search) if !search.found.is_empty() => Standing::Contains(search.found),
            Ok(search) if !search.is_complete => Standing::Unproven,
            Ok(search) if search.has_boundary || boundary.is_none() => Standing::Advanced,
            Ok(_) => Standing::Rewritten,
            Err(error) if error.kind == RemoteErrorKind::BranchMissing => Standing::Missing,
            Err(error) => return Err(error),
        },
    };
    Ok((refs, standing))
}

/// The verdict, once it is known where the branch is.
fn judge(
    session: &RemoteSession,
    request: &SyncRequest<'_>,
    head: ObjectId,
    reply: Result<PushReply, RemoteError>,
    standing: Standing,
) -> Result<PushOutcome, SyncError> {
    let is_gone = matches!(standing, Standing::Missing) && session.target.existed;
    let moved = match standing {
        Standing::Contains(heads) => {
            let words = match reply {
                Ok(PushReply::Accepted { words, .. }) => words,
                _ => Vec::new(),
            };
            return Ok(PushOutcome::Verified { heads, words });
        }
        Standing::Unmoved => false,
        _ => true,
    };
    let (error, sent) = match reply {
        Ok(PushReply::Accepted { instead, words }) => {
            return not_there(session, request, head, instead, words, &standing);
        }
        // A branch that the server hides looks deleted.
        Ok(PushReply::Refused(refusal)) if is_gone && refusal.is_of_hidden_branch() => {
            return Ok(PushOutcome::Rejected(refusal));
        }
        _ if is_gone => return Err(session.gone()),
        Ok(PushReply::Refused(refusal)) => {
            return Ok(match refusal.kind {
                RefusalKind::TooLarge => PushOutcome::Rejected(refusal),
                _ if moved => PushOutcome::BranchMoved(Setback::Refused(refusal)),
                RefusalKind::Declined => PushOutcome::Rejected(refusal),
                RefusalKind::Locked | RefusalKind::Outdated => {
                    PushOutcome::RetryableFailure(Setback::Refused(refusal))
                }
            });
        }
        Ok(PushReply::Lost(error)) => (error, true),
        Err(error) => (error, false),
    };

    let sent = sent && !error.kind.precludes_landing();
    if error.kind.precludes_landing() && !error.kind.is_transient() {
        return Err(error.into());
    }
    if moved {
        return Ok(PushOutcome::BranchMoved(Setback::Transport { error, sent }));
    }
    if error.kind.is_transient() {
        return Ok(PushOutcome::RetryableFailure(Setback::Transport {
            error,
            sent,
        }));
    }
    if sent {
        return Ok(PushOutcome::Unknown(no_verdict(session, error)));
    }
    Err(error.into())
}

/// The server accepted the push, and the branch does not contain it.
fn not_there(
    session: &RemoteSession,
    request: &SyncRequest<'_>,
    commit: ObjectId,
    instead: Option<String>,
    words: Vec<String>,
    standing: &Standing,
) -> Result<PushOutcome, SyncError> {
    let place = session.transport.url().place();
    let branch = session.target.branch.clone();
    match standing {
        Standing::Unproven => {
            let source = RemoteError {
                kind: RemoteErrorKind::Other,
                place: place.clone(),
                url: request.workspace.remote.url.to_string(),
                detail: std::iter::once(INCOMPLETE.to_owned())
                    .chain(marked(&words))
                    .collect(),
                tried: Vec::new(),
                advice: Default::default(),
            };
            Ok(PushOutcome::Unknown(SyncError::Unverified {
                place,
                source: Box::new(source),
            }))
        }
        Standing::Rewritten | Standing::Missing if instead.is_none() => {
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

/// The error that all of a push was sent and the server never said what became of it.
pub(super) fn no_verdict(session: &RemoteSession, error: RemoteError) -> SyncError {
    SyncError::NoVerdict {
        place: session.transport.url().place(),
        branch: session.target.branch.clone(),
        source: Box::new(error),
    }
}

/// The verdict where the remote could not be asked again.
fn unanswered(
    session: &RemoteSession,
    reply: Result<PushReply, RemoteError>,
    mut asked: RemoteError,
) -> Result<PushOutcome, SyncError> {
    let words = match reply {
        // Whatever the branch is now: this push did not land.
        Ok(PushReply::Refused(refusal)) => {
            asked.detail.extend(marked(&refusal.words));
            return Err(asked.into());
        }
        Ok(PushReply::Lost(error)) if error.kind.precludes_landing() => return Err(error.into()),
        // It was not sent as a whole.
        Err(error) => return Err(error.into()),
        Ok(PushReply::Accepted { words, .. }) => words,
        Ok(PushReply::Lost(_)) => Vec::new(),
    };
    asked.detail.extend(marked(&words));
    Ok(PushOutcome::Unknown(SyncError::Unverified {
        place: session.transport.url().place(),
        source: Box::new(asked),
    }))
}
