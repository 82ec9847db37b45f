//! From the codex to the workspace: which paths of the codex a project's cache is to hold.
//!
//! A pattern `codex://ORG/PROJECT/PATH` speaks of `PATH` below the project's place in the codex, `projects/PROJECT/`, or
//! where this workspace's own configuration puts that project; without `PATH`, or where it ends in `/`, of everything
//! below. `PROJECT` and `PATH` are globs with the rules of [`mapping`](crate::workspace::claims). `ORG` names the
//! organization whose codex it is: there is only the one. An exclude is such a pattern, or a glob that counts both from
//! the codex's root and below each project's place.

use std::collections::{BTreeMap, HashMap};

use bstr::{BString, ByteSlice};

use crate::cache::{self, Cache, CacheOwner, Reason};
use crate::codex::objects::tree::{self, TreeError};
use crate::config::layers;
use crate::glob;
use crate::object::{Kind, Mode, ObjectId, hash};
use crate::paths::{check_file_name, escaped, folded};
use crate::plan::Entry;
use crate::workspace::claims::{ClaimPatterns, Claims, InvalidPattern};
use crate::workspace::project::SCHEME;
use crate::workspace::{Project, Workspace, template};

/// The patterns of one project, compiled.
pub struct CodexSelector {
    claims: Claims,
}

/// What the codex holds of what a project selector.
#[derive(Debug, Default)]
pub struct Selected {
    /// Files, by their path in the codex.
    pub files: BTreeMap<BString, Entry>,
    /// Entries that match and that no file here can be, with the reason.
    pub refused: Vec<(BString, String)>,
    /// Links and submodules that match: they are not brought.
    pub passed_over: Vec<(BString, Mode)>,
}

impl CodexSelector {
    /// Compiles the patterns of `project`.
    pub fn new(project: &Project, workspace: &Workspace) -> Result<Self, Vec<InvalidPattern>> {
        let rules = &project.from_codex;
        let include: Vec<String> = rules
            .include
            .iter()
            .map(|pattern| glob_of(pattern, workspace))
            .collect();
        Self::of_globs(include, &rules.exclude, workspace)
    }

    /// Every Markdown file of other projects: those whose frontmatter may speak of `project`.
    pub fn markdown(project: &Project, workspace: &Workspace) -> Result<Self, Vec<InvalidPattern>> {
        let own = format!("{}/**", glob::escape(&project.to.as_bstr().to_string()));
        let exclude = [project.from_codex.exclude.as_slice(), &[own]].concat();
        Self::of_globs(
            vec![format!("{}/*.md", place_of("**"))],
            &exclude,
            workspace,
        )
    }

    fn of_globs(
        include: Vec<String>,
        exclude: &[String],
        workspace: &Workspace,
    ) -> Result<Self, Vec<InvalidPattern>> {
        let exclude = exclude.iter().flat_map(|pattern| {
            if pattern.starts_with(SCHEME) {
                return vec![glob_of(pattern, workspace)];
            }
            let places = workspace
                .projects
                .iter()
                .map(|project| glob::escape(&project.to.as_bstr().to_string()));
            let pattern = glob::without_dot(pattern);
            let mut below: Vec<_> = places.map(|place| format!("{place}/{pattern}")).collect();
            below.sort();
            [
                vec![pattern.to_owned(), format!("{}/{pattern}", place_of("*"))],
                below,
            ]
            .concat()
        });
        let exclude = exclude.collect();
        Ok(Self {
            claims: Claims::new(ClaimPatterns {
                include,
                exclude,
                ..ClaimPatterns::default()
            })?,
        })
    }

    /// A digest of the patterns, and of the version of their meaning: equal ones select the same files.
    pub fn digest(&self) -> ObjectId {
        let patterns = self.claims.patterns();
        hash(
            Kind::Blob,
            format!("2\n{:?}\n{:?}", patterns.include, patterns.exclude).as_bytes(),
        )
    }

    /// Whether the path of the codex is wanted.
    pub fn selects(&self, path: &[u8]) -> bool {
        !self.claims.claim(path).is_empty()
    }

