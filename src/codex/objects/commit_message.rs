//! The messages of the commits that syncs make. Their trailers record the project and the revision
//! of its sources.

use std::fmt::Write;
use std::path::Path;

use crate::codex::source_revision::SourceRevision;
use crate::object::ObjectId;
use crate::plan::ProjectPlan;
use crate::url::RemoteUrl;
use crate::workspace::{Project, Workspace, template};

const PROJECT: &str = "Codex-Project";
const SOURCE: &str = "Codex-Source";
const SOURCE_COMMIT: &str = "Codex-Source-Commit";
const WORK_ID: &str = "Codex-Work-Id";
const BASE: &str = "Codex-Base";
/// The end of a source commit's id if published files differ from that commit.
const DIRTY: &str = "-dirty";

/// The values of the message of one project's commit.
pub(crate) struct CommitMessage<'m> {
    /// The workspace, which has the template.
    pub workspace: &'m Workspace,
    /// The branch of the codex.
    pub branch: &'m str,
    /// The project.
    pub project: &'m Project,
    /// The changes of the commit.
    pub plan: &'m ProjectPlan,
    /// The revision of the sources, if they are in a git repository.
    pub revision: Option<&'m SourceRevision>,
    /// The value of the `Codex-Work-Id` trailer.
    pub work_id: Option<&'m str>,
}

impl CommitMessage<'_> {
    /// Fills in the template and adds the trailers.
    pub(crate) fn text(&self) -> String {
        let mut text = self.filled_template();
        text.retain(|c| c != '\0');
        text.truncate(text.trim_end().len());
        text.push('\n');
        if self.workspace.commit.trailers {
            text.push('\n');
            self.push_trailers(&mut text);
        }
        text
    }

    fn filled_template(&self) -> String {
        let workspace = self.workspace;
        let count = self.plan.counts().total().to_string();
        let text = |value: &'_ Option<String>| value.clone().unwrap_or_default();
        let organization = text(&workspace.organization);
        let codex_repo = text(&workspace.codex_repo);
        let environment = text(&workspace.environment);
        let values = [
            ("count", Some(count.as_str())),
            ("project", Some(self.project.name.as_str())),
            ("org", Some(organization.as_str())),
            ("codex_repo", Some(codex_repo.as_str())),
            ("env", Some(environment.as_str())),
            ("branch", Some(self.branch)),
        ];
        let mut template = workspace.commit.message.clone();
        if count == "1" {
            template = template.replace("{count} files", "{count} file");
        }
        template::fill(&template, &values).unwrap_or(template)
    }

    fn push_trailers(&self, text: &mut String) {
        let mut push = |key: &str, value: &str| {
            // A line break in a value would begin another trailer.
            let value = value.replace(char::is_control, " ");
            let _ = writeln!(text, "{key}: {value}");
        };
        push(PROJECT, self.project.name.as_str());
        if let Some(revision) = self.revision {
            if let Some(url) = &revision.url {
                push(SOURCE, url);
            }
            let dirty = if revision.dirty { DIRTY } else { "" };
            push(SOURCE_COMMIT, &format!("{}{dirty}", revision.commit));
        }
        if let Some(id) = self.work_id {
            push(WORK_ID, id);
        }
    }
}

/// The message of a merge of the branch `base` into the sync branch `branch`.
pub(crate) fn merge_message(base: &str, branch: &str, has_trailers: bool) -> String {
    let mut text = format!("Merge branch '{base}' into {branch}\n");
    if has_trailers {
        let _ = writeln!(text, "\n{BASE}: {base}");
    }
    text
}

/// Whether the trailers of a commit, given its bytes, say that a sync made it.
pub(crate) fn is_of_sync(commit: &[u8]) -> bool {
    let text = String::from_utf8_lossy(commit);
    let last = text.trim_end().rsplit("\n\n").next().unwrap_or_default();
    value(last, PROJECT).is_some() || value(last, BASE).is_some()
}

/// The trailers of a commit that a sync made. Every user with write access can write the same
/// trailers by hand.
pub(crate) struct SyncTrailers {
    /// The value of `Codex-Project`. It need not be a valid name.
    pub project: String,
    /// The source revision, if there are valid trailers for it.
    pub source: Option<SourceRevision>,
}

impl SyncTrailers {
    /// Parses the last paragraph of a commit's message; `None` if it does not name a project.
    pub(crate) fn parse(message: &str) -> Option<Self> {
        let trailers = message.trim_end().rsplit("\n\n").next()?;
        Some(Self {
            project: value(trailers, PROJECT)?.to_owned(),
            source: source_revision(trailers),
        })
    }
}

/// The value of the first trailer with this key.
fn value<'t>(trailers: &'t str, key: &str) -> Option<&'t str> {
    trailers
        .lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix(": "))
}

/// Parses the source revision. Its URL is reduced to the public part, in case it contains a
/// password.
fn source_revision(trailers: &str) -> Option<SourceRevision> {
    let text = value(trailers, SOURCE_COMMIT)?;
    let (id, dirty) = match text.strip_suffix(DIRTY) {
        Some(id) => (id, true),
        None => (text, false),
    };
    let url = value(trailers, SOURCE)
        .and_then(|url| RemoteUrl::parse(url, Path::new("/")).ok()?.public());
    Some(SourceRevision {
        url,
        commit: ObjectId::from_hex(id)?,
        dirty,
    })
}
