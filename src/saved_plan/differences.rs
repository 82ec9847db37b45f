//! The differences between a plan and the same plan made later.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::facts::{
    FileSet, PlanFacts, PlannedChange, PlannedOp, PlannedResult, PlannedVersion, ProjectFacts,
    RunFacts,
};
use crate::object::ObjectId;
use crate::paths::escaped;
use crate::text::pluralize;

/// A difference between a plan and the same plan made later.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PlanDifference {
    /// The project; `None` if the difference is about the run as a whole.
    pub project: Option<String>,
    /// What differs: a path of the codex, or a setting.
    pub subject: String,
    /// Its value in the plan.
    pub planned: String,
    /// Its present value.
    pub now: String,
}

impl fmt::Display for PlanDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            subject,
            planned,
            now,
            ..
        } = self;
        if let Some(project) = &self.project {
            write!(f, "{}: ", escaped(project.as_bytes()))?;
        }
        write!(
            f,
            "{}: planned: {}; now: {}",
            escaped(subject.as_bytes()),
            escaped(planned.as_bytes()),
            escaped(now.as_bytes())
        )
    }
}

/// The differences between the facts of a plan and the present ones. Projects that have `landed` in
/// this run are left out.
///
/// The tip of the codex may be another one, if it has the same files at the paths of the projects.
/// The source revision may be another one, if it has the same files.
pub(crate) fn differences(
    planned: &PlanFacts,
    now: &PlanFacts,
    landed: &BTreeSet<String>,
) -> Vec<PlanDifference> {
    let mut found = Differences::default();
    found.compare_runs(planned, now);

    let projects = by(&planned.projects, &now.projects, |one| one.name.as_str());
    for (name, pair) in projects {
        if landed.contains(name) {
            continue;
        }
        found.project = Some(name.to_owned());
        match pair {
            (Some(planned), Some(now)) => found.compare_projects(planned, now),
            (Some(_), None) => found.add("project", "selected", "not selected"),
            (None, Some(_)) => found.add("project", "not selected", "selected"),
            (None, None) => {}
        }
    }
    found.list
}

/// The differences of a plan whose projects `missing` are no longer in the configuration.
pub(crate) fn missing_projects<'n>(missing: impl Iterator<Item = &'n str>) -> Vec<PlanDifference> {
    let mut found = Differences::default();
    for name in missing {
        found.project = Some(name.to_owned());
        found.add("project", "configured", "not configured");
    }
    found.list
}

/// A comparison in progress.
#[derive(Default)]
struct Differences {
    /// The project that is compared.
    project: Option<String>,
    list: Vec<PlanDifference>,
}

impl Differences {
    fn add(&mut self, subject: &str, planned: impl Into<String>, now: impl Into<String>) {
        self.list.push(PlanDifference {
            project: self.project.clone(),
            subject: subject.to_owned(),
            planned: planned.into(),
            now: now.into(),
        });
    }

    /// Adds a difference if two values are not the same.
    fn compare(&mut self, subject: &str, planned: &str, now: &str) {
        if planned != now {
            self.add(subject, planned, now);
        }
    }

    fn compare_runs(&mut self, planned: &PlanFacts, now: &PlanFacts) {
        let (planned, now) = (&planned.run, &now.run);
        self.compare(
            "version of fractary-codex",
            &planned.program_version,
            &now.program_version,
        );
        self.compare("remote.url", &planned.url, &now.url);
        let branch = |run: &RunFacts| run.branch.clone().unwrap_or_default();
        self.compare("branch", &branch(planned), &branch(now));
        if let (Some(tip), None) = (planned.tip, now.tip)
            && planned.branch == now.branch
        {
            let subject = format!("branch `{}`", branch(now));
            self.add(&subject, format!("at {}", tip.short()), "does not exist");
        }
        self.compare_settings(&planned.settings, &now.settings);
    }

