//! The texts of a pull request, which list the changes that it makes to the branch of the codex.

use std::collections::{BTreeMap, BTreeSet};

use super::lane::Lane;
use super::plan::{Planned, plan_on};
use super::scan::Scanned;
use crate::codex::source_revision::SourceRevision;
use crate::forge::pull_request_text::{BodyContents, ProposedProject, inert};
use crate::object::{Kind, ObjectId, hash};
use crate::outcome::SyncError;
use crate::plan::Decision;
use crate::sync::remote_session::RemoteSession;
use crate::sync::request::SyncRequest;
use crate::workspace::{PullRequestSettings, template};

/// The maximum number of projects that a title names.
const MOST_NAMED: usize = 3;

/// The values of the texts.
pub(super) struct ProposalText {
    title: String,
    introduction: String,
    projects: Vec<ProposedProject>,
    withheld: Vec<(String, String)>,
    /// The indexes of the projects.
    numbers: BTreeSet<usize>,
}

impl ProposalText {
    /// Compares the sources of a lane's projects with the branch of the codex, whose tip was
    /// fetched.
    pub(super) fn new(
        request: &SyncRequest<'_>,
        session: &RemoteSession,
        scanned: &Scanned,
        revisions: &BTreeMap<usize, Option<SourceRevision>>,
        lane: &Lane,
    ) -> Result<Self, SyncError> {
        let listings = session.base_listings(request, &lane.projects)?;
        let on_base = plan_on(request, scanned, listings, session.base.tip);
        let withheld = withheld(request, lane.planned.as_ref());
        let changed: BTreeMap<_, _> = on_base
            .decisions
            .iter()
            .filter(|(number, _)| !withheld.contains_key(number))
            .map(|(number, decision)| (*number, decision.plan()))
            .filter(|(_, plan)| !plan.changes.is_empty())
            .collect();
        let projects = changed.iter().map(|(number, plan)| {
            let counts = plan.counts();
            let revision = revisions.get(number).and_then(Option::as_ref);
            ProposedProject {
                name: request.projects[*number].name.to_string(),
                counts: [counts.added, counts.modified, counts.deleted],
                revision: revision.map(revision_and_page),
            }
        });
        let projects: Vec<_> = projects.collect();
        let settings = request.workspace.pull_request.as_ref();
        let filled = |text: fn(&PullRequestSettings) -> &str| {
            let text = settings.map(text).unwrap_or_default();
            filled(request, session, &projects, text)
        };
        Ok(Self {
            title: filled(|settings| &settings.title),
            introduction: filled(|settings| &settings.body),
            numbers: changed.into_keys().collect(),
            withheld: withheld.into_values().collect(),
            projects,
        })
    }

    /// Whether the branch of the codex has the contents of all projects.
    pub(super) fn is_empty(&self) -> bool {
        self.projects.is_empty()
    }

    /// The indexes of the projects whose contents the branch of the codex lacks.
    pub(super) fn projects(&self) -> BTreeSet<usize> {
        self.numbers.clone()
    }

    pub(super) fn title(&self) -> &str {
        &self.title
    }

    pub(super) fn body<'t>(&'t self, earlier: Option<&'t str>) -> BodyContents<'t> {
        BodyContents {
            introduction: &self.introduction,
            projects: &self.projects,
            withheld: &self.withheld,
            earlier,
        }
    }
}

/// The projects that a guard withholds, each with its name and the reason, by index.
fn withheld(
    request: &SyncRequest<'_>,
    planned: Option<&Planned>,
) -> BTreeMap<usize, (String, String)> {
    let decisions = planned.into_iter().flat_map(|planned| &planned.decisions);
    decisions
        .filter_map(|(number, decision)| match decision {
            Decision::Withheld(_, reason) => {
                let name = request.projects[*number].name.to_string();
                Some((*number, (name, reason.to_string())))
            }
            _ => None,
        })
        .collect()
}

/// Replaces the placeholders of a template. The values lose any meaning that they have for a forge.
fn filled(
    request: &SyncRequest<'_>,
    session: &RemoteSession,
    projects: &[ProposedProject],
    text: &str,
) -> String {
    let workspace = request.workspace;
    let names: Vec<_> = projects.iter().map(|one| inert(&one.name)).collect();
    let names = match names.as_slice() {
        named if named.len() <= MOST_NAMED => named.join(", "),
        more => format!("{} projects", more.len()),
    };
    let count: u64 = projects.iter().flat_map(|one| one.counts).sum();
    let count = count.to_string();
    let value = |value: &Option<String>| inert(value.as_deref().unwrap_or_default());
    let organization = value(&workspace.organization);
    let codex_repo = value(&workspace.codex_repo);
    let environment = value(&workspace.environment);
    let directory = workspace.root.file_name().unwrap_or_default();
    let directory = inert(&directory.to_string_lossy());
    let branch = inert(&session.base.branch);
    let values = [
        ("count", Some(count.as_str())),
        ("projects", Some(names.as_str())),
        ("org", Some(organization.as_str())),
        ("codex_repo", Some(codex_repo.as_str())),
        ("env", Some(environment.as_str())),
        ("branch", Some(branch.as_str())),
        ("workspace", Some(directory.as_str())),
    ];
    let text = match count.as_str() {
        "1" => text.replace("{count} files", "{count} file"),
        _ => text.to_owned(),
    };
    template::fill(&text, &values).unwrap_or(text)
}

/// The abbreviated commit of the sources, and the address of its page on a well-known service.
fn revision_and_page(revision: &SourceRevision) -> (String, Option<String>) {
    let short = revision.commit.short();
    let page = revision.url.as_ref().and_then(|url| {
        let address = url.strip_suffix(".git").unwrap_or(url);
        let host = address.strip_prefix("https://")?.split('/').next()?;
        let path = match host {
            "gitlab.com" => "-/commit",
            "github.com" | "codeberg.org" | "gitea.com" => "commit",
            _ => return None,
        };
        Some(format!("{address}/{path}/{}", revision.commit))
    });
    let dirty = if revision.dirty { " with changes" } else { "" };
    (format!("{short}{dirty}"), page)
}

/// A digest of what these projects publish, given their indexes: names, paths, contents and modes.
pub(super) fn contents_digest(
    request: &SyncRequest<'_>,
    scanned: &Scanned,
    projects: &[usize],
) -> ObjectId {
    let mut text = Vec::new();
    for number in projects {
        text.extend(format!("project {}\n", request.projects[*number].name).bytes());
        for (path, file) in &scanned.snapshots[*number].files {
            text.extend(file.mode.octal());
            text.extend(format!(" {} {} ", file.id, path.len()).bytes());
            text.extend_from_slice(path);
            text.push(b'\n');
        }
    }
    hash(Kind::Blob, &text)
}
