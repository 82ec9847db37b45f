//! The codex as it will be after a plan, for the check of links.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use bstr::{BStr, BString, ByteSlice};

use super::documents::Documents;
use super::scan::Scanned;
use crate::checks::links::{
    CodexView, Document, DocumentKind, LinkTarget, Presence, SourceOfTarget, directory_of,
};
use crate::codex::objects::listing::Lister;
use crate::codex::objects::spellings::SpellingSearch;
use crate::codex::objects::tree::TreeError;
use crate::codex::store::{Contents, Store};
use crate::object::{Mode, ObjectId};
use crate::paths::{CodexPath, absolute, folded};
use crate::plan::{Decision, Entry, Listing};
use crate::platform::{bytes_of, path_of};
use crate::sync::request::SyncRequest;
use crate::sync::sources::SourceContents;

/// The codex as it will be after a plan, as far as the run knows it without asking the remote:
///
/// - The files of the planned projects: the changes are applied unless the project is withheld.
/// - Other paths, in the trees of the clone. Without a clone, as in an offline run, they are not
///   known.
/// - The contents of files that the run publishes or has published unchanged, from their sources,
///   and of other files if the clone has their contents.
pub(super) struct PlannedCodex<'p> {
    plan: PlanInProgress<'p>,
    /// The planned projects by their path in the codex.
    projects: BTreeMap<&'p BStr, PlannedProject<'p>>,
    /// The other paths that links lead to; `None` if they are not known.
    outside: Option<OutsidePaths>,
}

/// A plan while it is checked.
#[derive(Clone, Copy)]
pub(super) struct PlanInProgress<'p> {
    pub(super) request: &'p SyncRequest<'p>,
    pub(super) scanned: &'p Scanned,
    pub(super) sources: &'p SourceContents<'p>,
    /// The parsed documents: files of the plan, and other source files that links lead to.
    pub(super) documents: &'p Documents,
    /// The decision for each project, by index.
    pub(super) decisions: &'p BTreeMap<usize, Decision>,
    /// The files of each project in the codex, by index.
    pub(super) listings: &'p BTreeMap<usize, Listing>,
}

/// A project as it will be after a plan.
struct PlannedProject<'p> {
    index: usize,
    listing: Cow<'p, Listing>,
    /// The paths of files and directories by their folded form, made when a path is missing.
    folded: OnceLock<HashMap<BString, BString>>,
}

/// The entries of the codex at paths of no planned project.
struct OutsidePaths {
    entries: HashMap<BString, Option<(Mode, ObjectId)>>,
    contents: Contents,
    /// The documents that were parsed from the clone. They are separate from those of the sources,
    /// so that it does not depend on the order of links whether contents are known.
    documents: Documents,
}

impl OutsidePaths {
    /// The document with these contents; `None` if the clone does not have them.
    fn document(&self, id: ObjectId, kind: DocumentKind) -> Option<Arc<Document>> {
        self.documents.get(id, kind, || self.contents.read(id).ok())
    }
}

/// The trees of the codex in the clone of a run.
pub(super) struct CodexTrees<'s> {
    /// The clone.
    pub(super) store: &'s Store,
    /// The commit that the plan is on top of, and the tip of the branch of the codex, which the run
    /// may merge. A path exists if one of these commits has it.
    pub(super) commits: BTreeSet<ObjectId>,
}

impl CodexTrees<'_> {
    /// The entries at these paths.
    fn find(
        &self,
        paths: BTreeSet<BString>,
    ) -> Result<HashMap<BString, Option<(Mode, ObjectId)>>, TreeError> {
        let read = |id| self.store.read_tree(id);
        let mut entries: HashMap<_, _> = paths.into_iter().map(|path| (path, None)).collect();
        for commit in &self.commits {
            let mut lister = Lister::new(&read, Some(self.store.root_tree(*commit)?));
            for (path, found) in &mut entries {
                if found.is_none() {
                    *found = lister.find(path.as_bstr())?;
                }
            }
        }
        Ok(entries)
    }

    /// The files of the codex in other spellings of the directories of these projects, by the index
    /// of the project.
    pub(super) fn other_spellings<'d>(
        &self,
        projects: impl Iterator<Item = (usize, &'d CodexPath)>,
    ) -> Result<BTreeMap<usize, Vec<BString>>, TreeError> {
        let read = |id| self.store.read_tree(id);
        let roots = self.commits.iter();
        let roots: Result<_, _> = roots.map(|id| self.store.root_tree(*id)).collect();
        let mut search = SpellingSearch::new(&read, roots?);
        projects
            .map(|(index, directory)| Ok((index, search.files(directory)?)))
            .collect()
    }
}

