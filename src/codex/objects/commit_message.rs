//! The messages of the commits that syncs make. Their trailers record the project and the revision
//! of its sources.

use std::fmt::Write;
use std::path::Path;

use crate::codex::source_authors::SourceCredit;
use crate::codex::source_revision::SourceRevision;
use crate::names::ProjectName;
use crate::object::ObjectId;
use crate::paths::CodexPath;
use crate::plan::ProjectPlan;
use crate::text::pluralize;
use crate::url::RemoteUrl;
use crate::workspace::{Project, Workspace, template};

/// The start of the keys of all trailers of ours.
const OURS: &str = "Codex-";
const PROJECT: &str = "Codex-Project";
const SOURCE: &str = "Codex-Source";
const SOURCE_COMMIT: &str = "Codex-Source-Commit";
const WORK_ID: &str = "Codex-Work-Id";
const BASE: &str = "Codex-Base";
const RETIRED: &str = "Codex-Retired";
const RENAMED_FROM: &str = "Codex-Renamed-From";
const MOVED_FROM: &str = "Codex-Moved-From";
/// The key of the trailers that name the authors of the source commits, as other programs write it.
const CO_AUTHOR: &str = "Co-authored-by";
/// The placeholder of a template for the subject of the newest source commit.
const SUBJECT: &str = "{subject}";
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
    /// The revision of the sources, if the sources are in a git repository.
    pub revision: Option<&'m SourceRevision>,
    /// The value of the `Codex-Work-Id` trailer.
    pub work_id: Option<&'m str>,
    /// The source commits, if the message depends on them.
    pub credit: Option<&'m SourceCredit>,
}

impl CommitMessage<'_> {
    /// The message without the trailers of the sync: the template with its values.
    pub(crate) fn body(&self) -> String {
        let mut text = self.filled_template();
        text.retain(|c| c != '\0');
        match text.trim() {
            "" => self.default_subject(),
            text => text.to_owned(),
        }
    }

    /// Adds the trailers to `body`: [`Self::body`], or another text.
    pub(crate) fn with_trailers(&self, body: &str) -> String {
        let mut text = format!("{body}\n");
        let trailers = self.trailers();
        // Trailers of the template, such as `Signed-off-by`, are in the same paragraph: git only reads
        // the last one.
        if !trailers.is_empty() && !ends_with_trailers(&text) {
            text.push('\n');
        }
        for (key, value) in trailers {
            push_trailer(&mut text, key, &value);
        }
        text
    }

    /// The subject if no source commit is known, as for files that are not committed.
    pub(crate) fn default_subject(&self) -> String {
        let files = pluralize(self.plan.counts().total(), "file");
        format!("Sync {files} from {}", self.project.name)
    }

    fn filled_template(&self) -> String {
        let workspace = self.workspace;
        let count = self.plan.counts().total().to_string();
        let text = |value: &'_ Option<String>| value.clone().unwrap_or_default();
        let organization = text(&workspace.organization);
        let codex_repo = text(&workspace.codex_repo);
        let environment = text(&workspace.environment_name);
        let values = [
            ("count", Some(count.as_str())),
            ("project", Some(self.project.name.as_str())),
            ("org", Some(organization.as_str())),
            ("codex_repo", Some(codex_repo.as_str())),
            ("env", Some(environment.as_str())),
            ("branch", Some(self.branch)),
        ];
        let subject = self.credit.map(|credit| credit.subject.clone());
        let subject = subject.filter(|subject| !subject.is_empty());
        let subject = subject.unwrap_or_else(|| self.default_subject());
        let mut template = workspace.commit.message.clone();
        if count == "1" {
            template = template.replace("{count} files", "{count} file");
        }
        fill_lines(&template, &values, &subject)
    }

    /// The keys and values of the trailers.
    fn trailers(&self) -> Vec<(&'static str, String)> {
        let policy = &self.workspace.commit;
        let mut trailers = Vec::new();
        if policy.trailers {
            trailers.push((PROJECT, self.project.name.to_string()));
            if let Some(revision) = self.revision {
                let url = revision.url.iter();
                trailers.extend(url.map(|url| (SOURCE, url.clone())));
                let dirty = if revision.dirty { DIRTY } else { "" };
                trailers.push((SOURCE_COMMIT, format!("{}{dirty}", revision.commit)));
            }
            let work_id = self.work_id.iter();
            trailers.extend(work_id.map(|id| (WORK_ID, (*id).to_owned())));
        }
        if let Some(credit) = self.credit.filter(|_| policy.credit) {
            let authors = credit.authors.iter();
            trailers.extend(authors.map(|author| (CO_AUTHOR, author.name_and_email())));
        }
        trailers
    }
}

