//! Selects the projects that have changed since a revision of their repositories (`--changed-since`).
//!
//! A project has changed if the commits since the revision, the index or the working tree change a file
//! that it publishes or published, or its configuration. A project without a repository that could be
//! compared is selected, and so is a project that is only pulled. Changes of configuration files in no
//! repository are not noticed: a warning says so. Each repository is compared once.

mod ci_base;
mod project_changes;
mod quick_comparison;
mod repository_changes;

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rayon::prelude::*;

use self::ci_base::CiBase;
use self::project_changes::ProjectChanges;
use self::repository_changes::RepositoryChanges;
use super::ci_system::CiSystem;
use super::sources::Sources;
use crate::codex::source_changes::{BaseError, BaseRevision};
use crate::codex::source_repository::{SourceCommit, SourceRepository};
use crate::config::comparison::ConfigChange;
use crate::config::{Configuration, Direction};
use crate::names::ProjectName;
use crate::object::ObjectId;
use crate::paths::{absolute, escaped, resolved, shown};
use crate::text::pluralize;
use crate::workspace::Project;

/// The value of `--changed-since` for the base of a build.
const AUTO: &str = "auto";
/// The maximum number of projects that a warning names.
const MAX_NAMED: usize = 5;

/// The changed projects of a selection.
pub(crate) struct ChangedProjects<'w> {
    /// The projects, in name order.
    pub(crate) projects: Vec<&'w Project>,
    /// Messages about what could not be compared.
    pub(crate) warnings: Vec<String>,
}

/// Why the changed projects cannot be selected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ChangedSinceError {
    /// No repository has the revision.
    #[error("the git repository `{}` has no revision `{}`", shown(.directory), escaped(.revision.as_bytes()))]
    UnknownRevision {
        revision: String,
        directory: PathBuf,
    },
    /// A shallow clone does not have the revision.
    #[error("the shallow clone `{}` has no revision `{}`", shown(.directory), escaped(.revision.as_bytes()))]
    Shallow {
        revision: String,
        directory: PathBuf,
        /// The way to a deeper clone.
        hint: &'static str,
    },
    /// `auto` was given outside of the supported CI systems.
    #[error(
        "`--changed-since auto` needs a build of GitHub, GitLab, Buildkite or Jenkins, which names the base revision"
    )]
    NoBuild,
}

/// Selects the projects that have changed since `revision`: a revision that each repository resolves,
/// or `auto`.
pub(crate) fn changed_projects<'w>(
    revision: &str,
    configuration: &Configuration,
    sources: &Sources,
    projects: Vec<&'w Project>,
) -> Result<ChangedProjects<'w>, ChangedSinceError> {
    let environment = configuration.environment();
    let base = match revision {
        AUTO => ci_base::find(environment).ok_or(ChangedSinceError::NoBuild)?,
        revision => CiBase::Revision(BaseRevision {
            names: vec![revision.to_owned()],
            is_fork_point: true,
            merged_head: None,
        }),
    };
    let base = match base {
        CiBase::Revision(base) => base,
        CiBase::None(reason) => {
            let warning = format!("`--changed-since auto`: {reason}; all projects are selected");
            return Ok(ChangedProjects {
                projects,
                warnings: vec![warning],
            });
        }
    };

    let mut search = ChangeSearch::new(base, sources, &projects);
    search.compare_configuration(configuration);
    search.compare_projects();
    search.check_bases(revision == AUTO, CiSystem::of(environment))?;
    let ChangeSearch {
        is_selected,
        warnings,
        ..
    } = search;
    let selected = projects.into_iter().zip(is_selected);
    let selected = selected.filter_map(|(project, is_selected)| is_selected.then_some(project));
    Ok(ChangedProjects {
        projects: selected.collect(),
        warnings,
    })
}

/// A repository is compared once per commit that is published from it.
type RepositoryKey = (PathBuf, ObjectId);

/// The search for the projects that differ from the base.
struct ChangeSearch<'c> {
    base: BaseRevision,
    sources: &'c Sources,
    projects: &'c [&'c Project],
    /// Whether each project is selected.
    is_selected: Vec<bool>,
    warnings: Vec<String>,
    repositories: HashMap<RepositoryKey, Compared>,
}

/// A compared repository.
#[derive(Clone)]
struct Compared {
    changes: Result<Arc<RepositoryChanges>, BaseError>,
    /// The number of its projects.
    projects: usize,
}

