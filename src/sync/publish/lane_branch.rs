//! Opens and updates the pull request of one sync branch, and waits until the forge shows it with
//! the tip of the branch.

use std::time::Duration;

use super::proposal_text::{ProposalText, planned_contents};
use super::proposals::{LaneProposal, ProposalRun, closed_by_person, names};
use crate::config::AutoMerge;
use crate::forge::ForgeError;
use crate::forge::pull_request::{
    Forge, MergeMethod, NewPullRequest, NewlyOpened, Opened, PullRequest, PullRequestState,
    TextLimits,
};
use crate::forge::pull_request_text::{self as text, MarkerRecord, record_in};
use crate::names::ProjectName;
use crate::object::ObjectId;
use crate::outcome::{Proposal, ProposalState, SyncError};
use crate::paths::escaped;
use crate::sync::remote_session::RemoteSession;
use crate::sync::request::SyncRequest;
use crate::workspace::PullRequestSettings;

/// The first delay between two requests that wait for the forge. It is doubled each time.
const FIRST_DELAY: Duration = Duration::from_millis(100);
/// The shortest delay after which the branch itself is queried, too.
const CHECK_DELAY: Duration = Duration::from_millis(800);
/// The longest delay between two of these requests.
const MAX_DELAY: Duration = Duration::from_secs(5);

/// The sync branch of a lane after the push.
pub(super) struct LaneBranch<'l, 'r, 'v> {
    request: &'l SyncRequest<'r>,
    session: &'l mut RemoteSession,
    run: &'l mut ProposalRun<'v>,
    /// The index of the lane, and of its target: the targets are the sync branches, in the order of
    /// the lanes.
    index: usize,
    /// The tip of the branch.
    tip: Option<ObjectId>,
    /// Whether this run pushed to the branch.
    is_pushed: bool,
    /// The time for which the run may still wait for the forge.
    patience: &'l mut Duration,
    /// The pull request as the forge showed it last; `None` without a pull request.
    pub(super) shown: Option<PullRequest>,
    /// The projects that the pull request changes, if they are known.
    projects: Option<Vec<ProjectName>>,
}

impl<'l, 'r, 'v> LaneBranch<'l, 'r, 'v> {
    pub(super) fn new(
        request: &'l SyncRequest<'r>,
        session: &'l mut RemoteSession,
        run: &'l mut ProposalRun<'v>,
        index: usize,
        patience: &'l mut Duration,
    ) -> Self {
        let lane = &run.lanes[index];
        let target = &session.targets[lane.target];
        let verified = lane.attempts.verified_range();
        let tip_after_push = session
            .newer_refs
            .as_ref()
            .and_then(|refs| session.tip_in(refs, &target.branch));
        Self {
            tip: tip_after_push
                .or(verified.map(|(_, after)| after))
                .or(target.tip),
            is_pushed: verified.is_some(),
            patience,
            shown: None,
            projects: None,
            request,
            session,
            run,
            index,
        }
    }

    fn forge(&mut self) -> Result<&mut dyn Forge, ForgeError> {
        self.run.proposals.forge(self.request)
    }

    /// Opens or updates the pull request. `None` if there is nothing to propose: the branch does
    /// not exist, or the codex has its contents.
    pub(super) fn propose(
        &mut self,
        settings: &PullRequestSettings,
    ) -> Result<Option<LaneProposal>, SyncError> {
        let Some(tip) = self.tip else {
            return Ok(None);
        };
        if !self.is_pushed && self.session.is_contained(self.index) {
            return Ok(None);
        }
        let found = self
            .run
            .proposals
            .of_lane(self.request, self.session, self.index)?;
        if let Some(open) = found.iter().find(|one| is_open(one)) {
            // A person may have edited or closed it during the push.
            let current = match self.is_pushed {
                true => self.forge()?.read(open.number)?,
                false => open.clone(),
            };
            if self.is_of_lane(&current) {
                if is_open(&current) {
                    return self.update(current, tip);
                }
                if current.state == PullRequestState::Merged && self.is_shown_by(&current, tip)? {
                    let merged = self.wait_for_head(current.number, current, tip)?;
                    return Ok(Some(self.proposal(&merged, tip, ProposalState::Updated)));
                }
            }
        }

        let newest = found.first();
        if let Some(newest) = newest.filter(|_| !self.is_pushed) {
            if newest.state == PullRequestState::Merged && newest.head == Some(tip) {
                return Ok(None);
            }
            self.fetch_tip(tip)?;
            if self.session.is_contained(self.index) {
                return Ok(None);
            }
            let lane = &self.run.lanes[self.index];
            let contents = planned_contents(self.request, self.session, lane)?;
            if let Some(closed) = closed_by_person(newest, contents, Some(tip)) {
                return Ok(Some(closed));
            }
        }
        let closed = newest.filter(|one| one.state == PullRequestState::Closed);
        let earlier = closed.map(|one| one.url.clone());
        self.open(settings, tip, earlier)
    }

