//! Resolves the settings of the forge: the URL of its API, the name of the repository, and the
//! tokens for it.

use std::path::Path;

use super::findings::Findings;
use super::tokens;
use crate::config::layers::with_default;
use crate::config::{Configuration, Problem};
use crate::names::is_repository_name;
use crate::paths::escaped;
use crate::url::RemoteUrl;
use crate::workspace::settings::{ForgeSettings, Remote};

/// Resolves the forge that hosts `remote`.
pub(super) fn resolve(
    configuration: &Configuration,
    remote: &Remote,
    findings: &mut Findings,
) -> ForgeSettings {
    let raw = &configuration.raw.forge;
    let api = raw
        .api
        .as_ref()
        .and_then(|text| api(configuration, text, findings));
    let repository = raw.repository.clone().filter(|name| {
        let is_valid = is_repository_name(name);
        if !is_valid {
            let message = format!(
                "`forge.repository`: `{}` is not the name of a repository",
                escaped(name.as_bytes())
            );
            let problem = Problem::new(message)
                .key("forge.repository")
                .hint("use `OWNER/NAME`, as in the address of the repository's page");
            let at = configuration.origin_of(&["forge", "repository"]);
            findings.error(problem.maybe_at(at));
        }
        is_valid
    });
    let tokens = tokens::for_forge(configuration, &remote.url, api.as_ref(), findings);
    ForgeSettings {
        kind: with_default(raw.kind, "forge.kind"),
        api,
        repository,
        allow_insecure: tokens::allow_insecure_api(configuration, &tokens, remote),
        token: tokens.own,
        takes_remote_token: tokens.takes_remote_token,
        unused_tokens: tokens.unused,
    }
}

fn api(configuration: &Configuration, text: &str, findings: &mut Findings) -> Option<RemoteUrl> {
    let parsed = RemoteUrl::parse(text, Path::new("/"));
    let url = parsed
        .ok()
        .filter(|url| url.is_http() && !text.contains(['?', '#', '@']));
    if url.is_none() {
        let problem = Problem::new("`forge.api` is not an http URL without user, query and fragment")
            .key("forge.api")
            .hint("the API is at `https://HOST/api/v3` (GitHub Enterprise Server), `https://HOST/api/v4` (GitLab) or `https://HOST/api/v1` (Gitea, Forgejo)");
        findings.error(problem.maybe_at(configuration.origin_of(&["forge", "api"])));
    }
    url
}