    fn compare_settings(
        &mut self,
        planned: &BTreeMap<String, ObjectId>,
        now: &BTreeMap<String, ObjectId>,
    ) {
        let names: BTreeSet<_> = planned.keys().chain(now.keys()).collect();
        for name in names {
            let (planned, now) = (planned.get(name), now.get(name));
            if planned != now {
                let digest = |id: Option<&ObjectId>| match id {
                    Some(id) => format!("digest {}", id.short()),
                    None => "not set".to_owned(),
                };
                let subject = format!("configuration of `{name}`");
                self.add(&subject, digest(planned), digest(now));
            }
        }
    }

    fn compare_projects(&mut self, planned: &ProjectFacts, now: &ProjectFacts) {
        let branch = |one: &ProjectFacts| one.sync_branch.clone().unwrap_or("none".to_owned());
        self.compare("directory in the codex", &planned.to, &now.to);
        self.compare("sync branch", &branch(planned), &branch(now));
        self.compare_settings(&planned.settings, &now.settings);
        let before = self.list.len();
        let has_sources = planned.sources == now.sources;
        self.compare_changes(&planned.changes, &now.changes, has_sources);
        if self.list.len() == before {
            // Files that the plan does not change: they have changed on both sides, or the plan
            // keeps those of the codex.
            self.compare_files("source files", &planned.sources, &now.sources);
            self.compare_files("claimed files in the codex", &planned.codex, &now.codex);
        }
        if planned.result != now.result {
            self.add("result", planned.result.words(), now.result.words());
        }
    }

    /// Compares two lists of changes. If the project still `has_sources` of the plan, a change that is
    /// no longer needed is already in the codex.
    fn compare_changes(
        &mut self,
        planned: &[PlannedChange],
        now: &[PlannedChange],
        has_sources: bool,
    ) {
        for (path, (planned, now)) in by(planned, now, |change| change.path.as_str()) {
            if planned != now {
                let words = |change: Option<&PlannedChange>| match change {
                    Some(change) => change.words(),
                    None if has_sources && now.is_none() => {
                        "no change, it is already in the codex".to_owned()
                    }
                    None => "no change".to_owned(),
                };
                let (mut planned, mut now) = (words(planned), words(now));
                if planned == now {
                    // They differ in a part that the words do not have.
                    planned.push_str(" from another source file");
                    now.push_str(" from this source file");
                }
                self.add(&format!("`{path}`"), planned, now);
            }
        }
    }

    fn compare_files(&mut self, subject: &str, planned: &FileSet, now: &FileSet) {
        if planned != now {
            let words = |set: &FileSet| {
                let files = pluralize(set.files, "file");
                format!("{files} with digest {}", set.digest.short())
            };
            self.add(subject, words(planned), words(now));
        }
    }
}

/// The values of two lists by their keys.
fn by<'v, V>(
    first: &'v [V],
    second: &'v [V],
    key: impl Fn(&'v V) -> &'v str,
) -> BTreeMap<&'v str, (Option<&'v V>, Option<&'v V>)> {
    let mut pairs: BTreeMap<_, (Option<&V>, Option<&V>)> = BTreeMap::new();
    for value in first {
        pairs.entry(key(value)).or_default().0 = Some(value);
    }
    for value in second {
        pairs.entry(key(value)).or_default().1 = Some(value);
    }
    pairs
}

impl PlannedResult {
    fn words(self) -> &'static str {
        match self {
            Self::WouldSync => "would sync",
            Self::UpToDate => "up to date",
            Self::Withheld => "withheld",
            Self::Failed => "failed",
        }
    }
}

impl PlannedChange {
    /// The operation, and the versions before and after it.
    fn words(&self) -> String {
        let op = match self.op {
            PlannedOp::Added => "added",
            PlannedOp::Modified => "modified",
            PlannedOp::Deleted => "deleted",
        };
        let versions = match (&self.before, &self.after) {
            (Some(before), Some(after)) => format!("{} to {}", before.words(), after.words()),
            (Some(one), None) | (None, Some(one)) => one.words(),
            (None, None) => String::new(),
        };
        format!("{op} ({versions})")
    }
}

impl PlannedVersion {
    /// The abbreviated id, and the mode if it is not that of a plain file.
    fn words(&self) -> String {
        match self.mode.as_str() {
            "100644" => self.id.short(),
            mode => format!("{} with mode {mode}", self.id.short()),
        }
    }
}
