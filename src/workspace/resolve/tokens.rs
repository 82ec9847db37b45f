//! Decides which tokens of the configuration may be sent to the remote and to the API of its forge.
//!
//! Each token is for the host that its own layer gives, so that a layer from a checkout cannot send
//! the user's tokens to another host. SECURITY.md has the table.

use super::findings::Findings;
use crate::config::layers::with_default;
use crate::config::location::Authority;
use crate::config::tree::{Map, Node};
use crate::config::{Configuration, LayerKind, Origin, Problem};
use crate::secret::Secret;
use crate::token_host::TokenHost;
use crate::url::RemoteUrl;
use crate::workspace::settings::Remote;

/// The tokens that may be sent to the remote.
#[derive(Default)]
pub(super) struct Tokens {
    /// The token of `remote.token`.
    pub(super) of_remote: Option<Secret>,
    /// The token of the remote's entry in `remotes`.
    pub(super) of_repository: Option<Secret>,
    /// Descriptions of tokens that are for another host.
    pub(super) unused: Vec<String>,
    /// Whether one of the tokens, or the password in the URL, comes from the user's own file.
    has_users: bool,
}

/// A key of `remotes`: `ORG/REPO`, or `HOST/ORG/REPO`.
pub(super) struct RemotesKey<'n> {
    host: Option<TokenHost>,
    repository: &'n str,
}

impl<'n> RemotesKey<'n> {
    pub(super) fn parse(name: &'n str) -> Self {
        let without_host = Self {
            host: None,
            repository: name,
        };
        let Some((first, rest)) = name.split_once('/') else {
            return without_host;
        };
        // A group of GitLab has neither a dot nor a port in its name.
        let is_host = rest.contains('/') && (first.contains(['.', ':']) || first == "localhost");
        match first.parse() {
            Ok(host) if is_host => Self {
                host: Some(host),
                repository: rest,
            },
            _ => without_host,
        }
    }

    /// Whether the key names the repository of `url`, on any host.
    pub(super) fn is_for(&self, url: &RemoteUrl) -> bool {
        self.repository.eq_ignore_ascii_case(&url.repository())
    }
}

/// Chooses the tokens for the remote at `url`. A token that is pinned to another host is an error.
pub(super) fn for_remote(
    configuration: &Configuration,
    url: &RemoteUrl,
    findings: &mut Findings,
) -> Tokens {
    let mut tokens = Tokens {
        has_users: url.credentials().is_some() && is_users_own_url(configuration),
        ..Tokens::default()
    };
    add_remote_token(configuration, url, &mut tokens, findings);
    add_repository_token(configuration, url, &mut tokens);
    tokens
}

/// Adds the token of `remote.token` from the highest layer that gives one.
fn add_remote_token(
    configuration: &Configuration,
    url: &RemoteUrl,
    tokens: &mut Tokens,
    findings: &mut Findings,
) {
    let Some(token) = configuration.layers.value(&["remote", "token"]) else {
        return;
    };
    let authority = token.at.source.authority();

    if let Some((host, pinned_at)) = pinned_host(configuration, authority) {
        // Tokens are only sent over http, and not if the URL contains a password.
        let is_sent = url.is_http() && url.credentials().is_none();
        if is_sent && !host.is_of(url) {
            let message = format!(
                "`remote.token_host` is `{host}`, but the remote is on `{}`: the token is not sent there",
                url.host_or_path()
            );
            let hint = "correct `remote.url` or `remote.token_host`";
            let problem = Problem::new(message).key("remote.token_host").hint(hint);
            findings.error(problem.at(&pinned_at));
            return;
        }
    } else if authority == Authority::User {
        let Some(own) = users_own_url(configuration) else {
            findings.error(token_without_host("remote.token", &token.at));
            return;
        };
        if !TokenHost::of(&own).is_some_and(|host| host.is_of(url)) {
            tokens.unused.push(format!(
                "the token of `remote.token` in {} is only for `{}`",
                token.at,
                own.host_or_path()
            ));
            return;
        }
    }
    tokens.has_users |= authority == Authority::User;
    tokens.of_remote = token.as_text().map(Secret::new);
}

/// The host to which `remote.token_host` pins a token of this authority, with its origin.
///
/// A pin of the workspace does not replace a pin of the user or of the run, and gives no host to a
/// token of the user. A pin of the user is only for the user's token.
fn pinned_host(configuration: &Configuration, authority: Authority) -> Option<(TokenHost, Origin)> {
    let pins = configuration.layers.candidates(&["remote", "token_host"]);
    let first = |is_wanted: &dyn Fn(&Origin) -> bool| {
        let mut nodes = pins.iter().map(|candidate| candidate.node);
        nodes.find(|node| is_wanted(&node.at))
    };
    let is_user_or_run = |at: &Origin| at.source.authority().is_user_or_run();
    let pin = match authority {
        Authority::User => first(&is_user_or_run),
        Authority::Workspace => first(&|at| at.source.layer != LayerKind::User),
        Authority::Run | Authority::BuiltIn => first(&is_user_or_run).or_else(|| first(&|_| true)),
    }?;
    Some((pin.as_text()?.trim().parse().ok()?, pin.at.clone()))
}