    /// The includes of `project`, of which this was made, that match none of `paths`: a message for each.
    pub fn unmatched<'p>(
        &self,
        project: &'p Project,
        paths: impl Iterator<Item = &'p BString>,
    ) -> impl Iterator<Item = String> + 'p {
        let mut matched = vec![false; project.from_codex.include.len()];
        for path in paths {
            // Routing by frontmatter has a rule and no include.
            for number in self.claims.matching(path) {
                if let Some(matched) = matched.get_mut(number) {
                    *matched = true;
                }
            }
        }
        let includes = project.from_codex.include.iter().zip(matched);
        includes
            .filter(|(_, matched)| !matched)
            .map(|(pattern, _)| {
                let pattern = escaped(pattern.as_bytes());
                format!("`sync.from_codex.include`: `{pattern}` matches nothing in the codex")
            })
    }

    /// Looks for what is wanted below the tree `root`, reading no directory that cannot hold any of it.
    pub fn find(
        &self,
        read: &dyn Fn(ObjectId) -> Result<Vec<u8>, TreeError>,
        root: Option<ObjectId>,
    ) -> Result<Selected, TreeError> {
        let mut found = Selected::default();
        let mut pending: Vec<_> = root
            .map(|root| (BString::default(), root))
            .into_iter()
            .collect();
        while let Some((prefix, id)) = pending.pop() {
            for entry in tree::decode(&read(id)?).ok_or(TreeError::Damaged(id))? {
                let path = BString::from([prefix.as_slice(), &entry.name].concat());
                let is_directory = entry.mode == Mode::Directory;
                if !(if is_directory {
                    self.claims.can_hold(&path)
                } else {
                    self.selects(&path)
                }) {
                    continue;
                }
                if let Err(reason) = check_file_name(&entry.name) {
                    found.refused.push((path, reason.to_string()));
                } else if cache::is_own_name(path.as_bstr()) {
                    found
                        .refused
                        .push((path, "the name is the cache's own".to_owned()));
                } else if is_directory {
                    pending.push((BString::from([path.as_slice(), b"/"].concat()), entry.id));
                } else if entry.mode.is_file() {
                    found.files.insert(
                        path,
                        Entry {
                            mode: entry.mode,
                            id: entry.id,
                        },
                    );
                } else {
                    found.passed_over.push((path, entry.mode));
                }
            }
        }
        found.refuse_twins();
        found.refused.sort();
        found.passed_over.sort();
        Ok(found)
    }
}

/// One message per include of `project` that matched nothing at the last pull. Returns no message if that is not known: the
/// cache cannot be read, or it is from another remote or for other patterns.
pub fn unmatched_in_cache(project: &Project, workspace: &Workspace) -> Vec<String> {
    let Ok(selector) = CodexSelector::new(project, workspace) else {
        return Vec::new();
    };
    let Ok(cache) = Cache::open_read_only(&project.cache_dir) else {
        return Vec::new();
    };
    let owner = CacheOwner {
        project: project.name.clone(),
        reason: Reason::Pulled,
    };
    let is_known = cache.manifest().owners.get(&owner).is_some_and(|asked| {
        asked.complete
            && asked.digest == selector.digest()
            && asked.remote == workspace.remote.url.to_string()
    });
    if is_known {
        let files = cache.files_of(&owner);
        selector.unmatched(project, files.keys()).collect()
    } else {
        Vec::new()
    }
}

impl Selected {
    /// Of names that only some file systems tell apart, and of a file and a directory of one name, the first is brought.
    fn refuse_twins(&mut self) {
        let mut seen: HashMap<BString, BString> = HashMap::new();
        let mut twins = Vec::new();
        for path in self.files.keys() {
            let ends = path.find_iter(b"/").chain([path.len()]);
            let other = ends
                .filter_map(|end| seen.get(&folded(&path[..end])))
                .next();
            match other {
                Some(other) => twins.push((
                    path.clone(),
                    format!("`{}` is there under that name", escaped(other)),
                )),
                None => drop(seen.insert(folded(path), path.clone())),
            }
        }
        for (path, reason) in twins {
            self.files.remove(&path);
            self.refused.push((path, reason));
        }
    }
}

/// A pattern `codex://ORG/PROJECT/PATH` as a glob from the codex's root.
fn glob_of(pattern: &str, workspace: &Workspace) -> String {
    let rest = pattern.strip_prefix(SCHEME).unwrap_or(pattern);
    let mut parts = rest.splitn(3, '/').skip(1);
    let (project, path) = (
        parts.next().unwrap_or_default(),
        parts.next().unwrap_or_default(),
    );
    let placed = workspace
        .projects
        .iter()
        .find(|known| known.name.as_str() == project);
    let place = match placed {
        Some(known) => glob::escape(&known.to.as_bstr().to_string()),
        None => place_of(project),
    };
    let all = if path.is_empty() || path.ends_with('/') {
        "**"
    } else {
        ""
    };
    format!("{place}/{}{all}", glob::without_dot(path))
}

/// Where projects of this name, or that match this glob, stand in the codex, unless their configuration says otherwise.
fn place_of(project: &str) -> String {
    let place = layers::derived("project_to");
    template::fill(place, &[("project", Some(project))])
        .unwrap_or_else(|_| unreachable!("`{place}` cannot be filled"))
}