/// Replaces the placeholders of a template, line by line, so that a subject is never a trailer.
fn fill_lines(template: &str, values: &template::Values<'_>, subject: &str) -> String {
    let mut filled = String::with_capacity(template.len());
    let mut has_title = false;
    let mut is_title = true;
    for line in template.lines() {
        let with = |subject: &str| {
            let values = [values, &[("subject", Some(subject))]].concat();
            template::fill(line, &values).unwrap_or_else(|_| line.to_owned())
        };
        let mut text = with(subject);
        let before = line.split_once(SUBJECT).map(|(before, _)| before);
        let names_key = before.is_some_and(|before| !before.contains(':'));
        // The first paragraph is no trailer, but a squash can put it into the middle of a message.
        let counts = !is_title || text.starts_with(OURS);
        if names_key && !subject.is_empty() && counts && can_be_trailer(&text) {
            text = with(&format!("\"{subject}\""));
        }

        let is_blank = text.trim().is_empty();
        is_title &= !(has_title && is_blank);
        has_title |= !is_blank;
        filled.push_str(&text);
        filled.push('\n');
    }
    filled
}

/// The message of a merge of the branch `base` into the sync branch `branch`.
pub(crate) fn merge_message(base: &str, branch: &str, has_trailers: bool) -> String {
    let mut text = format!("Merge branch '{base}' into {branch}\n");
    if has_trailers {
        let _ = writeln!(text, "\n{BASE}: {base}");
    }
    text
}

/// The message of a commit that removes the directory of a project.
pub(crate) fn retire_message(
    workspace: &Workspace,
    project: &Project,
    work_id: Option<&str>,
) -> String {
    let subject = format!("Retire {}", project.name);
    let to = project.to.to_string();
    with_trailers(
        workspace,
        subject,
        &[
            (PROJECT, Some(project.name.as_str())),
            (RETIRED, Some(to.as_str())),
            (WORK_ID, work_id),
        ],
    )
}

/// The message of a commit that moves the directory `from` of the project `old` to that of
/// `project`.
pub(crate) fn rename_message(
    workspace: &Workspace,
    project: &Project,
    (old, from): (&ProjectName, &CodexPath),
    work_id: Option<&str>,
) -> String {
    let subject = match *old == project.name {
        true => format!("Move {old} to {}", project.to),
        false => format!("Rename {old} to {}", project.name),
    };
    let from = from.to_string();
    with_trailers(
        workspace,
        subject,
        &[
            (PROJECT, Some(project.name.as_str())),
            (RENAMED_FROM, Some(old.as_str())),
            (MOVED_FROM, Some(from.as_str())),
            (WORK_ID, work_id),
        ],
    )
}

/// A message of this subject and, if the workspace has them, these trailers.
fn with_trailers(
    workspace: &Workspace,
    subject: String,
    trailers: &[(&str, Option<&str>)],
) -> String {
    let mut text = subject + "\n";
    if workspace.commit.trailers {
        text.push('\n');
        for (key, value) in trailers {
            if let Some(value) = value {
                push_trailer(&mut text, key, value);
            }
        }
    }
    text
}

/// Whether the last paragraph of a message, other than its subject, consists of trailers. Those of
/// syncs do not count: their values must be those of the commit.
fn ends_with_trailers(message: &str) -> bool {
    let Some((_, last)) = message.trim_end().rsplit_once("\n\n") else {
        return false;
    };
    let is_trailer = |line: &str| {
        let Some((key, value)) = line.split_once(": ") else {
            return false;
        };
        let is_key = key.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
        is_key && !key.is_empty() && !key.starts_with("Codex-") && !value.trim().is_empty()
    };
    last.lines().all(is_trailer)
}

/// Appends a trailer. Line breaks in the value are replaced, because the next line would be another
/// trailer.
fn push_trailer(text: &mut String, key: &str, value: &str) {
    let value = value.replace(char::is_control, " ");
    let _ = writeln!(text, "{key}: {value}");
}

