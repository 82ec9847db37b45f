//! The projects: which there are, what each one's keys come to, and that no two share a place in the codex.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bstr::BString;
use rayon::prelude::*;

use super::{Resolver, given};
use crate::config::tree::key_path;
use crate::config::{LayerKind, Origin, Problem, layers};
use crate::names::ProjectName;
use crate::paths::{CodexPath, absolute, escaped, folded, resolved, shown};
use crate::workspace::Project;
use crate::workspace::claims::{ClaimPatterns, Claims, IncludeOrigin, InvalidPattern};
use crate::workspace::project::{DeleteGuard, DenyList, FromCodex, ScanPolicy};
use crate::workspace::template;

/// The directory that holds a workspace's or project's own files.
const MARK: &str = ".fractary";

/// What holds for all projects, every link resolved.
struct Shared {
    /// The workspace's cache.
    cache: PathBuf,
    /// Whether the configuration names it for all: else a project with a `.fractary/` of its own keeps its cache there.
    one_cache: bool,
}

impl<'c> Resolver<'c> {
    /// All projects, in name order.
    pub(super) fn projects(&mut self, branch: Option<&str>, state: &Path) -> Vec<Project> {
        let raw = &self.configuration.raw;
        let mut names: BTreeSet<&str> = raw.projects.keys().map(String::as_str).collect();
        names.extend(self.configuration.members.keys().map(String::as_str));
        names.extend(raw.project.as_deref());
        if names.is_empty() {
            let hint = "give `codex.project`, `codex.projects` or `codex.workspace.members`";
            self.missing(
                Problem::new("there is no project")
                    .key("project")
                    .hint(hint),
            );
        }
        let names: Vec<String> = names.into_iter().map(str::to_owned).collect();
        let patterns: Vec<ClaimPatterns> = names
            .iter()
            .map(|name| self.patterns(name, &self.values(name, branch)))
            .collect();
        let compiled = compiled(&patterns);
        let shared = self.shared();
        let mut projects = Vec::new();
        for (name, patterns) in names.iter().zip(&patterns) {
            let values = self.values(name, branch);
            let project = self.project(name, &values, &compiled[patterns], &shared);
            projects.extend(project);
        }
        projects.sort_by(|a, b| a.name.cmp(&b.name));
        self.check_places(&projects);
        let roots: Vec<PathBuf> = projects
            .par_iter()
            .map(|project| resolved(&project.root))
            .collect();
        self.check_roots(&projects, &roots);
        self.check_root_of_caches(&projects, &roots);
        self.deny_sources(&mut projects, roots, &shared, state);
        projects
    }

    /// Where a project was given its name.
    fn named_at(&self, name: &str) -> Option<Origin> {
        let configuration = self.configuration;
        let key = configuration.layers.key_origin(&["projects", name]);
        let member = || {
            configuration
                .members
                .get(name)
                .and_then(|member| member.named_at.as_ref())
        };
        let own = || {
            configuration
                .origin_of(&["project"])
                .filter(|_| configuration.raw.project.as_deref() == Some(name))
        };
        member().or(key).or_else(own).cloned()
    }

