//! The settings of the checks of a project.

use std::collections::BTreeSet;

use super::finding::{ContentCheck, Severity};
use crate::config::CheckMode;

/// The settings of the checks of a project.
#[derive(Debug, Clone, Default)]
pub(crate) struct CheckSettings {
    /// The mode of [`ContentCheck::Secrets`].
    pub secrets: CheckMode,
    /// The mode of [`ContentCheck::ConflictMarkers`].
    pub conflict_markers: CheckMode,
    /// The mode of [`ContentCheck::LfsPointers`].
    pub lfs_pointers: CheckMode,
    /// The mode of [`ContentCheck::LargeFiles`].
    pub large_files: CheckMode,
    /// The mode of [`ContentCheck::CaseCollisions`].
    pub case_collisions: CheckMode,
    /// The mode of [`ContentCheck::Links`].
    pub links: CheckMode,
    /// The digests of findings that are not reported.
    pub allow: BTreeSet<String>,
}

impl CheckSettings {
    fn mode(&self, check: ContentCheck) -> CheckMode {
        match check {
            ContentCheck::Secrets => self.secrets,
            ContentCheck::ConflictMarkers => self.conflict_markers,
            ContentCheck::LfsPointers => self.lfs_pointers,
            ContentCheck::LargeFiles => self.large_files,
            ContentCheck::CaseCollisions => self.case_collisions,
            ContentCheck::Links => self.links,
        }
    }

    /// Whether the check runs.
    pub(crate) fn is_enabled(&self, check: ContentCheck) -> bool {
        self.severity(check).is_some()
    }

    /// Whether a check is enabled that needs the contents of files.
    pub(crate) fn needs_contents(&self) -> bool {
        let Self {
            secrets,
            conflict_markers,
            lfs_pointers,
            large_files,
            links,
            case_collisions: _,
            allow: _,
        } = self;
        let modes = [secrets, conflict_markers, lfs_pointers, large_files, links];
        modes.into_iter().any(|mode| *mode != CheckMode::Off)
    }

    /// The effect of a finding of the check; `None` if the check is off.
    pub(crate) fn severity(&self, check: ContentCheck) -> Option<Severity> {
        match self.mode(check) {
            CheckMode::Off => None,
            CheckMode::Warn => Some(Severity::Warn),
            CheckMode::Withhold => Some(Severity::Withhold),
        }
    }

    /// Whether findings with this digest are not reported.
    pub(crate) fn allows(&self, digest: &str) -> bool {
        self.allow.contains(digest)
    }
}