/// The trailers of a commit that moved the directory of a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MoveTrailers {
    /// The name of the project before.
    pub old: String,
    /// The directory before.
    pub from: CodexPath,
}

impl MoveTrailers {
    /// Parses the trailers at the end of a commit's message; `None` if no directory was moved.
    pub(crate) fn parse(message: &str) -> Option<Self> {
        Self::of_paragraph(trailers_at_end(&paragraphs(message))?)
    }

    fn of_paragraph(trailers: &str) -> Option<Self> {
        Some(Self {
            old: value(trailers, RENAMED_FROM)?.to_owned(),
            from: CodexPath::new(value(trailers, MOVED_FROM)?.as_bytes()).ok()?,
        })
    }
}

/// Whether the message of a commit says that a sync has merged the branch of the codex.
pub(crate) fn is_merge_of_sync(message: &str) -> bool {
    let trailers = trailers_at_end(&paragraphs(message));
    trailers.is_some_and(|trailers| value(trailers, BASE).is_some())
}

/// Whether the trailers of a commit, given its bytes, say that a sync made it.
pub(crate) fn is_of_sync(commit: &[u8]) -> bool {
    let text = String::from_utf8_lossy(commit);
    let trailers = trailers_at_end(&paragraphs(&text));
    trailers.is_some_and(|trailers| {
        value(trailers, PROJECT).is_some() || value(trailers, BASE).is_some()
    })
}

/// The change that a commit made to a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RecordedChange {
    /// Files were published.
    Synced,
    /// The directory was removed.
    Retired {
        /// The directory; `None` if the trailer is malformed.
        directory: Option<CodexPath>,
    },
    /// The directory was moved.
    Moved(MoveTrailers),
}

/// The trailers of a commit that a sync made. Every user with write access can write the same
/// trailers by hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SyncTrailers {
    /// The value of `Codex-Project`. It need not be a valid name.
    pub project: String,
    /// The source revision, if there are valid trailers for it.
    pub source: Option<SourceRevision>,
    /// The change.
    pub change: RecordedChange,
    /// The value of `Codex-Work-Id`.
    pub work_id: Option<String>,
}

impl SyncTrailers {
    /// Parses the trailers at the end of a commit's message; `None` if they do not name a project.
    pub(crate) fn parse(message: &str) -> Option<Self> {
        Self::of_paragraph(trailers_at_end(&paragraphs(message))?)
    }

    fn of_paragraph(trailers: &str) -> Option<Self> {
        let retired = value(trailers, RETIRED);
        Some(Self {
            project: value(trailers, PROJECT)?.to_owned(),
            source: source_revision(trailers),
            change: match (retired, MoveTrailers::of_paragraph(trailers)) {
                (Some(directory), _) => RecordedChange::Retired {
                    directory: CodexPath::new(directory.as_bytes()).ok(),
                },
                (None, Some(moved)) => RecordedChange::Moved(moved),
                (None, None) => RecordedChange::Synced,
            },
            work_id: value(trailers, WORK_ID).map(str::to_owned),
        })
    }
}

/// The syncs that a commit records. A commit that was squashed records several.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct RecordedSyncs {
    /// The trailers of each sync, in the order of the message.
    pub syncs: Vec<SyncTrailers>,
    /// Whether the commit also combines commits that no sync has made. It is then unknown which of
    /// its changes are those of the syncs.
    pub has_others: bool,
}

impl RecordedSyncs {
    /// Parses the message of a commit. The trailers of a sync are at the end of its message. A
    /// message of squashed commits lists their messages, usually each as an item that begins with
    /// `* `. Trailers in other places are quotations, and do not count.
    pub(crate) fn parse(message: &str) -> Self {
        let paragraphs = paragraphs(message);
        let starts = (1..paragraphs.len()).filter(|at| paragraphs[*at].starts_with("* "));
        let bounds: Vec<_> = [0].into_iter().chain(starts).collect();

        let mut recorded = Self::default();
        for (number, start) in bounds.iter().enumerate() {
            let end = bounds.get(number + 1).copied();
            let item = &paragraphs[*start..end.unwrap_or(paragraphs.len())];
            let Some(last) = trailers_at_end(item) else {
                // The first item of a list is its title.
                recorded.has_others |= number > 0;
                continue;
            };
            recorded.has_others |= value(last, PROJECT).or(value(last, BASE)).is_none();
            let body = item.iter().skip(1);
            let blocks = body.filter(|one| **one == last || is_block_of_sync(one));
            recorded
                .syncs
                .extend(blocks.filter_map(|one| SyncTrailers::of_paragraph(one)));
        }
        recorded
    }