/// The value of `remote.url` in the user's own file.
fn users_own_url(configuration: &Configuration) -> Option<RemoteUrl> {
    let urls = configuration.layers.candidates(&["remote", "url"]);
    let url = urls
        .into_iter()
        .find(|candidate| candidate.layer == LayerKind::User)?;
    RemoteUrl::parse(url.node.as_text()?, &url.node.at.source.base).ok()
}

/// Whether the value of `remote.url` that is in effect is the one in the user's own file.
fn is_users_own_url(configuration: &Configuration) -> bool {
    let origin = configuration.origin_of(&["remote", "url"]);
    origin.is_some_and(|at| at.source.authority() == Authority::User)
}

fn token_without_host(key: &str, at: &Origin) -> Problem {
    let message = format!(
        "`{key}` in the user's file has no host: a workspace must not choose where it is sent"
    );
    Problem::new(message).key(key).at(at).hint(
        "add `remote.token_host: HOST` to that file, or move the token to the workspace that it is for",
    )
}

/// Adds the token of the entry of `remotes` that names this repository, from the highest layer that
/// has one for its host.
fn add_repository_token(configuration: &Configuration, url: &RemoteUrl, tokens: &mut Tokens) {
    let remotes = configuration.layers.candidates(&["remotes"]);
    let entries = remotes
        .iter()
        .filter_map(|candidate| candidate.node.as_map())
        .flat_map(Map::iter);
    for (name, entry) in entries {
        let key = RemotesKey::parse(name);
        let Some(token) = entry.node.get(&["token"]).filter(|_| key.is_for(url)) else {
            continue;
        };

        let authority = token.at.source.authority();
        let host = entry
            .node
            .get(&["host"])
            .and_then(Node::as_text)
            .and_then(|host| host.trim().parse().ok())
            .or(key.host)
            // A token of the user must have a host.
            .or_else(|| (authority == Authority::User).then(TokenHost::github));
        if let Some(host) = host.filter(|host| url.is_http() && !host.is_of(url)) {
            tokens.unused.push(format!(
                "the token of `remotes` in {} is only for `{host}`",
                token.at
            ));
            continue;
        }
        tokens.has_users |= authority == Authority::User;
        tokens.of_repository = token.as_text().map(Secret::new);
        return;
    }
}

/// The tokens that may be sent to the API of the forge.
#[derive(Default)]
pub(super) struct ForgeTokens {
    /// The token of `forge.token`.
    pub(super) own: Option<Secret>,
    /// Whether the tokens of the remote may be sent to the API.
    pub(super) takes_remote_token: bool,
    /// Descriptions of tokens that may not be sent to the API.
    pub(super) unused: Vec<String>,
    /// Whether `own` comes from the user's own file.
    is_users: bool,
}

/// Chooses the tokens for the API of the forge that hosts the remote at `url`. `api` is the value of
/// `forge.api`; `None` is the API of the remote's host.
///
/// A token of the user or of the run is sent to the API of the host that it is for, or to an API
/// that the user or the run names. A workspace decides about its own `forge.token` alone.
pub(super) fn for_forge(
    configuration: &Configuration,
    url: &RemoteUrl,
    api: Option<&RemoteUrl>,
    findings: &mut Findings,
) -> ForgeTokens {
    let chosen_at = configuration.origin_of(&["forge", "api"]);
    let is_user_or_run = chosen_at.is_none_or(|at| at.source.authority().is_user_or_run());
    let is_trusted = is_user_or_run || api.is_none_or(|api| is_api_of_host(api, url));

    let mut tokens = ForgeTokens {
        takes_remote_token: is_trusted && is_remote_token_for_api(configuration, url),
        ..ForgeTokens::default()
    };
    if let (false, Some(api)) = (is_trusted, api) {
        tokens.unused.push(format!(
            "the tokens of the remote are not sent to `{}`, which the workspace chose in `forge.api`",
            api.host_or_path()
        ));
    }

    let Some(token) = configuration.layers.value(&["forge", "token"]) else {
        return tokens;
    };
    let authority = token.at.source.authority();
    if authority != Authority::Workspace && !is_trusted {
        let message = "`forge.api` is not the API of the remote's host: `forge.token` is not sent to an API that a workspace chose";
        let hint = "set `forge.api` where `forge.token` is set, or remove it";
        let problem = Problem::new(message).key("forge.api").hint(hint);
        findings.error(problem.maybe_at(chosen_at));
        return tokens;
    }
    if authority == Authority::User {
        let pin = pinned_host(configuration, authority).map(|(host, _)| host);
        let own = || users_own_url(configuration).and_then(|url| TokenHost::of_forge(&url));
        let Some(host) = pin.or_else(own) else {
            findings.error(token_without_host("forge.token", &token.at));
            return tokens;
        };
        if !host.is_of_forge(url) {
            tokens.unused.push(format!(
                "the token of `forge.token` in {} is only for `{host}`",
                token.at
            ));
            return tokens;
        }
    }
    tokens.is_users = authority == Authority::User;
    tokens.own = token.as_text().map(Secret::new);
    tokens
}