impl<'p> PlannedCodex<'p> {
    /// The codex after `plan`. Only the paths of the planned projects are known, until
    /// [`Self::look_outside`] adds others.
    pub(super) fn new(plan: PlanInProgress<'p>) -> Self {
        let projects = plan.listings.iter().map(|(index, listing)| {
            let listing = match plan.decisions.get(index) {
                Some(Decision::Ready(changes)) => Cow::Owned(changes.apply_to(listing)),
                _ => Cow::Borrowed(listing),
            };
            let project = PlannedProject {
                index: *index,
                listing,
                folded: OnceLock::new(),
            };
            (plan.request.projects[*index].to.as_bstr(), project)
        });
        Self {
            projects: projects.collect(),
            plan,
            outside: None,
        }
    }

    /// Looks up `paths` of no planned project in the trees of the codex, because several threads
    /// cannot use the clone. If a tree cannot be read, the paths are not known.
    pub(super) fn look_outside(&mut self, paths: BTreeSet<BString>, trees: &CodexTrees<'_>) {
        self.outside = trees.find(paths).ok().map(|entries| OutsidePaths {
            entries,
            contents: trees.store.contents(),
            documents: Documents::default(),
        });
    }

    /// Whether `path` is in no planned project, and above none that has files.
    pub(super) fn is_outside(&self, path: &BStr) -> bool {
        self.project_of(path).is_none() && !self.is_above_a_project(path)
    }

    /// The project whose path in the codex is `path` or contains it, and the path below that.
    fn project_of<'a>(&self, path: &'a BStr) -> Option<(&PlannedProject<'p>, &'a BStr)> {
        let mut ends = path.find_iter("/").chain([path.len()]);
        ends.find_map(|end| {
            let project = self.projects.get(path[..end].as_bstr())?;
            Some((project, path[(end + 1).min(path.len())..].as_bstr()))
        })
    }

    /// Whether `path` is a directory above a project with files.
    fn is_above_a_project(&self, path: &BStr) -> bool {
        let below = [path.as_bytes(), b"/"].concat();
        let after = (Bound::Excluded(below.as_bstr()), Bound::Unbounded);
        let projects = self.projects.range::<BStr, _>(after);
        projects
            .take_while(|(to, _)| to.starts_with(&below))
            .any(|(_, project)| !project.listing.entries.is_empty())
    }

    /// The document at `below` in a planned project.
    fn document_of(
        &self,
        project: &PlannedProject<'_>,
        below: &BStr,
        kind: DocumentKind,
    ) -> Option<Arc<Document>> {
        let entry = project.listing.entries.get(below);
        let id = entry.filter(|entry| entry.mode.is_file())?.id;
        let snapshot = &self.plan.scanned.snapshots[project.index];
        let file = snapshot.files.get(below).filter(|file| file.id == id);
        let Some(file) = file else {
            return self.outside.as_ref()?.document(id, kind);
        };
        self.plan.documents.get(id, kind, || {
            self.plan.sources.read(project.index, file).ok()
        })
    }

    /// The source at an absolute path, in the project with the deepest root above it.
    fn source_at(&self, path: &Path) -> Option<SourceOfTarget> {
        let projects = self.plan.request.workspace.projects.iter();
        let (project, source) = projects
            .filter_map(|project| Some((project, path.strip_prefix(&project.root).ok()?)))
            .max_by_key(|(project, _)| project.root.as_os_str().len())?;
        let source = bytes_of(source);

        let claims = project.claims.claim(&source);
        let paths = claims.iter();
        let paths = paths.map(|claim| project.to.join(claim.destination.as_bstr()));
        let published: Vec<_> = paths
            .filter(|path| self.presence(path.as_bstr()) == Presence::File)
            .collect();
        if !published.is_empty() {
            return Some(SourceOfTarget::Published(published));
        }

        let mut projects = self.plan.request.projects.iter();
        let index = projects.position(|selected| selected.name == project.name)?;
        if !self.plan.sources.contains(index, &source).ok()? {
            return None;
        }
        Some(SourceOfTarget::Unpublished {
            project: project.name.to_string(),
            reason: self.reason(index, &source, !claims.is_empty()),
            source: source.into_owned(),
        })
    }

    /// The reason why an existing file or directory of a project is not published.
    fn reason(&self, index: usize, source: &BStr, is_claimed: bool) -> String {
        let snapshot = &self.plan.scanned.snapshots[index];
        let mut skipped = snapshot.skipped.iter();
        if let Some(skipped) = skipped.find(|skipped| skipped.source == source) {
            return format!("it is skipped: {}", skipped.reason);
        }

        let directory = [source.as_bytes(), b"/"].concat();
        let mut files = snapshot.files.values();
        let reason = if files.any(|file| file.source.starts_with(&directory)) {
            "its files are published to other directories"
        } else if is_claimed {
            "the codex does not have it"
        } else {
            "no pattern publishes it"
        };
        reason.to_owned()
    }
}