    /// The syncs that have made all changes of the commit; none if others have made some.
    pub(crate) fn only(&self) -> &[SyncTrailers] {
        match self.has_others {
            true => &[],
            false => &self.syncs,
        }
    }
}

/// The paragraphs of a commit's message.
fn paragraphs(message: &str) -> Vec<&str> {
    message.trim_end().split("\n\n").collect()
}

/// The last paragraph of a message that has trailers of ours, if only trailers follow, such as those
/// that a forge appends. The first paragraph is the subject.
fn trailers_at_end<'m>(paragraphs: &[&'m str]) -> Option<&'m str> {
    let body = paragraphs.get(1..)?.iter().rev();
    let mut trailers = body.take_while(|one| one.lines().all(is_trailer));
    let is_ours = |one: &&&str| one.lines().any(|line| line.starts_with(OURS));
    trailers.find(is_ours).copied()
}

/// Whether a line of a message can be that of a trailer, or a line between the trailers.
fn is_trailer(line: &str) -> bool {
    let is_token = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let is_key = |key: &str| !key.is_empty() && key.chars().all(is_token);
    let parts = line.split_once(':');
    parts.is_some_and(|(key, value)| is_key(key) && (value.is_empty() || value.starts_with(' ')))
        || line.starts_with(' ')
        || line.starts_with("(cherry picked from commit ")
        || line.chars().all(|c| c == '-')
}

/// Whether any program could take a line for a trailer. git accepts more forms than [`is_trailer`].
fn can_be_trailer(line: &str) -> bool {
    let is_token = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let key = line.split_once(':').map(|(key, _)| key.trim());
    is_trailer(line) || key.is_some_and(|key| !key.is_empty() && key.chars().all(is_token))
}

