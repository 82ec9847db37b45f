//! GitLab: gitlab.com, and self-managed servers.

use serde::Deserialize;
use serde_json::{Value, json};

use super::api::Api;
use super::error::ForgeError;
use super::place::ForgeKind;
use super::pull_request::{
    Forge, MergeMethod, NewPullRequest, NewlyOpened, Opened, PullRequest, PullRequestState, Rights,
    TextLimits, changed_texts, open_or_closed,
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
        let is_own = request.source_project_id == request.target_project_id;
        Self {
            number: request.iid,
            url: request.web_url,
            state,
            head: request.sha.as_deref().and_then(ObjectId::from_hex),
            title: request.title,
            body: request.description.unwrap_or_default(),
            branch: Some(request.source_branch).filter(|_| is_own),
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

    /// The document of a merge request.
    fn document(&mut self, number: u64) -> Result<Value, ForgeError> {
        let target = self.target(&format!("/merge_requests/{number}"));
        Ok(self.api.get("show the merge request", &target)?.body)
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

    /// The merge requests from `branch`, the newest first: all to `base`, or the open ones to
    /// whatever branch.
    fn list(&mut self, branch: &str, base: Option<&str>) -> Result<Vec<PullRequest>, ForgeError> {
        let source = percent_encoded(branch.as_bytes(), b"-._~");
        let filter = match base {
            Some(base) => {
                let base = percent_encoded(base.as_bytes(), b"-._~");
                format!("state=all&target_branch={base}")
            }
            None => "state=opened".to_owned(),
        };
        let order = "order_by=created_at&sort=desc&per_page=100";
        let target = format!("/merge_requests?{filter}&source_branch={source}&{order}");
        let answer = self
            .api
            .get("list the merge requests", &self.target(&target))?;
        self.api.pull_requests::<MergeRequest>(answer.body)
    }

    /// The labels that GitLab can have, and an error for one of the others.
    fn valid_labels(&self, labels: &[String]) -> (Vec<String>, Option<ForgeError>) {
        // Labels are separated by commas.
        let (invalid, labels): (Vec<_>, Vec<_>) = labels
            .iter()
            .cloned()
            .partition(|label| label.contains(',') || label.chars().count() > MAX_LABEL);
        let invalid = invalid.first();
        let error = invalid.map(|label| self.api.no_such_name("label", label));
        (labels, error)
    }

    /// The ids of the reviewers, and an error for one of those that cannot review.
    fn reviewer_ids(&mut self, reviewers: &[String]) -> (Vec<u64>, Option<ForgeError>) {
        let (teams, users) = teams_and_users(reviewers);
        let mut ids = Vec::new();
        // A group cannot review a merge request.
        let mut error = teams
            .first()
            .map(|team| self.api.no_such_name("reviewer", team));
        for user in users {
            match self.user_id(user) {
                Ok(id) => ids.push(id),
                Err(other) => error = error.or(Some(other)),
            }
        }
        (ids, error)
    }

    fn post(&mut self, body: &Value) -> Result<PullRequest, ForgeError> {
        let target = self.target("/merge_requests");
        let answer = self
            .api
            .write("POST", "open the merge request", &target, body)?;
        self.api.pull_request::<MergeRequest>(answer.body)
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
            let body = self.document(number)?;
            let request: MergeRequest = self.api.parsed(body)?;
            let pipeline = request.head_pipeline;
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

/// Whether GitLab rejected a request because of its values, which may be a label or a reviewer.
fn is_about_values(error: &ForgeError) -> bool {
    let is_status = |status| matches!(status, 400 | 403 | 404 | 422);
    let rejection = error.rejection();
    rejection.is_some_and(|rejection| is_status(rejection.status)) && !is_invisible(error)
}

/// Whether GitLab does not know the branch of a new merge request yet.
fn is_invisible(error: &ForgeError) -> bool {
    error.rejection().is_some_and(|rejection| {
        rejection.status == 400 && rejection.mentions("source_branch: does not exist")
    })
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
        let mut found = self.list(branch, Some(base))?;
        found.retain(|request| request.is_of(branch, base));
        Ok(open_or_closed(found))
    }

    fn has_open(&mut self, branch: &str) -> Result<bool, ForgeError> {
        let found = self.list(branch, None)?;
        Ok(found.iter().any(|request| request.is_open_from(branch)))
    }

    fn read(&mut self, number: u64) -> Result<PullRequest, ForgeError> {
        let body = self.document(number)?;
        self.api.pull_request::<MergeRequest>(body)
    }

    fn create(&mut self, new: &NewPullRequest<'_>) -> Result<Opened, ForgeError> {
        let prefix = if new.is_draft { "Draft: " } else { "" };
        let plain = json!({
            "title": format!("{prefix}{}", new.title),
            "source_branch": new.branch,
            "target_branch": new.base,
            "description": new.body,
        });
        let (labels, invalid) = self.valid_labels(new.labels);
        let (reviewers, unknown) = self.reviewer_ids(new.reviewers);
        let mut complete = plain.clone();
        if !labels.is_empty() {
            complete["labels"] = json!(labels.join(","));
        }
        if !reviewers.is_empty() {
            complete["reviewer_ids"] = json!(reviewers);
        }

        let mut missing = Some(invalid.into_iter().chain(unknown).collect());
        let mut result = self.post(&complete);
        if complete != plain && result.as_ref().is_err_and(is_about_values) {
            // One label or reviewer that is not possible makes the whole request fail.
            missing = None;
            result = self.post(&plain);
        }
        match result {
            Ok(pull_request) => Ok(Opened::New(NewlyOpened {
                pull_request,
                missing,
            })),
            Err(error) if is_invisible(&error) => Ok(Opened::NotVisible(error)),
            Err(error) => match error.rejection() {
                Some(rejection) if rejection.status == 409 => Ok(Opened::Exists),
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
        self.api.pull_request::<MergeRequest>(answer)
    }

    fn add_labels(&mut self, number: u64, labels: &[String]) -> Result<(), ForgeError> {
        let (labels, invalid) = self.valid_labels(labels);
        if !labels.is_empty() {
            let body = json!({ "add_labels": labels.join(",") });
            self.put("add the labels", number, &body)?;
        }
        invalid.map_or(Ok(()), Err)
    }

    fn request_reviews(&mut self, number: u64, reviewers: &[String]) -> Result<(), ForgeError> {
        let (ids, unknown) = self.reviewer_ids(reviewers);
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
                Err(error) if error.rejection().is_some_and(|one| one.status == 405) => {
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
