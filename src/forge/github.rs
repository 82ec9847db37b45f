//! GitHub: github.com, ghe.com, and Enterprise Server.

use serde::Deserialize;
use serde_json::{Value, json};

use super::api::Api;
use super::error::ForgeError;
use super::place::ForgeKind;
use super::pull_request::{
    Forge, MergeMethod, NewPullRequest, NewlyOpened, Opened, PullRequest, PullRequestState, Rights,
    TextLimits, changed_texts, open_or_closed,
};
use super::reviewers::request_reviews;
use crate::object::ObjectId;
use crate::url::percent_encoded;

/// The maximum number of characters of a label.
const MAX_LABEL: usize = 50;

/// The mutation that enables auto-merge.
const AUTO_MERGE: &str = "mutation($id: ID!, $head: GitObjectID!, $method: PullRequestMergeMethod!) { \
    enablePullRequestAutoMerge(input: { pullRequestId: $id, expectedHeadOid: $head, mergeMethod: $method }) { \
    clientMutationId } }";

/// A repository on GitHub.
pub(super) struct GitHub {
    api: Api,
    repository: String,
}

#[derive(Deserialize)]
struct GitHubRepository {
    permissions: Option<GitHubPermissions>,
    #[serde(default)]
    archived: bool,
    allow_auto_merge: Option<bool>,
}

#[derive(Deserialize)]
struct GitHubPermissions {
    push: bool,
}

#[derive(Deserialize)]
struct GitHubPull {
    number: u64,
    html_url: String,
    node_id: String,
    state: String,
    merged_at: Option<String>,
    title: String,
    body: Option<String>,
    created_at: String,
    #[serde(default)]
    draft: bool,
    head: GitHubPullBranch,
    base: GitHubPullBranch,
}

#[derive(Deserialize)]
struct GitHubPullBranch {
    #[serde(rename = "ref")]
    name: String,
    sha: String,
    /// The repository of the branch; `None` if that was deleted.
    repo: Option<GitHubPullRepository>,
}

#[derive(Deserialize)]
struct GitHubPullRepository {
    full_name: String,
}

impl From<GitHubPull> for PullRequest {
    fn from(pull: GitHubPull) -> Self {
        let state = match (pull.state.as_str(), &pull.merged_at) {
            ("open", _) => PullRequestState::Open,
            (_, Some(_)) => PullRequestState::Merged,
            (_, None) => PullRequestState::Closed,
        };
        let names = |one: &GitHubPullBranch| one.repo.as_ref().map(|repo| repo.full_name.clone());
        let is_own = names(&pull.head).is_some() && names(&pull.head) == names(&pull.base);
        Self {
            number: pull.number,
            url: pull.html_url,
            state,
            head: ObjectId::from_hex(&pull.head.sha),
            title: pull.title,
            body: pull.body.unwrap_or_default(),
            branch: Some(pull.head.name).filter(|_| is_own),
            base: pull.base.name,
            created: pull.created_at,
            is_draft: pull.draft,
            graphql_id: pull.node_id,
        }
    }
}

impl GitHub {
    pub(super) fn new(api: Api, repository: String) -> Self {
        Self { api, repository }
    }

    /// The target of a document about the repository.
    fn target(&self, rest: &str) -> String {
        format!("/repos/{}{rest}", self.repository)
    }

    fn pull_request(&self, body: Value) -> Result<PullRequest, ForgeError> {
        self.api.pull_request::<GitHubPull>(body)
    }

    /// The pull requests from `branch`, the newest first: all to `base`, or the open ones to
    /// whatever branch.
    fn list(&mut self, branch: &str, base: Option<&str>) -> Result<Vec<PullRequest>, ForgeError> {
        let owner = self.repository.split('/').next().unwrap_or_default();
        // Without the owner, GitHub ignores the filter.
        let head = percent_encoded(format!("{owner}:{branch}").as_bytes(), b"-._~");
        let filter = match base {
            Some(base) => format!(
                "state=all&base={}",
                percent_encoded(base.as_bytes(), b"-._~")
            ),
            None => "state=open".to_owned(),
        };
        let order = "sort=created&direction=desc&per_page=100";
        let target = self.target(&format!("/pulls?{filter}&head={head}&{order}"));
        let answer = self.api.get("list the pull requests", &target)?;
        self.api.pull_requests::<GitHubPull>(answer.body)
    }

