//! From the configuration to the workspace: what the keys mean, checked, with all problems told at once.

mod patterns;
mod projects;
mod tokens;

use std::path::{Path, PathBuf};

use crate::config::model::RawConfig;
use crate::config::problem::did_you_mean;
use crate::config::scalar::CacheSwitch;
use crate::config::tree::key_path;
use crate::config::{self, Configuration, LayerKind, LoadRequest, Problem, Problems, layers};
use crate::paths::{resolved, shown};
use crate::url::RemoteUrl;
use crate::workspace::template::{self, Unfilled};
use crate::workspace::{Author, CommitPolicy, Remote, Timeouts, Workspace};

/// Loads the configuration and resolves the workspace; every mistake of both is told.
///
/// ```
/// use fractary_codex::{config::LoadRequest, workspace};
///
/// # let root = tempfile::tempdir()?;
/// # std::fs::create_dir(root.path().join(".fractary"))?;
/// # let text = "codex: { organization: acme, codex_repo: codex, projects: { billing: {}, ledger: {} } }";
/// # std::fs::write(root.path().join(".fractary/config.yaml"), text)?;
/// # let cwd = root.path().to_owned();
/// let request = LoadRequest { cwd, config_arguments: vec!["jobs=2".to_owned()], ..LoadRequest::default() };
/// let (configuration, workspace) = workspace::load(&request).expect("no mistakes");
/// let names: Vec<_> = workspace.projects.iter().map(|project| project.name.as_str()).collect();
/// assert_eq!((names, workspace.jobs), (vec!["billing", "ledger"], 2));
///
/// let request = LoadRequest { config_arguments: vec!["jobs=many".to_owned()], ..request };
/// let problems = workspace::load(&request).map(drop).unwrap_err();
/// assert!(problems.iter().next().is_some_and(|problem| problem.to_string().contains("jobs")));
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn load(request: &LoadRequest) -> Result<(Configuration, Workspace), Problems> {
    let (mut configuration, mut problems) = config::gather(request);
    let mut resolver = Resolver {
        configuration: &configuration,
        problems: Vec::new(),
        warnings: Vec::new(),
    };
    let workspace = resolver.workspace();
    let (found, warnings) = (resolver.problems, resolver.warnings);
    configuration.warn(warnings);
    // What could not be read may be the very thing that seems to be missing.
    let complete = problems.is_empty();
    if complete && found.iter().any(|found| found.missing) && configuration.is_unconfigured() {
        return Err(nothing_given(&configuration).into());
    }
    problems.extend(
        found
            .into_iter()
            .filter(|problem| complete || !problem.missing)
            .map(|found| found.problem),
    );
    match (Problems::none_of(problems), workspace) {
        (Ok(()), Some(workspace)) => Ok((configuration, workspace)),
        (Err(problems), _) => Err(problems),
        (Ok(()), None) => Err(Problem::new("the configuration is incomplete").into()),
    }
}

/// Where nothing is given at all, one problem says more than a list of all that is required.
fn nothing_given(configuration: &Configuration) -> Problem {
    let example = "codex: { organization: acme, codex_repo: codex.acme.com, project: billing }";
    match configuration.file_origin() {
        Some(file) => Problem::new("the file has no section `codex`, or nothing in it")
            .at(&file)
            .hint(format!("the least that works: `{example}`")),
        None => Problem::new(
            "there is no configuration: no `.fractary/config.yaml` here or further up",
        )
        .hint("`fractary-codex init` writes one; `FRACTARY_CODEX_*` variables can stand for it"),
    }
}

struct Found {
    problem: Problem,
    /// Whether something is missing rather than wrong.
    missing: bool,
}

struct Resolver<'c> {
    configuration: &'c Configuration,
    problems: Vec<Found>,
    warnings: Vec<Problem>,
}

/// A value that the defaults guarantee.
fn given<T>(value: Option<T>, key: &str) -> T {
    value.unwrap_or_else(|| unreachable!("defaults.yaml has no `{key}`"))
}

