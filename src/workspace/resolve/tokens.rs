//! Chooses the tokens that are sent to the remote.
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

/// The tokens that may be sent to the remote.
#[derive(Default)]
pub(super) struct Tokens {
    /// The token of `remote.token`.
    pub(super) of_remote: Option<Secret>,
    /// The token of the remote's entry in `remotes`.
    pub(super) of_repository: Option<Secret>,
    /// Descriptions of tokens that are for another host.
    pub(super) unused: Vec<String>,
    /// Whether one of the tokens comes from the user's own file.
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
    let mut tokens = Tokens::default();
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
            findings.error(token_without_host(&token.at));
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
    let is_users = |at: &Origin| at.source.authority().is_users();
    let pin = match authority {
        Authority::User => first(&is_users),
        Authority::Workspace => first(&|at| at.source.layer != LayerKind::User),
        Authority::Run | Authority::BuiltIn => first(&is_users).or_else(|| first(&|_| true)),
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

fn token_without_host(at: &Origin) -> Problem {
    let message = "`remote.token` in the user's file has no host: a workspace must not choose where it is sent";
    Problem::new(message).key("remote.token").at(at).hint(
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

/// Whether a token may be sent over plain http to the remote at `url`. A workspace can allow it for
/// its own tokens and for those of the run, but not for those of the user, `GITHUB_TOKEN` and
/// `GH_TOKEN`.
pub(super) fn allow_insecure(
    configuration: &Configuration,
    tokens: &Tokens,
    url: &RemoteUrl,
) -> bool {
    let allowed = configuration.raw.remote.allow_insecure;
    let origin = configuration.origin_of(&["remote", "allow_insecure"]);
    let is_users = origin.is_some_and(|at| at.source.authority().is_users());
    let has_token =
        tokens.of_remote.is_some() || tokens.of_repository.is_some() || url.credentials().is_some();
    with_default(allowed, "remote.allow_insecure") && (is_users || (has_token && !tokens.has_users))
}