impl<'c> ChangeSearch<'c> {
    fn new(base: BaseRevision, sources: &'c Sources, projects: &'c [&'c Project]) -> Self {
        Self {
            base,
            sources,
            projects,
            is_selected: vec![false; projects.len()],
            warnings: Vec::new(),
            repositories: HashMap::new(),
        }
    }

    /// Selects the projects whose configuration has changed in a file of the workspace.
    fn compare_configuration(&mut self, configuration: &Configuration) {
        let change = match self.sources.repository_of(&configuration.root) {
            Ok(Some(repository)) => match repository.head() {
                Ok(Some(head)) => match self.changes(&repository, &head) {
                    Ok(changes) => changes.configuration_change(configuration),
                    Err(_) => ConfigChange::All,
                },
                _ => ConfigChange::All,
            },
            Err(_) => ConfigChange::All,
            Ok(None) => {
                if let Some(file) = &configuration.file {
                    self.warnings.push(format!(
                        "`{}` is not in a git repository: after a change of it, sync all projects without `--changed-since`",
                        shown(file)
                    ));
                }
                return;
            }
        };
        let entries = match change {
            ConfigChange::All => return self.is_selected.fill(true),
            ConfigChange::Projects(entries) => entries,
        };
        let moved = entries.roots.iter();
        let moved = moved.map(|root| absolute(&configuration.root, Path::new(root)));
        let moved: Vec<_> = moved.flat_map(|root| [resolved(&root), root]).collect();
        for (project, is_selected) in self.projects.iter().zip(&mut self.is_selected) {
            let is_below = |moved: &Path| {
                [&project.resolved_root, &project.root]
                    .iter()
                    .any(|root| moved.starts_with(root))
            };
            *is_selected |= entries.names.contains(project.name.as_str())
                || moved.iter().any(|moved| is_below(moved));
        }
    }

    /// Finds projects that have surely not changed, without a search for the repository of each.
    fn surely_unchanged(&mut self) -> Vec<bool> {
        let projects = self.projects;
        let mut around: HashMap<&Path, Option<Arc<RepositoryChanges>>> = HashMap::new();
        for parent in projects.iter().filter_map(|project| project.root.parent()) {
            if !around.contains_key(parent) {
                around.insert(parent, self.changes_around(parent));
            }
        }

        let is_selected = self.is_selected.par_iter();
        is_selected
            .zip(projects)
            .map(|(is_selected, project)| {
                let parent = project.root.parent();
                let changes = parent.and_then(|parent| around.get(parent)?.as_ref());
                !is_selected
                    && project.direction != Direction::FromCodex
                    && changes
                        .is_some_and(|changes| ProjectChanges::are_surely_none(project, changes))
            })
            .collect()
    }

    /// The changes of the repository that contains a directory, if it can be compared. Otherwise it is
    /// only an error if a project is in that repository.
    fn changes_around(&mut self, directory: &Path) -> Option<Arc<RepositoryChanges>> {
        let repository = self.sources.repository_of(directory).ok()??;
        let head = repository.head().ok()??;
        let key = key(&repository, &head);
        let is_known = self.repositories.contains_key(&key);
        let changes = self.changes(&repository, &head).ok();
        if changes.is_none() && !is_known {
            self.repositories.remove(&key);
        }
        changes
    }

    /// Selects the projects whose files have changed.
    fn compare_projects(&mut self) {
        let unchanged = self.surely_unchanged();
        let numbered = unchanged.iter().enumerate();
        let rest: Vec<usize> = numbered
            .filter(|(_, is_unchanged)| !**is_unchanged)
            .map(|(index, _)| index)
            .collect();
        let commits: Vec<_> = rest
            .par_iter()
            .map(|index| self.sources.commit(self.projects[*index]))
            .collect();
        let mut outside = Vec::new();
        let mut unreadable: BTreeMap<_, usize> = BTreeMap::new();
        let mut compared = Vec::new();
        for (index, commit) in rest.iter().copied().zip(commits) {
            let changes = match commit {
                Ok(Some((repository, head))) => {
                    let changes = self.changes(&repository, &head).ok();
                    let key = key(&repository, &head);
                    self.repositories
                        .entry(key)
                        .and_modify(|one| one.projects += 1);
                    changes
                }
                Ok(None) => {
                    outside.push(&self.projects[index].name);
                    None
                }
                Err(error) => {
                    *unreadable.entry(error).or_default() += 1;
                    None
                }
            };
            compared.push(changes);
        }

        let changed = rest
            .par_iter()
            .zip(compared)
            .filter(|(index, changes)| {
                let project = self.projects[**index];
                // The files that are pulled do not depend on the sources.
                self.is_selected[**index]
                    || project.direction == Direction::FromCodex
                    || changes
                        .as_ref()
                        .is_none_or(|changes| ProjectChanges::exist(project, changes))
            })
            .map(|(index, _)| *index);
        for index in changed.collect::<Vec<_>>() {
            self.is_selected[index] = true;
        }
        self.warn_outside(&outside);
        let cannot_compare = |(error, projects)| {
            format!("{error}; its projects cannot be compared and are all selected ({projects})")
        };
        self.warnings
            .extend(unreadable.into_iter().map(cannot_compare));
    }

    /// Warns about projects that are in no git repository, or in one without commits.
    fn warn_outside(&mut self, outside: &[&ProjectName]) {
        if outside.is_empty() {
            return;
        }
        let named = outside
            .iter()
            .take(MAX_NAMED)
            .map(|name| format!("`{name}`"));
        let named = named.collect::<Vec<_>>().join(", ");
        let more = if outside.len() > MAX_NAMED {
            ", …"
        } else {
            ""
        };
        self.warnings.push(format!(
            "{} without a commit in a git repository, always selected: {named}{more}",
            pluralize(outside.len() as u64, "project")
        ));
    }

    /// The changes of a repository, for the commit `head` of it.
    fn changes(
        &mut self,
        repository: &Arc<SourceRepository>,
        head: &SourceCommit,
    ) -> Result<Arc<RepositoryChanges>, BaseError> {
        let key = key(repository, head);
        if let Some(compared) = self.repositories.get(&key) {
            return compared.changes.clone();
        }
        let changes = self
            .base_of(repository, head)
            .and_then(|base| RepositoryChanges::new(repository.clone(), head, base.as_ref()))
            .map(Arc::new);
        let compared = Compared {
            changes: changes.clone(),
            projects: 0,
        };
        self.repositories.insert(key, compared);
        changes
    }

    /// The base of a repository. That of a submodule is the commit that the base of the repository
    /// around it has recorded, or `None` if there was no such submodule.
    fn base_of(
        &mut self,
        repository: &Arc<SourceRepository>,
        head: &SourceCommit,
    ) -> Result<Option<SourceCommit>, BaseError> {
        let parent = repository
            .directory()
            .and_then(|directory| directory.parent());
        let outer = parent.and_then(|parent| self.sources.repository_of(parent).ok()?);
        if let (Some(outer), Some(directory)) = (outer, repository.directory())
            && let Ok(Some(outer_head)) = outer.head()
        {
            let changes = self.changes(&outer, &outer_head)?;
            if changes.has_submodule(directory) {
                let recorded = changes.submodule_at_base(directory);
                let commit = |id: ObjectId| {
                    let commit = repository.commit(&id.to_string());
                    commit.map_err(|_| repository.missing())
                };
                return recorded.map(commit).transpose();
            }
        }
        repository.base(&self.base, head).map(Some)
    }

    /// Warns about repositories that cannot be compared, or returns an error. In a build, the base may
    /// be missing, for example after a forced push.
    fn check_bases(
        &mut self,
        is_auto: bool,
        system: Option<CiSystem>,
    ) -> Result<(), ChangedSinceError> {
        let revision = self.base.names[0].clone();
        let is_known = self.repositories.values().any(|one| one.changes.is_ok());
        let mut repositories: Vec<_> = self.repositories.iter().collect();
        repositories.sort_by_key(|(key, _)| *key);
        for ((directory, _), compared) in repositories {
            let Err(error) = &compared.changes else {
                continue;
            };
            let hint = system.map_or("run `git fetch --unshallow`", CiSystem::depth_hint);
            let (reason, hint) = match error {
                BaseError::Missing { is_shallow } if !is_auto => {
                    let (revision, directory) = (revision.clone(), directory.clone());
                    if *is_shallow {
                        return Err(ChangedSinceError::Shallow {
                            revision,
                            directory,
                            hint,
                        });
                    }
                    if !is_known {
                        return Err(ChangedSinceError::UnknownRevision {
                            revision,
                            directory,
                        });
                    }
                    ("it has no such revision".to_owned(), None)
                }
                BaseError::Missing { is_shallow: true } => {
                    ("the clone is shallow".to_owned(), Some(hint))
                }
                BaseError::Missing { is_shallow: false } => {
                    ("it has no such revision".to_owned(), None)
                }
                BaseError::Unreadable(reason) => (reason.clone(), None),
            };
            let hint = hint.map(|hint| format!("; {hint}")).unwrap_or_default();
            self.warnings.push(format!(
                "cannot compare the git repository `{}` with `{}`: {reason}; all of its projects are selected ({}){hint}",
                shown(directory),
                escaped(revision.as_bytes()),
                compared.projects
            ));
        }
        Ok(())
    }
}

fn key(repository: &SourceRepository, head: &SourceCommit) -> RepositoryKey {
    let directory = repository.directory().map(Path::to_owned);
    let directory = directory.unwrap_or_else(|| repository.git_directory());
    (directory, head.id)
}
