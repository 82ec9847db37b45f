//! Selects the files of the codex for a project's cache.
//!
//! A pattern `codex://ORG/PROJECT/PATH` selects `PATH` in the project's directory of the codex:
//! `projects/PROJECT/`, or the directory that this workspace configures for that project. Without
//! `PATH`, or with a trailing `/`, it selects everything below. `PROJECT` and `PATH` are globs,
//! with the rules of [`claims`](super::claims). `ORG` is the organization of the codex, which is
//! checked when the configuration is loaded.
//!
//! An exclude is such a pattern, or a glob that is matched both from the codex's root and in each
//! project's directory.

use bstr::{BStr, BString, ByteSlice};

use super::claims::{
    self, ClaimPatterns, Claims, DEFAULT_EXCLUDES, InvalidPattern, MappingPatterns,
};
use super::project::{Project, SCHEME};
use super::settings::Workspace;
use super::template;
use crate::config::layers;
use crate::glob::{self, Glob};
use crate::object::{Kind, ObjectId, hash};
use crate::paths::escaped;

/// The compiled patterns of one project.
pub(crate) struct CodexSelector {
    /// The sources of these claims are paths of the codex. Their destinations have no meaning.
    claims: Claims,
    /// For each rule of the claims, the number of the include that it was made from.
    includes: Vec<usize>,
    /// Whether the default excludes apply below the projects' directories.
    default_excludes: bool,
}

/// A glob from the codex's root, with exceptions.
struct CodexGlob {
    glob: String,
    /// The glob for the directories of the projects.
    directory: String,
    /// Directories that the glob does not match, with everything below.
    except: Vec<String>,
}

impl CodexSelector {
    /// Compiles the patterns of `project`.
    pub(crate) fn new(
        project: &Project,
        workspace: &Workspace,
    ) -> Result<Self, Vec<InvalidPattern>> {
        let patterns = &project.from_codex;
        let include = patterns.include.iter().enumerate();
        let globs = include.flat_map(|(number, pattern)| {
            let globs = codex_globs(pattern, workspace);
            globs.into_iter().map(move |glob| (number, glob))
        });
        let default_excludes = project.claims.patterns().default_excludes;
        Self::compile(
            globs.collect(),
            &patterns.exclude,
            default_excludes,
            workspace,
        )
    }

    /// Selects the Markdown files of all projects except `project`: the files that frontmatter can
    /// route to it.
    pub(crate) fn markdown(
        project: &Project,
        workspace: &Workspace,
    ) -> Result<Self, Vec<InvalidPattern>> {
        let own = format!("{}/**", glob::escape(&project.to.as_bstr().to_string()));
        let exclude = [project.from_codex.exclude.as_slice(), &[own]].concat();
        let pattern = format!("{}/*.md", default_directory("**"));
        let glob = CodexGlob {
            glob: pattern,
            directory: default_directory("*"),
            except: Vec::new(),
        };
        let default_excludes = project.claims.patterns().default_excludes;
        Self::compile(vec![(0, glob)], &exclude, default_excludes, workspace)
    }

    /// Selects the files that one pattern `codex://ORG/PROJECT/PATH` names.
    pub(crate) fn of_pattern(
        pattern: &str,
        workspace: &Workspace,
    ) -> Result<Self, Vec<InvalidPattern>> {
        let globs = codex_globs(pattern, workspace).into_iter();
        let globs = globs.map(|glob| (0, glob)).collect();
        Self::compile(globs, &[], false, workspace)
    }

    fn compile(
        include: Vec<(usize, CodexGlob)>,
        exclude: &[String],
        default_excludes: bool,
        workspace: &Workspace,
    ) -> Result<Self, Vec<InvalidPattern>> {
        let (includes, globs): (Vec<_>, Vec<_>) = include.into_iter().unzip();
        let mappings = globs.into_iter().map(|mut glob| {
            if default_excludes {
                let names = pull_excludes();
                glob.except
                    .push(format!("{}/**/{{{names}}}", glob.directory));
            }
            MappingPatterns {
                from: glob.glob,
                to: "selected/".to_owned(),
                exclude: glob.except,
            }
        });
        let exclude = exclude
            .iter()
            .flat_map(|pattern| exclude_globs(pattern, workspace));

        let claims = Claims::new(ClaimPatterns {
            mappings: mappings.collect(),
            exclude: exclude.collect(),
            ..ClaimPatterns::default()
        })?;
        Ok(Self {
            claims,
            includes,
            default_excludes,
        })
    }

