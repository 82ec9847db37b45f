//! The texts of a pull request, which list the changes that it makes to the branch of the codex.

use std::collections::BTreeMap;

use bstr::{BString, ByteSlice};

use super::check::CheckResults;
use super::lane::Lane;
use super::proposals::ProposalRun;
use super::scan::Scanned;
use crate::codex::source_revision::SourceRevision;
use crate::config::Direction;
use crate::config::layers::default_text;
use crate::forge::pull_request_text::{BodyContents, ProposedProject, inert};
use crate::forge::web_page::KnownForges;
use crate::names::ProjectName;
use crate::object::{Kind, Mode, ObjectId, hash};
use crate::outcome::SyncError;
use crate::paths::escaped;
use crate::plan::{Decision, Entry, Listing};
use crate::sync::remote_session::RemoteSession;
use crate::sync::request::SyncRequest;
use crate::workspace::{Project, PullRequestSettings, template};

/// The maximum number of projects that a title names.
const MAX_NAMED: usize = 3;
/// The number of digits of the digest of a project's contents.
const DIGEST_LENGTH: usize = 12;

/// The values that the title and the body of a pull request are made from.
pub(super) struct ProposalText {
    title: String,
    introduction: String,
    projects: Vec<ProposedProject>,
    not_included: Vec<(String, String)>,
    drift: Vec<(String, String)>,
    findings: Vec<(String, String)>,
    /// The settings of `push.pull_request` that contain a secret: the pull request has their defaults.
    pub(super) with_secret: Vec<&'static str>,
    /// The commit of the sync branch that the texts are about.
    pub(super) tip: ObjectId,
}

impl ProposalText {
    /// Compares the commit `tip` of a lane's sync branch with the branch of the codex, for all
    /// projects of the workspace that are pushed to the sync branch. Both were fetched.
    pub(super) fn new(
        request: &SyncRequest<'_>,
        session: &RemoteSession,
        run: &ProposalRun<'_>,
        lane: &Lane,
        tip: ObjectId,
    ) -> Result<Self, SyncError> {
        let forges = KnownForges::new(request.workspace, request.environment);
        let owners = projects_on(request, &session.targets[lane.target].branch);
        let listings = session.listings_of_both(&owners, tip)?;
        let compared = owners.iter().zip(&listings);
        let projects: Vec<_> = compared
            .filter_map(|(project, (before, after))| {
                let counts = counts(project, before, after);
                let revision = revision(request, session, run, lane, project);
                (counts != [0; 3]).then(|| ProposedProject {
                    name: project.name.to_string(),
                    counts,
                    revision: revision.map(|revision| revision_and_page(revision, &forges)),
                    contents: contents_digest(project, after),
                })
            })
            .collect();
        let settings = request.workspace.pull_request.as_ref();
        let mut with_secret = Vec::new();
        let mut filled = |key: &'static str, text: fn(&PullRequestSettings) -> &str| {
            let text = settings.map(text).unwrap_or_default();
            let text = filled(request, session, &projects, text);
            let mut owners = owners.iter();
            if !owners.any(|project| request.finds_secret(project, &text)) {
                return text;
            }
            with_secret.push(key);
            let default = default_text(&["codex", "push", "pull_request", key]);
            filled(request, session, &projects, default)
        };
        Ok(Self {
            title: filled("title", |settings| &settings.title),
            introduction: filled("body", |settings| &settings.body),
            with_secret,
            not_included: not_included(request, run.scanned, lane),
            drift: drift(request, lane),
            findings: findings(request, run.checked, lane),
            projects,
            tip,
        })
    }

    /// Whether the branch of the codex has the contents of all projects.
    pub(super) fn is_empty(&self) -> bool {
        self.projects.is_empty()
    }

    /// The names of the projects that the pull request changes.
    pub(super) fn names(&self, request: &SyncRequest<'_>) -> Vec<ProjectName> {
        let is_listed = |name: &&ProjectName| {
            let mut listed = self.projects.iter();
            listed.any(|project| project.name == name.as_str())
        };
        let projects = request.workspace.projects.iter();
        let names = projects.map(|project| &project.name);
        names.filter(is_listed).cloned().collect()
    }

    pub(super) fn title(&self) -> &str {
        &self.title
    }

    pub(super) fn body<'t>(&'t self, earlier: Option<&'t str>) -> BodyContents<'t> {
        BodyContents {
            introduction: &self.introduction,
            projects: &self.projects,
            withheld: &self.not_included,
            drift: &self.drift,
            findings: &self.findings,
            earlier,
        }
    }
}

/// The projects of the workspace that are pushed to a sync branch.
fn projects_on<'r>(request: &SyncRequest<'r>, branch: &str) -> Vec<&'r Project> {
    let projects = request.workspace.projects.iter();
    projects
        .filter(|project| project.direction != Direction::FromCodex)
        .filter(|project| {
            let sync_branch = request.workspace.push_branches.of(&project.name);
            sync_branch.as_deref() == Some(branch)
        })
        .collect()
}

/// The entries of a listing that the project may change.
fn own_entries<'l>(
    project: &Project,
    listing: &'l Listing,
) -> impl Iterator<Item = (&'l BString, &'l Entry)> {
    let entries = listing.entries.iter();
    entries.filter(|(path, entry)| entry.mode != Mode::Directory && project.may_change(path))
}

