//! The layouts that a directory can have: checkouts side by side, a monorepo with packages, or one
//! repository. Several can be possible; the first one is the most likely.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::checkout::{Checkout, OwnKeys, subdirectories};
use super::documents::has_documentation;
use super::member_lists::{self, MANIFESTS, MemberList};
use super::project_names::{self, FoundProject};
use crate::paths::{resolved, shown};
use crate::text::pluralize;

/// Directories that contain no projects although their subdirectories may look like some.
const NOT_PROJECTS: [&str; 14] = [
    "node_modules",
    "target",
    "vendor",
    "dist",
    "build",
    "docs",
    "doc",
    "example",
    "examples",
    "sample",
    "samples",
    "test",
    "testdata",
    "tests",
];

/// The usual names of directories that collect projects.
const COLLECTIONS: [&str; 13] = [
    "apps",
    "components",
    "crates",
    "extensions",
    "functions",
    "libraries",
    "libs",
    "microservices",
    "modules",
    "packages",
    "plugins",
    "projects",
    "services",
];

/// One way to divide a directory into projects.
#[derive(Debug)]
pub(super) struct ProjectLayout {
    /// What was found, such as "3 checkouts side by side".
    pub(super) found: String,
    /// The projects, in the order of their directories.
    pub(super) projects: Vec<FoundProject>,
    /// What was left out, and why.
    pub(super) remarks: Vec<String>,
}

/// A directory whose layouts are searched for.
pub(super) struct Directory<'d> {
    pub(super) root: &'d Path,
    /// The name of the project, if the directory is one; `None` if its own name cannot be that of a
    /// project.
    pub(super) name: Option<&'d str>,
    /// The checkouts below the directory, without the codex.
    pub(super) checkouts: &'d [&'d Checkout],
}

