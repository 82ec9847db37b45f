//! The names of the organization and of the codex: from the options, the checkouts' own files, a
//! checkout of the codex, or the checkouts' remotes, in this order.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::checkout::{CODEX_PREFIX, Checkout, OwnKeys};
use crate::cli::args::InitArgs;
use crate::masked_urls::mask_urls;
use crate::names::is_owner;
use crate::paths::shown;
use crate::url::RemoteUrl;

/// A value, and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Detected {
    pub(super) value: String,
    pub(super) from: String,
}

impl Detected {
    pub(super) fn new(value: impl Into<String>, from: impl Into<String>) -> Self {
        Self {
            value: value.into(),
            from: from.into(),
        }
    }

    fn of_option(option: &str, value: Option<&String>) -> Option<Self> {
        Some(Self::new(value?, format!("`{option}`")))
    }
}

/// The names of the codex.
#[derive(Debug, Default)]
pub(super) struct CodexNames {
    /// The organization, if it is known.
    pub(super) organization: Option<Detected>,
    /// Why the organization is unknown, if there is more to say than that.
    pub(super) undetected: Option<String>,
    /// The name of the codex's repository. Without one, it is `codex.ORGANIZATION.com`.
    repository: Option<Detected>,
    /// The URL of the codex. Without one, it is on github.com.
    url: Option<Detected>,
    /// Other repositories on the server of the checkouts, if that is not github.com.
    server: Option<RepositoryHost>,
    /// What was left out of the URL.
    pub(super) remark: Option<String>,
}

/// A server, and how the repositories of an organization are addressed there.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct RepositoryHost {
    host: String,
    /// The URL of a repository up to its name.
    base: String,
    /// The end of the URL: `.git` or nothing.
    ending: &'static str,
}

impl CodexNames {
    /// Detects the names. `root` is the checkout of the directory itself, and `checkouts` are those
    /// below it. `codex` is a checkout of the codex.
    pub(super) fn detect(
        arguments: &InitArgs,
        root: &Checkout,
        checkouts: &[&Checkout],
        codex: Option<&Checkout>,
    ) -> Self {
        let all: Vec<&Checkout> = std::iter::once(root)
            .chain(checkouts.iter().copied())
            .collect();
        // The remotes of the checkouts only matter if the directory is not a checkout itself.
        let with_remotes = match root.url() {
            Some(_) => &all[..1],
            None => &all[1..],
        };

        let mut undetected = None;
        let organization = Detected::of_option("--organization", arguments.organization.as_ref())
            .or_else(|| {
                agreed(
                    &all,
                    "organization",
                    |own| &own.organization,
                    &mut undetected,
                )
            })
            .or_else(|| {
                let organization = codex?.organization().filter(|name| is_owner(name))?;
                Some(Detected::new(organization, origin_of(codex?)))
            })
            .or_else(|| of_remotes(root, with_remotes, &mut undetected));
        let repository = Detected::of_option("--codex-repo", arguments.codex_repo.as_ref())
            .or_else(|| agreed(&all, "codex_repo", |own| &own.codex_repo, &mut None))
            .or_else(|| Some(Detected::new(codex?.repository_name(), origin_of(codex?))));
        let url = Detected::of_option("--url", arguments.url.as_ref())
            .or_else(|| agreed(&all, "remote.url", |own| &own.url, &mut None))
            .or_else(|| Some(Detected::new(codex?.url()?.shared(), origin_of(codex?))));
        let server = server_of(with_remotes);
        let source = match (&url, codex) {
            (Some(_), Some(codex)) => codex.url(),
            _ => with_remotes.iter().find_map(|one| one.url()),
        };
        let remark = source
            .filter(|_| url.is_some() || server.is_some())
            .and_then(left_out_user);

        let unreadable = all.iter().find_map(|one| one.remote.as_ref().err());
        Self {
            undetected: match &organization {
                Some(_) => None,
                None => undetected
                    .or_else(|| unreadable.map(ToString::to_string))
                    .or_else(|| all.iter().find_map(|one| unusable_origin(one))),
            },
            organization,
            repository,
            url,
            server,
            remark,
        }
    }

    /// The name of the codex's repository, if it can be known.
    pub(super) fn repository(&self) -> Option<Detected> {
        self.repository.clone().or_else(|| {
            let organization = &self.organization.as_ref()?.value;
            let name = format!("{CODEX_PREFIX}{organization}.com");
            Some(Detected::new(name, "the default name"))
        })
    }

    /// The URL of the codex, if it is not the default one on github.com.
    pub(super) fn url(&self) -> Option<Detected> {
        let is_default = |url: &Detected| {
            self.default_url()
                .is_some_and(|default| default == url.value)
        };
        if let Some(url) = &self.url {
            return Some(url.clone()).filter(|url| !is_default(url));
        }
        let server = self.server.as_ref()?;
        let repository = self.repository()?.value;
        let url = format!("{}/{repository}{}", server.base, server.ending);
        Some(Detected::new(
            url,
            format!("the server of the checkouts, {}", server.host),
        ))
    }

    /// The URL that is used without `remote.url`.
    pub(super) fn default_url(&self) -> Option<String> {
        let organization = &self.organization.as_ref()?.value;
        let repository = self.repository()?.value;
        Some(format!(
            "https://github.com/{organization}/{repository}.git"
        ))
    }
}

