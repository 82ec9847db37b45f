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
    Forge, MergeMethod, NewPullRequest, NewlyOpened, Opened, PullRequest, PullRequestState, Rights,
    TextLimits, changed_texts,
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
    pulls: Vec<PullRequest>,
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
        let mut found: Vec<_> = pulls.cloned().collect();
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

#[derive(Deserialize)]
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

#[derive(Deserialize)]
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
        let is_own = pull.head.repo_id == pull.base.repo_id;
        Self {
            number: pull.number,
            url: pull.html_url,
            state,
            head: ObjectId::from_hex(&pull.head.sha),
            title: pull.title,
            body: pull.body.unwrap_or_default(),
            branch: Some(pull.head.label).filter(|_| is_own),
            base: pull.base.label,
            created: pull.created_at,
            is_draft: pull.draft,
            graphql_id: String::new(),
        }
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
        self.api.pull_request::<GiteaPull>(body)
    }

    /// The pull requests from `branch` to `base` in a list, which is read as far as necessary.
    fn find_in(
        &mut self,
        list: &mut PullList,
        branch: &str,
        base: &str,
    ) -> Result<Vec<PullRequest>, ForgeError> {
        loop {
            let found = list.of(branch, base);
            match list.next {
                Some(number) if found.is_empty() => self.read_page(list, number)?,
                _ => return Ok(found),
            }
        }
    }

    /// Reads the next page of a list of pull requests.
    fn read_page(&mut self, list: &mut PullList, number: u32) -> Result<(), ForgeError> {
        let target = self.target(&format!("/pulls?state={}&limit={PAGE}", list.state));
        let page: ListPage<Value> = self.api.page("list the pull requests", &target, number)?;
        let entries = Value::from(page.entries);
        let pulls = self.api.pull_requests::<GiteaPull>(entries)?;
        list.pulls.extend(pulls);
        list.next = page.has_next.then_some(number + 1);
        Ok(())
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
            Err(error) if error.rejection().is_some_and(|one| one.status < 500) => {}
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
        let mut lists = std::mem::replace(&mut self.lists, new_lists());
        let mut found = Ok(Vec::new());
        for list in &mut lists {
            found = self.find_in(list, branch, base);
            if found.as_ref().map_or(true, |found| !found.is_empty()) {
                break;
            }
        }
        self.lists = lists;
        found
    }

    fn has_open(&mut self, branch: &str) -> Result<bool, ForgeError> {
        let [mut open, _] = new_lists();
        while let Some(number) = open.next {
            self.read_page(&mut open, number)?;
        }
        Ok(open.pulls.iter().any(|pull| pull.is_open_from(branch)))
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
            Ok(answer) => Ok(Opened::New(NewlyOpened {
                pull_request: self.pull_request(answer.body)?,
                missing: None,
            })),
            // The lists were read before that pull request was opened.
            Err(error) if error.rejection().is_some_and(|one| one.status == 409) => {
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
                Err(error) => match error.rejection().map(|rejection| rejection.status) {
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
