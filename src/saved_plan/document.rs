//! The file of a saved plan: the facts that a later run must find again to carry it out
//! ([`super::facts`]), and all that a dry run prints. It contains neither contents nor secrets.
//! Its schema is `schemas/plan.schema.json`.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::path::PathBuf;

use bstr::{BString, ByteSlice};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::facts::{PlanFacts, PlannedResult, ProjectFacts, RunFacts, escaped_text};
use crate::checks::Finding;
use crate::config::Direction;
use crate::forge::web_page::KnownForges;
use crate::names::{CodexPath, ProjectName};
use crate::object::ObjectId;
use crate::outcome::{
    LastSync, OthersChange, ProjectOutcome, ProjectReport, ProjectSelection, Proposal, Pushed,
    RecordedProblem, RemoteState, Status, SyncBranch, SyncOutcome, Warning, WarningSubject,
};
use crate::report::ErrorReport;
use crate::report::json::{
    self, FindingDocument, OthersChangeDocument, ProjectDocument, PullRequestDocument,
    SyncBranchDocument, SyncDocument, WarningDocument,
};
use crate::url::RemoteUrl;

/// The value of `format`, which distinguishes a plan from other JSON documents.
const FORMAT: &str = "fractary-codex plan";
/// The version of the format that this program writes and reads.
const SCHEMA_VERSION: u32 = 1;

/// A saved plan.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct SavedPlan {
    /// The version of the format. A plan of another version cannot be read.
    schema_version: u32,
    /// Always `fractary-codex plan`.
    format: String,
    /// SHA-256 of this document without this field, as JSON without white space. A plan that was
    /// edited cannot be read.
    digest: String,
    /// A digest of the tip and of all planned changes; `null` if no project is selected.
    plan_id: Option<ObjectId>,
    /// The options of `sync` that decide what is published.
    pub options: Vec<String>,
    #[serde(flatten)]
    run: RunFacts,
    /// The commit that the plan was compared with; `null` if there is none.
    base: Option<ObjectId>,
    /// Whether the branch of the codex is created.
    creates_branch: bool,
    /// The sync branches that commits are pushed to instead of the branch of the codex.
    sync_branches: Vec<SyncBranchDocument>,
    /// The open pull requests of the sync branches.
    pull_requests: Vec<PullRequestDocument>,
    /// The number of projects that an option such as `--changed-since` left out; `null` without such
    /// an option.
    pub selection: Option<ProjectSelection>,
    /// The projects, in name order.
    projects: Vec<SavedProject>,
    /// Problems that did not stop the plan.
    warnings: Vec<WarningDocument>,
}

/// A project of a saved plan.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "PlannedProject")]
struct SavedProject {
    #[serde(flatten)]
    facts: ProjectFacts,
    /// The number of added files; `null`, like all numbers here, if the sources cannot be read.
    added: Option<u64>,
    /// The number of files with changed contents or mode.
    modified: Option<u64>,
    /// The number of deleted files.
    deleted: Option<u64>,
    /// The number of claimed files that are the same on both sides or are kept.
    unchanged: Option<u64>,
    /// The number of files in the directory of the project that no pattern claims.
    unmanaged: Option<u64>,
    /// The total size of the added and modified files, in bytes.
    bytes: Option<u64>,
    /// The reason why the project is withheld or has failed.
    error: Option<ErrorReport>,
    /// The same in a few words.
    #[serde(default)]
    error_in_short: Option<String>,
    /// The files that others have changed in the codex, and that are overwritten or deleted.
    drift: Vec<OthersChangeDocument>,
    /// The findings of the checks.
    findings: Vec<FindingDocument>,
}

/// Why a document is not a saved plan that this program can use.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum UnusablePlan {
    /// It is not JSON, or it was cut.
    #[error("it is not a complete JSON document: {0}")]
    NotJson(String),
    /// It is another JSON document.
    #[error("it is another JSON document")]
    OtherDocument,
    /// It has another format.
    #[error("it has version {0} of the format, and this program reads version {SCHEMA_VERSION}")]
    OtherVersion(String),
    /// It is not as it was saved.
    #[error("it was edited after it was saved, or is damaged")]
    Edited,
    /// A value is not what the format allows.
    #[error("it is damaged: {0}")]
    Malformed(String),
}

