//! Which token is sent to the remote. Each token has the host that its own layer gave it: a layer that a checkout brings
//! along cannot send the user's tokens elsewhere.

use super::{Resolver, given};
use crate::config::location::Authority;
use crate::config::tree::Node;
use crate::config::{LayerKind, Origin, Problem};
use crate::secret::Secret;
use crate::token_host::TokenHost;
use crate::url::RemoteUrl;

/// The tokens that may be sent to the remote.
#[derive(Default)]
pub(super) struct Tokens {
    /// `remote.token`.
    pub(super) of_remote: Option<Secret>,
    /// The token of the remote's entry in `remotes`.
    pub(super) of_repository: Option<Secret>,
    /// Tokens that are for another host, and for which one.
    pub(super) unused: Vec<String>,
    /// Whether one of the tokens is the user's own.
    of_user: bool,
}

/// The name of an entry of `remotes`: `ORG/REPO`, or `HOST/ORG/REPO`.
pub(super) struct Entry<'n> {
    host: Option<TokenHost>,
    repository: &'n str,
}

impl<'n> Entry<'n> {
    pub(super) fn parse(name: &'n str) -> Self {
        let with_host = name.split_once('/').and_then(|(first, rest)| {
            // A group of GitLab has no dot in its name, and no port.
            let is_host =
                rest.contains('/') && (first.contains(['.', ':']) || first == "localhost");
            Some((first.parse().ok().filter(|_| is_host)?, rest))
        });
        match with_host {
            Some((host, repository)) => Self {
                host: Some(host),
                repository,
            },
            None => Self {
                host: None,
                repository: name,
            },
        }
    }

    /// Whether the entry names the repository at `url`, on whatever host.
    pub(super) fn is_for(&self, url: &RemoteUrl) -> bool {
        self.repository.eq_ignore_ascii_case(&url.repository())
    }
}

impl Resolver<'_> {
    /// The tokens for the remote at `url`. A token that is pinned to another host is a problem.
    pub(super) fn tokens(&mut self, url: &RemoteUrl) -> Tokens {
        let mut tokens = Tokens::default();
        self.remote_token(url, &mut tokens);
        self.repository_token(url, &mut tokens);
        tokens
    }

    /// `remote.token`, of the highest layer that gives one.
    fn remote_token(&mut self, url: &RemoteUrl, tokens: &mut Tokens) {
        let Some(token) = self.node(&["remote", "token"], |_| true) else {
            return;
        };
        let (secret, at) = (token.as_text().map(Secret::new), token.at.clone());
        let authority = at.source.authority();

        // Tokens are for http, and a URL with a password of its own needs none.
        let is_sent = url.is_http() && url.credentials().is_none();
        let pin = self.token_host(authority);
        if let Some((host, pinned_at)) = &pin {
            if is_sent && !host.is_of(url) {
                let message = format!(
                    "`remote.token_host` is `{host}`, but the remote is on `{}`: the token is not sent there",
                    url.host_or_path()
                );
                let hint = "correct `remote.url` or `remote.token_host`";
                let problem = Problem::new(message).key("remote.token_host").hint(hint);
                self.wrong(problem.at(pinned_at));
                return;
            }
        } else if authority == Authority::User {
            let Some(own) = self.users_own_url() else {
                self.wrong(without_host(&at));
                return;
            };
            if !TokenHost::of(&own).is_some_and(|host| host.is_of(url)) {
                let unused = format!(
                    "the token of `remote.token` in {at} is for `{}` alone",
                    own.host_or_path()
                );
                tokens.unused.push(unused);
                return;
            }
        }
        tokens.of_user |= authority == Authority::User;
        tokens.of_remote = secret;
    }

    /// The host that a token of this authority is pinned to, and where. A pin of the workspace does not replace one of
    /// the user or of the run, and gives no host to a token of the user.
    fn token_host(&self, authority: Authority) -> Option<(TokenHost, Origin)> {
        let key = ["remote", "token_host"];
        let is_users = |node: &Node| node.at.source.authority().is_users();
        let node = match authority {
            Authority::User => self.node(&key, is_users),
            // The user's pin is for the user's token.
            Authority::Workspace => self.node(&key, |node| node.at.source.layer != LayerKind::User),
            Authority::Run | Authority::BuiltIn => self
                .node(&key, is_users)
                .or_else(|| self.node(&key, |_| true)),
        }?;
        Some((node.as_text()?.trim().parse().ok()?, node.at.clone()))
    }

    /// `remote.url` of the user's own file.
    fn users_own_url(&self) -> Option<RemoteUrl> {
        let node = self.node(&["remote", "url"], |node| {
            node.at.source.layer == LayerKind::User
        })?;
        RemoteUrl::parse(node.as_text()?, &node.at.source.base).ok()
    }

    /// The token of the entry of `remotes` that names this repository, of the highest layer that has one for its host.
    fn repository_token(&self, url: &RemoteUrl, tokens: &mut Tokens) {
        let candidates = self.configuration.layers.candidates(&["remotes"]);
        let entries = candidates
            .iter()
            .filter_map(|candidate| candidate.node.as_map())
            .flatten();
        for (name, entry) in entries {
            let parsed = Entry::parse(name);
            let Some(token) = entry.node.get(&["token"]).filter(|_| parsed.is_for(url)) else {
                continue;
            };
            let authority = token.at.source.authority();
            let named = entry.node.get(&["host"]).and_then(Node::as_text);
            let named = named
                .and_then(|host| host.trim().parse().ok())
                .or(parsed.host);
            let host = match authority {
                Authority::User => Some(named.unwrap_or_else(TokenHost::github)),
                _ => named,
            };

            if let Some(host) = host.filter(|host| url.is_http() && !host.is_of(url)) {
                let unused = format!(
                    "the token of `remotes` in {} is for `{host}` alone",
                    token.at
                );
                tokens.unused.push(unused);
                continue;
            }
            tokens.of_user |= authority == Authority::User;
            tokens.of_repository = token.as_text().map(Secret::new);
            return;
        }
    }

    /// Whether a token may be sent over plain http. A workspace allows it for its own tokens and those of the run, not
    /// for those of the user, `GITHUB_TOKEN` or `GH_TOKEN`.
    pub(super) fn allows_insecure(&self, tokens: &Tokens, url: &RemoteUrl) -> bool {
        let allowed = given(self.raw().remote.allow_insecure, "remote.allow_insecure");
        let origin = self.configuration.origin_of(&["remote", "allow_insecure"]);
        let by_user = origin.is_some_and(|at| at.source.authority().is_users());
        let has_token = tokens.of_remote.is_some()
            || tokens.of_repository.is_some()
            || url.credentials().is_some();
        allowed && (by_user || (has_token && !tokens.of_user))
    }

    /// The value at `path` of the highest layer whose value is `wanted`.
    fn node(&self, path: &[&str], wanted: impl Fn(&Node) -> bool) -> Option<&Node> {
        let candidates = self.configuration.layers.candidates(path);
        candidates
            .into_iter()
            .map(|candidate| candidate.node)
            .find(|node| wanted(node))
    }
}

fn without_host(at: &Origin) -> Problem {
    let message = "`remote.token` in the user's file has no host: a workspace must not choose where it is sent";
    Problem::new(message).key("remote.token").at(at).hint(
        "add `remote.token_host: HOST` to that file, or the token to the workspace that it is for",
    )
}
