//! From configuration to a [`Workspace`]: names and places are checked, templates filled in, patterns compiled; what is
//! wrong is told, all of it at once.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::mapping::{ClaimPatterns, Claims, InvalidPattern, MappingPatterns};
use super::project::{DeleteGuard, Direction, FromCodex, Project, ScanPolicy, Symlinks};
use super::{Author, CloneStrategy, CommitPolicy, Remote, Timeouts, TransportChoice, Workspace};
use crate::config::problem::{Problem, Problems, closest};
use crate::config::raw::{CacheSwitch, RawProject, Span};
use crate::config::{Configuration, PerProject};
use crate::names::ProjectName;
use crate::paths::CodexPath;
use crate::scan::folded;
use crate::secret::Secret;
use crate::url::RemoteUrl;

/// Where a project goes that does not say.
const DEFAULT_TO: &str = "projects/{project}";

/// Resolves the workspace; `None` if there is no remote to speak of.
pub fn resolve(configuration: &Configuration, problems: &mut Problems) -> Option<Workspace> {
    let raw = &configuration.raw;
    let names = Names { configuration, branch: branch(configuration, problems) };
    let remote = remote(configuration, &names, problems);
    let cache_dir = cache_dir(configuration);
    let projects = projects(configuration, &names, cache_dir.as_deref(), problems);
    let message = raw.commit.message.clone().unwrap_or_default();
    names.check(&message, &["count", "project"], |message| {
        problems.push(configuration.problem(&["commit", "message"], message));
    });
    let author = raw.commit.author.as_ref();
    Some(Workspace {
        root: configuration.root.clone(),
        organization: configuration.organization(),
        codex_repo: raw.codex_repo.clone(),
        environment: configuration.env_name.clone(),
        remote: remote?,
        projects,
        commit: CommitPolicy {
            message,
            author: author.map(|author| Author { name: author.name.clone(), email: author.email.clone() }),
            trailers: raw.commit.trailers.unwrap_or(true),
        },
        retries: raw.push.retries.unwrap_or_default(),
        clone: raw.clone.strategy.unwrap_or(CloneStrategy::Temp),
        cache_dir,
        state_dir: configuration.state_dir(),
        jobs: raw.jobs.unwrap_or_default(),
    })
}

/// The branch that `--env` or `remote.branch` names.
fn branch(configuration: &Configuration, problems: &mut Problems) -> Option<String> {
    let raw = &configuration.raw;
    let branch = match &configuration.env_name {
        None => raw.remote.branch.clone(),
        Some(name) => {
            let known = &raw.sync.environments;
            if !known.contains_key(name) {
                let names: Vec<_> = known.keys().map(String::as_str).collect();
                let problem = Problem::new("sync.environments", format!("there is no environment `{name}`"));
                problems.push(problem.hint(match closest(name, names.iter().copied()) {
                    Some(close) => format!("did you mean `{close}`?"),
                    None => format!("known are: {}", names.join(", ")),
                }));
            }
            known.get(name).cloned()
        }
    };
    let is_valid = |branch: &String| git_branch_is_valid(branch);
    if let Some(branch) = branch.as_ref().filter(|branch| !is_valid(branch)) {
        problems.push(
            configuration
                .problem(&["remote", "branch"], format!("`{branch}` is not a name that git takes for a branch")),
        );
    }
    branch
}

/// The rules of `git check-ref-format` for a branch.
fn git_branch_is_valid(branch: &str) -> bool {
    let bad = |c: char| c.is_control() || " ~^:?*[\\".contains(c);
    !branch.is_empty()
        && !branch.starts_with('-')
        && !branch.ends_with(['.', '/'])
        && !branch.contains("..")
        && !branch.contains("@{")
        && branch != "@"
        && !branch.contains(bad)
        && branch.split('/').all(|part| !part.is_empty() && !part.starts_with('.') && !part.ends_with(".lock"))
}

fn remote(configuration: &Configuration, names: &Names<'_>, problems: &mut Problems) -> Option<Remote> {
    let raw = &configuration.raw.remote;
    let given = match (&raw.url, configuration.organization(), &configuration.raw.codex_repo) {
        (Some(url), ..) => url.clone(),
        (None, Some(organization), Some(repo)) => format!("https://github.com/{organization}/{repo}.git"),
        (None, organization, repo) => {
            let mut missing = Vec::new();
            missing.extend(organization.is_none().then_some("`organization`"));
            missing.extend(repo.is_none().then_some("`codex_repo`"));
            let problem =
                Problem::new("", format!("where the codex is cannot be told: {} missing", missing.join(" and ")));
            problems.push(problem.hint("set them under `codex:`, or set `remote.url`"));
            return None;
        }
    };
    let url = match RemoteUrl::parse(&given, &configuration.root) {
        Ok(url) => url,
        Err(error) => {
            problems.push(configuration.problem(&["remote", "url"], error.to_string()));
            return None;
        }
    };
    let older = configuration.raw.remotes.get(&url.repository()).and_then(|older| older.token.as_deref());
    let token = |token: Option<&str>| token.filter(|token| !token.is_empty()).map(Secret::new);
    let time = |span: Option<Span>| span.map(|span| span.0).unwrap_or_default();
    Some(Remote {
        branch: names.branch.clone(),
        token: token(raw.token.as_deref()),
        repository_token: token(older),
        unset_token_variables: configuration.unset_token_variables.clone(),
        username: raw.username.clone().unwrap_or_default(),
        create: raw.create.unwrap_or_default(),
        transport: raw.transport.unwrap_or(TransportChoice::Auto),
        allow_insecure: raw.allow_insecure.unwrap_or_default(),
        timeout: Timeouts {
            connect: time(raw.timeout.connect),
            idle: time(raw.timeout.idle),
            push_verdict: time(raw.timeout.push_verdict),
        },
        url,
    })
}

