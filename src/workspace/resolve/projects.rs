//! Resolves the projects.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::directories::{self, Directories, default_cache};
use super::findings::Findings;
use super::overlaps::ProjectPlace;
use super::{codex_patterns, deny_list, overlaps, source_patterns};
use crate::checks::CheckSettings;
use crate::config::layers::{self, with_default};
use crate::config::model::RawChecks;
use crate::config::tree::key_path;
use crate::config::{Configuration, LayerKind, Problem};
use crate::glob::Glob;
use crate::names::ProjectName;
use crate::paths::{CodexPath, FRACTARY_DIR, PathResolver, absolute, escaped, resolved, shown};
use crate::workspace::claims::{Claims, InvalidPattern};
use crate::workspace::project::{DeleteGuard, FromCodex, Project, ScanPolicy, SourceGuards};
use crate::workspace::template;

/// Resolves all projects, in the order of their names.
pub(super) fn resolve(
    configuration: &Configuration,
    branch: Option<&str>,
    directories: &Directories,
    findings: &mut Findings,
) -> Vec<Project> {
    let names = names(configuration);
    if names.is_empty() {
        let hint = "set `codex.project`, `codex.projects` or `codex.workspace.members`";
        let problem = Problem::new("no projects are configured").key("project");
        findings.missing(configuration, problem.hint(hint));
    }
    let resolver = ProjectResolver {
        configuration,
        branch,
        directories,
    };
    let names: Vec<&str> = names.into_iter().collect();
    let patterns = findings.of_each(&names, |name, findings| {
        source_patterns::resolve(configuration, name, &resolver.placeholders(name), findings)
    });
    let compiled = source_patterns::compile(&patterns);
    let with_patterns: Vec<_> = names.into_iter().zip(&patterns).collect();
    let resolved = findings.of_each(&with_patterns, |(name, patterns), findings| {
        let directories = resolver.directories(name, findings);
        let claims = compiled[patterns].as_ref().ok();
        let project = resolver.project(name, &directories, claims, findings);
        (directories, project)
    });
    for (name, patterns) in &with_patterns {
        if let Err(errors) = &compiled[patterns] {
            report_unusable(name, errors, findings);
        }
    }
    let (own_directories, projects): (Vec<_>, Vec<_>) = resolved.into_iter().unzip();
    let mut projects: Vec<Project> = projects.into_iter().flatten().collect();
    projects.sort_by(|a, b| a.name.cmp(&b.name));

    let roots = PathResolver::resolve_all(own_directories.iter().map(|own| own.root.as_path()));
    let places = with_patterns.iter().zip(&own_directories).zip(&roots);
    let places: Vec<ProjectPlace<'_>> = places
        .map(|(((name, _), own), root)| ProjectPlace {
            name,
            root,
            to: own.to.as_ref(),
            cache: &own.cache,
        })
        .collect();
    overlaps::check_destinations(configuration, &places, findings);
    overlaps::check_roots(configuration, &places, findings);
    overlaps::check_caches(&places, findings);
    let deny_list = Arc::new(deny_list::resolve(
        configuration,
        &projects,
        &roots,
        directories,
    ));
    for (project, root) in projects.iter_mut().zip(roots) {
        project.resolved_root = root;
        project.scan.deny_list = deny_list.clone();
    }
    projects
}

/// The names of all projects, valid or not.
fn names(configuration: &Configuration) -> BTreeSet<&str> {
    let raw = &configuration.raw;
    let members = configuration.members.keys();
    let names = raw.projects.keys().chain(members).chain(&raw.project);
    names.map(String::as_str).collect()
}

/// Whether a variable or a flag names projects. Then the next run may have other projects.
pub(super) fn vary(configuration: &Configuration) -> bool {
    let keys: [&[&str]; 3] = [&["project"], &["projects"], &["workspace", "members"]];
    let is_of_run = |layer| matches!(layer, LayerKind::Environment | LayerKind::Flags);
    keys.into_iter().any(|key| {
        let candidates = configuration.layers.candidates(key);
        candidates.iter().any(|one| is_of_run(one.layer))
    })
}

/// The directories of a project.
struct OwnDirectories {
    root: PathBuf,
    /// The directory in the codex; `None` if it is invalid.
    to: Option<CodexPath>,
    cache: PathBuf,
}