    /// A digest of the patterns. Selectors with the same digest select the same paths.
    pub(crate) fn digest(&self) -> ObjectId {
        /// Changes with the meaning of the patterns.
        const VERSION: u8 = 3;

        let patterns = self.claims.patterns();
        let include: Vec<_> = patterns
            .mappings
            .iter()
            .map(|mapping| (&mapping.from, &mapping.exclude))
            .collect();
        let text = format!("{VERSION}\n{include:?}\n{:?}", patterns.exclude);
        hash(Kind::Blob, text.as_bytes())
    }

    /// Whether the file at this path of the codex is selected.
    pub(crate) fn selects(&self, path: &[u8]) -> bool {
        !self.claims.matching(path).is_empty()
    }

    /// Whether a selected file can be below this directory of the codex.
    pub(crate) fn can_hold(&self, directory: &[u8]) -> bool {
        self.claims.can_hold(directory)
    }

    /// The greatest number of segments in the path of a selected file; `None` if there is no limit.
    pub(crate) fn max_segments(&self) -> Option<usize> {
        let mappings = self.claims.patterns().mappings.iter();
        let lengths = mappings.map(|mapping| {
            let glob = &mapping.from;
            // A last segment without wildcards also selects everything below.
            let last = glob.rsplit('/').next().unwrap_or(glob);
            let is_limited = !glob.contains("**") && glob::is_pattern(last);
            is_limited.then(|| glob.split('/').count())
        });
        lengths.collect::<Option<Vec<_>>>()?.into_iter().max()
    }

    /// Returns a message for each include of `project` that matches none of `paths`, or that names
    /// files which a default exclude leaves out. The selector must be made from this project's
    /// includes.
    pub(crate) fn unmatched<'p>(
        &self,
        project: &'p Project,
        paths: impl Iterator<Item = &'p BString>,
    ) -> impl Iterator<Item = String> + 'p {
        let mut matched = vec![false; project.from_codex.include.len()];
        for path in paths {
            if matched.iter().all(|matched| *matched) {
                break;
            }
            for rule in self.claims.matching(path) {
                // A selector for frontmatter is not made from an include.
                if let Some(matched) = matched.get_mut(self.includes[rule]) {
                    *matched = true;
                }
            }
        }

        let includes = project.from_codex.include.iter().zip(matched);
        let default_excludes = self.default_excludes;
        includes.filter_map(move |(pattern, matched)| {
            let excluded_by = default_excludes.then(|| default_exclude_named_by(pattern));
            let pattern = escaped(pattern.as_bytes());
            match excluded_by.flatten() {
                Some(exclude) => Some(format!(
                    "`sync.from_codex.include`: `{pattern}` names files that the default exclude `{exclude}` leaves out (`sync.default_excludes: false` turns it off)"
                )),
                None if matched => None,
                None => Some(format!(
                    "`sync.from_codex.include`: `{pattern}` matches nothing in the codex"
                )),
            }
        })
    }
}

/// The default excludes of a pull, separated by commas. A `.git` in the codex is not one of them: it
/// is never pulled, and reported.
fn pull_excludes() -> String {
    let names = DEFAULT_EXCLUDES.into_iter().filter(|name| *name != ".git");
    names.collect::<Vec<_>>().join(",")
}

