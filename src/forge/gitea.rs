//! Gitea and Forgejo.
//!
//! The lists of pull requests have no filter for the branch. They are read once per run, as far as
//! a branch needs them.

use serde::Deserialize;
use serde_json::{Value, json};

use super::api::{Api, ListPage};
use super::error::ForgeError;
use super::place::ForgeKind;
use super::pull_request::{
    Forge, MergeMethod, NewPullRequest, Opened, PullRequest, PullRequestState, Rights, TextLimits,
    changed_texts,
};
use super::reviewers::request_reviews;
use crate::object::ObjectId;
use crate::url::percent_encoded;

/// The default maximum number of entries of a page.
const PAGE: u32 = 50;

/// A repository on Gitea or Forgejo.
pub(super) struct Gitea {
    api: Api,
    repository: String,
    /// The pull requests that are open, and those that are not.
    lists: [PullList; 2],
    /// The labels of the repository and of its organization; `None` before they were read.
    labels: Option<Vec<GiteaLabel>>,
}

/// The pages of a list of pull requests that were read.
struct PullList {
    /// The value of the parameter `state`.
    state: &'static str,
    pulls: Vec<GiteaPull>,
    /// The number of the next page; `None` after the last one.
    next: Option<u32>,
}

impl PullList {
    fn new(state: &'static str) -> Self {
        Self {
            state,
            pulls: Vec::new(),
            next: Some(1),
        }
    }

    /// The pull requests from `branch` to `base` on the pages so far, the newest first.
    fn of(&self, branch: &str, base: &str) -> Vec<PullRequest> {
        let pulls = self.pulls.iter().filter(|pull| pull.is_of(branch, base));
        let mut found: Vec<_> = pulls.cloned().map(PullRequest::from).collect();
        found.sort_by_key(|pull| std::cmp::Reverse(pull.number));
        found
    }
}

#[derive(Deserialize)]
struct GiteaRepository {
    permissions: Option<GiteaPermissions>,
    #[serde(default)]
    archived: bool,
    #[serde(default)]
    mirror: bool,
    #[serde(default = "yes")]
    has_pull_requests: bool,
}

fn yes() -> bool {
    true
}

#[derive(Deserialize)]
struct GiteaPermissions {
    push: bool,
}

#[derive(Clone, Deserialize)]
struct GiteaPull {
    number: u64,
    html_url: String,
    state: String,
    #[serde(default)]
    merged: bool,
    title: String,
    body: Option<String>,
    created_at: String,
    #[serde(default)]
    draft: bool,
    head: GiteaPullBranch,
    base: GiteaPullBranch,
}

#[derive(Clone, Deserialize)]
struct GiteaPullBranch {
    /// The name of the branch, also after it was deleted.
    label: String,
    sha: String,
    repo_id: i64,
}

#[derive(Deserialize)]
struct GiteaLabel {
    id: u64,
    name: String,
}

#[derive(Deserialize)]
struct GiteaBranch {
    #[serde(default)]
    protected: bool,
    #[serde(default)]
    required_approvals: u64,
    #[serde(default)]
    enable_status_check: bool,
}

impl From<GiteaPull> for PullRequest {
    fn from(pull: GiteaPull) -> Self {
        let state = match pull.state.as_str() {
            "open" => PullRequestState::Open,
            _ if pull.merged => PullRequestState::Merged,
            _ => PullRequestState::Closed,
        };
        Self {
            number: pull.number,
            url: pull.html_url,
            state,
            head: ObjectId::from_hex(&pull.head.sha),
            title: pull.title,
            body: pull.body.unwrap_or_default(),
            base: pull.base.label,
            created: pull.created_at,
            is_draft: pull.draft,
            graphql_id: String::new(),
        }
    }
}

impl GiteaPull {
    /// Whether it is from `branch` to `base` of the same repository.
    fn is_of(&self, branch: &str, base: &str) -> bool {
        self.head.label == branch
            && self.base.label == base
            && self.head.repo_id == self.base.repo_id
    }
}