impl SavedPlan {
    /// The plan of a dry run. `options` are those of `sync`, and `errors` returns the error of a
    /// project. `None` if the run has no plan.
    pub(crate) fn new(
        outcome: &SyncOutcome,
        options: Vec<String>,
        errors: impl Fn(&ProjectReport) -> Option<ErrorReport>,
    ) -> Option<Self> {
        let facts = match &outcome.plan_facts {
            Some(facts) => facts.as_ref().clone(),
            None if outcome.projects.is_empty() => PlanFacts::empty(&outcome.remote.url),
            None => return None,
        };
        let SyncDocument {
            pull_requests,
            projects,
            warnings,
            remote,
            ..
        } = json::document(outcome, None, errors, 0);
        let projects = facts.projects.into_iter().zip(projects);
        let in_short = outcome.projects.iter();
        let in_short = in_short.map(|project| project.outcome.in_short().map(str::to_owned));
        Some(Self {
            schema_version: SCHEMA_VERSION,
            format: FORMAT.to_owned(),
            digest: String::new(),
            plan_id: outcome.plan_id,
            options,
            run: facts.run,
            base: outcome.remote.base,
            creates_branch: outcome.remote.creates_branch,
            sync_branches: remote?.sync_branches,
            pull_requests,
            selection: outcome.selection.clone(),
            projects: projects
                .zip(in_short)
                .map(|((facts, document), in_short)| SavedProject::new(facts, document, in_short))
                .collect(),
            warnings,
        })
    }

    /// The document, with its digest.
    pub(crate) fn text(&self) -> String {
        let mut document = serde_json::to_value(self).unwrap_or_default();
        if let Value::Object(fields) = &mut document {
            let digest = digest_of(fields);
            fields.insert("digest".to_owned(), Value::String(digest));
        }
        let mut text = serde_json::to_string_pretty(&document).unwrap_or_default();
        text.push('\n');
        text
    }

    /// Reads a document.
    pub(crate) fn parse(text: &[u8]) -> Result<Self, UnusablePlan> {
        let document: Value = serde_json::from_slice(text)
            .map_err(|error| UnusablePlan::NotJson(error.to_string()))?;
        let fields = document.as_object().ok_or(UnusablePlan::OtherDocument)?;
        if fields.get("format").and_then(Value::as_str) != Some(FORMAT) {
            return Err(UnusablePlan::OtherDocument);
        }
        match fields.get("schema_version") {
            Some(version) if *version == SCHEMA_VERSION => {}
            version => {
                let version = version.map_or("unknown".to_owned(), Value::to_string);
                return Err(UnusablePlan::OtherVersion(version));
            }
        }
        let digest = fields.get("digest").and_then(Value::as_str);
        if digest != Some(&digest_of(fields)) {
            return Err(UnusablePlan::Edited);
        }
        let mut document = document;
        if let Value::Object(fields) = &mut document {
            fields
                .iter_mut()
                .for_each(|(name, value)| match name.as_str() {
                    // These are words of a command line. A suggested command shows them quoted.
                    "options" => {}
                    _ => escape(value, false),
                });
        }
        let plan: Self = serde_json::from_value(document)
            .map_err(|error| UnusablePlan::Malformed(error.to_string()))?;
        plan.check()?;
        Ok(plan)
    }

    /// Checks what a plan with the right digest can only violate if it was edited.
    fn check(&self) -> Result<(), UnusablePlan> {
        let malformed = |reason: String| Err(UnusablePlan::Malformed(reason));
        if self.plan_id.is_some() && self.projects.is_empty() {
            return malformed("it has an id and no projects".to_owned());
        }
        let mut names = BTreeSet::new();
        let mut directories = BTreeSet::new();
        for ProjectFacts { name, to, .. } in self.projects.iter().map(|one| &one.facts) {
            if !names.insert(name) {
                return malformed(format!("the project `{name}` is in it twice"));
            }
            if !directories.insert(to) {
                return malformed(format!("the directory `{to}` is in it twice"));
            }
        }
        Ok(())
    }

