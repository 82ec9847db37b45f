//! One push and the truth about it: success is what the remote says when it is asked again, whatever was answered
//! before.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};

use super::Landing;
use super::opened::Opened;
use super::publish::Publish;
use crate::codex::transport::PushReply;
use crate::event::{Event, Stage};
use crate::outcome::{Pushed, SyncError};

/// A refusal with the tip unchanged may be another push holding the ref's lock: so often it is tried again.
pub(super) const SAME_TIP_TRIES: u32 = 2;
pub(super) const SAME_TIP_DELAY: Duration = Duration::from_millis(100);

/// What became of one push.
pub(super) enum Sent {
    Landed,
    Moved { reason: String },
    SameTip { reason: String, words: Vec<String> },
}

impl Publish<'_> {
    /// Sends the last commit and finds out what became of it.
    pub(super) fn push(&mut self, opened: &mut Opened) -> Result<Sent, SyncError> {
        let request = self.request;
        let Some(commit) = self.commits.values().next_back().copied() else {
            unreachable!("a push follows the commits that it sends");
        };
        self.outcome.attempts += 1;
        request
            .reporter
            .event(&Event::Started { stage: Stage::Push });
        let reply = opened
            .transport
            .push(opened.store(), commit, &opened.branch);
        request
            .reporter
            .event(&Event::Finished { stage: Stage::Push });
        let _span = tracing::debug_span!("verify").entered();
        request.reporter.event(&Event::Started {
            stage: Stage::Verify,
        });
        let url = opened.transport.url().clone();
        let place = || url.place();
        let asked = opened.ask_again();
        // Where the answer names another tip, ours may still be among its ancestors.
        let asked = asked.and_then(|refs| {
            let ours =
                refs.tip == Some(commit) || (refs.tip != opened.tip && opened.holds(commit)?);
            Ok((refs, ours))
        });
        let (refs, ours, reply) = match (asked, reply) {
            (Ok((refs, ours)), reply) => (refs, ours, reply),
            // Refused, whatever else: it did not land.
            (Err(error), Ok(PushReply::Refused { .. })) => return Err(error.into()),
            // It never got through, and it still does not.
            (Err(_), Err(error)) if error.kind.precedes_sending() => return Err(error.into()),
            (Err(_), Ok(PushReply::Lost(error))) if error.kind.is_refusal() => {
                return Err(error.into());
            }
            (Err(source), _) => {
                self.unknown();
                return Err(SyncError::Unverified {
                    place: place(),
                    source: Box::new(source),
                });
            }
        };
        if ours {
            self.landing = Landing::Landed;
            self.outcome.pushed = Pushed::Verified;
            self.outcome.remote.after = Some(commit);
            request.reporter.event(&Event::Finished {
                stage: Stage::Verify,
            });
            return Ok(Sent::Landed);
        }
        let moved = refs.tip != opened.tip;
        opened.answer = Some(refs);
        match reply {
            Ok(PushReply::Accepted) => Err(SyncError::LandedThenRemoved {
                place: place(),
                branch: opened.branch.clone(),
                commit,
            }),
            Ok(PushReply::Refused { reason, .. }) if moved => Ok(Sent::Moved { reason }),
            Ok(PushReply::Refused { reason, words }) => Ok(Sent::SameTip { reason, words }),
            Err(error) | Ok(PushReply::Lost(error)) if moved => Ok(Sent::Moved {
                reason: error.to_string(),
            }),
            Err(error) | Ok(PushReply::Lost(error))
                if error.kind.is_transient() && self.outcome.attempts <= SAME_TIP_TRIES =>
            {
                Ok(Sent::Moved {
                    reason: error.to_string(),
                })
            }
            // It is not there, but a hook that takes long may still let it through.
            Ok(PushReply::Lost(error)) if !error.kind.is_refusal() => {
                self.unknown();
                Err(SyncError::NoVerdict {
                    place: place(),
                    branch: opened.branch.clone(),
                    source: Box::new(error),
                })
            }
            Err(error) | Ok(PushReply::Lost(error)) => Err(error.into()),
        }
    }

    fn unknown(&mut self) {
        self.landing = Landing::Unknown;
        self.outcome.pushed = Pushed::Unknown;
    }
}

/// Waits between tries, at random up to a bound that doubles: who lost tells how long a try takes while others push, and
/// many who lost at once must not come back at once.
pub(super) fn backoff(retries: u32, attempt: Duration) -> impl Iterator<Item = Duration> {
    let bounds = ExponentialBuilder::default()
        .with_min_delay(attempt.clamp(Duration::from_millis(20), Duration::from_millis(500)))
        .with_max_delay(Duration::from_secs(4))
        .with_max_times(retries as usize)
        .build();
    bounds.map(|bound| bound.mul_f32(fastrand::f32()))
}