impl PlannedProject<'_> {
    /// The kind of entry at `below`, a path below that of the project.
    fn presence(&self, below: &BStr) -> Presence {
        if self.listing.obstacle.is_some() {
            return Presence::Unknown;
        }
        let entries = &self.listing.entries;
        if below.is_empty() {
            let is_empty = entries.is_empty();
            return if is_empty {
                Presence::Missing
            } else {
                Presence::Directory
            };
        }
        if let Some(entry) = entries.get(below) {
            return presence_of(entry.mode);
        }

        let directory = [below.as_bytes(), b"/"].concat();
        let after = (Bound::Excluded(directory.as_bstr()), Bound::Unbounded);
        let next = entries.range::<BStr, _>(after).next();
        if next.is_some_and(|(path, _)| path.starts_with(&directory)) {
            return Presence::Directory;
        }

        let mut above = below
            .find_iter("/")
            .filter_map(|slash| entries.get(below[..slash].as_bstr()));
        let leads_on = |entry: &Entry| presence_of(entry.mode) == Presence::Unknown;
        match above.any(leads_on) {
            true => Presence::Unknown,
            false => Presence::Missing,
        }
    }

    /// A file or directory whose path differs from `below` only in case or Unicode form.
    fn other_spelling(&self, below: &BStr) -> Option<&BString> {
        let by_folded = self.folded.get_or_init(|| {
            let mut by_folded = HashMap::new();
            for path in self.listing.entries.keys() {
                for end in path.find_iter("/").chain([path.len()]) {
                    let path = BString::from(&path[..end]);
                    by_folded.insert(folded(&path), path);
                }
            }
            by_folded
        });
        by_folded.get(&folded(below))
    }
}

/// The kind of an entry, for links. The targets of symlinks and submodules are not known.
fn presence_of(mode: Mode) -> Presence {
    match mode {
        Mode::File | Mode::Executable => Presence::File,
        Mode::Directory => Presence::Directory,
        Mode::Link | Mode::Submodule => Presence::Unknown,
    }
}

impl CodexView for PlannedCodex<'_> {
    fn presence(&self, path: &BStr) -> Presence {
        match self.project_of(path) {
            Some((project, below)) => project.presence(below),
            None if self.is_above_a_project(path) => Presence::Directory,
            None => match self
                .outside
                .as_ref()
                .and_then(|known| known.entries.get(path))
            {
                None => Presence::Unknown,
                Some(None) => Presence::Missing,
                Some(Some((mode, _))) => presence_of(*mode),
            },
        }
    }

    fn other_spelling(&self, path: &BStr) -> Option<BString> {
        let (project, below) = self.project_of(path)?;
        let other = project.other_spelling(below)?;
        Some(
            self.plan.request.projects[project.index]
                .to
                .join(other.as_bstr()),
        )
    }

    fn document(&self, path: &BStr) -> Option<Arc<Document>> {
        let kind = DocumentKind::of(path)?;
        if let Some((project, below)) = self.project_of(path) {
            return self.document_of(project, below, kind);
        }
        let outside = self.outside.as_ref()?;
        let (mode, id) = (*outside.entries.get(path)?)?;
        mode.is_file().then(|| outside.document(id, kind))?
    }

    fn source(&self, document: &BStr, target: &LinkTarget) -> Option<SourceOfTarget> {
        let (project, below) = self.project_of(document)?;
        let snapshot = &self.plan.scanned.snapshots[project.index];
        let source = &snapshot.files.get(below)?.source;
        let project = self.plan.request.projects[project.index];
        // In a repository, a link that starts with `/` is relative to its root. That is the root of
        // the project or of the workspace.
        let relative = target.path.trim_start_with(|c| c == '/');
        let bases = match relative.len() < target.path.len() {
            true => vec![
                project.root.clone(),
                self.plan.request.workspace.root.clone(),
            ],
            false => vec![project.root.join(path_of(directory_of(source.as_bstr())))],
        };
        bases
            .iter()
            .find_map(|base| self.source_at(&absolute(base, path_of(relative))))
    }
}