/// Resolves one project after the other.
struct ProjectResolver<'c> {
    configuration: &'c Configuration,
    branch: Option<&'c str>,
    directories: &'c Directories,
}

impl<'c> ProjectResolver<'c> {
    /// Resolves the directories of the project `name`.
    fn directories(&self, name: &str, findings: &mut Findings) -> OwnDirectories {
        let root = self.root(name, findings);
        let is_valid_name = name.parse::<ProjectName>().is_ok();
        let values = self.placeholders(name);
        OwnDirectories {
            // The default directory contains the name, which is reported as such.
            to: is_valid_name
                .then(|| self.destination(name, &values, findings))
                .flatten(),
            cache: self.cache(&root, findings),
            root,
        }
    }

    /// Resolves the project `name`; `None` if it is invalid. `claims` are `None` if its patterns are.
    fn project(
        &self,
        name: &str,
        directories: &OwnDirectories,
        claims: Option<&Arc<Claims>>,
        findings: &mut Findings,
    ) -> Option<Project> {
        let configuration = self.configuration;
        let values = self.placeholders(name);
        let parsed = self.parse_name(name, findings);
        let include = codex_patterns::includes(configuration, name, &values, findings);
        let exclude = codex_patterns::excludes(configuration, name, &values, findings);

        let sync = configuration.project_sync(name);
        let frontmatter = sync.routing.use_frontmatter;
        let guard = &sync.delete_guard;
        // Invalid globs were reported.
        let branches = with_default(sync.to_codex.branches, "sync.to_codex.branches");
        Some(Project {
            name: parsed?,
            root: directories.root.clone(),
            // Set for all projects together.
            resolved_root: PathBuf::new(),
            to: directories.to.clone()?,
            direction: with_default(sync.direction, "sync.direction"),
            is_configured_to_publish: self.is_configured_to_publish(name),
            claims: claims?.clone(),
            from_codex: FromCodex {
                include,
                exclude,
                use_frontmatter: with_default(frontmatter, "sync.routing.use_frontmatter"),
            },
            scan: ScanPolicy {
                source: with_default(sync.to_codex.source, "sync.to_codex.source"),
                symlinks: with_default(sync.symlinks, "sync.symlinks"),
                max_file_size: with_default(sync.max_file_size, "sync.max_file_size").0,
                respect_gitignore: with_default(sync.respect_gitignore, "sync.respect_gitignore"),
                deny_list: Arc::default(),
            },
            prune: with_default(sync.prune, "sync.prune"),
            delete_guard: DeleteGuard {
                files: with_default(guard.files, "sync.delete_guard.files"),
                percent: with_default(guard.percent, "sync.delete_guard.percent").0,
            },
            guards: SourceGuards {
                dirty: with_default(sync.to_codex.dirty, "sync.to_codex.dirty"),
                branches: branches
                    .iter()
                    .filter_map(|one| Glob::new(one).ok())
                    .collect(),
            },
            on_drift: with_default(sync.on_drift, "sync.on_drift"),
            checks: check_settings(sync.checks),
            cache_dir: directories.cache.clone(),
        })
    }

    /// Whether the configuration, without options, publishes the project.
    fn is_configured_to_publish(&self, name: &str) -> bool {
        let path = ["projects", name, "sync", "direction"];
        let candidates = self.configuration.layers.candidates(&path).into_iter();
        let mut configured = candidates.filter(|one| one.layer != LayerKind::Flags);
        let direction = configured.next().and_then(|one| one.node.as_text());
        direction != Some("from-codex")
    }

