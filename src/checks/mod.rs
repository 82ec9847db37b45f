//! Checks of the files that are about to be published: pure functions from a path and its contents
//! to findings. `sync::publish::check` reads the files and decides what a finding means for its
//! project.
//!
//! To add a check:
//!
//! 1. Add it to [`ContentCheck`], and its key to `RawChecks` and `defaults.yaml` in `config`. The
//!    compiler names the other places.
//! 2. A check that needs one file only returns [`Detection`]s and is called in [`check_file`].
//! 3. A check that needs more than one file, such as a whole plan, is a function of this module as
//!    well. `sync::publish::check` calls it once the files of the plan are checked.
//!
//! A person allows a finding with a marker in the file ([`ContentCheck::marker`]), or with its
//! digest in `checks.allow`.

mod check_settings;
mod conflict_markers;
mod finding;
mod lines;
pub(crate) mod links;

pub(crate) use check_settings::CheckSettings;
pub use finding::{ContentCheck, Finding, Severity};

use bstr::{BStr, ByteSlice};

use finding::Detection;
use lines::FileLines;
use links::BrokenLink;

/// A file to check.
#[derive(Clone, Copy)]
pub(crate) struct FileToCheck<'f> {
    /// The path in the codex.
    pub path: &'f BStr,
    /// The path below the project's root.
    pub source: &'f BStr,
    /// The path of the source file, relative to the workspace if it is inside.
    pub file: &'f BStr,
    /// The contents.
    pub contents: &'f [u8],
}

/// Runs the enabled checks of single files, and returns the findings in the order of their
/// positions.
pub(crate) fn check_file(file: FileToCheck<'_>, settings: &CheckSettings) -> Vec<Finding> {
    let mut detections = Vec::new();
    if settings.is_enabled(ContentCheck::ConflictMarkers) {
        detections.extend(conflict_markers::detect(file.contents));
    }
    findings(file, detections, settings)
}

/// Returns the findings for the broken links of a file, in the order of their positions.
pub(crate) fn link_findings(
    file: FileToCheck<'_>,
    broken: &[BrokenLink],
    settings: &CheckSettings,
) -> Vec<Finding> {
    let detections = broken.iter().map(BrokenLink::detection);
    findings(file, detections.collect(), settings)
}

/// The findings for the detections in a file, without those that are allowed.
fn findings(
    file: FileToCheck<'_>,
    mut detections: Vec<Detection>,
    settings: &CheckSettings,
) -> Vec<Finding> {
    if detections.is_empty() {
        return Vec::new();
    }

    detections.sort_by_key(|detection| detection.offset);
    let lines = FileLines::new(file.path, file.contents);
    let reported = detections.into_iter().filter_map(|detection| {
        let severity = settings.severity(detection.check)?;
        let digest = detection.digest();
        let is_marked = || {
            let markers = detection.check.markers();
            let mut around = lines.around(detection.offset);
            around.any(|line| markers.iter().any(|marker| line.contains_str(marker)))
        };
        if settings.allows(&digest) || is_marked() {
            return None;
        }

        let (line, column) = lines.position(detection.offset);
        Some(Finding {
            check: detection.check,
            kind: detection.kind,
            severity,
            path: file.path.to_owned(),
            source: file.source.to_owned(),
            file: file.file.to_owned(),
            line,
            column,
            message: detection.message,
            digest,
        })
    });
    reported.collect()
}