fn cache_dir(configuration: &Configuration) -> Option<PathBuf> {
    let raw = &configuration.raw.cache;
    let enabled = match raw.enabled.unwrap_or(CacheSwitch::Auto) {
        CacheSwitch::Auto => configuration.environment().get("CI") != Some("true"),
        CacheSwitch::True => true,
        CacheSwitch::False => false,
    };
    raw.dir.as_ref().map(PathBuf::from).filter(|_| enabled)
}

fn projects(
    configuration: &Configuration,
    names: &Names<'_>,
    cache_dir: Option<&Path>,
    problems: &mut Problems,
) -> Vec<Project> {
    let raw = &configuration.raw;
    let mut entries: BTreeMap<String, RawProject> = raw.projects.clone();
    if let Some(name) = &raw.project {
        let own = entries.entry(name.clone()).or_default();
        own.root.get_or_insert_with(|| configuration.root.to_string_lossy().into_owned());
    }
    if entries.is_empty() {
        let problem = Problem::new("", "there is no project");
        problems.push(
            problem
                .hint("set `project`, `workspace.members` or `projects` under `codex:`, or run `fractary codex init`"),
        );
    }
    let per_project = PerProject::new(configuration);
    let mut projects = Vec::new();
    for (name, entry) in &entries {
        let project = ProjectInput { configuration, names, name, entry, per_project: &per_project };
        projects.extend(project.resolve(problems));
    }
    check_places(configuration, &projects, problems);
    let never = never_sources(configuration, cache_dir, &projects);
    for project in &mut projects {
        project.scan.never = never.iter().filter(|path| **path != project.root).cloned().collect();
        project.scan.never.extend(own_never(&project.root));
    }
    projects
}

struct ProjectInput<'c> {
    configuration: &'c Configuration,
    names: &'c Names<'c>,
    name: &'c str,
    entry: &'c RawProject,
    per_project: &'c PerProject,
}

impl ProjectInput<'_> {
    fn resolve(&self, problems: &mut Problems) -> Option<Project> {
        let Self { configuration, name, entry, .. } = *self;
        let key = |rest: &[&'static str]| -> Vec<String> {
            ["projects", name].into_iter().chain(rest.iter().copied()).map(str::to_owned).collect()
        };
        let mut problem = |rest: &[&'static str], message: String| {
            let path = key(rest);
            let path: Vec<_> = path.iter().map(String::as_str).collect();
            // Without a value of its own a project has that of the workspace.
            let said =
                if configuration.said(&path).is_empty() && rest.first() == Some(&"sync") { &path[2..] } else { &path };
            problems.push(configuration.problem(said, message));
        };
        let valid: Option<ProjectName> = name.parse().map_err(|error| problem(&[], format!("{error}"))).ok();
        let template = entry.to.as_deref().unwrap_or(DEFAULT_TO);
        self.names.check(template, &["project"], |message| problem(&["to"], message));
        let filled = self.names.fill(template, name);
        let to = match CodexPath::new(filled.as_bytes()) {
            Ok(to) => Some(to),
            Err(error) => {
                // The name is told already.
                if valid.is_some() {
                    problem(&["to"], format!("`{filled}` is no place in the codex: {error}"));
                }
                None
            }
        };
        let sync = self.per_project.sync(name);
        let mappings = entry.mappings.clone().unwrap_or_default();
        let mappings_alone = !mappings.is_empty() && !self.per_project.has_own_include(name);
        let patterns = ClaimPatterns {
            include: if mappings_alone { Vec::new() } else { sync.to_codex.include.unwrap_or_default() },
            exclude: sync.to_codex.exclude,
            mappings: mappings
                .into_iter()
                .map(|mapping| MappingPatterns { from: mapping.from, to: mapping.to, exclude: mapping.exclude })
                .collect(),
            default_excludes: sync.default_excludes.unwrap_or(true),
        };
        let (include, exclude) = (patterns.include.clone(), patterns.exclude.clone());
        let claims = match Claims::new(patterns) {
            Ok(claims) => Some(claims),
            Err(errors) => {
                for error in errors {
                    let pattern = error.pattern();
                    let place: &[&str] = match &error {
                        InvalidPattern::Destination { .. } => &["mappings"],
                        _ if include.iter().any(|p| p == pattern) => &["sync", "to_codex", "include"],
                        _ if exclude.iter().any(|p| p == pattern) => &["sync", "to_codex", "exclude"],
                        _ => &["mappings"],
                    };
                    problem(place, error.to_string());
                }
                None
            }
        };
        let guard = sync.delete_guard;
        if guard.percent.is_some_and(|percent| percent > 100) {
            problem(&["sync", "delete_guard", "percent"], "a share is at most 100".to_owned());
        }
        let fill = |patterns: Vec<String>| patterns.iter().map(|pattern| self.names.fill(pattern, name)).collect();
        Some(Project {
            root: entry.root.as_ref().map_or_else(|| configuration.root.join(name), PathBuf::from),
            name: valid?,
            to: to?,
            direction: sync.direction.unwrap_or(Direction::ToCodex),
            claims: claims?,
            from_codex: FromCodex {
                include: fill(sync.from_codex.include.unwrap_or_default()),
                exclude: fill(sync.from_codex.exclude),
            },
            scan: ScanPolicy {
                symlinks: sync.symlinks.unwrap_or(Symlinks::FollowInside),
                max_file_size: sync.max_file_size.map(|size| size.0).unwrap_or(u64::MAX),
                respect_gitignore: sync.respect_gitignore.unwrap_or_default(),
                never: BTreeSet::new(),
            },
            prune: sync.prune.unwrap_or_default(),
            delete_guard: DeleteGuard {
                files: guard.files.unwrap_or_default(),
                percent: guard.percent.unwrap_or_default(),
            },
        })
    }
}