    /// The texts, from the differences between the sync branch and the branch of the codex.
    fn text(&mut self, tip: ObjectId) -> Result<ProposalText, SyncError> {
        let tip = self.fetch_tip(tip)?;
        let lane = &self.run.lanes[self.index];
        let text = ProposalText::new(self.request, self.session, self.run, lane, tip)?;
        self.projects = Some(text.names(self.request));
        for key in &text.with_secret {
            let message = format!(
                "`push.pull_request.{key}` contains a secret, so the pull request has the default text"
            );
            self.request.warn(self.run.warnings, None, message);
        }
        Ok(text)
    }

    /// Fetches the branch unless the clone has its tip. Returns that tip or, if the branch has moved
    /// since it was queried, the current one.
    fn fetch_tip(&mut self, tip: ObjectId) -> Result<ObjectId, SyncError> {
        if self.session.has_fetched(tip) {
            return Ok(tip);
        }
        self.session.fetch(self.request)?;
        if self.session.has_fetched(tip) {
            return Ok(tip);
        }
        let target = &self.session.targets[self.index];
        let gone = || self.session.gone(target.branch.clone());
        target.tip.ok_or_else(gone)
    }

    /// Opens a pull request.
    fn open(
        &mut self,
        settings: &PullRequestSettings,
        tip: ObjectId,
        earlier: Option<String>,
    ) -> Result<Option<LaneProposal>, SyncError> {
        let text = self.text(tip)?;
        if !self.is_pushed && (self.session.is_contained(self.index) || text.is_empty()) {
            return Ok(None);
        }
        let (branch, base) = (
            self.session.targets[self.index].branch.clone(),
            self.session.base.branch.clone(),
        );
        let limits = self.forge()?.limits();
        let title = text::fit_title(text.title(), limits);
        let record = MarkerRecord {
            tip: text.tip,
            title: text::title_digest(&title),
            is_own: true,
        };
        let body = text::block(&text.body(earlier.as_deref()), record, limits.body);
        let new = NewPullRequest {
            branch: &branch,
            base: &base,
            title: &title,
            body: &body,
            is_draft: settings.is_draft,
            labels: &settings.labels,
            reviewers: &settings.reviewers,
        };
        let mut delay = FIRST_DELAY;
        let created = loop {
            match self.forge()?.create(&new)? {
                Opened::New(created) => break created,
                // Another run has opened it at the same moment.
                Opened::Exists => {
                    let found = self.forge()?.find(&branch, &base)?;
                    if let Some(open) = found.into_iter().find(is_open) {
                        return self.update(open, tip);
                    }
                    self.wait(&mut delay, tip, || not_shown(&branch, tip))?;
                }
                Opened::NotVisible(error) => self.wait(&mut delay, tip, || error)?,
            }
        };
        let NewlyOpened {
            pull_request: created,
            missing,
        } = created;
        self.shown = Some(created.clone());
        self.complete(settings, &created, missing);
        let created = self.wait_for_head(created.number, created, tip)?;
        if created.state == PullRequestState::Open {
            self.enable_auto_merge(settings, &created, tip);
        }
        Ok(Some(self.proposal(&created, tip, ProposalState::Created)))
    }

    /// Updates the texts of an open pull request, if this run has pushed to its branch or an earlier
    /// run could not.
    fn update(
        &mut self,
        open: PullRequest,
        tip: ObjectId,
    ) -> Result<Option<LaneProposal>, SyncError> {
        let is_shown = open.head == Some(tip);
        let is_described = record_in(&open.body).is_some_and(|one| one.tip == tip);
        if !self.is_pushed && is_shown && is_described {
            return Ok(Some(self.proposal(&open, tip, ProposalState::Unchanged)));
        }
        self.shown = Some(open.clone());
        let limits = self.forge()?.limits();
        let text = self.text(tip)?;
        if text.is_empty() && !self.is_pushed {
            return Ok(None);
        }
        let (title, body) = self.new_texts(&open, &text, limits);

        let number = open.number;
        let mut current = open;
        let is_changed = title != current.title || body != current.body;
        if is_changed {
            current = self.forge()?.update(&current, &title, &body)?;
        }
        let current = self.wait_for_head(number, current, tip)?;
        let state = match self.is_pushed || is_changed || !is_shown {
            true => ProposalState::Updated,
            false => ProposalState::Unchanged,
        };
        Ok(Some(self.proposal(&current, tip, state)))
    }