impl Resolver<'_> {
    fn raw(&self) -> &RawConfig {
        &self.configuration.raw
    }

    fn wrong(&mut self, problem: Problem) {
        self.problems.push(Found {
            problem,
            missing: false,
        });
    }

    /// Something required is not there; the place is the workspace's file, if there is one.
    fn missing(&mut self, problem: Problem) {
        let origin = self.configuration.file_origin();
        let problem = match origin {
            Some(origin) => problem.at(&origin),
            None => problem,
        };
        self.problems.push(Found {
            problem,
            missing: true,
        });
    }

    fn at(&self, path: &[&str], problem: Problem) -> Problem {
        match self.configuration.origin_of(path) {
            Some(origin) => problem.at(origin),
            None => problem,
        }
    }

    fn workspace(&mut self) -> Option<Workspace> {
        let configuration = self.configuration;
        let branch = self.branch();
        let remote = self.remote(branch);
        let commit = self.commit();
        let (state_dir, shared_state_dir) = self.state_dirs();
        self.keep_inside("state.dir", &state_dir, &configuration.root);
        self.check_patterns();
        let branch = remote.as_ref().and_then(|remote| remote.branch.as_deref());
        let projects = self.projects(branch, &state_dir);
        let raw = &configuration.raw;
        Some(Workspace {
            root: configuration.root.clone(),
            organization: raw.organization.clone(),
            codex_repo: raw.codex_repo.clone(),
            environment: configuration.environment_name.clone(),
            remote: remote?,
            projects,
            commit,
            retries: given(raw.push.retries, "push.retries"),
            clone: given(raw.clone.strategy, "clone.strategy"),
            caches_published: self.caches_published(),
            cache_dir: self.cache_dir(),
            projects_vary: self.projects_vary(),
            state_dir,
            shared_state_dir,
            jobs: given(raw.jobs, "jobs").0,
        })
    }

    /// The branch that was chosen by environment or by name. `None` leaves it to the remote.
    fn branch(&mut self) -> Option<String> {
        let raw = self.raw();
        let Some(name) = &self.configuration.environment_name else {
            let branch = raw.remote.branch.clone()?;
            self.check_branch(&branch, &["remote", "branch"], "remote.branch");
            return Some(branch);
        };
        let environments = raw.sync.environments.clone().unwrap_or_default();
        let branch = environments.get(name).cloned();
        match &branch {
            None => {
                let shown = crate::paths::escaped(name.as_bytes()).to_string();
                let known: Vec<&str> = environments.keys().map(String::as_str).collect();
                let hint = did_you_mean(name, known.iter().copied());
                let hint =
                    hint.unwrap_or_else(|| format!("`sync.environments` has {}", known.join(", ")));
                let problem = Problem::new(format!("unknown environment `{shown}`"))
                    .key("sync.environments")
                    .hint(hint);
                let at = self.configuration.environment_origin.as_ref();
                let problem = at.map_or(problem.clone(), |at| problem.at(at));
                self.wrong(problem);
            }
            Some(branch) => {
                self.check_branch(branch, &["sync", "environments", name], "sync.environments")
            }
        }
        branch
    }

    fn check_branch(&mut self, branch: &str, path: &[&str], key: &str) {
        let short = branch.strip_prefix("refs/heads/");
        let is_other_ref = short.is_none() && branch.starts_with("refs/");
        if short.is_none() && !is_other_ref && is_branch_name(branch) {
            return;
        }
        let shown = crate::paths::escaped(branch.as_bytes()).to_string();
        let problem = Problem::new(format!("`{key}`: `{shown}` is not the name of a branch"));
        let hint = match short {
            Some(short) => Some(format!("give the short name, `{short}`")),
            None if is_other_ref => Some(
                "name the branch itself, without `refs/`: a push to a ref for reviews (`refs/for/…`) changes no branch, so it could not be verified"
                    .to_owned(),
            ),
            None => None,
        };
        let problem = problem.maybe_hint(hint);
        let problem = self.at(path, problem.key(key));
        self.wrong(problem);
    }

    fn remote(&mut self, branch: Option<String>) -> Option<Remote> {
        let url = self.url()?;
        let tokens = self.tokens(&url);
        let allow_insecure = self.allows_insecure(&tokens, &url);
        let remote = &self.raw().remote;
        let unset =
            self.configuration
                .unset_tokens
                .iter()
                .filter(|unset| match unset.path.as_slice() {
                    [section, _] => section == "remote" && remote.token.is_none(),
                    [_, name, _] => {
                        tokens::Entry::parse(name).is_for(&url) && tokens.of_repository.is_none()
                    }
                    _ => false,
                });
        let mut unset: Vec<String> = unset.map(|unset| unset.variable.clone()).collect();
        unset.sort();
        unset.dedup();
        let timeout = &remote.timeout;
        Some(Remote {
            url,
            branch,
            token: tokens.of_remote,
            repository_token: tokens.of_repository,
            unused_tokens: tokens.unused,
            unset_token_variables: unset,
            username: given(remote.username.clone(), "remote.username"),
            create: given(remote.create, "remote.create"),
            transport: given(remote.transport, "remote.transport"),
            allow_insecure,
            timeout: Timeouts {
                connect: given(timeout.connect, "remote.timeout.connect"),
                idle: given(timeout.idle, "remote.timeout.idle"),
                push_verdict: given(timeout.push_verdict, "remote.timeout.push_verdict"),
            },
        })
    }

    /// The remote's URL: as given, or as made from organization and repository.
    fn url(&mut self) -> Option<RemoteUrl> {
        let configuration = self.configuration;
        let raw = &configuration.raw;
        if let Some(text) = &raw.remote.url {
            return match RemoteUrl::parse(text, &configuration.root) {
                Ok(url) => Some(url),
                Err(error) => {
                    let problem = Problem::new(format!("`remote.url`: {error}")).key("remote.url");
                    let problem = self.at(&["remote", "url"], problem);
                    self.wrong(problem);
                    None
                }
            };
        }
        let parts = [
            ("organization", &raw.organization),
            ("codex_repo", &raw.codex_repo),
        ];
        for (key, value) in parts {
            match value {
                None => {
                    let undetected = configuration.undetected.as_ref();
                    let message = match undetected.filter(|_| key == "organization") {
                        Some(reason) => {
                            format!("`{key}` is not given and cannot be detected: {reason}")
                        }
                        None => format!("`{key}` is not given, and neither is `remote.url`"),
                    };
                    let problem = Problem::new(message);
                    self.missing(problem.key(key).hint(format!(
                        "give `codex.{key}`, or a remote with `codex.remote.url`"
                    )));
                }
                Some(text) if !is_github_name(text) => {
                    let shown = crate::paths::escaped(text.as_bytes()).to_string();
                    let problem = Problem::new(format!(
                        "`{key}`: `{shown}` cannot be part of a repository's URL"
                    ));
                    let problem = self.at(
                        &[key],
                        problem
                            .key(key)
                            .hint("letters, digits, `.`, `_` and `-` can"),
                    );
                    self.wrong(problem);
                }
                Some(_) => {}
            }
        }
        let values =
            parts.map(|(key, value)| (key, value.as_deref().filter(|text| is_github_name(text))));
        let text = template::fill(layers::derived("remote_url"), &values).ok()?;
        RemoteUrl::parse(&text, &configuration.root).ok()
    }

    fn commit(&mut self) -> CommitPolicy {
        let commit = self.raw().commit.clone();
        let message = given(commit.message, "commit.message");
        let known =
            ["count", "project", "org", "codex_repo", "env", "branch"].map(|name| (name, Some("")));
        if let Err(unfilled @ Unfilled::Unknown { .. }) = template::fill(&message, &known) {
            let problem = self.at(
                &["commit", "message"],
                template::problem("commit.message", unfilled),
            );
            self.wrong(problem);
        }
        let texts = [
            (["commit", "message"].as_slice(), Some(&message)),
            (&["commit", "author", "name"], commit.author.name.as_ref()),
            (&["commit", "author", "email"], commit.author.email.as_ref()),
        ];
        for (path, _) in texts
            .into_iter()
            .filter(|(_, text)| text.is_some_and(|text| text.trim().is_empty()))
        {
            let key = key_path(path);
            let problem = self.at(path, Problem::new(format!("`{key}` is empty")).key(key));
            self.wrong(problem.hint("remove the key to have the default"));
        }
        let author = match (commit.author.name, commit.author.email) {
            (Some(name), Some(email)) => Some(Author { name, email }),
            (None, None) => None,
            (name, _) => {
                let (has, lacks) = if name.is_some() {
                    ("name", "email")
                } else {
                    ("email", "name")
                };
                let problem =
                    Problem::new(format!("`commit.author` has a `{has}` and lacks `{lacks}`"));
                let problem = self.at(&["commit", "author", has], problem.key("commit.author"));
                self.wrong(problem);
                None
            }
        };
        CommitPolicy {
            message,
            author,
            trailers: given(commit.trailers, "commit.trailers"),
            sign: given(commit.sign, "commit.sign"),
        }
    }

    fn caches_published(&self) -> bool {
        let in_ci = || {
            self.configuration
                .environment()
                .get("CI")
                .is_some_and(|ci| ci.eq_ignore_ascii_case("true"))
        };
        match given(self.raw().cache.enabled, "cache.enabled") {
            CacheSwitch::Auto => !in_ci(),
            CacheSwitch::On => true,
            CacheSwitch::Off => false,
        }
    }

    /// The state's own directory, and the one that everybody's runs on this machine share.
    fn state_dirs(&self) -> (PathBuf, PathBuf) {
        let given = self.raw().state.dir.as_ref().map(PathBuf::from);
        let of_user = self
            .configuration
            .state_home
            .as_ref()
            .map(|home| home.join(layers::derived("state_dir")));
        let beside = || {
            self.configuration
                .root
                .join(layers::derived("state_dir_without_home"))
        };
        let shared = of_user.unwrap_or_else(beside);
        (given.unwrap_or_else(|| shared.clone()), shared)
    }

    /// Rejects a directory to write to that is reserved, or that resolves outside of `allowed` without being the choice of
    /// the user or the run. The content of a checkout, links included, decides about the workspace only.
    fn keep_inside(&mut self, key: &str, directory: &Path, allowed: &Path) {
        let Some(problem) = self.misplaced(key, directory, allowed) else {
            return;
        };
        let path: Vec<&str> = key.split('.').collect();
        let origin = self.configuration.origin_of(&path);
        let given = origin.filter(|at| at.source.layer != LayerKind::Defaults);
        self.wrong(match given {
            Some(at) => problem.at(at),
            None => problem,
        });
    }

    /// The problem with the place of `directory`, for [`Self::keep_inside`].
    fn misplaced(&self, key: &str, directory: &Path, allowed: &Path) -> Option<Problem> {
        let real = resolved(directory);
        let workspace = resolved(&self.configuration.root);
        if is_reserved(&real, &workspace) {
            let message = format!(
                "`{key}`: `{}` is reserved for git or for the configuration",
                shown(directory)
            );
            let hint = "choose a directory that nothing else uses";
            return Some(Problem::new(message).key(key).hint(hint));
        }

        let path: Vec<&str> = key.split('.').collect();
        let origin = self.configuration.origin_of(&path);
        let is_default_state =
            key == "state.dir" && origin.is_none() && self.configuration.state_home.is_some();
        let is_users = origin.is_some_and(|at| at.source.authority().is_users());
        let is_inside = real.starts_with(resolved(allowed)) || real.starts_with(&workspace);
        if is_default_state || is_users || is_inside {
            return None;
        }

        let message = format!(
            "`{key}`: `{}` resolves to `{}`, which is outside the workspace `{}`",
            shown(directory),
            shown(&real),
            shown(&workspace)
        );
        let hint = format!(
            "choose a directory inside, or name it yourself: `{}`, `--config {key}=DIR` or your own configuration file",
            config::variables::variable(&path)
        );
        Some(Problem::new(message).key(key).hint(hint))
    }
}

