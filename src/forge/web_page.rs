//! The addresses of the pages on which a forge shows commits and files. Nothing is requested, so only
//! forges are known whose kind follows from the configuration or the host.

use std::path::Path;

use bstr::BStr;

use super::detection;
use super::place::ForgeKind;
use crate::environment::Environment;
use crate::names::is_repository_name;
use crate::object::ObjectId;
use crate::url::{RemoteUrl, percent_encoded};
use crate::workspace::Workspace;

/// The pages of one repository.
#[derive(Debug, Clone)]
pub(crate) struct WebPages {
    kind: ForgeKind,
    /// The address of the repository's own page.
    repository: String,
}

/// Knows the forge of the codex as it is configured, which source repositories may be on too.
#[derive(Debug, Clone)]
pub(crate) struct KnownForges {
    codex: Option<(ForgeKind, RemoteUrl)>,
}

impl KnownForges {
    /// Finds the kind of the forge of the codex, as far as that is possible without a request.
    pub(crate) fn new(workspace: &Workspace, environment: &Environment) -> Self {
        let url = &workspace.remote.url;
        let kind = detection::known_kind(workspace, environment);
        Self {
            codex: kind.map(|kind| (kind, url.clone())),
        }
    }

    /// Finds the forge of a codex of which only the URL is known.
    pub(crate) fn of_url(url: &RemoteUrl) -> Self {
        let host = url.forge_host();
        let kind = host.and_then(|host| detection::of_service(&host));
        Self {
            codex: kind.map(|kind| (kind, url.clone())),
        }
    }

    /// The pages of the codex; `None` if its forge is not known.
    pub(crate) fn of_codex(&self) -> Option<WebPages> {
        let (kind, url) = self.codex.as_ref()?;
        pages(*kind, url)
    }

    /// The pages of the repository with this URL, as a commit of the codex records it.
    pub(crate) fn of_source(&self, url: &str) -> Option<WebPages> {
        let url = RemoteUrl::parse(url, Path::new("/")).ok()?;
        let host = url.forge_host()?;
        let same_host = self
            .codex
            .as_ref()
            .filter(|(_, codex)| codex.forge_host().as_ref() == Some(&host));
        let kind = detection::of_service(&host).or(same_host.map(|(kind, _)| *kind))?;
        pages(kind, &url)
    }
}

fn pages(kind: ForgeKind, url: &RemoteUrl) -> Option<WebPages> {
    let server = detection::server_url(url)?;
    let path = url.repository_path()?;
    is_repository_name(&path).then(|| WebPages {
        kind,
        repository: format!("{server}/{path}"),
    })
}

impl WebPages {
    /// The page of the repository.
    pub(crate) fn repository(&self) -> &str {
        &self.repository
    }

    /// The page of a commit.
    pub(crate) fn commit(&self, id: ObjectId) -> String {
        let name = match self.kind {
            ForgeKind::GitHub | ForgeKind::Gitea => "commit",
            ForgeKind::GitLab => "-/commit",
        };
        format!("{}/{name}/{id}", self.repository)
    }

    /// The page of a directory in a commit; an empty path is the root of the repository.
    pub(crate) fn directory(&self, commit: ObjectId, path: &BStr) -> String {
        let name = match self.kind {
            ForgeKind::GitHub => "tree",
            ForgeKind::GitLab => "-/tree",
            ForgeKind::Gitea => "src/commit",
        };
        let path = percent_encoded(path, b"/-._~");
        let page = format!("{}/{name}/{commit}/{path}", self.repository);
        page.trim_end_matches('/').to_owned()
    }

    /// The page of a file in a commit.
    pub(crate) fn file(&self, commit: ObjectId, path: &BStr) -> String {
        let name = match self.kind {
            ForgeKind::GitHub => "blob",
            ForgeKind::GitLab => "-/blob",
            ForgeKind::Gitea => "src/commit",
        };
        let path = percent_encoded(path, b"/-._~");
        format!("{}/{name}/{commit}/{path}", self.repository)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_those_of_the_forge() {
        let known = KnownForges {
            codex: Some((
                ForgeKind::Gitea,
                RemoteUrl::parse("ssh://git@git.acme.com:2222/acme/codex", Path::new("/")).unwrap(),
            )),
        };
        let id = ObjectId([0x11; 20]);
        for (url, expected) in [
            (
                "https://github.com/a/b.git",
                Some("https://github.com/a/b/blob/ID/x%20y/%C3%A9.md"),
            ),
            (
                "github.com:a/b.git",
                Some("https://github.com/a/b/blob/ID/x%20y/%C3%A9.md"),
            ),
            (
                "https://gitlab.com/a/b/c",
                Some("https://gitlab.com/a/b/c/-/blob/ID/x%20y/%C3%A9.md"),
            ),
            (
                "https://git.acme.com/a/b",
                Some("https://git.acme.com/a/b/src/commit/ID/x%20y/%C3%A9.md"),
            ),
            ("https://other.example/a/b", None),
            ("https://github.com/a", None),
            ("https://github.com/a/b%0ac/<d>", None),
        ] {
            let found = known.of_source(url);
            let found = found.map(|pages| pages.file(id, "x y/\u{e9}.md".into()));
            let found = found.map(|page| page.replace(&id.to_string(), "ID"));
            assert_eq!(found.as_deref(), expected, "{url}");
        }
        let codex = known.of_codex().unwrap();
        let page = |path: &str| format!("https://git.acme.com/acme/codex/{path}");
        assert_eq!(codex.commit(id), page(&format!("commit/{id}")));
        for (directory, path) in [
            ("", format!("src/commit/{id}")),
            ("a b", format!("src/commit/{id}/a%20b")),
        ] {
            assert_eq!(codex.directory(id, directory.into()), page(&path));
        }
    }
}