    fn project(
        &mut self,
        name: &str,
        values: &template::Values<'_>,
        claims: &Result<Claims, Vec<InvalidPattern>>,
        shared: &Shared,
    ) -> Option<Project> {
        let configuration = self.configuration;
        let named_at = self.named_at(name);
        let parsed = match name.parse::<ProjectName>() {
            Ok(parsed) => parsed,
            Err(error) => {
                let problem = Problem::new(error.to_string()).key("projects");
                let problem = match (&named_at, configuration.members.get(name)) {
                    (Some(at), _) => problem.at(at),
                    (None, Some(member)) => {
                        let directory = shown(&member.directory).to_string();
                        problem.hint(format!(
                            "give `{directory}` a name of its own: `codex.project`"
                        ))
                    }
                    (None, None) => problem,
                };
                self.wrong(problem);
                return None;
            }
        };
        let root = self.root(name);
        let to = self.place(name, values);
        let (wanted, unwanted) = (
            self.codex_patterns(name, values),
            self.codex_excludes(name, values),
        );
        let sync = self.configuration.project_sync(name);
        let claims = match claims {
            Ok(claims) => claims.clone(),
            // Each pattern was checked where it stands; what is left is a set that is too large.
            Err(errors) => {
                if self.problems.is_empty() {
                    let reason = errors.first().map(ToString::to_string).unwrap_or_default();
                    self.wrong(Problem::new(format!(
                        "the patterns of `{name}` cannot be used: {reason}"
                    )));
                }
                return None;
            }
        };
        let cache_dir = if !shared.one_cache && root.join(MARK).is_dir() {
            let own = own_cache(&root);
            self.keep_inside("cache.dir", &own, &root);
            resolved(&own)
        } else {
            shared.cache.clone()
        };
        Some(Project {
            name: parsed,
            to: to?,
            direction: given(sync.direction, "sync.direction"),
            claims,
            from_codex: FromCodex {
                include: wanted,
                exclude: unwanted,
                use_frontmatter: given(
                    sync.routing.use_frontmatter,
                    "sync.routing.use_frontmatter",
                ),
            },
            scan: ScanPolicy {
                symlinks: given(sync.symlinks, "sync.symlinks"),
                max_file_size: given(sync.max_file_size, "sync.max_file_size").0,
                respect_gitignore: given(sync.respect_gitignore, "sync.respect_gitignore"),
                deny_list: Arc::default(),
            },
            prune: given(sync.prune, "sync.prune"),
            delete_guard: DeleteGuard {
                files: given(sync.delete_guard.files, "sync.delete_guard.files"),
                percent: given(sync.delete_guard.percent, "sync.delete_guard.percent").0,
            },
            cache_dir,
            root,
        })
    }