/// What can stand for an organization or repository in a URL.
fn is_github_name(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    !text.is_empty() && text.chars().all(allowed) && !text.starts_with(['.', '-'])
}

/// Git's rules for the name of a branch.
fn is_branch_name(text: &str) -> bool {
    let bad =
        |c: char| c.is_control() || matches!(c, ' ' | '~' | '^' | ':' | '?' | '*' | '[' | '\\');
    let segments = || text.split('/');
    !text.starts_with('-')
        && !text.ends_with('.')
        && !["@", "HEAD"].contains(&text)
        && !text.contains(bad)
        && !["..", "@{"].iter().any(|part| text.contains(part))
        && segments().all(|segment| {
            !segment.is_empty() && !segment.starts_with('.') && !segment.ends_with(".lock")
        })
}

/// Whether files of the codex must never be written to `directory`: the workspace itself, its `.fractary`, the variables
/// in there, and anything of git's, where a file could be a hook that git runs. Both paths are resolved.
fn is_reserved(directory: &Path, workspace: &Path) -> bool {
    let Ok(below) = directory.strip_prefix(workspace) else {
        return false;
    };
    let is_git = below
        .components()
        .any(|part| part.as_os_str().eq_ignore_ascii_case(".git"));
    let is_own = [Path::new(""), Path::new(".fractary")].contains(&below);
    is_git || is_own || below.starts_with(".fractary/env")
}
