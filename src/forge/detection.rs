//! Finds the forge that hosts the codex: its kind, the URL of its API, and the name of the
//! repository.
//!
//! The first of these that applies gives the kind: `forge.kind`; the host of a well-known service; the
//! variables of the CI system, if it runs on the same host; the server's responses to requests
//! without a token.

use std::path::Path;

use super::api::Api;
use super::error::ForgeError;
use super::place::{ForgeKind, ForgePlace};
use crate::environment::Environment;
use crate::names::is_repository_name;
use crate::url::RemoteUrl;
use crate::workspace::Workspace;

/// Hosts of forges without an implementation here, with the forge's name for the error.
const UNSUPPORTED: [(&str, &str); 6] = [
    ("dev.azure.com", "Azure DevOps"),
    ("ssh.dev.azure.com", "Azure DevOps"),
    ("visualstudio.com", "Azure DevOps"),
    ("bitbucket.org", "Bitbucket"),
    ("googlesource.com", "Gerrit"),
    ("gerrithub.io", "Gerrit"),
];

/// Finds the forge of the codex. `connect` makes a client without a token.
pub(super) fn find(
    workspace: &Workspace,
    environment: &Environment,
    connect: impl Fn(&ForgePlace) -> Result<Api, ForgeError>,
) -> Result<ForgePlace, ForgeError> {
    let settings = &workspace.forge;
    let url = &workspace.remote.url;
    let host = url.forge_host();
    let unknown = || ForgeError::UnknownKind {
        place: settings
            .api
            .as_ref()
            .map_or_else(|| url.host_or_path(), RemoteUrl::host_or_path),
    };

    if let (None, Some(forge)) = (chosen(workspace), host.as_deref().and_then(unsupported)) {
        return Err(ForgeError::Unsupported {
            forge,
            place: url.host_or_path(),
        });
    }
    let kind = match known_kind(workspace, environment) {
        Some(kind) => kind,
        None => probe(url, &connect)?.ok_or_else(unknown)?,
    };

    let api = match &settings.api {
        Some(api) => api.clone(),
        None => api_url(kind, url).ok_or_else(unknown)?,
    };
    let repository = repository(workspace, kind).ok_or_else(|| ForgeError::NoRepository {
        place: api.host_or_path(),
    })?;
    Ok(ForgePlace {
        kind,
        api,
        repository,
    })
}

/// The kind of the forge of the codex, if it is known without a request.
pub(super) fn known_kind(workspace: &Workspace, environment: &Environment) -> Option<ForgeKind> {
    let host = workspace.remote.url.forge_host();
    chosen(workspace)
        .or_else(|| of_service(host.as_deref()?))
        .or_else(|| of_variables(host.as_deref()?, environment))
        .or_else(|| of_api(workspace.forge.api.as_ref()?))
}

/// The kind that `forge.kind` selects.
fn chosen(workspace: &Workspace) -> Option<ForgeKind> {
    ForgeKind::all().find(|kind| kind.choice() == workspace.forge.kind)
}

/// The kind of the well-known service at `host`.
pub(super) fn of_service(host: &str) -> Option<ForgeKind> {
    ForgeKind::all().find(|kind| {
        let mut services = kind.services().iter();
        services.any(|name| is_at_or_below(host, name))
    })
}

/// The name of the forge at `host`, if it has no implementation here.
fn unsupported(host: &str) -> Option<&'static str> {
    let mut entries = UNSUPPORTED.iter();
    let found = entries.find(|(name, _)| is_at_or_below(host, name));
    found.map(|(_, forge)| *forge)
}

/// Whether `host` is `domain`, or a domain below it.
fn is_at_or_below(host: &str, domain: &str) -> bool {
    let above = host.strip_suffix(domain);
    above.is_some_and(|above| above.is_empty() || above.ends_with('.'))
}

/// The forge whose CI system runs this program, if the codex is on the same host.
fn of_variables(host: &str, environment: &Environment) -> Option<ForgeKind> {
    let kind = ForgeKind::all().find(|kind| {
        let (signs, _) = kind.ci_variables();
        signs.iter().any(|name| environment.get(name).is_some())
    })?;
    let (_, server) = kind.ci_variables();
    let server = RemoteUrl::parse(environment.get(server)?, Path::new("/")).ok()?;
    (server.forge_host().as_deref() == Some(host)).then_some(kind)
}

/// The kind of forge that has an API at this path.
fn of_api(api: &RemoteUrl) -> Option<ForgeKind> {
    let path = api.http_path()?;
    ForgeKind::all().find(|kind| path.ends_with(kind.api_path()))
}

/// Asks the server which forge it is, without a token.
fn probe(
    url: &RemoteUrl,
    connect: &impl Fn(&ForgePlace) -> Result<Api, ForgeError>,
) -> Result<Option<ForgeKind>, ForgeError> {
    for kind in ForgeKind::all() {
        let Some(api) = api_url(kind, url) else {
            return Ok(None);
        };
        let mut api = connect(&ForgePlace {
            kind,
            api,
            repository: String::new(),
        })?;
        if api.has_document(kind.document_of_kind())? {
            return Ok(Some(kind));
        }
    }
    Ok(None)
}

/// The default URL of the API of the host of `url`.
pub(crate) fn api_url(kind: ForgeKind, url: &RemoteUrl) -> Option<RemoteUrl> {
    let server = server_url(url)?;
    let service = match kind {
        ForgeKind::GitHub => url.github_api_host(),
        ForgeKind::GitLab | ForgeKind::Gitea => None,
    };
    let text = match service {
        Some(host) => format!("https://{host}"),
        None => format!("{server}{}", kind.api_path()),
    };
    RemoteUrl::parse(&text, Path::new("/")).ok()
}