    /// The title and the body of an open pull request after an update. The texts of people are kept.
    fn new_texts(
        &mut self,
        open: &PullRequest,
        text: &ProposalText,
        limits: TextLimits,
    ) -> (String, String) {
        let recorded = record_in(&open.body);
        let without_prefix = open
            .title
            .trim_start_matches("Draft: ")
            .trim_start_matches("WIP: ");
        let prefix = &open.title[..open.title.len() - without_prefix.len()];
        let is_own = recorded.is_some_and(|one| one.title == text::title_digest(without_prefix));

        let new_title = text::fit_title(text.title(), limits);
        let record = MarkerRecord {
            tip: text.tip,
            title: match recorded {
                Some(recorded) if !is_own => recorded.title,
                _ => text::title_digest(&new_title),
            },
            is_own: recorded.is_some_and(|one| one.is_own),
        };
        let title = if is_own {
            format!("{prefix}{new_title}")
        } else {
            open.title.clone()
        };
        let body = |record| text::updated_body(&open.body, &text.body(None), record, limits);
        // Commits of others can leave the files of the projects as they are: nothing is written then.
        let same = recorded.map(|recorded| {
            body(MarkerRecord {
                tip: recorded.tip,
                ..record
            })
        });
        if let Some(Ok(same)) = same
            && same == open.body
            && !self.is_pushed
        {
            return (title, same);
        }
        let body = body(record).unwrap_or_else(|reason| {
            let url = shown(&open.url);
            self.warn(format!("the body of {url} was not updated: {reason}"));
            open.body.clone()
        });
        (title, body)
    }

    /// Waits until the forge shows that the head of the pull request `number` is `tip`, or a commit
    /// that others have pushed on top of `tip`.
    fn wait_for_head(
        &mut self,
        number: u64,
        mut current: PullRequest,
        tip: ObjectId,
    ) -> Result<PullRequest, SyncError> {
        let mut delay = FIRST_DELAY;
        loop {
            let url = current.url.clone();
            if current.number != number || !self.is_of_lane(&current) {
                return Err(ForgeError::OtherBranch {
                    url,
                    branch: self.session.targets[self.index].branch.clone(),
                    base: self.session.base.branch.clone(),
                }
                .into());
            }
            let is_shown = self.is_shown_by(&current, tip)?;
            match current.state {
                PullRequestState::Open if is_shown => return Ok(current),
                PullRequestState::Merged if is_shown => {
                    self.warn(format!("{} is merged already", shown(&url)));
                    return Ok(current);
                }
                PullRequestState::Open => {}
                PullRequestState::Closed | PullRequestState::Merged => {
                    return Err(ForgeError::NotOpen { url }.into());
                }
            }
            self.wait(&mut delay, tip, || not_shown(&url, tip))?;
            current = self.forge()?.read(number)?;
        }
    }

    /// Whether a pull request is from the sync branch to the branch of the codex.
    fn is_of_lane(&self, pull_request: &PullRequest) -> bool {
        let branch = &self.session.targets[self.index].branch;
        pull_request.is_of(branch, &self.session.base.branch)
    }

    /// Whether the head of a pull request is `tip`, or is the current tip of the branch and contains
    /// the commits of this run.
    fn is_shown_by(&self, current: &PullRequest, tip: ObjectId) -> Result<bool, SyncError> {
        let Some(head) = current.head.filter(|head| *head != tip) else {
            return Ok(current.head.is_some());
        };
        let refs = self.session.query_targets()?;
        let branch = &self.session.targets[self.index].branch;
        if self.session.tip_in(&refs, branch) != Some(head) {
            return Ok(false);
        }
        let verified = self.run.lanes[self.index].attempts.verified_range();
        let (before, own) = verified.unwrap_or((None, tip));
        let search = self.session.search_branch(self.index, &[own], before)?;
        Ok(!search.found.is_empty())
    }

