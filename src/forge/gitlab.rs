//! GitLab: gitlab.com, and self-managed servers.

use serde::Deserialize;
use serde_json::{Value, json};

use super::api::Api;
use super::error::ForgeError;
use super::place::ForgeKind;
use super::pull_request::{
    Forge, MergeMethod, NewPullRequest, Opened, PullRequest, PullRequestState, Rights, TextLimits,
    changed_texts, open_or_closed,
};
use super::reviewers::teams_and_users;
use crate::object::ObjectId;
use crate::url::percent_encoded;

/// The access level of the role Developer, which may push and open merge requests.
const DEVELOPER: u32 = 30;

/// The maximum number of characters of a label.
const MAX_LABEL: usize = 255;

/// The states of a pipeline that has not ended.
const RUNNING: [&str; 6] = [
    "created",
    "waiting_for_resource",
    "preparing",
    "pending",
    "running",
    "scheduled",
];

/// A project on GitLab.
pub(super) struct GitLab {
    api: Api,
    repository: String,
    /// Whether a pipeline was waited for in vain, so that the project seems to have none.
    is_without_pipelines: bool,
}

#[derive(Deserialize)]
struct GitLabProject {
    permissions: Option<GitLabPermissions>,
    #[serde(default)]
    archived: bool,
    /// `disabled`, `private` or `enabled`.
    merge_requests_access_level: Option<String>,
    /// Whether a merge waits for a pipeline that succeeds.
    #[serde(default)]
    only_allow_merge_if_pipeline_succeeds: bool,
}

#[derive(Deserialize)]
struct GitLabPermissions {
    project_access: Option<GitLabAccess>,
    group_access: Option<GitLabAccess>,
}

#[derive(Deserialize)]
struct GitLabAccess {
    access_level: u32,
}

#[derive(Deserialize)]
struct MergeRequest {
    iid: u64,
    web_url: String,
    state: String,
    title: String,
    description: Option<String>,
    created_at: String,
    #[serde(default)]
    draft: bool,
    /// `None` if the branch was deleted.
    sha: Option<String>,
    source_branch: String,
    target_branch: String,
    source_project_id: Option<u64>,
    target_project_id: Option<u64>,
    head_pipeline: Option<Pipeline>,
}

#[derive(Deserialize)]
struct Pipeline {
    sha: String,
    status: String,
}

#[derive(Deserialize)]
struct GitLabUser {
    id: u64,
}

impl From<MergeRequest> for PullRequest {
    fn from(request: MergeRequest) -> Self {
        let state = match request.state.as_str() {
            "opened" | "locked" => PullRequestState::Open,
            "merged" => PullRequestState::Merged,
            _ => PullRequestState::Closed,
        };
        Self {
            number: request.iid,
            url: request.web_url,
            state,
            head: request.sha.as_deref().and_then(ObjectId::from_hex),
            title: request.title,
            body: request.description.unwrap_or_default(),
            base: request.target_branch,
            created: request.created_at,
            is_draft: request.draft,
            graphql_id: String::new(),
        }
    }
}

impl GitLab {
    pub(super) fn new(api: Api, repository: String) -> Self {
        Self {
            api,
            repository,
            is_without_pipelines: false,
        }
    }

    /// The target of a document about the project.
    fn target(&self, rest: &str) -> String {
        let id = percent_encoded(self.repository.as_bytes(), b"-._~");
        format!("/projects/{id}{rest}")
    }

    fn merge_request(&mut self, number: u64) -> Result<MergeRequest, ForgeError> {
        let target = self.target(&format!("/merge_requests/{number}"));
        let answer = self.api.get("show the merge request", &target)?;
        self.api.parsed(answer.body)
    }

    fn project(&mut self) -> Result<GitLabProject, ForgeError> {
        let answer = self.api.get("show the project", &self.target(""))?;
        self.api.parsed(answer.body)
    }

    fn put(
        &mut self,
        action: &'static str,
        number: u64,
        body: &Value,
    ) -> Result<Value, ForgeError> {
        let target = self.target(&format!("/merge_requests/{number}"));
        Ok(self.api.write("PUT", action, &target, body)?.body)
    }

    fn user_id(&mut self, name: &str) -> Result<u64, ForgeError> {
        let encoded = percent_encoded(name.as_bytes(), b"-._~");
        let target = format!("/users?username={encoded}");
        let answer = self.api.get("find the user", &target)?;
        let users: Vec<GitLabUser> = self.api.parsed(answer.body)?;
        users
            .first()
            .map(|user| user.id)
            .ok_or_else(|| self.api.no_such_name("user", name))
    }

    /// Whether a merge waits for a pipeline. Without one, GitLab merges at once. GitLab creates the
    /// pipeline of a commit some seconds after the push.
    fn waits_for_pipeline(&mut self, number: u64, head: ObjectId) -> Result<bool, ForgeError> {
        if self.project()?.only_allow_merge_if_pipeline_succeeds {
            return Ok(true);
        }
        let mut attempt = 0;
        loop {
            let pipeline = self.merge_request(number)?.head_pipeline;
            if let Some(pipeline) = pipeline.filter(|one| one.sha == head.to_string()) {
                return Ok(RUNNING.contains(&pipeline.status.as_str()));
            }
            if self.is_without_pipelines || !self.api.wait_for_server(attempt)? {
                self.is_without_pipelines = true;
                return Ok(false);
            }
            attempt += 1;
        }
    }
}

impl Forge for GitLab {
    fn kind(&self) -> ForgeKind {
        ForgeKind::GitLab
    }

    fn repository(&self) -> &str {
        &self.repository
    }