/// The URL of the web server on the host of `url`, without a slash at the end. For ssh, it is the
/// default port of https.
pub(super) fn server_url(url: &RemoteUrl) -> Option<String> {
    let host = url.forge_host()?;
    let host = match host.contains(':') && !host.starts_with('[') {
        true => format!("[{host}]"),
        false => host,
    };
    Some(if url.is_http() {
        let port = url.port().map(|port| format!(":{port}"));
        format!("{}://{host}{}", url.protocol(), port.unwrap_or_default())
    } else {
        format!("https://{host}")
    })
}

/// The name of the repository on the forge: `forge.repository`, else the path of the remote's URL,
/// else `{organization}/{codex_repo}`. `None` if a path of the API cannot contain it.
fn repository(workspace: &Workspace, kind: ForgeKind) -> Option<String> {
    let is_valid = |name: &str| {
        is_repository_name(name) && (kind.has_nested_groups() || name.split('/').count() == 2)
    };
    if let Some(configured) = &workspace.forge.repository {
        return Some(configured.clone()).filter(|name| is_valid(name));
    }
    let of_workspace = || {
        let organization = workspace.organization.as_ref()?;
        let name = workspace.codex_repo.as_ref()?;
        Some(format!("{organization}/{name}"))
    };
    let name = repository_of(&workspace.remote.url, kind).or_else(of_workspace)?;
    is_valid(&name).then_some(name)
}

/// The name of the repository in the path of a URL; `None` if the path has less than two segments.
fn repository_of(url: &RemoteUrl, kind: ForgeKind) -> Option<String> {
    let path = url.repository_path()?;
    let segments: Vec<_> = path.split('/').filter(|part| !part.is_empty()).collect();
    let count = match kind.has_nested_groups() {
        // Groups nest to any depth. A server below a path needs `forge.repository`.
        true => segments.len(),
        false => 2,
    };
    (segments.len() >= 2).then(|| segments[segments.len() - count..].join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ForgeChoice;

    fn url(text: &str) -> RemoteUrl {
        RemoteUrl::parse(text, Path::new("/")).unwrap()
    }

    #[test]
    fn api_is_on_the_host_of_the_remote() {
        for (kind, remote, expected) in [
            (
                ForgeKind::GitHub,
                "https://github.com/a/b.git",
                "https://api.github.com",
            ),
            (
                ForgeKind::GitHub,
                "git@github.com:a/b.git",
                "https://api.github.com",
            ),
            (
                ForgeKind::GitHub,
                "ssh://git@ssh.github.com:443/a/b",
                "https://api.github.com",
            ),
            (
                ForgeKind::GitHub,
                "https://acme.ghe.com/a/b",
                "https://api.acme.ghe.com",
            ),
            (
                ForgeKind::GitHub,
                "https://git.acme.com/a/b",
                "https://git.acme.com/api/v3",
            ),
            (
                ForgeKind::GitLab,
                "https://GitLab.com/a/b/c.git",
                "https://gitlab.com/api/v4",
            ),
            (
                ForgeKind::GitLab,
                "ssh://git@h:2222/a/b",
                "https://h/api/v4",
            ),
            (
                ForgeKind::Gitea,
                "http://h:3000/a/b.git",
                "http://h:3000/api/v1",
            ),
        ] {
            let found = api_url(kind, &url(remote)).unwrap();
            assert_eq!(found.to_string(), expected, "{remote}");
        }
        assert!(api_url(ForgeKind::Gitea, &url("/srv/codex.git")).is_none());
    }

    #[test]
    fn services_are_known_by_their_host() {
        assert_eq!(of_service("github.com"), Some(ForgeKind::GitHub));
        assert_eq!(of_service("acme.ghe.com"), Some(ForgeKind::GitHub));
        assert_eq!(of_service("codeberg.org"), Some(ForgeKind::Gitea));
        assert_eq!(of_service("notgithub.com"), None);
        let found = unsupported("acme.visualstudio.com");
        assert_eq!(found, Some("Azure DevOps"));
    }

    #[test]
    fn each_kind_is_tried_once_and_has_its_own_value_of_forge_kind() {
        let choices: Vec<_> = ForgeKind::all().map(ForgeKind::choice).collect();
        assert_eq!(
            choices,
            [ForgeChoice::Gitea, ForgeChoice::Gitlab, ForgeChoice::Github]
        );
    }

    #[test]
    fn variables_of_the_ci_system_count_for_its_own_host() {
        let kind = |host: &str, variables: &[(&str, &str)]| {
            let pairs = variables.iter();
            let environment = pairs.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
            of_variables(host, &environment.collect())
        };
        let server = ("GITHUB_SERVER_URL", "https://git.acme.com");
        let github = ("GITHUB_ACTIONS", "true");
        assert_eq!(
            kind("git.acme.com", &[server, github]),
            Some(ForgeKind::GitHub)
        );
        assert_eq!(kind("git.other.com", &[server, github]), None);
        let forgejo = ("FORGEJO_ACTIONS", "true");
        assert_eq!(
            kind("git.acme.com", &[server, github, forgejo]),
            Some(ForgeKind::Gitea)
        );
        let gitlab = [
            ("GITLAB_CI", "true"),
            ("CI_SERVER_URL", "https://git.acme.com:8443"),
        ];
        assert_eq!(kind("git.acme.com", &gitlab), Some(ForgeKind::GitLab));
    }
}