/// The checkout of the codex among `checkouts`: the one with the name that the other checkouts'
/// files give, or else the only one whose name begins as that of a codex.
pub(super) fn codex_among<'c>(
    arguments: &InitArgs,
    root: &Checkout,
    checkouts: &'c [Checkout],
) -> Option<&'c Checkout> {
    let all: Vec<&Checkout> = std::iter::once(root).chain(checkouts).collect();
    let given = arguments.codex_repo.clone();
    let given = given.or_else(|| {
        let detected = agreed(&all, "codex_repo", |own| &own.codex_repo, &mut None)?;
        Some(detected.value)
    });
    let mut found = checkouts.iter().filter(|one| {
        let name = one.repository_name();
        match &given {
            Some(given) => name == *given,
            None => name.len() > CODEX_PREFIX.len() && name.starts_with(CODEX_PREFIX),
        }
    });
    let first = found.next()?;
    found.next().is_none().then_some(first)
}

/// The value of a key that the checkouts' own files agree on. If they do not, `disagreement` says
/// so.
fn agreed(
    checkouts: &[&Checkout],
    key: &str,
    of: impl Fn(&OwnKeys) -> &Option<String>,
    disagreement: &mut Option<String>,
) -> Option<Detected> {
    let values: BTreeSet<&String> = checkouts
        .iter()
        .filter_map(|one| of(&one.own).as_ref())
        .collect();
    let mut values = values.into_iter();
    let (first, second) = (values.next()?, values.next());
    if let Some(second) = second {
        *disagreement = Some(format!(
            "`{key}` is `{first}` and `{second}` in the checkouts' own files"
        ));
        return None;
    }
    let giver = checkouts
        .iter()
        .find(|one| of(&one.own).as_ref() == Some(first))?;
    let place = giver.directory.join(".fractary");
    Some(Detected::new(
        first,
        format!("`{key}` in {}", place.display()),
    ))
}

/// The organization that the remotes agree on. If they do not, `disagreement` says so.
fn of_remotes(
    root: &Checkout,
    checkouts: &[&Checkout],
    disagreement: &mut Option<String>,
) -> Option<Detected> {
    if disagreement.is_some() {
        return None;
    }
    let mut organizations: BTreeSet<_> = checkouts
        .iter()
        .filter_map(|one| one.organization())
        .collect();
    // Forges ignore the case of names. Of several spellings, the first one is used.
    let mut spellings = BTreeSet::new();
    organizations.retain(|name| spellings.insert(name.to_lowercase()));
    if let Some(name) = organizations.iter().find(|name| !is_owner(name)) {
        *disagreement = Some(format!(
            "`{}` in the URL of a remote cannot be the name of one",
            mask_urls(name)
        ));
        return None;
    }
    match organizations.iter().collect::<Vec<_>>().as_slice() {
        [] => None,
        [only] if root.url().is_some() => {
            Some(Detected::new(*only, "the remote of this repository"))
        }
        [only] => Some(Detected::new(*only, "the remotes of the checkouts")),
        several => {
            let names: Vec<_> = several
                .iter()
                .take(5)
                .map(|name| format!("`{name}`"))
                .collect();
            let names = names.join(", ");
            *disagreement = Some(format!(
                "the remotes of the checkouts have several: {names}"
            ));
            None
        }
    }
}

/// The server that all remotes are on, unless it is github.com.
fn server_of(checkouts: &[&Checkout]) -> Option<RepositoryHost> {
    let remotes: Vec<&RemoteUrl> = checkouts.iter().filter_map(|one| one.url()).collect();
    let servers: BTreeSet<RepositoryHost> =
        remotes.into_iter().filter_map(RepositoryHost::of).collect();
    let mut servers = servers.into_iter();
    let only = servers.next().filter(|_| servers.len() == 0)?;
    (only.host != "github.com").then_some(only)
}

impl RepositoryHost {
    fn of(remote: &RemoteUrl) -> Option<Self> {
        let url = remote.shared();
        // This would be read as a variable.
        let url = Some(url.trim_end_matches('/')).filter(|url| !url.contains("${"))?;
        let (base, name) = url.rsplit_once('/')?;
        Some(Self {
            host: remote.forge_host()?,
            base: base.to_owned(),
            ending: if name.ends_with(".git") { ".git" } else { "" },
        })
    }
}

/// The remark about the user of an ssh URL, which is written without it: others would connect as that
/// person. The name is not shown, because it can be a token.
fn left_out_user(url: &RemoteUrl) -> Option<String> {
    let is_left_out = url.is_ssh() && url.shared() != url.without_secrets();
    is_left_out.then(|| {
        "`remote.url` is written without the user of the remote `origin`: each user's ssh configuration can name one"
            .to_owned()
    })
}

/// Why the remote of a checkout does not name an organization. The URL is not shown, because it can
/// contain a password.
fn unusable_origin(checkout: &Checkout) -> Option<String> {
    let reason = checkout.unusable_origin.as_ref()?;
    let directory = match checkout.directory.as_os_str().is_empty() {
        true => String::new(),
        false => format!(" in `{}`", shown(&checkout.directory)),
    };
    Some(format!("the remote `origin`{directory}: {reason}"))
}

/// The checkout of the codex, as the origin of a value.
fn origin_of(codex: &Checkout) -> String {
    let directory: PathBuf = codex.directory.clone();
    format!("the checkout of the codex, {}", directory.display())
}