impl Gitea {
    pub(super) fn new(api: Api, repository: String) -> Self {
        Self {
            api,
            repository,
            lists: new_lists(),
            labels: None,
        }
    }

    /// The target of a document about the repository.
    fn target(&self, rest: &str) -> String {
        format!("/repos/{}{rest}", self.repository)
    }

    fn pull_request(&self, body: Value) -> Result<PullRequest, ForgeError> {
        self.api.parsed::<GiteaPull>(body).map(PullRequest::from)
    }

    /// The labels of the repository and of the organization, if the owner is one.
    fn labels(&mut self) -> Result<&[GiteaLabel], ForgeError> {
        let labels = match self.labels.take() {
            Some(labels) => labels,
            None => self.read_labels()?,
        };
        Ok(self.labels.insert(labels))
    }

    fn read_labels(&mut self) -> Result<Vec<GiteaLabel>, ForgeError> {
        let target = self.target(&format!("/labels?limit={PAGE}"));
        let mut labels = self.api.pages("list the labels", &target)?;
        let owner = self.repository.split('/').next().unwrap_or_default();
        let target = format!("/orgs/{owner}/labels?limit={PAGE}");
        match self.api.pages("list the labels", &target) {
            Ok(more) => labels.extend(more),
            // The owner is a user, or the token has no right to read the organization.
            Err(error) if error.refusal().is_some_and(|one| one.status < 500) => {}
            Err(error) => return Err(error),
        }
        Ok(labels)
    }

    /// Whether a merge into `base` waits for checks or approvals. Otherwise, the server may merge at
    /// once.
    fn waits_before_merge(&mut self, base: &str) -> Result<bool, ForgeError> {
        let name = percent_encoded(base.as_bytes(), b"-._~/");
        let target = self.target(&format!("/branches/{name}"));
        let answer = self.api.get("show the branch", &target)?;
        let branch: GiteaBranch = self.api.parsed(answer.body)?;
        Ok(branch.protected && (branch.enable_status_check || branch.required_approvals > 0))
    }
}

/// The lists of pull requests before any page was read.
fn new_lists() -> [PullList; 2] {
    [PullList::new("open"), PullList::new("closed")]
}

impl Forge for Gitea {
    fn kind(&self) -> ForgeKind {
        ForgeKind::Gitea
    }

    fn repository(&self) -> &str {
        &self.repository
    }

    fn rights(&mut self) -> Result<Rights, ForgeError> {
        let answer = self.api.get("show the repository", &self.target(""))?;
        let repository: GiteaRepository = self.api.parsed(answer.body)?;
        Ok(Rights {
            can_push: repository.permissions.is_none_or(|one| one.push),
            is_open: !repository.archived && !repository.mirror && repository.has_pull_requests,
            allows_auto_merge: true,
        })
    }

    fn limits(&self) -> TextLimits {
        TextLimits {
            title: 255,
            body: 65_536,
            executes_commands: false,
        }
    }

    /// The document of a branch's pull request has no defined order: the lists are read instead.
    fn find(&mut self, branch: &str, base: &str) -> Result<Vec<PullRequest>, ForgeError> {
        for index in 0..self.lists.len() {
            let state = self.lists[index].state;
            let target = self.target(&format!("/pulls?state={state}&limit={PAGE}"));
            loop {
                let list = &mut self.lists[index];
                let found = list.of(branch, base);
                if !found.is_empty() {
                    return Ok(found);
                }
                let Some(number) = list.next else {
                    break;
                };
                let page: ListPage<GiteaPull> =
                    self.api.page("list the pull requests", &target, number)?;
                list.pulls.extend(page.entries);
                list.next = page.has_next.then_some(number + 1);
            }
        }
        Ok(Vec::new())
    }

