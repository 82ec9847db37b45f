//! The interface of all forges, and the values that it takes and returns.

use serde_json::Value;

use super::error::ForgeError;
use super::place::ForgeKind;
use crate::object::ObjectId;

/// The rights of the owner of the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rights {
    /// Whether the token may push branches.
    pub can_push: bool,
    /// Whether the repository takes pull requests and no setting has made it read-only.
    pub is_open: bool,
    /// Whether the repository allows auto-merge, as far as the forge shows it.
    pub allows_auto_merge: bool,
}

/// The state of a pull request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PullRequestState {
    Open,
    /// Closed without a merge.
    Closed,
    Merged,
}

/// A pull request (on GitLab: a merge request) from one branch of the repository to another.
#[derive(Debug, Clone)]
pub(crate) struct PullRequest {
    pub number: u64,
    /// The address of the page of the pull request.
    pub url: String,
    pub state: PullRequestState,
    /// The tip of the branch of the pull request, as far as the API knows it already. If the pull
    /// request is closed, this is the last tip.
    pub head: Option<ObjectId>,
    pub title: String,
    pub body: String,
    /// The name of the branch to merge, also after the branch was deleted; `None` if it is a branch
    /// of another repository.
    pub(super) branch: Option<String>,
    /// The name of the branch to merge into.
    pub(super) base: String,
    /// The time at which the pull request was opened, in RFC 3339 format.
    pub created: String,
    pub is_draft: bool,
    /// The id of the pull request in GitHub's GraphQL API.
    pub(super) graphql_id: String,
}

impl PullRequest {
    /// Whether the pull request is from `branch` to `base`. The filters of the APIs are not
    /// reliable, and people change the base of a pull request.
    pub(crate) fn is_of(&self, branch: &str, base: &str) -> bool {
        self.branch.as_deref() == Some(branch) && self.base == base
    }

    /// Whether the pull request is open and is from `branch`, to any branch.
    pub(super) fn is_open_from(&self, branch: &str) -> bool {
        self.state == PullRequestState::Open && self.branch.as_deref() == Some(branch)
    }
}

/// A pull request to open.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NewPullRequest<'n> {
    pub branch: &'n str,
    pub base: &'n str,
    pub title: &'n str,
    pub body: &'n str,
    pub is_draft: bool,
    pub labels: &'n [String],
    pub reviewers: &'n [String],
}

/// A pull request that was opened.
#[derive(Debug)]
pub(crate) struct NewlyOpened {
    pub pull_request: PullRequest,
    /// The labels and reviewers that are missing, each with the reason, if the forge takes them in
    /// the request that opens the pull request; `None` if they are to be added afterwards.
    pub missing: Option<Vec<ForgeError>>,
}

/// The result of opening a pull request.
#[derive(Debug)]
pub(crate) enum Opened {
    New(NewlyOpened),
    /// The branch has an open pull request already.
    Exists,
    /// The API does not know the branch or its commits yet. The error says so.
    NotVisible(ForgeError),
}

/// The limits of texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TextLimits {
    /// The maximum number of characters of a title.
    pub title: usize,
    /// The maximum number of characters of a body.
    pub body: usize,
    /// Whether the forge executes lines of a body that begin with `/` when the body is written.
    pub executes_commands: bool,
}

/// How a pull request is merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MergeMethod {
    Merge,
    Squash,
    Rebase,
}

impl MergeMethod {
    /// The name of the method in the APIs.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Merge => "merge",
            Self::Squash => "squash",
            Self::Rebase => "rebase",
        }
    }
}

/// A repository on a forge, as the owner of the token sees it.
///
/// Each method sends its requests at once and returns after the response. The caller waits and asks
/// again if the forge does not show a change yet. A text in an error never contains the token.
pub(crate) trait Forge {
    /// The kind of this forge.
    fn kind(&self) -> ForgeKind;

    /// The repository, as in `acme/codex`.
    fn repository(&self) -> &str;

    /// The rights of the token.
    fn rights(&mut self) -> Result<Rights, ForgeError>;

    /// The limits of title and body.
    fn limits(&self) -> TextLimits;

    /// Finds the pull requests from `branch` to `base`: the open ones, else the ones that were
    /// closed or merged last. The newest is the first.
    fn find(&mut self, branch: &str, base: &str) -> Result<Vec<PullRequest>, ForgeError>;

    /// Whether `branch` has an open pull request, to whatever branch.
    fn has_open(&mut self, branch: &str) -> Result<bool, ForgeError>;

    /// Reads a pull request again.
    fn read(&mut self, number: u64) -> Result<PullRequest, ForgeError>;

    /// Opens a pull request. Labels and reviewers that are not possible do not prevent it.
    fn create(&mut self, new: &NewPullRequest<'_>) -> Result<Opened, ForgeError>;

    /// Changes those texts of a pull request that differ from the current ones. At least one must
    /// differ.
    fn update(
        &mut self,
        current: &PullRequest,
        title: &str,
        body: &str,
    ) -> Result<PullRequest, ForgeError>;

    /// Adds labels.
    fn add_labels(&mut self, number: u64, labels: &[String]) -> Result<(), ForgeError>;

    /// Requests reviews by users, and by teams, which have the form `ORG/TEAM`.
    fn request_reviews(&mut self, number: u64, reviewers: &[String]) -> Result<(), ForgeError>;

    /// Lets the forge merge the pull request once its requirements are met, but only while `head` is
    /// the tip of its branch.
    fn enable_auto_merge(
        &mut self,
        pull_request: &PullRequest,
        head: ObjectId,
        method: MergeMethod,
    ) -> Result<(), ForgeError>;
}

/// The document that changes the texts of a pull request: the fields that differ from the current
/// ones. `body` is the forge's name of the body and the new body.
pub(super) fn changed_texts(current: &PullRequest, title: &str, body: (&str, &str)) -> Value {
    let (body_name, body) = body;
    let fields = [
        ("title", title, &current.title),
        (body_name, body, &current.body),
    ];
    let changed = fields.into_iter().filter(|(_, new, old)| new != old);
    changed
        .map(|(name, new, _)| (name.to_owned(), Value::from(new)))
        .collect()
}

/// The open ones among pull requests of one branch or, if there are none, all of them.
pub(super) fn open_or_closed(mut all: Vec<PullRequest>) -> Vec<PullRequest> {
    let is_open = |one: &PullRequest| one.state == PullRequestState::Open;
    if all.iter().any(is_open) {
        all.retain(is_open);
    }
    all
}