impl Directory<'_> {
    /// The possible layouts, the most likely one first. There is at least one.
    pub(super) fn layouts(&self) -> Vec<ProjectLayout> {
        let checkouts = self.checkouts();
        let packages = self.packages();
        let unread = match &packages {
            Some(_) => Vec::new(),
            None => self.unread_lists(),
        };
        let collections = self.collections();
        // Checkouts inside of a repository are often dependencies of it.
        let (first, second) = if self.root.join(".git").exists() {
            (packages, checkouts)
        } else {
            (checkouts, packages)
        };
        let nested = self.nested_packages();

        let mut layouts: Vec<_> = [first, second, collections].into_iter().flatten().collect();
        match nested {
            Some((layout, true)) => layouts.extend([layout, self.one_project()]),
            Some((layout, false)) => layouts.extend([self.one_project(), layout]),
            None => layouts.push(self.one_project()),
        }
        for layout in &mut layouts {
            layout.remarks.extend(unread.iter().cloned());
        }
        layouts
    }

    /// Why the lists of packages in this directory have no packages, if something is wrong with them.
    fn unread_lists(&self) -> Vec<String> {
        let lists = member_lists::in_directory(self.root).into_iter();
        lists.flat_map(|list| list.remarks).collect()
    }

    /// The directory as one project.
    pub(super) fn one_project(&self) -> ProjectLayout {
        let found = match self.root.join(".git").exists() {
            true => "one repository",
            false => "one directory",
        };
        let mut remarks = Vec::new();
        if !has_documentation(self.root) {
            remarks.push("no documents were found; the default patterns are used".to_owned());
        }
        ProjectLayout {
            found: found.to_owned(),
            projects: vec![FoundProject::root(self.name.unwrap_or_default())],
            remarks,
        }
    }

    /// The checkouts below the directory.
    fn checkouts(&self) -> Option<ProjectLayout> {
        if self.checkouts.is_empty() {
            return None;
        }
        let is_repository = self.root.join(".git").exists();
        let place = match is_repository {
            true => "inside of a repository",
            false => "side by side",
        };
        let found = format!("{} {place}", pluralize(self.checkouts.len(), "checkout"));
        let directories = self.checkouts.iter().map(|one| one.directory.clone());
        Some(self.layout(found, directories.collect(), is_repository))
    }

    /// The packages that build tools list in this directory.
    fn packages(&self) -> Option<ProjectLayout> {
        let lists = member_lists::in_directory(self.root);
        self.listed(lists, |list| list)
    }

    /// The packages that build tools list in subdirectories, if there is no list in the directory
    /// itself. Returns also whether this is more likely than one project.
    fn nested_packages(&self) -> Option<(ProjectLayout, bool)> {
        if member_lists::in_directory(self.root)
            .iter()
            .any(MemberList::has_packages)
        {
            return None;
        }
        let mut lists = Vec::new();
        let mut workspaces = 0;
        for directory in subdirectories(self.root) {
            let name = PathBuf::from(directory.file_name().unwrap_or_default());
            if directory.join(".git").exists() || is_no_project(&name) {
                continue;
            }
            let found = member_lists::in_directory(&directory);
            let found: Vec<_> = found.into_iter().filter(MemberList::has_packages).collect();
            workspaces += usize::from(!found.is_empty());
            lists.extend(found.into_iter().map(|list| (name.clone(), list)));
        }

        let layout = self.listed(lists, |(name, mut list)| {
            let packages = list.directories.iter().map(|one| name.join(one));
            list.directories = packages.chain([name.clone()]).collect();
            list.source = format!("{} in {}", list.source, name.display());
            list
        })?;
        Some((layout, workspaces > 1))
    }

    fn listed<T>(&self, lists: Vec<T>, read: impl Fn(T) -> MemberList) -> Option<ProjectLayout> {
        let lists: Vec<_> = lists.into_iter().map(read).collect();
        let (filled, empty): (Vec<_>, Vec<_>) =
            lists.into_iter().partition(MemberList::has_packages);
        if filled.is_empty() {
            return None;
        }

        let sources: Vec<&str> = filled.iter().map(|list| list.source.as_str()).collect();
        let mut directories: BTreeSet<PathBuf> = filled
            .iter()
            .flat_map(|list| &list.directories)
            .cloned()
            .collect();
        directories.remove(Path::new(""));
        let (directories, left_out) = self.usable(directories);
        let count = pluralize(directories.len(), "package");
        let mut layout = self.layout(
            format!("{}: {count}", sources.join(", ")),
            directories,
            true,
        );
        let remarks = filled
            .into_iter()
            .chain(empty)
            .flat_map(|list| list.remarks);
        layout.remarks.extend(left_out.into_iter().chain(remarks));
        Some(layout)
    }

    /// The subdirectories of directories such as `services`, and directories with build files of
    /// their own below a root that has none.
    fn collections(&self) -> Option<ProjectLayout> {
        let root_has_manifest = has_manifest(self.root);
        let mut names = Vec::new();
        let mut directories = BTreeSet::new();
        for collection in subdirectories(self.root) {
            let name = collection.file_name().unwrap_or_default().to_string_lossy();
            if is_no_project(Path::new(name.as_ref())) || collection.join(".git").exists() {
                continue;
            }
            let projects = subdirectories(&collection);
            let projects: Vec<_> = projects
                .into_iter()
                .filter(|one| !is_no_project(one))
                .collect();
            let built: Vec<_> = projects.iter().filter(|one| has_manifest(one)).collect();
            let documented = projects
                .iter()
                .filter(|one| has_manifest(one) || has_documentation(one));

            if COLLECTIONS.contains(&name.as_ref()) && documented.count() >= 2 {
                directories.extend(projects.iter().filter_map(|one| self.relative(one)));
                names.push(format!("{name}/*"));
            } else if !root_has_manifest && built.len() >= 2 {
                directories.extend(built.into_iter().filter_map(|one| self.relative(one)));
                names.push(format!("{name}/*"));
            } else if !root_has_manifest && has_manifest(&collection) {
                directories.extend(self.relative(&collection));
                names.push(name.into_owned());
            }
        }
        if directories.len() < 2 {
            return None;
        }
        let found = format!(
            "{} project directories ({})",
            directories.len(),
            names.join(", ")
        );
        Some(self.layout(found, directories, true))
    }

    /// The directories that can be projects, and a remark about each of the others.
    fn usable(&self, directories: BTreeSet<PathBuf>) -> (BTreeSet<PathBuf>, Vec<String>) {
        let mut remarks = Vec::new();
        let mut usable = BTreeSet::new();
        for directory in directories {
            match self.reason_to_leave_out(&directory) {
                Some(reason) => {
                    remarks.push(format!("`{}` is left out: {reason}", shown(&directory)));
                }
                None => {
                    usable.insert(directory);
                }
            }
        }
        (usable, remarks)
    }

    /// Why a directory cannot be a project, if it cannot.
    fn reason_to_leave_out(&self, directory: &Path) -> Option<&'static str> {
        if directory.to_str().is_none() {
            return Some("its path is not UTF-8");
        }
        let path = self.root.join(directory);
        let is_same = resolved(&path) == resolved(self.root).join(directory);
        (!is_same)
            .then_some("it is reached through a symlink; add it to `projects` with its own `root`")
    }

    fn relative(&self, directory: &Path) -> Option<PathBuf> {
        Some(directory.strip_prefix(self.root).ok()?.to_owned())
    }

    /// The layout with these directories, and with the root if `with_root` is set and the root has
    /// documents of its own.
    fn layout(
        &self,
        found: String,
        directories: BTreeSet<PathBuf>,
        with_root: bool,
    ) -> ProjectLayout {
        let root_has_documents = has_documentation(self.root);
        let mut remarks = Vec::new();
        let root = (with_root && root_has_documents).then(|| self.name.unwrap_or_default());
        let (directories, left_out) = self.usable(directories);
        remarks.extend(left_out);
        if !with_root && root_has_documents {
            remarks.push("the documents beside the checkouts are in no project".to_owned());
        }
        let found = match root {
            Some(_) => format!("{found}, and the documents of the root"),
            None => found,
        };
        let own_name = |directory: &Path| OwnKeys::read(&self.root.join(directory)).project;
        ProjectLayout {
            found,
            projects: project_names::named(directories, root, own_name),
            remarks,
        }
    }
}

fn is_no_project(directory: &Path) -> bool {
    let name = directory.file_name().unwrap_or_default();
    NOT_PROJECTS.iter().any(|other| name == *other)
}

fn has_manifest(directory: &Path) -> bool {
    MANIFESTS.iter().any(|name| directory.join(name).is_file())
}