    /// Waits before the forge is asked again; once the run has no patience left, returns the error.
    fn wait(
        &mut self,
        delay: &mut Duration,
        tip: ObjectId,
        error: impl FnOnce() -> ForgeError,
    ) -> Result<(), SyncError> {
        if *delay > *self.patience {
            return Err(error().into());
        }
        *self.patience -= *delay;
        self.request.interrupt.wait(*delay)?;
        if *delay >= CHECK_DELAY && self.is_pushed {
            self.check_branch(tip)?;
        }
        *delay = (*delay * 2).min(MAX_DELAY);
        Ok(())
    }

    /// Returns an error if the branch does not contain the commits of this run any more: then the
    /// forge cannot show them.
    fn check_branch(&mut self, tip: ObjectId) -> Result<(), SyncError> {
        let branch = self.session.targets[self.index].branch.clone();
        let refs = self.session.query_targets()?;
        let current = self.session.tip_in(&refs, &branch);
        if current == Some(tip) {
            return Ok(());
        }
        let attempts = &mut self.run.lanes[self.index].attempts;
        let Some((before, own)) = attempts.verified_range() else {
            return Ok(());
        };
        if current.is_some() {
            let search = self.session.search_branch(self.index, &[own], before)?;
            if !search.found.is_empty() {
                return Ok(());
            }
        }
        attempts.forget_verified();
        Err(SyncError::LandedThenRemoved {
            place: self.session.transport.url().host_or_path(),
            branch,
            commit: own,
            words: Vec::new(),
        })
    }

    /// Completes a new pull request: adds its labels and reviewers. If the forge set them when it
    /// created the pull request, this only warns about those that are missing.
    fn complete(
        &mut self,
        settings: &PullRequestSettings,
        created: &PullRequest,
        missing: Option<Vec<ForgeError>>,
    ) {
        if settings.is_draft && !created.is_draft {
            let message = format!(
                "{} is not a draft: the forge did not make it one",
                shown(&created.url)
            );
            self.warn(message);
        }
        if let Some(missing) = missing {
            for error in missing {
                self.warn_of(&created.url, Err(error));
            }
            return;
        }
        if !settings.labels.is_empty() {
            let result = self
                .forge()
                .and_then(|forge| forge.add_labels(created.number, &settings.labels));
            self.warn_of(&created.url, result);
        }
        if !settings.reviewers.is_empty() {
            let result = self
                .forge()
                .and_then(|forge| forge.request_reviews(created.number, &settings.reviewers));
            self.warn_of(&created.url, result);
        }
    }

    fn enable_auto_merge(
        &mut self,
        settings: &PullRequestSettings,
        pull_request: &PullRequest,
        tip: ObjectId,
    ) {
        let method = match settings.auto_merge {
            AutoMerge::Off => return,
            AutoMerge::Merge => MergeMethod::Merge,
            AutoMerge::Squash => MergeMethod::Squash,
            AutoMerge::Rebase => MergeMethod::Rebase,
        };
        let result = self
            .forge()
            .and_then(|forge| forge.enable_auto_merge(pull_request, tip, method));
        self.warn_of(&pull_request.url, result);
    }

    fn warn_of(&mut self, url: &str, result: Result<(), ForgeError>) {
        if let Err(error) = result {
            let detail = error
                .rejection()
                .map(|rejection| rejection.messages.join("; "))
                .filter(|messages| !messages.is_empty());
            let detail = detail
                .map(|detail| format!(": {detail}"))
                .unwrap_or_default();
            self.warn(format!("{}: {error}{detail}", shown(url)));
        }
    }

    fn warn(&mut self, message: String) {
        self.request.warn(self.run.warnings, None, message);
    }

    fn proposal(
        &self,
        pull_request: &PullRequest,
        tip: ObjectId,
        state: ProposalState,
    ) -> LaneProposal {
        LaneProposal::Open(Proposal {
            url: Some(pull_request.url.clone()),
            number: Some(pull_request.number),
            branch: self.session.targets[self.index].branch.clone(),
            head: pull_request.head.unwrap_or(tip),
            state,
            created: Some(pull_request.created.clone()),
            projects: self.projects.clone().unwrap_or_else(|| {
                names(self.request, self.run.scanned, &self.run.lanes[self.index])
            }),
        })
    }
}

fn is_open(pull_request: &PullRequest) -> bool {
    pull_request.state == PullRequestState::Open
}

fn not_shown(what: &str, tip: ObjectId) -> ForgeError {
    ForgeError::NotShown {
        what: what.to_owned(),
        head: tip,
    }
}

fn shown(url: &str) -> String {
    escaped(url.as_bytes()).to_string()
}