    /// Whether a document is a saved plan of any version, whether or not it is complete.
    pub(crate) fn is_one(text: &[u8]) -> bool {
        match Self::parse(text) {
            Err(UnusablePlan::NotJson(_)) => text.contains_str(FORMAT),
            Err(UnusablePlan::OtherDocument) => false,
            Ok(_) | Err(_) => true,
        }
    }

    /// The facts that a run must find again.
    pub(crate) fn facts(&self) -> PlanFacts {
        PlanFacts {
            run: self.run.clone(),
            projects: self.projects.iter().map(|one| one.facts.clone()).collect(),
        }
    }

    /// The names of the projects.
    pub(crate) fn projects(&self) -> impl Iterator<Item = &str> {
        self.projects.iter().map(|one| one.facts.name.as_str())
    }

    /// The outcome of the dry run that made the plan.
    pub(crate) fn outcome(&self) -> Result<SyncOutcome, UnusablePlan> {
        let malformed = |what: &str| UnusablePlan::Malformed(format!("`{what}` is invalid"));
        let url = RemoteUrl::parse(&self.run.url, std::path::Path::new("/"));
        let url = url.map_err(|_| malformed("url"))?;
        let projects = self.projects.iter().map(|project| {
            let report = project.report();
            report.ok_or_else(|| malformed(&format!("projects.{}", project.facts.name)))
        });
        let warnings = self.warnings.iter().map(|warning| {
            let project = warning.project.as_deref().map(str::parse).transpose();
            Some(Warning {
                project: project.ok()?,
                subject: WarningSubject::Other,
                message: warning.message.clone(),
            })
        });
        Ok(SyncOutcome {
            direction: Direction::ToCodex,
            dry_run: true,
            recorded: None,
            plan_id: self.plan_id,
            selection: self.selection.clone(),
            plan_facts: None,
            root: PathBuf::new(),
            remote: RemoteState {
                forges: KnownForges::of_url(&url),
                url,
                branch: self.run.branch.clone(),
                before: self.run.tip,
                after: self.run.tip,
                creates_branch: self.creates_branch,
                base: self.base,
                sync_branches: all(self.sync_branches.iter().map(sync_branch))
                    .ok_or_else(|| malformed("sync_branches"))?,
            },
            pull_requests: all(self.pull_requests.iter().map(pull_request))
                .ok_or_else(|| malformed("pull_requests"))?,
            projects: projects.collect::<Result<_, _>>()?,
            pushed: Pushed::No,
            orphans: Vec::new(),
            kept_in_cache: 0,
            attempts: 0,
            warnings: all(warnings).ok_or_else(|| malformed("warnings"))?,
            failure: None,
            duration: Default::default(),
        })
    }
}

impl SavedProject {
    fn new(facts: ProjectFacts, document: ProjectDocument, in_short: Option<String>) -> Self {
        Self {
            facts,
            added: document.added,
            modified: document.modified,
            deleted: document.deleted,
            unchanged: document.unchanged,
            unmanaged: document.unmanaged,
            bytes: document.bytes,
            error: document.error,
            error_in_short: in_short,
            drift: document.drift,
            findings: document.findings,
        }
    }

    /// The recorded problem; `None` if there is none.
    fn recorded(&self, status: Status) -> Option<ProjectOutcome> {
        let error = self.error.as_ref()?;
        Some(ProjectOutcome::Recorded(RecordedProblem {
            status,
            kind: error.kind.to_string(),
            message: error.message.clone(),
            in_short: self.error_in_short.clone(),
            hints: error.hints.clone(),
            causes: error.causes.clone(),
        }))
    }