    fn post_pull(
        &mut self,
        new: &NewPullRequest<'_>,
        is_draft: bool,
    ) -> Result<PullRequest, ForgeError> {
        let body = json!({
            "title": new.title,
            "head": new.branch,
            "base": new.base,
            "body": new.body,
            "draft": is_draft,
        });
        let target = self.target("/pulls");
        let answer = self
            .api
            .write("POST", "open the pull request", &target, &body)?;
        self.pull_request(answer.body)
    }
}

impl Forge for GitHub {
    fn kind(&self) -> ForgeKind {
        ForgeKind::GitHub
    }

    fn repository(&self) -> &str {
        &self.repository
    }

    fn rights(&mut self) -> Result<Rights, ForgeError> {
        let answer = self.api.get("show the repository", &self.target(""))?;
        let repository: GitHubRepository = self.api.parsed(answer.body)?;
        Ok(Rights {
            // The token of an App gets no `permissions`.
            can_push: repository.permissions.is_none_or(|one| one.push),
            is_open: !repository.archived,
            // Only shown to those who may change it.
            allows_auto_merge: repository.allow_auto_merge.unwrap_or(true),
        })
    }

    fn limits(&self) -> TextLimits {
        TextLimits {
            title: 256,
            body: 65_536,
            executes_commands: false,
        }
    }

    fn find(&mut self, branch: &str, base: &str) -> Result<Vec<PullRequest>, ForgeError> {
        let mut found = self.list(branch, Some(base))?;
        found.retain(|pull| pull.is_of(branch, base));
        Ok(open_or_closed(found))
    }

    fn has_open(&mut self, branch: &str) -> Result<bool, ForgeError> {
        let found = self.list(branch, None)?;
        Ok(found.iter().any(|pull| pull.is_open_from(branch)))
    }

    fn read(&mut self, number: u64) -> Result<PullRequest, ForgeError> {
        let target = self.target(&format!("/pulls/{number}"));
        let answer = self.api.get("show the pull request", &target)?;
        self.pull_request(answer.body)
    }

    fn create(&mut self, new: &NewPullRequest<'_>) -> Result<Opened, ForgeError> {
        let mut result = self.post_pull(new, new.is_draft);
        let is_without_drafts = |error: &ForgeError| {
            let rejection = error.rejection();
            rejection.is_some_and(|rejection| {
                rejection.mentions("draft pull requests are not supported")
            })
        };
        if result.as_ref().is_err_and(is_without_drafts) {
            result = self.post_pull(new, false);
        }
        match result {
            Ok(pull_request) => Ok(Opened::New(NewlyOpened {
                pull_request,
                missing: None,
            })),
            Err(error) => match error
                .rejection()
                .filter(|rejection| rejection.status == 422)
            {
                Some(rejection) if rejection.mentions("already exists") => Ok(Opened::Exists),
                Some(rejection)
                    if rejection.mentions("head sha can't be blank")
                        || rejection.mentions("no commits between") =>
                {
                    Ok(Opened::NotVisible(error))
                }
                _ => Err(error),
            },
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
        // One label that is too long makes the whole request fail.
        let (labels, invalid): (Vec<_>, Vec<_>) = labels
            .iter()
            .partition(|label| label.chars().count() <= MAX_LABEL);
        if !labels.is_empty() {
            let target = self.target(&format!("/issues/{number}/labels"));
            let body = json!({ "labels": labels });
            self.api.write("POST", "add the labels", &target, &body)?;
        }
        invalid
            .first()
            .map_or(Ok(()), |label| Err(self.api.no_such_name("label", label)))
    }

    fn request_reviews(&mut self, number: u64, reviewers: &[String]) -> Result<(), ForgeError> {
        let target = self.target(&format!("/pulls/{number}/requested_reviewers"));
        request_reviews(&mut self.api, &target, reviewers, |status| status == 422)
    }

    fn enable_auto_merge(
        &mut self,
        pull_request: &PullRequest,
        head: ObjectId,
        method: MergeMethod,
    ) -> Result<(), ForgeError> {
        let body = json!({
            "query": AUTO_MERGE,
            "variables": {
                "id": pull_request.graphql_id,
                "head": head.to_string(),
                "method": method.name().to_ascii_uppercase(),
            },
        });
        let errors = self.api.graphql("enable auto-merge", &body)?;
        if errors.is_empty() {
            return Ok(());
        }
        Err(ForgeError::NoAutoMerge {
            reason: errors.join("; "),
        })
    }
}