    fn has_open(&mut self, branch: &str) -> Result<bool, ForgeError> {
        let target = self.target(&format!("/pulls?state=open&limit={PAGE}"));
        let is_of = |pull: &GiteaPull| pull.head.label == branch;
        let pulls: Vec<GiteaPull> = self.api.pages("list the pull requests", &target)?;
        Ok(pulls.iter().any(is_of))
    }

    fn read(&mut self, number: u64) -> Result<PullRequest, ForgeError> {
        let target = self.target(&format!("/pulls/{number}"));
        let answer = self.api.get("show the pull request", &target)?;
        self.pull_request(answer.body)
    }

    fn create(&mut self, new: &NewPullRequest<'_>) -> Result<Opened, ForgeError> {
        let prefix = if new.is_draft { "WIP: " } else { "" };
        let body = json!({
            "title": format!("{prefix}{}", new.title),
            "head": new.branch,
            "base": new.base,
            "body": new.body,
        });
        let target = self.target("/pulls");
        match self
            .api
            .write("POST", "open the pull request", &target, &body)
        {
            Ok(answer) => self.pull_request(answer.body).map(Opened::New),
            // The lists were read before that pull request was opened.
            Err(error) if error.refusal().is_some_and(|one| one.status == 409) => {
                self.lists = new_lists();
                Ok(Opened::Exists)
            }
            Err(error) => Err(error),
        }
    }

    fn update(
        &mut self,
        current: &PullRequest,
        title: &str,
        body: &str,
    ) -> Result<PullRequest, ForgeError> {
        let target = self.target(&format!("/pulls/{}", current.number));
        let changes = changed_texts(current, title, ("body", body));
        let answer = self
            .api
            .write("PATCH", "update the pull request", &target, &changes)?;
        self.pull_request(answer.body)
    }

    fn add_labels(&mut self, number: u64, labels: &[String]) -> Result<(), ForgeError> {
        let mut ids = Vec::new();
        let mut unknown = None;
        let known = self.labels()?;
        for label in labels {
            match known.iter().find(|one| one.name == *label) {
                Some(known) => ids.push(known.id),
                None => unknown = unknown.or(Some(label)),
            }
        }
        if !ids.is_empty() {
            let target = self.target(&format!("/issues/{number}/labels"));
            let body = json!({ "labels": ids });
            self.api.write("POST", "add the labels", &target, &body)?;
        }
        unknown.map_or(Ok(()), |label| Err(self.api.no_such_name("label", label)))
    }

    fn request_reviews(&mut self, number: u64, reviewers: &[String]) -> Result<(), ForgeError> {
        let target = self.target(&format!("/pulls/{number}/requested_reviewers"));
        request_reviews(&mut self.api, &target, reviewers, |status| status < 500)
    }

    fn enable_auto_merge(
        &mut self,
        pull_request: &PullRequest,
        head: ObjectId,
        method: MergeMethod,
    ) -> Result<(), ForgeError> {
        if !self.waits_before_merge(&pull_request.base)? {
            let reason = "the base branch requires neither checks nor approvals: the server would merge at once";
            return Err(ForgeError::NoAutoMerge {
                reason: reason.to_owned(),
            });
        }
        let target = self.target(&format!("/pulls/{}/merge", pull_request.number));
        let body = json!({
            "Do": method.name(),
            "merge_when_checks_succeed": true,
            "head_commit_id": head.to_string(),
        });
        let mut attempt = 0;
        loop {
            match self.api.write("POST", "enable auto-merge", &target, &body) {
                // The requirements were met already.
                Ok(answer) if answer.status == 200 => {
                    return Err(ForgeError::NoAutoMerge {
                        reason: "the server has merged the pull request at once".to_owned(),
                    });
                }
                Ok(_) => return Ok(()),
                Err(error) => match error.refusal().map(|refusal| refusal.status) {
                    // It is scheduled already.
                    Some(409) => return Ok(()),
                    // For some seconds after a push, the server checks the branch.
                    Some(405) if self.api.wait_for_server(attempt)? => attempt += 1,
                    _ => return Err(error),
                },
            }
        }
    }
}