    /// The report on the project; `None` if a value is invalid.
    fn report(&self) -> Option<ProjectReport> {
        let facts = &self.facts;
        let to = CodexPath::new(facts.to.as_bytes()).ok()?;
        let outcome = match facts.result {
            PlannedResult::UpToDate => ProjectOutcome::UpToDate,
            PlannedResult::WouldSync => ProjectOutcome::WouldSync,
            PlannedResult::Withheld => self.recorded(Status::Withheld)?,
            PlannedResult::Failed => self.recorded(Status::Failed)?,
        };
        let plan = match (self.unchanged, self.unmanaged) {
            (Some(unchanged), Some(unmanaged)) => {
                let mut plan = facts.plan(unchanged, unmanaged)?;
                let drift = self.drift.iter().map(|change| others_change(change, &to));
                plan.drift = all(drift)?;
                Some(plan)
            }
            _ => None,
        };
        Some(ProjectReport {
            name: facts.name.parse().ok()?,
            root: PathBuf::new(),
            direction: Direction::ToCodex,
            sync_branch: facts.sync_branch.clone(),
            to: Some(to),
            outcome,
            plan,
            findings: self.findings.iter().map(finding).collect(),
            last_sync: LastSync::NotRequested,
            source_directory: None,
            stale_since: None,
        })
    }
}

/// Escapes what could control a terminal in all texts of a plan. A plan that was saved has no such
/// text, but one that was edited can have a correct digest. Messages keep their line breaks.
fn escape(value: &mut Value, is_message: bool) {
    match value {
        Value::String(text) if is_message => {
            let lines: Vec<_> = text.split('\n').map(escaped_text).collect();
            *text = lines.join("\n");
        }
        Value::String(text) => *text = escaped_text(text),
        Value::Array(list) => list.iter_mut().for_each(|value| escape(value, is_message)),
        Value::Object(fields) => {
            let escaped_fields = std::mem::take(fields).into_iter().map(|(name, mut value)| {
                escape(&mut value, matches!(&*name, "message" | "hints" | "causes"));
                (escaped_text(&name), value)
            });
            *fields = escaped_fields.collect();
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The digest of a document without its field `digest`.
fn digest_of(fields: &Map<String, Value>) -> String {
    let mut fields = fields.clone();
    fields.shift_remove("digest");
    let text = serde_json::to_vec(&fields).unwrap_or_default();
    let digest = Sha256::digest(&text);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn all<V>(values: impl Iterator<Item = Option<V>>) -> Option<Vec<V>> {
    values.collect()
}

fn names(projects: &[String]) -> Option<Vec<ProjectName>> {
    all(projects.iter().map(|name| name.parse().ok()))
}

/// An id that is `null` in the document or valid; `None` otherwise.
fn id(text: Option<&str>) -> Option<Option<ObjectId>> {
    match text {
        Some(text) => Some(Some(ObjectId::from_hex(text)?)),
        None => Some(None),
    }
}

fn sync_branch(document: &SyncBranchDocument) -> Option<SyncBranch> {
    Some(SyncBranch {
        branch: document.branch.clone(),
        before: id(document.before.as_deref())?,
        after: id(document.after.as_deref())?,
        is_pushed: document.pushed,
        creates_branch: document.creates_branch,
        merges_base: document.merges_base,
        projects: names(&document.projects)?,
    })
}

fn pull_request(document: &PullRequestDocument) -> Option<Proposal> {
    Some(Proposal {
        url: document.url.clone(),
        number: document.number,
        branch: document.branch.clone(),
        head: ObjectId::from_hex(&document.head)?,
        state: document.state,
        created: document.created.clone(),
        projects: names(&document.projects)?,
    })
}

/// The change of a file below the directory `to`.
fn others_change(document: &OthersChangeDocument, to: &CodexPath) -> Option<OthersChange> {
    let below = document.path.strip_prefix(&to.to_string())?;
    Some(OthersChange {
        path: BString::from(below.strip_prefix('/')?),
        commit: id(document.commit.as_deref())?,
        author: document.author.clone(),
        since: None,
    })
}

fn finding(document: &FindingDocument) -> Finding {
    Finding {
        check: document.check,
        kind: Cow::Owned(document.kind.to_string()),
        severity: document.severity,
        path: document.path.as_str().into(),
        source: document.source.as_str().into(),
        file: document.file.as_str().into(),
        line: document.line,
        column: document.column,
        message: document.message.clone(),
        digest: document.digest.clone(),
    }
}
