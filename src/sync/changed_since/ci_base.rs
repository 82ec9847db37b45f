//! The base revision of a build, for `--changed-since auto`: the commit that the changes of a pull
//! request or of a push are counted from.
//!
//! GitHub writes it into the payload of the event, and the other systems into variables.

use std::fs;

use serde_json::Value;

use crate::codex::source_changes::BaseRevision;
use crate::environment::Environment;
use crate::sync::ci_system::CiSystem;

/// The base revision of a build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum CiBase {
    /// The base.
    Revision(BaseRevision),
    /// The build has none, for this reason.
    None(String),
}

/// Finds the base revision of the build. Returns `None` outside of the supported systems.
pub(super) fn find(environment: &Environment) -> Option<CiBase> {
    match CiSystem::of(environment)? {
        CiSystem::GitHub => Some(github(environment)),
        CiSystem::GitLab => Some(gitlab(environment)),
        CiSystem::Buildkite => Some(buildkite(environment)),
        CiSystem::Jenkins => Some(jenkins(environment)),
        CiSystem::Bitbucket | CiSystem::CircleCi | CiSystem::Azure => None,
    }
}

fn github(environment: &Environment) -> CiBase {
    let event = environment.get("GITHUB_EVENT_NAME").unwrap_or_default();
    let path = environment.get("GITHUB_EVENT_PATH");
    let payload = path.and_then(|path| fs::read(path).ok());
    let payload = payload.and_then(|text| serde_json::from_slice(&text).ok());
    let Some(payload) = payload else {
        return none("the file of `GITHUB_EVENT_PATH` cannot be read");
    };
    let payload: Value = payload;
    let text = |path: &str| payload.pointer(path).and_then(Value::as_str);

    if let Some(base) = text("/pull_request/base/sha") {
        return CiBase::Revision(BaseRevision {
            names: vec![base.to_owned()],
            is_fork_point: true,
            merged_head: text("/pull_request/head/sha").map(str::to_owned),
        });
    }
    if let Some(base) = text("/merge_group/base_sha") {
        return fork_point(vec![base.to_owned()]);
    }
    if event != "push" {
        return none(&format!("the event `{event}` has no base revision"));
    }
    let branch = text("/ref").and_then(|name| name.strip_prefix("refs/heads/"));
    let default = text("/repository/default_branch");
    pushed(text("/before"), branch, default)
}

fn gitlab(environment: &Environment) -> CiBase {
    let get = |name: &str| environment.get(name);
    let bases = [
        // The target of a pipeline for merged results, which is newer than the base of the diff.
        "CI_MERGE_REQUEST_TARGET_BRANCH_SHA",
        "CI_MERGE_REQUEST_DIFF_BASE_SHA",
        "CI_EXTERNAL_PULL_REQUEST_TARGET_BRANCH_SHA",
    ];
    let bases: Vec<_> = bases
        .into_iter()
        .filter_map(get)
        .filter(|id| !is_null(id))
        .collect();
    if !bases.is_empty() {
        return fork_point(bases.into_iter().map(str::to_owned).collect());
    }

    let source = get("CI_PIPELINE_SOURCE").unwrap_or("push");
    if source != "push" {
        return none(&format!("a pipeline of `{source}` has no base revision"));
    }
    let branch = get("CI_COMMIT_BRANCH");
    pushed(
        get("CI_COMMIT_BEFORE_SHA"),
        branch,
        get("CI_DEFAULT_BRANCH"),
    )
}

fn buildkite(environment: &Environment) -> CiBase {
    let get = |name: &str| environment.get(name);
    if let Some(base) = get("BUILDKITE_MERGE_QUEUE_BASE_COMMIT") {
        return fork_point(vec![base.to_owned()]);
    }
    let is_pull_request = get("BUILDKITE_PULL_REQUEST").is_some_and(|number| number != "false");
    if let Some(base) = get("BUILDKITE_PULL_REQUEST_BASE_BRANCH").filter(|_| is_pull_request) {
        return fork_point(vec![remote_branch(base)]);
    }
    if get("BUILDKITE_TAG").is_some() {
        return none("the build of a tag has no base revision");
    }
    let (branch, default) = (
        get("BUILDKITE_BRANCH"),
        get("BUILDKITE_PIPELINE_DEFAULT_BRANCH"),
    );
    match default {
        Some(default) if branch.is_some_and(|branch| branch != default) => {
            fork_point(vec![remote_branch(default)])
        }
        _ => none("Buildkite does not name the commit before a push to the default branch"),
    }
}

fn jenkins(environment: &Environment) -> CiBase {
    let get = |name: &str| environment.get(name);
    if let Some(target) = get("CHANGE_TARGET") {
        return fork_point(vec![remote_branch(target)]);
    }
    if get("TAG_NAME").is_some() {
        return none("the build of a tag has no base revision");
    }
    match get("GIT_PREVIOUS_SUCCESSFUL_COMMIT") {
        Some(commit) => since(commit),
        None => none("the branch has no earlier successful build"),
    }
}

/// The base of a push to `branch`, which was at `before`. A branch that was created is compared with
/// the default branch.
fn pushed(before: Option<&str>, branch: Option<&str>, default: Option<&str>) -> CiBase {
    let Some(branch) = branch else {
        return none("the push of a tag has no base revision");
    };
    if let Some(before) = before.filter(|before| !is_null(before)) {
        return since(before);
    }
    match default {
        Some(default) if default != branch => fork_point(vec![remote_branch(default)]),
        _ => none("the push created the branch"),
    }
}

/// All differences from a commit count.
fn since(commit: &str) -> CiBase {
    CiBase::Revision(BaseRevision {
        names: vec![commit.to_owned()],
        is_fork_point: false,
        merged_head: None,
    })
}

/// The changes since HEAD has left one of `names` count.
fn fork_point(names: Vec<String>) -> CiBase {
    CiBase::Revision(BaseRevision {
        names,
        is_fork_point: true,
        merged_head: None,
    })
}

fn none(reason: &str) -> CiBase {
    CiBase::None(reason.to_owned())
}

/// Branches of other builds are only known as those of the remote.
fn remote_branch(name: &str) -> String {
    format!(
        "origin/{}",
        name.strip_prefix("refs/heads/").unwrap_or(name)
    )
}

/// Whether it is the null id, which names no commit.
fn is_null(id: &str) -> bool {
    id.bytes().all(|byte| byte == b'0')
}
