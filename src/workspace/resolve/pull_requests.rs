//! Resolves the settings of pull requests.

use super::findings::Findings;
use crate::config::layers::with_default;
use crate::config::{Configuration, Problem, PushMode};
use crate::workspace::settings::PullRequestSettings;
use crate::workspace::template::{self, Unfilled};

/// Resolves `push.pull_request`; `None` unless `push.mode` is `pull-request`.
pub(super) fn resolve(
    configuration: &Configuration,
    findings: &mut Findings,
) -> Option<PullRequestSettings> {
    let push = &configuration.raw.push;
    let raw = push.pull_request.clone();
    let settings = PullRequestSettings {
        title: with_default(raw.title, "push.pull_request.title"),
        body: with_default(raw.body, "push.pull_request.body"),
        labels: with_default(raw.labels, "push.pull_request.labels"),
        reviewers: with_default(raw.reviewers, "push.pull_request.reviewers"),
        is_draft: with_default(raw.draft, "push.pull_request.draft"),
        auto_merge: with_default(raw.auto_merge, "push.pull_request.auto_merge"),
    };
    if settings.title.trim().is_empty() {
        let key = "push.pull_request.title";
        let problem = Problem::new(format!("`{key}` is empty")).key(key);
        let at = configuration.origin_of(&["push", "pull_request", "title"]);
        let hint = "remove the key to use the default";
        findings.error(problem.maybe_at(at).hint(hint));
    }
    check_placeholders(configuration, "title", &settings.title, findings);
    check_placeholders(configuration, "body", &settings.body, findings);
    let mode = with_default(push.mode, "push.mode");
    (mode == PushMode::PullRequest).then_some(settings)
}

/// Reports an unknown placeholder. The values are only known when a pull request is opened.
fn check_placeholders(
    configuration: &Configuration,
    name: &str,
    text: &str,
    findings: &mut Findings,
) {
    const KNOWN: [&str; 7] = [
        "count",
        "projects",
        "workspace",
        "org",
        "codex_repo",
        "env",
        "branch",
    ];
    let values = KNOWN.map(|name| (name, Some("")));
    if let Err(unfilled @ Unfilled::Unknown { .. }) = template::fill(text, &values) {
        let problem = template::problem(&format!("push.pull_request.{name}"), unfilled);
        let at = configuration.origin_of(&["push", "pull_request", name]);
        findings.error(problem.maybe_at(at));
    }
}
