//! Resolves the remote: its URL, its branch, and the tokens for it.

use super::findings::Findings;
use super::tokens::{self, RemotesKey, Tokens};
use crate::config::layers::{self, with_default};
use crate::config::location::LayerKind;
use crate::config::problem::did_you_mean;
use crate::config::{Configuration, Problem};
use crate::names::is_branch_name;
use crate::paths::escaped;
use crate::url::RemoteUrl;
use crate::workspace::settings::{Remote, Timeouts};
use crate::workspace::template;

/// The environment of a run without `--env`, if a user has configured its branch. The older tool
/// always uses it.
pub(super) const DEFAULT_ENVIRONMENT: [&str; 3] = ["sync", "environments", "prod"];

/// The branch of the selected environment, or else of `remote.branch`, or else of the default
/// environment. `None` means that the remote's HEAD decides.
pub(super) fn branch(configuration: &Configuration, findings: &mut Findings) -> Option<String> {
    let raw = &configuration.raw;
    let selected = configuration.environment_name.as_deref();
    let default =
        (selected.is_none() && raw.remote.branch.is_none()).then_some(DEFAULT_ENVIRONMENT[2]);
    for (name, branch) in raw.sync.environments.iter().flatten() {
        // The branch of the selected environment is checked below.
        if ![selected, default].contains(&Some(name.as_str())) {
            let path = ["sync", "environments", name.as_str()];
            check_branch(configuration, branch, &path, findings);
        }
    }
    let Some(name) = &configuration.environment_name else {
        let (branch, key) = match &raw.remote.branch {
            Some(branch) => (branch.clone(), &["remote", "branch"][..]),
            None => (default_branch(configuration)?, &DEFAULT_ENVIRONMENT[..]),
        };
        check_branch(configuration, &branch, key, findings);
        return Some(branch);
    };

    let environments = raw.sync.environments.clone().unwrap_or_default();
    let Some(branch) = environments.get(name) else {
        let known: Vec<&str> = environments.keys().map(String::as_str).collect();
        let hint = did_you_mean(name, known.iter().copied())
            .unwrap_or_else(|| format!("`sync.environments` has {}", known.join(", ")));
        let problem = Problem::new(format!(
            "unknown environment `{}`",
            escaped(name.as_bytes())
        ))
        .key("sync.environments")
        .hint(hint)
        .maybe_at(configuration.environment_origin.as_ref());
        findings.error(problem);
        return None;
    };
    let path = ["sync", "environments", name];
    check_branch(configuration, branch, &path, findings);
    Some(branch.clone())
}

/// The branch of the default environment, if a layer above the defaults has it.
fn default_branch(configuration: &Configuration) -> Option<String> {
    let candidates = configuration.layers.candidates(&DEFAULT_ENVIRONMENT);
    let given = candidates
        .first()
        .filter(|one| one.layer != LayerKind::Defaults)?;
    given.node.as_text().map(str::to_owned)
}

/// Reports a name that is not the short name of a branch, and returns whether it is one.
pub(super) fn check_branch(
    configuration: &Configuration,
    branch: &str,
    path: &[&str],
    findings: &mut Findings,
) -> bool {
    let short = branch.strip_prefix("refs/heads/");
    let is_other_ref = short.is_none() && branch.starts_with("refs/");
    if short.is_none() && !is_other_ref && is_branch_name(branch) {
        return true;
    }

    let key = path[..2].join(".");
    let hint = match short {
        Some(short) => Some(format!("use the short name `{short}`")),
        None if is_other_ref => Some(
            "use a branch name, without `refs/`: a push to a ref for reviews (`refs/for/…`) changes no branch, so it could not be verified"
                .to_owned(),
        ),
        None => None,
    };
    let message = format!(
        "`{key}`: `{}` is not a branch name",
        escaped(branch.as_bytes())
    );
    let problem = Problem::new(message).key(key).maybe_hint(hint);
    findings.error(problem.maybe_at(configuration.origin_of(path)));
    false
}