    /// What placeholders stand for in the keys of a project.
    fn values<'v>(
        &self,
        name: &'v str,
        branch: Option<&'v str>,
    ) -> [(&'static str, Option<&'v str>); 5]
    where
        'c: 'v,
    {
        let configuration = self.configuration;
        [
            ("project", Some(name)),
            ("org", configuration.raw.organization.as_deref()),
            ("codex_repo", configuration.raw.codex_repo.as_deref()),
            ("env", configuration.environment_name.as_deref()),
            ("branch", branch),
        ]
    }

    /// What the project claims, before it is compiled.
    fn patterns(&mut self, name: &str, values: &template::Values<'_>) -> ClaimPatterns {
        let configuration = self.configuration;
        let mappings = self.mappings(name, values);
        let to_codex = self.configuration.project_sync(name).to_codex;
        let path = ["projects", name, "sync", "to_codex", "include"];
        let in_effect = configuration.layers.candidates(&path).first().copied();
        let include_origin = match in_effect {
            Some(include) if include.is_of_project => IncludeOrigin::Project,
            Some(include) if include.layer != LayerKind::Defaults => IncludeOrigin::AllProjects,
            _ => IncludeOrigin::Defaults,
        };
        let has_own_include = in_effect
            .is_some_and(|include| include.is_of_project || include.layer == LayerKind::Flags);
        let include = if mappings.is_empty() || has_own_include {
            to_codex.include
        } else {
            Some(Vec::new())
        };
        ClaimPatterns {
            include: given(include, "sync.to_codex.include"),
            include_origin,
            exclude: to_codex.exclude.unwrap_or_default(),
            mappings,
            default_excludes: given(
                self.configuration.project_sync(name).default_excludes,
                "sync.default_excludes",
            ),
        }
    }

    /// The project's directory: as given, or the workspace's for `project`, or the member's, or one of its name.
    fn root(&mut self, name: &str) -> PathBuf {
        let configuration = self.configuration;
        let explicit = configuration
            .raw
            .projects
            .get(name)
            .and_then(|project| project.root.as_ref());
        let is_workspace = configuration.raw.project.as_deref() == Some(name);
        let member = configuration
            .members
            .get(name)
            .map(|member| member.directory.clone());
        match explicit {
            Some(root) => PathBuf::from(root),
            None if is_workspace => {
                if let Some(directory) = member.filter(|directory| *directory != configuration.root)
                {
                    let directory = shown(&directory).to_string();
                    let message = format!(
                        "two directories are the project `{name}`: the workspace itself and {directory}"
                    );
                    let problem = self.at(&["project"], Problem::new(message).key("project"));
                    self.wrong(problem);
                }
                configuration.root.clone()
            }
            None => member.unwrap_or_else(|| absolute(&configuration.root, Path::new(name))),
        }
    }

    /// The project's place in the codex.
    fn place(&mut self, name: &str, values: &template::Values<'_>) -> Option<CodexPath> {
        let path = ["projects", name, "to"];
        let key = key_path(&path);
        let given = self
            .configuration
            .raw
            .projects
            .get(name)
            .and_then(|project| project.to.clone());
        let template = given.unwrap_or_else(|| layers::derived("project_to").to_owned());
        let problem = match template::fill(&template, values) {
            Ok(filled) => match CodexPath::new(filled.as_bytes()) {
                Ok(place) => return Some(place),
                Err(error) => Problem::new(format!(
                    "`{key}`: `{}`: {error}",
                    escaped(filled.as_bytes())
                ))
                .key(key),
            },
            Err(unfilled) => template::problem(&key, unfilled),
        };
        let problem = self.at(&path, problem);
        self.wrong(problem);
        None
    }

    /// The workspace's cache.
    pub(super) fn cache_dir(&self) -> PathBuf {
        resolved(Path::new(&given(self.raw().cache.dir.clone(), "cache.dir")))
    }

    /// Whether a layer that differs from run to run names projects.
    pub(super) fn projects_vary(&self) -> bool {
        let names = [&["project"][..], &["projects"], &["workspace", "members"]];
        let is_of_run = |kind| matches!(kind, LayerKind::Environment | LayerKind::Flags);
        names.iter().any(|key| {
            let candidates = self.configuration.layers.candidates(key);
            candidates.iter().any(|one| is_of_run(one.layer))
        })
    }

    fn shared(&mut self) -> Shared {
        let configured = PathBuf::from(given(self.raw().cache.dir.clone(), "cache.dir"));
        let root = &self.configuration.root;
        self.keep_inside("cache.dir", &configured, root);
        let cache = self.cache_dir();
        let named = self.configuration.origin_of(&["cache", "dir"]);

        Shared {
            cache,
            one_cache: named.is_some_and(|at| at.source.layer != LayerKind::Defaults),
        }
    }

    /// Gives all projects the deny list of the workspace.
    fn deny_sources(
        &self,
        projects: &mut [Project],
        roots: Vec<PathBuf>,
        shared: &Shared,
        state: &Path,
    ) {
        let configuration = self.configuration;
        let mut list = DenyList {
            roots: roots.into_iter().collect(),
            ..DenyList::default()
        };
        let root = &configuration.root;
        let own = [
            Some(state.to_owned()),
            configuration
                .state_home
                .as_ref()
                .map(|home| home.join(layers::derived("state_dir"))),
            configuration.clone_home.clone(),
            Some(own_cache(root)),
            Some(shared.cache.clone()),
        ];
        list.paths
            .extend(own.into_iter().flatten().map(|path| resolved(&path)));
        // Local configuration is private wherever `--config-file` found it.
        let local = configuration
            .files()
            .into_iter()
            .filter(|(layer, _)| *layer == LayerKind::Local);
        list.paths.extend(local.map(|(_, file)| resolved(&file)));

        let of_projects: Vec<DenyList> = projects
            .par_iter()
            .map(|project| private_parts(&project.root))
            .collect();
        for (project, own) in projects.iter().zip(of_projects) {
            list.paths.insert(project.cache_dir.clone());
            list.paths.extend(own.paths);
            list.fractary_dirs.extend(own.fractary_dirs);
        }
        let of_workspace = private_parts(root);
        list.paths.extend(of_workspace.paths);
        list.fractary_dirs.insert(resolved(&root.join(MARK)));

        let list = Arc::new(list);
        for project in projects {
            project.scan.deny_list = list.clone();
        }
    }

    /// No two projects with one root, whatever links lead there: each file belongs to one project.
    fn check_roots(&mut self, projects: &[Project], roots: &[PathBuf]) {
        let mut known: HashMap<&Path, &Project> = HashMap::new();
        for (project, real) in projects.iter().zip(roots) {
            let Some(first) = known.get(real.as_path()) else {
                known.insert(real, project);
                continue;
            };
            let message = format!(
                "the projects `{}` and `{}` have one root: `{}`",
                first.name,
                project.name,
                shown(real)
            );
            let problem = Problem::new(message)
                .key(key_path(&["projects", project.name.as_str(), "root"]))
                .hint("give one of them another `root`, or leave it out with `workspace.exclude`");
            let problem = match self.named_at(project.name.as_str()) {
                Some(at) => problem.at(&at),
                None => problem,
            };
            self.wrong(problem);
        }
    }

    /// No cache is, or contains, the root of a project: the cache would be published, and the project's files would be
    /// taken for files of the cache.
    fn check_root_of_caches(&mut self, projects: &[Project], roots: &[PathBuf]) {
        let caches: BTreeSet<&Path> = projects.iter().map(|p| p.cache_dir.as_path()).collect();
        let mut problems = Vec::new();
        for (project, root) in projects.iter().zip(roots) {
            let Some(cache) = caches.iter().find(|cache| root.starts_with(cache)) else {
                continue;
            };
            let message = format!(
                "the cache `{}` contains the root of the project `{}`",
                shown(cache),
                project.name
            );
            let hint = "set `cache.dir` to a directory that nothing else uses";
            problems.push(Problem::new(message).key("cache.dir").hint(hint));
        }
        for problem in problems {
            self.wrong(problem);
        }
    }

    /// No two projects in one place, one below the other, or in places that only some file systems tell apart.
    fn check_places(&mut self, projects: &[Project]) {
        let folded = |project: &Project| {
            let mut place = folded(project.to.as_bstr());
            place.push(b'/');
            place
        };
        let mut places: Vec<(BString, &Project)> = projects
            .iter()
            .map(|project| (folded(project), project))
            .collect();
        places.sort_by(|a, b| (&a.0, &a.1.name).cmp(&(&b.0, &b.1.name)));
        // Everything below a place follows it directly, so the last place that was not below another is enough.
        let mut upper: Option<&(BString, &Project)> = None;
        for place in &places {
            let Some((above, first)) =
                upper.filter(|(above, _)| place.0.starts_with(above.as_slice()))
            else {
                upper = Some(place);
                continue;
            };
            let second = place.1;
            let how = if first.to == second.to {
                format!("are both at `{}`", first.to)
            } else if *above == place.0 {
                format!(
                    "are at `{}` and `{}`, which differ only in case or Unicode form",
                    first.to, second.to
                )
            } else {
                format!("overlap: `{}` lies inside `{}`", second.to, first.to)
            };
            let message = format!("the projects `{}` and `{}` {how}", first.name, second.name);
            let problem = Problem::new(message)
                .hint("give one of them another `to`")
                .key(key_path(&["projects", second.name.as_str(), "to"]));
            let at = self
                .configuration
                .origin_of(&["projects", second.name.as_str(), "to"])
                .cloned();
            let problem = match at.or_else(|| self.named_at(second.name.as_str())) {
                Some(at) => problem.at(&at),
                None => problem,
            };
            self.wrong(problem);
        }
    }
}