    fn rights(&mut self) -> Result<Rights, ForgeError> {
        let project = self.project()?;
        let can_push = project.permissions.is_none_or(|permissions| {
            let levels = [permissions.project_access, permissions.group_access];
            let mut levels = levels.into_iter().flatten();
            levels.any(|access| access.access_level >= DEVELOPER)
        });
        Ok(Rights {
            can_push,
            is_open: !project.archived
                && project.merge_requests_access_level.as_deref() != Some("disabled"),
            allows_auto_merge: true,
        })
    }

    fn limits(&self) -> TextLimits {
        TextLimits {
            title: 255,
            body: 1_048_576,
            executes_commands: true,
        }
    }

    fn find(&mut self, branch: &str, base: &str) -> Result<Vec<PullRequest>, ForgeError> {
        let source = percent_encoded(branch.as_bytes(), b"-._~");
        let encoded_base = percent_encoded(base.as_bytes(), b"-._~");
        let target = self.target(&format!(
            "/merge_requests?source_branch={source}&target_branch={encoded_base}&state=all&order_by=created_at&sort=desc&per_page=100"
        ));
        let answer = self.api.get("list the merge requests", &target)?;
        let mut requests: Vec<MergeRequest> = self.api.parsed(answer.body)?;
        requests.retain(|request| {
            request.source_branch == branch
                && request.target_branch == base
                && request.source_project_id == request.target_project_id
        });
        Ok(open_or_closed(requests.into_iter().map(PullRequest::from)))
    }

    fn has_open(&mut self, branch: &str) -> Result<bool, ForgeError> {
        let source = percent_encoded(branch.as_bytes(), b"-._~");
        let target = self.target(&format!(
            "/merge_requests?source_branch={source}&state=opened&per_page=100"
        ));
        let answer = self.api.get("list the merge requests", &target)?;
        let requests: Vec<MergeRequest> = self.api.parsed(answer.body)?;
        let mut branches = requests.iter().map(|request| &request.source_branch);
        Ok(branches.any(|source| source == branch))
    }

    fn read(&mut self, number: u64) -> Result<PullRequest, ForgeError> {
        self.merge_request(number).map(PullRequest::from)
    }

    fn create(&mut self, new: &NewPullRequest<'_>) -> Result<Opened, ForgeError> {
        let prefix = if new.is_draft { "Draft: " } else { "" };
        let body = json!({
            "title": format!("{prefix}{}", new.title),
            "source_branch": new.branch,
            "target_branch": new.base,
            "description": new.body,
        });
        let target = self.target("/merge_requests");
        match self
            .api
            .write("POST", "open the merge request", &target, &body)
        {
            Ok(answer) => {
                let request: MergeRequest = self.api.parsed(answer.body)?;
                Ok(Opened::New(request.into()))
            }
            Err(error) => match error.refusal() {
                Some(refusal) if refusal.status == 409 => Ok(Opened::Exists),
                Some(refusal)
                    if refusal.status == 400
                        && refusal.mentions("source_branch: does not exist") =>
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
        let changes = changed_texts(current, title, ("description", body));
        let answer = self.put("update the merge request", current.number, &changes)?;
        let request: MergeRequest = self.api.parsed(answer)?;
        Ok(request.into())
    }

    fn add_labels(&mut self, number: u64, labels: &[String]) -> Result<(), ForgeError> {
        // Labels are separated by commas.
        let (invalid, labels): (Vec<_>, Vec<_>) = labels
            .iter()
            .partition(|label| label.contains(',') || label.chars().count() > MAX_LABEL);
        let labels: Vec<_> = labels.iter().map(|label| label.as_str()).collect();
        if !labels.is_empty() {
            let body = json!({ "add_labels": labels.join(",") });
            self.put("add the labels", number, &body)?;
        }
        invalid
            .first()
            .map_or(Ok(()), |label| Err(self.api.no_such_name("label", label)))
    }

    fn request_reviews(&mut self, number: u64, reviewers: &[String]) -> Result<(), ForgeError> {
        let (teams, users) = teams_and_users(reviewers);
        let mut ids = Vec::new();
        // A group cannot review a merge request.
        let mut unknown = teams
            .first()
            .map(|team| self.api.no_such_name("reviewer", team));
        for user in users {
            match self.user_id(user) {
                Ok(id) => ids.push(id),
                Err(error @ ForgeError::NoSuchName { .. }) => unknown = unknown.or(Some(error)),
                Err(error) => return Err(error),
            }
        }
        if !ids.is_empty() {
            let body = json!({ "reviewer_ids": ids });
            self.put("request the reviews", number, &body)?;
        }
        unknown.map_or(Ok(()), Err)
    }

    fn enable_auto_merge(
        &mut self,
        pull_request: &PullRequest,
        head: ObjectId,
        method: MergeMethod,
    ) -> Result<(), ForgeError> {
        let number = pull_request.number;
        if !self.waits_for_pipeline(number, head)? {
            let reason = "no pipeline runs for the commit, and the project does not require one: GitLab would merge at once";
            return Err(ForgeError::NoAutoMerge {
                reason: reason.to_owned(),
            });
        }
        let target = self.target(&format!("/merge_requests/{number}/merge"));
        // The second name is that of older servers.
        let body = json!({
            "sha": head.to_string(),
            "auto_merge": true,
            "merge_when_pipeline_succeeds": true,
            "squash": method == MergeMethod::Squash,
        });
        let mut attempt = 0;
        loop {
            match self.api.write("PUT", "enable auto-merge", &target, &body) {
                Ok(_) => return Ok(()),
                // GitLab still checks whether the branch can be merged.
                Err(error) if error.refusal().is_some_and(|one| one.status == 405) => {
                    if !self.api.wait_for_server(attempt)? {
                        return Err(error);
                    }
                    attempt += 1;
                }
                Err(error) => return Err(error),
            }
        }
    }
}