/// Resolves the remote; `None` if its URL is unknown or invalid.
pub(super) fn remote(
    configuration: &Configuration,
    branch: Option<String>,
    findings: &mut Findings,
) -> Option<Remote> {
    let url = url(configuration, findings)?;
    let tokens = tokens::for_remote(configuration, &url, findings);
    let raw = &configuration.raw.remote;
    let timeout = &raw.timeout;
    Some(Remote {
        branch,
        unset_token_variables: unset_token_variables(configuration, &url, &tokens),
        username: with_default(raw.username.clone(), "remote.username"),
        create: with_default(raw.create, "remote.create"),
        transport: with_default(raw.transport, "remote.transport"),
        allow_insecure: tokens::allow_insecure(configuration, &tokens, &url),
        allow_insecure_by_user: tokens::allow_insecure_by_user(configuration),
        timeout: Timeouts {
            connect: with_default(timeout.connect, "remote.timeout.connect"),
            idle: with_default(timeout.idle, "remote.timeout.idle"),
            push_verdict: with_default(timeout.push_verdict, "remote.timeout.push_verdict"),
        },
        url,
        token: tokens.of_remote,
        repository_token: tokens.of_repository,
        unused_tokens: tokens.unused,
    })
}

/// The URL of the remote: `remote.url`, or else the one that is made from organization and
/// repository.
fn url(configuration: &Configuration, findings: &mut Findings) -> Option<RemoteUrl> {
    let raw = &configuration.raw;
    if let Some(text) = &raw.remote.url {
        return RemoteUrl::parse(text, &configuration.root)
            .map_err(|error| {
                let problem = Problem::new(format!("`remote.url`: {error}")).key("remote.url");
                let at = configuration.origin_of(&["remote", "url"]);
                findings.error(problem.maybe_at(at));
            })
            .ok();
    }

    let parts = [
        ("organization", &raw.organization),
        ("codex_repo", &raw.codex_repo),
    ];
    for (key, value) in parts {
        match value {
            None => {
                let hint = format!("set `codex.{key}`, or a remote with `codex.remote.url`");
                let problem = Problem::new(missing_part(configuration, key)).key(key);
                findings.missing(configuration, problem.hint(hint));
            }
            Some(text) if !is_github_name(text) => {
                let message = format!(
                    "`{key}`: `{}` cannot be part of a repository's URL",
                    escaped(text.as_bytes())
                );
                let hint = "use letters, digits, `.`, `_` and `-`";
                let problem = Problem::new(message).key(key).hint(hint);
                findings.error(problem.maybe_at(configuration.origin_of(&[key])));
            }
            Some(_) => {}
        }
    }
    let values =
        parts.map(|(key, value)| (key, value.as_deref().filter(|text| is_github_name(text))));
    let text = template::fill(layers::derived("remote_url"), &values).ok()?;
    RemoteUrl::parse(&text, &configuration.root).ok()
}

/// The message for a part of the default URL that is not set.
fn missing_part(configuration: &Configuration, key: &str) -> String {
    match &configuration.undetected {
        Some(reason) if key == "organization" => {
            format!("`{key}` is not set and cannot be detected: {reason}")
        }
        _ => format!("`{key}` is not set, and neither is `remote.url`"),
    }
}

/// Whether `text` can be an organization or a repository in a URL.
fn is_github_name(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    !text.is_empty() && text.chars().all(allowed) && !text.starts_with(['.', '-'])
}

/// The unset variables that a token for this remote refers to.
fn unset_token_variables(
    configuration: &Configuration,
    url: &RemoteUrl,
    tokens: &Tokens,
) -> Vec<String> {
    let has_token = configuration.raw.remote.token.is_some();
    let unset = configuration.unset_tokens.iter();
    let mut variables: Vec<String> = unset
        .filter(|unset| match unset.path.as_slice() {
            [section, _] => section == "remote" && !has_token,
            [_, name, _] => tokens.of_repository.is_none() && RemotesKey::parse(name).is_for(url),
            _ => false,
        })
        .map(|unset| unset.variable.clone())
        .collect();
    variables.sort();
    variables.dedup();
    variables
}