/// Whether a paragraph consists of the trailers of a sync only.
fn is_block_of_sync(paragraph: &str) -> bool {
    let is_own = |line: &str| line.starts_with(OURS) || line.starts_with(CO_AUTHOR);
    paragraph.starts_with(PROJECT) && paragraph.lines().all(is_own)
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

#[cfg(test)]
mod tests {
    use std::fmt::Debug;

    use super::*;

    /// Asserts the result for each input.
    fn assert_each<I: Copy + Debug, R: PartialEq<E> + Debug, E: Debug>(
        result: impl Fn(I) -> R,
        cases: impl IntoIterator<Item = (I, E)>,
    ) {
        for (input, expected) in cases {
            assert_eq!(result(input), expected, "{input:?}");
        }
    }

    #[test]
    fn only_a_last_paragraph_of_trailers_is_continued() {
        let cases = [
            ("docs: sync\n", false),
            ("docs\n\nSigned-off-by: A <a@b.c>\n", true),
            ("docs\n\nbody\n\nReviewed-by: A\nSigned-off-by: B\n", true),
            ("docs\n\nbody\nSigned-off-by: B\n", false),
            ("docs\n\nnote: see below:\nmore\n", false),
            ("docs\n\nCodex-Project: other\n", false),
            ("docs\n\nSigned-off-by: \n", false),
        ];
        assert_each(ends_with_trailers, cases);
    }

    #[test]
    fn subject_is_never_a_trailer() {
        let fill = |(template, subject): (&str, &str)| {
            let filled = fill_lines(template, &[("project", Some("p"))], subject);
            assert_eq!(RecordedSyncs::parse(&filled), RecordedSyncs::default());
            filled.trim().to_owned()
        };
        let cases = [
            (("{subject}", "docs: explain"), "docs: explain"),
            (
                ("{project}: {subject}", "Codex-Project: x"),
                "p: Codex-Project: x",
            ),
            (("{subject}", "Codex-Project: x"), "\"Codex-Project: x\""),
            (
                ("x\n\n{subject}", "Codex-Project: x"),
                "x\n\n\"Codex-Project: x\"",
            ),
            (
                ("x\n\n{subject}", "Signed-off-by : E"),
                "x\n\n\"Signed-off-by : E\"",
            ),
            (
                ("x\n\n{subject}", "Reviewed-by:E"),
                "x\n\n\"Reviewed-by:E\"",
            ),
            (("x\n\n{subject}", "Explain it"), "x\n\nExplain it"),
            (
                ("x\n\nCodex-{subject}", "Project: x"),
                "x\n\nCodex-\"Project: x\"",
            ),
            (
                ("x\n\n{subject}: y", "Codex-Project"),
                "x\n\n\"Codex-Project\": y",
            ),
            (("x\n\nChange: {subject}", "Bug: 1"), "x\n\nChange: Bug: 1"),
            (("{subject}\n\n{subject}", "a: b"), "a: b\n\n\"a: b\""),
            (("{subject}\n\nFrom {project}", ""), "From p"),
            (("x\n\n{subject}", "{project}"), "x\n\n{project}"),
        ];
        assert_each(fill, cases);
    }

    #[test]
    fn syncs_are_distinguished_from_quotations() {
        let of = |message: &str| {
            let RecordedSyncs { syncs, has_others } = RecordedSyncs::parse(message);
            let names = syncs.into_iter().map(|sync| sync.project);
            let others = if has_others { " and others" } else { "" };
            names.collect::<Vec<_>>().join(" ") + others
        };
        let cases = [
            ("Sync\n\nCodex-Project: a\n", "a"),
            (
                "Sync\n\nText: x.\n\nCodex-Project: a\nCodex-Work-Id: 1",
                "a",
            ),
            // Other programs append trailers.
            ("Sync\n\nCodex-Project: a\nSigned-off-by: B <b@b>", "a"),
            (
                "Sync\n\nCodex-Project: a\n(cherry picked from commit 1)",
                "a",
            ),
            (
                "Sync (#1)\n\nCodex-Project: a\n\nCo-authored-by: B <b@b>",
                "a",
            ),
            // Squashed commits.
            (
                "P (#1)\n\n* Sync\n\nCodex-Project: a\n\n* Sync\n\nmore\n\nCodex-Project: b\n\n---------\n\nCo-authored-by: B <b@b>",
                "a b",
            ),
            (
                "* Sync\n\nCodex-Project: a\n\n* Merge\n\nCodex-Base: main",
                "a",
            ),
            (
                "Sync\n\nCodex-Project: a\n\nSync\n\nCodex-Project: b",
                "a b",
            ),
            // The authors of source commits.
            (
                "Sync\n\nCodex-Project: a\nCo-authored-by: B <b@b>\nCo-authored-by: C <c@c>",
                "a",
            ),
            ("Sync\n\nCo-authored-by: B <b@b>", ""),
            (
                "Sync\n\nCodex-Project: a\nCo-authored-by: B <b@b>\n\nSync\n\nCodex-Project: b\nCo-authored-by: C <c@c>",
                "a b",
            ),
            (
                "P (#1)\n\n* Sync\n\nCodex-Project: a\nCo-authored-by: B <b@b>\n\n* Sync\n\nCodex-Project: b\nCo-authored-by: B <b@b>\n\n---------\n\nCo-authored-by: B <b@b>",
                "a b",
            ),
            (
                "Correct\n\nCodex-Project: a\nCo-authored-by: B <b@b>\nmore\n\nCodex-Project: b",
                "b",
            ),
            (
                "P\n\n* Sync\n\nCodex-Project: a\n\n* Correct it",
                "a and others",
            ),
            (
                "P\n\n* Correct it\n\n* Sync\n\nCodex-Project: a",
                "a and others",
            ),
            // Quotations.
            ("Codex-Project: a", ""),
            ("Codex-Project: a\n\nmore", ""),
            ("Correct\n\nCodex-Project: a\n\nmore", ""),
            ("Correct\n\nIt says:\nCodex-Project: a", ""),
            (
                "Correct\n\nIt says:\nCodex-Project: a\n\nSigned-off-by: B <b@b>",
                "",
            ),
            (
                "Sync\n\nIt says:\nCodex-Project: a\n\nCodex-Project: b",
                "b",
            ),
        ];
        assert_each(of, cases);
    }
}