/// The numbers of added, modified and deleted files of a project.
fn counts(project: &Project, before: &Listing, after: &Listing) -> [u64; 3] {
    let mut counts = [0; 3];
    for (path, entry) in own_entries(project, after) {
        match before.entries.get(path) {
            Some(old) if old == entry => {}
            Some(old) if old.mode != Mode::Directory => counts[1] += 1,
            _ => counts[0] += 1,
        }
    }
    let deleted =
        own_entries(project, before).filter(|(path, _)| !after.entries.contains_key(*path));
    counts[2] = deleted.count() as u64;
    counts
}

/// The source revision of the files of a project on the sync branch: that of the commit of this run
/// or, if it has made none, of an earlier commit on the branch.
fn revision<'s>(
    request: &SyncRequest<'_>,
    session: &'s RemoteSession,
    run: &'s ProposalRun<'_>,
    lane: &Lane,
    project: &Project,
) -> Option<&'s SourceRevision> {
    let mut indexes = lane.projects.iter();
    let landed = indexes.find(|index| {
        request.projects[**index].name == project.name && lane.attempts.has_landed(**index)
    });
    match landed {
        Some(index) => run.revisions.get(index)?.as_ref(),
        None => {
            let on_branch = session.partings.revisions.get(lane.target)?;
            on_branch.get(project.name.as_str())
        }
    }
}

/// The projects of a lane whose current files are not on the sync branch, each with its name and the
/// reason.
fn not_included(
    request: &SyncRequest<'_>,
    scanned: &Scanned,
    lane: &Lane,
) -> Vec<(String, String)> {
    let indexes = lane.projects.iter();
    indexes
        .filter_map(|index| {
            let reason = lane.reason_for_exclusion(scanned, *index)?;
            Some((request.projects[*index].name.to_string(), reason))
        })
        .collect()
}

/// The files of others that the plan of a lane overwrites, each with the name of its project.
fn drift(request: &SyncRequest<'_>, lane: &Lane) -> Vec<(String, String)> {
    let planned = lane.planned.iter();
    let ready = planned.flat_map(|planned| planned.changes());
    let drift = ready.flat_map(|(index, plan)| {
        let project = request.projects[index];
        plan.drift.iter().map(move |change| {
            let path = project.to.join(change.path.as_bstr());
            let text = format!("{} in {}", escaped(&path), change.origin());
            (project.name.to_string(), text)
        })
    });
    drift.collect()
}

/// The findings of the checks in the projects of a lane, each with the name of the project.
fn findings(
    request: &SyncRequest<'_>,
    checked: &CheckResults,
    lane: &Lane,
) -> Vec<(String, String)> {
    let findings = lane.projects.iter().flat_map(|index| {
        let name = &request.projects[*index].name;
        let findings = checked.projects.get(index).into_iter().flatten();
        findings.map(|finding| (name.to_string(), finding.to_string()))
    });
    findings.collect()
}

/// The projects of a lane whose files differ from those on the branch of the codex once the last
/// plan is pushed, by index, each with the digest of its contents. The branch was fetched.
pub(super) fn planned_contents(
    request: &SyncRequest<'_>,
    session: &RemoteSession,
    lane: &Lane,
) -> Result<BTreeMap<usize, String>, SyncError> {
    let Some(planned) = &lane.planned else {
        return Ok(BTreeMap::new());
    };
    let on_base = session.base_listings(request, &lane.projects)?;
    let changed = planned.decisions.iter().filter_map(|(index, decision)| {
        let project = request.projects[*index];
        let before = &planned.listings[index];
        let after = match decision {
            Decision::Ready(plan) => plan.apply_to(before),
            _ => before.clone(),
        };
        let is_changed = counts(project, &on_base[index], &after) != [0; 3];
        is_changed.then(|| (*index, contents_digest(project, &after)))
    });
    Ok(changed.collect())
}

/// A digest of the name of a project and of its files in a listing, in hexadecimal digits.
fn contents_digest(project: &Project, listing: &Listing) -> String {
    let mut text = format!("project {}\n", project.name).into_bytes();
    // Files that are only pruned are not contents of the project.
    let entries = own_entries(project, listing);
    for (path, entry) in entries.filter(|(path, _)| project.claims.owns(path)) {
        text.extend(entry.mode.octal());
        text.extend(format!(" {} {} ", entry.id, path.len()).bytes());
        text.extend_from_slice(path);
        text.push(b'\n');
    }
    let mut digest = hash(Kind::Blob, &text).to_string();
    digest.truncate(DIGEST_LENGTH);
    digest
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
        named if named.len() <= MAX_NAMED => named.join(", "),
        more => format!("{} projects", more.len()),
    };
    let count: u64 = projects.iter().flat_map(|one| one.counts).sum();
    let count = count.to_string();
    let value = |value: &Option<String>| inert(value.as_deref().unwrap_or_default());
    let organization = value(&workspace.organization);
    let codex_repo = value(&workspace.codex_repo);
    let environment = value(&workspace.environment_name);
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

/// The abbreviated commit of the sources, and the address of its page on a known forge.
fn revision_and_page(revision: &SourceRevision, forges: &KnownForges) -> (String, Option<String>) {
    let short = revision.commit.short();
    let pages = revision.url.as_ref().and_then(|url| forges.of_source(url));
    let page = pages.map(|pages| pages.commit(revision.commit));
    let dirty = if revision.dirty { " with changes" } else { "" };
    (format!("{short}{dirty}"), page)
}