    /// The values of the placeholders in the keys of the project `name`.
    fn placeholders<'v>(&self, name: &'v str) -> [(&'static str, Option<&'v str>); 5]
    where
        'c: 'v,
    {
        let configuration = self.configuration;
        [
            ("project", Some(name)),
            ("org", configuration.raw.organization.as_deref()),
            ("codex_repo", configuration.raw.codex_repo.as_deref()),
            ("env", configuration.environment_name.as_deref()),
            ("branch", self.branch),
        ]
    }

    /// The valid name of the project. An invalid one is reported at the place that gives the name.
    fn parse_name(&self, name: &str, findings: &mut Findings) -> Option<ProjectName> {
        let error = match name.parse::<ProjectName>() {
            Ok(name) => return Some(name),
            Err(error) => error,
        };
        let problem = Problem::new(error.to_string()).key("projects");
        let origin = self.configuration.project_origin(name);
        let member = self.configuration.members.get(name);
        findings.error(match (&origin, member) {
            (Some(at), _) => problem.at(at),
            // The name is that of the directory.
            (None, Some(member)) => problem.hint(format!(
                "give the project in `{}` another name: set `codex.project`",
                shown(&member.directory)
            )),
            (None, None) => problem,
        });
        None
    }

    /// The directory of the project: its `root`, the workspace for `project`, the member, or else
    /// the directory of its name.
    fn root(&self, name: &str, findings: &mut Findings) -> PathBuf {
        let configuration = self.configuration;
        let workspace = &configuration.root;
        let member = configuration.members.get(name);
        let project = configuration.raw.projects.get(name);
        if let Some(root) = project.and_then(|project| project.root.as_ref()) {
            return PathBuf::from(root);
        }
        if configuration.raw.project.as_deref() != Some(name) {
            return match member {
                Some(member) => member.directory.clone(),
                None => absolute(workspace, Path::new(name)),
            };
        }

        if let Some(member) = member.filter(|member| member.directory != *workspace) {
            let message = format!(
                "two directories have the project name `{name}`: the workspace itself and {}",
                shown(&member.directory)
            );
            let problem = Problem::new(message).key("project");
            findings.error(problem.maybe_at(configuration.origin_of(&["project"])));
        }
        workspace.clone()
    }

    /// The directory of the project in the codex.
    fn destination(
        &self,
        name: &str,
        values: &template::Values<'_>,
        findings: &mut Findings,
    ) -> Option<CodexPath> {
        let path = ["projects", name, "to"];
        let key = key_path(&path);
        let project = self.configuration.raw.projects.get(name);
        let template = project
            .and_then(|project| project.to.as_deref())
            .unwrap_or_else(|| layers::derived("project_to"));

        let problem = match template::fill(template, values) {
            Ok(filled) => match CodexPath::new(filled.as_bytes()) {
                Ok(directory) => return Some(directory),
                Err(error) => {
                    let filled = escaped(filled.as_bytes());
                    Problem::new(format!("`{key}`: `{filled}`: {error}")).key(key)
                }
            },
            Err(unfilled) => template::problem(&key, unfilled),
        };
        findings.error(problem.maybe_at(self.configuration.origin_of(&path)));
        None
    }

    /// The cache of the project at `root`.
    fn cache(&self, root: &Path, findings: &mut Findings) -> PathBuf {
        if self.directories.cache_is_shared || !root.join(FRACTARY_DIR).is_dir() {
            return self.directories.cache.clone();
        }
        let own = default_cache(root);
        directories::check(self.configuration, "cache.dir", &own, root, findings);
        resolved(&own)
    }
}

/// The checks of a project.
fn check_settings(raw: RawChecks) -> CheckSettings {
    let mode = |mode, key: &str| with_default(mode, &format!("sync.checks.{key}"));
    CheckSettings {
        secrets: mode(raw.secrets, "secrets"),
        conflict_markers: mode(raw.conflict_markers, "conflict_markers"),
        lfs_pointers: mode(raw.lfs_pointers, "lfs_pointers"),
        large_files: mode(raw.large_files, "large_files"),
        case_collisions: mode(raw.case_collisions, "case_collisions"),
        links: mode(raw.links, "links"),
        allow: with_default(raw.allow, "sync.checks.allow")
            .into_iter()
            .collect(),
    }
}

/// Reports that the patterns of a project cannot be compiled. Each pattern was checked before, so if
/// no error was reported, the set of the patterns is too large.
fn report_unusable(name: &str, errors: &[InvalidPattern], findings: &mut Findings) {
    if findings.errors.is_empty() {
        let reason = errors.first().map(ToString::to_string).unwrap_or_default();
        let message = format!("the patterns of `{name}` cannot be used: {reason}");
        findings.error(Problem::new(message));
    }
}