/// The cache of a project or a workspace that has a directory `.fractary`, unless its configuration says otherwise.
fn own_cache(holder: &Path) -> PathBuf {
    absolute(holder, Path::new(layers::derived("project_cache_dir")))
}

/// Compiles the patterns of all projects, the same ones once: most projects say nothing of their own.
fn compiled(
    patterns: &[ClaimPatterns],
) -> HashMap<&ClaimPatterns, Result<Claims, Vec<InvalidPattern>>> {
    let different: HashSet<&ClaimPatterns> = patterns.iter().collect();
    different
        .into_par_iter()
        .map(|patterns| (patterns, Claims::new(patterns.clone())))
        .collect()
}

/// What is private to a project or workspace at `holder`: its cache, its `.fractary` directory, and the targets of the
/// links that are private by their name. A link's target may be anywhere, also in another project's root.
fn private_parts(holder: &Path) -> DenyList {
    let mut list = DenyList::default();
    let git = holder.join(".git");
    if git.is_symlink() {
        list.paths.insert(resolved(&git));
    }

    let mark = holder.join(MARK);
    if !mark.is_dir() {
        return list;
    }
    list.paths.insert(resolved(&own_cache(holder)));
    list.fractary_dirs.insert(resolved(&mark));
    let named = |directory: &Path, is_private: fn(&str) -> bool| {
        let entries = fs::read_dir(directory).into_iter().flatten().flatten();
        let private = entries.filter(|entry| is_private(&entry.file_name().to_string_lossy()));
        private.map(|entry| entry.path()).collect::<Vec<PathBuf>>()
    };
    let mut private = named(&mark, |name| {
        name == "env" || name.starts_with("config.local.")
    });
    private.extend(named(&mark.join("env"), |_| true));
    let links = private.into_iter().filter(|path| path.is_symlink());
    list.paths.extend(links.map(|path| resolved(&path)));
    list
}