/// Whether `remote.token` is for the host of `url`, also if the remote is reached over ssh. Over
/// http, it is not among the tokens of the remote otherwise.
fn is_remote_token_for_api(configuration: &Configuration, url: &RemoteUrl) -> bool {
    let token = configuration.layers.value(&["remote", "token"]);
    let pin = token.and_then(|token| pinned_host(configuration, token.at.source.authority()));
    url.is_http() || pin.is_none_or(|(host, _)| host.is_of_forge(url))
}

/// Whether the server of the URL `api` has the API of the forge that hosts the remote at `url`: the
/// same server, or the one that GitHub has for its API.
fn is_api_of_host(api: &RemoteUrl, url: &RemoteUrl) -> bool {
    let (Some(api_host), Some(host)) = (api.forge_host(), url.forge_host()) else {
        return false;
    };
    if url.github_api_host().as_ref() == Some(&api_host) {
        return !api.is_plain_http() && api.port().is_none_or(|port| port == 443);
    }
    if url.is_http() {
        return api.has_origin_of(url);
    }
    api_host == host && !api.is_plain_http() && api.port().is_none_or(|port| port == 443)
}

/// Whether a token, or the password in `url`, may be sent over plain http to the remote at `url`.
///
/// A workspace can allow it for its own tokens and passwords, and for those of the run. It cannot
/// allow it for those of the user's own file, nor for `GITHUB_TOKEN` and `GH_TOKEN`.
pub(super) fn allow_insecure(
    configuration: &Configuration,
    tokens: &Tokens,
    url: &RemoteUrl,
) -> bool {
    let has_token =
        tokens.of_remote.is_some() || tokens.of_repository.is_some() || url.credentials().is_some();
    allows_insecure(configuration, has_token && !tokens.has_users)
}

/// Whether a token may be sent over plain http to the API of the forge that hosts `remote`. The rule
/// for the remote counts here for the token that is sent to the API.
pub(super) fn allow_insecure_api(
    configuration: &Configuration,
    tokens: &ForgeTokens,
    remote: &Remote,
) -> bool {
    let can_workspace_allow = if tokens.own.is_some() {
        !tokens.is_users
    } else {
        // Without a token of its own, a remote over ssh has the token of the job at most.
        remote.allow_insecure && (remote.url.is_http() || remote.token.is_some())
    };
    allows_insecure(configuration, can_workspace_allow)
}

/// Whether the user or the run allows that any token is sent over plain http.
pub(super) fn allow_insecure_by_user(configuration: &Configuration) -> bool {
    allows_insecure(configuration, false)
}

/// Whether `remote.allow_insecure` is set by the user or the run, or by a workspace that can allow
/// it for this token.
fn allows_insecure(configuration: &Configuration, can_workspace_allow: bool) -> bool {
    let allowed = configuration.raw.remote.allow_insecure;
    let origin = configuration.origin_of(&["remote", "allow_insecure"]);
    let is_user_or_run = origin.is_some_and(|at| at.source.authority().is_user_or_run());
    with_default(allowed, "remote.allow_insecure") && (is_user_or_run || can_workspace_allow)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn api_of_a_host_is_on_its_server_or_that_of_github() {
        for (api, remote, expected) in [
            ("https://api.github.com", "https://github.com/a/b.git", true),
            ("https://api.github.com", "git@github.com:a/b.git", true),
            ("https://api.acme.ghe.com", "https://acme.ghe.com/a/b", true),
            ("https://api.github.com", "https://acme.ghe.com/a/b", false),
            ("https://api.acme.ghe.com", "https://github.com/a/b", false),
            ("http://api.github.com", "https://github.com/a/b", false),
            (
                "https://api.github.com:8443",
                "https://github.com/a/b",
                false,
            ),
            (
                "https://api.git.acme.com",
                "https://git.acme.com/a/b",
                false,
            ),
            (
                "https://git.acme.com/api/v4",
                "https://git.acme.com/a/b",
                true,
            ),
            (
                "https://git.acme.com/api/v4",
                "ssh://git@git.acme.com:2222/a/b",
                true,
            ),
            (
                "https://git.acme.com:8443/api/v4",
                "ssh://git@git.acme.com/a/b",
                false,
            ),
            (
                "https://git.acme.com:8443/api/v4",
                "https://git.acme.com/a/b",
                false,
            ),
            (
                "http://git.acme.com/api/v4",
                "https://git.acme.com/a/b",
                false,
            ),
            (
                "https://git.acme.com.evil.com/api/v4",
                "https://git.acme.com/a/b",
                false,
            ),
            ("https://git.acme.com/api/v4", "/srv/codex.git", false),
        ] {
            let parse = |text| RemoteUrl::parse(text, Path::new("/")).unwrap();
            let found = is_api_of_host(&parse(api), &parse(remote));
            assert_eq!(found, expected, "{api} {remote}");
        }
    }
}