/// What templates know.
struct Names<'c> {
    configuration: &'c Configuration,
    branch: Option<String>,
}

const PLACEHOLDERS: [&str; 4] = ["org", "codex_repo", "env", "branch"];

impl Names<'_> {
    /// Replaces every placeholder that has a value.
    fn fill(&self, template: &str, project: &str) -> String {
        let configuration = self.configuration;
        let values = [
            ("{project}", Some(project.to_owned())),
            ("{org}", configuration.organization()),
            ("{codex_repo}", configuration.raw.codex_repo.clone()),
            ("{env}", configuration.env_name.clone()),
            ("{branch}", self.branch.clone()),
        ];
        values.into_iter().fold(template.to_owned(), |text, (key, value)| match value {
            Some(value) => text.replace(key, &value),
            None => text,
        })
    }

    /// Tells placeholders that are not known here.
    fn check(&self, template: &str, also: &[&str], mut tell: impl FnMut(String)) {
        for part in template.split('{').skip(1) {
            let Some((name, _)) = part.split_once('}') else { continue };
            if !PLACEHOLDERS.contains(&name) && !also.contains(&name) {
                let known: Vec<_> = also.iter().chain(&PLACEHOLDERS).map(|name| format!("{{{name}}}")).collect();
                tell(format!("unknown placeholder `{{{name}}}`; known are {}", known.join(", ")));
            }
        }
    }
}

/// No two projects on one place, inside each other, or apart only in case or Unicode form.
fn check_places(configuration: &Configuration, projects: &[Project], problems: &mut Problems) {
    let mut places: Vec<_> = projects
        .iter()
        .map(|project| {
            let mut place = folded(project.to.as_bstr());
            place.push(b'/');
            (place, project)
        })
        .collect();
    places.sort_by(|a, b| a.0.cmp(&b.0));
    for pair in places.windows(2) {
        let [(place, first), (next, second)] = pair else { continue };
        if next.starts_with(place) {
            let (one, two) = (&first.name, &second.name);
            let how = if place == next { "are one place in the codex" } else { "lie inside each other in the codex" };
            let message = format!("`{}` of `{one}` and `{}` of `{two}` {how}", first.to, second.to);
            let path = ["projects", two.as_str(), "to"];
            problems.push(configuration.problem(&path, message).hint("give one another `to`"));
        }
    }
}

/// What no project publishes: the cache, the state, and other projects' roots.
fn never_sources(configuration: &Configuration, cache_dir: Option<&Path>, projects: &[Project]) -> BTreeSet<PathBuf> {
    let mut never: BTreeSet<PathBuf> = projects.iter().map(|project| project.root.clone()).collect();
    never.insert(configuration.state_dir());
    never.extend(configuration.raw.cache.dir.as_ref().map(PathBuf::from));
    never.extend(cache_dir.map(Path::to_owned));
    never.extend(own_never(&configuration.root));
    never
}

/// What is never published below `root`, whatever its patterns say.
fn own_never(root: &Path) -> impl Iterator<Item = PathBuf> {
    let mark = root.join(".fractary");
    let local = ["yaml", "yml", "toml", "json"].map(|extension| format!("config.local.{extension}"));
    ["env".to_owned(), "codex/cache".to_owned()].into_iter().chain(local).map(move |name| mark.join(name))
}