/// Converts a pattern `codex://ORG/PROJECT/PATH` to globs from the codex's root.
///
/// If `PROJECT` is a glob, it also matches names of projects that this workspace does not
/// configure. Their directories are the default ones, which the workspace can use for other
/// purposes if it configures another directory for a project.
fn codex_globs(pattern: &str, workspace: &Workspace) -> Vec<CodexGlob> {
    let rest = pattern.strip_prefix(SCHEME).unwrap_or(pattern);
    let mut parts = rest.splitn(3, '/').skip(1);
    let project = parts.next().unwrap_or_default();
    let path = parts.next().unwrap_or_default();
    let everything = if path.is_empty() || path.ends_with('/') {
        "**"
    } else {
        ""
    };
    let below = |directory: &str| format!("{directory}/{}{everything}", glob::without_dot(path));

    // Every pattern was checked when the configuration was loaded.
    let name = Glob::new(project).ok();
    let matches = |known: &&Project| {
        let is_match = |glob: &Glob| glob.matches(known.name.as_str().as_bytes());
        name.as_ref().is_some_and(is_match)
    };
    let mut globs = Vec::new();
    let mut except = Vec::new();
    for known in workspace.projects.iter().filter(matches) {
        let directory = glob::escape(&known.to.as_bstr().to_string());
        let default = default_directory(&glob::escape(known.name.as_str()));
        if directory != default {
            except.push(default);
            globs.push(CodexGlob {
                glob: below(&directory),
                directory,
                except: Vec::new(),
            });
        }
    }
    if globs.is_empty() || glob::is_pattern(project) {
        let directory = default_directory(project);
        globs.push(CodexGlob {
            glob: below(&directory),
            directory,
            except,
        });
    }
    globs
}

/// The default exclude that matches a literal segment of the path in `codex://ORG/PROJECT/PATH`.
fn default_exclude_named_by(pattern: &str) -> Option<&'static str> {
    let path = pattern.strip_prefix(SCHEME)?.splitn(3, '/').nth(2)?;
    claims::default_exclude_named_by(&Glob::new(path).ok()?)
}

/// Converts an exclude to globs from the codex's root.
fn exclude_globs(pattern: &str, workspace: &Workspace) -> Vec<String> {
    if pattern.starts_with(SCHEME) {
        let globs = codex_globs(pattern, workspace).into_iter();
        return globs.map(|glob| glob.glob).collect();
    }

    let pattern = glob::without_dot(pattern);
    let directories = workspace
        .projects
        .iter()
        .map(|project| glob::escape(&project.to.as_bstr().to_string()));
    let mut in_projects: Vec<String> = directories
        .map(|directory| format!("{directory}/{pattern}"))
        .collect();
    in_projects.sort();

    let mut globs = vec![
        pattern.to_owned(),
        format!("{}/{pattern}", default_directory("*")),
    ];
    globs.extend(in_projects);
    globs
}

/// Compiles an exclude: the claims own all paths of the codex except those that the exclude covers.
pub(super) fn all_except(
    pattern: &str,
    workspace: &Workspace,
) -> Result<Claims, Vec<InvalidPattern>> {
    Claims::new(ClaimPatterns {
        include: vec!["**".to_owned()],
        exclude: exclude_globs(pattern, workspace),
        ..ClaimPatterns::default()
    })
}

/// The path in the codex of the file at `path` of a project, which need not be configured.
pub(crate) fn document_path(project: &str, path: &str, workspace: &Workspace) -> BString {
    match workspace.project(project) {
        Some(known) => known.to.join(path.into()),
        None => format!("{}/{path}", default_directory(project)).into(),
    }
}

/// The project of a file in the codex, and the path of the file in the project; `None` if no project
/// can have published it. The opposite of [`document_path`].
pub(crate) fn project_and_path(path: &BStr, workspace: &Workspace) -> Option<(String, BString)> {
    let below = |directory: &[u8]| path.strip_prefix(directory)?.strip_prefix(b"/");
    for known in &workspace.projects {
        if let Some(rest) = below(known.to.as_bstr()) {
            return Some((known.name.to_string(), rest.into()));
        }
    }
    let default = default_directory("*");
    let (before, after) = default.split_once('*')?;
    let rest = path.strip_prefix(before.as_bytes())?;
    let (name, _) = rest.split_once_str("/")?;
    let inside = rest[name.len()..].strip_prefix(after.as_bytes())?;
    let inside = inside.strip_prefix(b"/")?;
    Some((name.to_str().ok()?.to_owned(), inside.into()))
}

/// The default directory in the codex of the projects whose names match the glob `project`.
fn default_directory(project: &str) -> String {
    let directory = layers::derived("project_to");
    template::fill(directory, &[("project", Some(project))])
        .unwrap_or_else(|_| unreachable!("`{directory}` has other placeholders"))
}
