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
//! A person allows a finding with a marker in the file ([`ContentCheck::markers`]), or with its
//! digest in `sync.checks.allow`.

mod case_collisions;
mod check_scope;
mod check_settings;
mod conflict_markers;
mod encoding;
mod finding;
mod large_files;
mod lfs_pointers;
mod lines;
pub(crate) mod links;
pub(crate) mod secrets;

pub(crate) use case_collisions::FoldedPaths;
pub use check_scope::CheckScope;
pub(crate) use check_settings::CheckSettings;
pub(crate) use encoding::as_utf8;
pub use finding::{ContentCheck, Finding, Severity};

use bstr::BStr;

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
    /// The contents, converted by [`as_utf8`].
    pub contents: &'f [u8],
    /// The size of the file in bytes, before the conversion.
    pub size: u64,
}

/// Runs the enabled checks of single files, and returns the findings in the order of their
/// positions.
pub(crate) fn check_file(file: FileToCheck<'_>, settings: &CheckSettings) -> Vec<Finding> {
    let mut detections = Vec::new();
    if settings.is_enabled(ContentCheck::Secrets) {
        detections.extend(secrets::detect(file.contents));
    }
    if settings.is_enabled(ContentCheck::ConflictMarkers) {
        detections.extend(conflict_markers::detect(file.contents));
    }
    if settings.is_enabled(ContentCheck::LfsPointers) {
        detections.extend(lfs_pointers::detect(file.contents));
    }
    if settings.is_enabled(ContentCheck::LargeFiles) {
        detections.extend(large_files::detect(file.path, file.size));
    }
    findings(file, detections, settings)
}

/// Whether a text that is published beside the files contains a secret that is not allowed.
pub(crate) fn has_unallowed_secret(text: &str, settings: &CheckSettings) -> bool {
    let is_found = |detection: &Detection| !settings.allows(&detection.digest());
    settings.is_enabled(ContentCheck::Secrets)
        && secrets::detect(text.as_bytes()).iter().any(is_found)
}

/// Returns the findings for a new file whose path collides with another one of the codex. The
/// contents are not used.
pub(crate) fn collision_findings(
    file: FileToCheck<'_>,
    paths: &FoldedPaths<'_>,
    settings: &CheckSettings,
) -> Vec<Finding> {
    let detections = paths.detect(file.path);
    findings(file, detections.into_iter().collect(), settings)
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
    let mut lines = FileLines::new(file.path, file.contents);
    let reported = detections.into_iter().filter_map(|detection| {
        let severity = settings.severity(detection.check)?;
        let digest = detection.digest();
        lines.read_to(detection.offset);
        if settings.allows(&digest) || lines.allow(detection.check) {
            return None;
        }

        let (line, column) = lines.position();
        Some(Finding {
            check: detection.check,
            kind: detection.kind.into(),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::CheckMode;

    const CONFLICT: &str = "x\n<<<<<<< a\n=======\n>>>>>>> b\n";

    fn places(contents: &[u8], settings: &CheckSettings) -> Vec<(usize, usize)> {
        let file = FileToCheck {
            path: "projects/a/x.md".into(),
            source: "x.md".into(),
            file: "a/x.md".into(),
            contents: &as_utf8(contents),
            size: contents.len() as u64,
        };
        let findings = check_file(file, settings);
        findings.iter().map(|one| (one.line, one.column)).collect()
    }

    #[test]
    fn text_in_utf_16_is_checked() {
        let settings = CheckSettings {
            conflict_markers: CheckMode::Warn,
            ..CheckSettings::default()
        };
        let text = format!("\u{feff}{CONFLICT}");
        let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        for contents in [CONFLICT.as_bytes(), &little, &big] {
            assert_eq!(places(contents, &settings), [(2, 1)]);
        }
        assert_eq!(places(&[0xff, 0xfe, 0x00], &settings), []);
    }

    #[test]
    fn finding_is_allowed_by_its_digest_or_a_marker() {
        let mut settings = CheckSettings {
            conflict_markers: CheckMode::Warn,
            ..CheckSettings::default()
        };
        let marked = CONFLICT.replacen('x', "<!-- codex:allow-conflict -->", 1);
        assert_eq!(places(marked.as_bytes(), &settings), []);
        let other = CONFLICT.replacen('x', "<!-- codex:allow-secret -->", 1);
        assert_eq!(places(other.as_bytes(), &settings), [(2, 1)]);
        let digest = conflict_markers::detect(CONFLICT.as_bytes())[0].digest();
        settings.allow.insert(digest);
        assert_eq!(places(CONFLICT.as_bytes(), &settings), []);
        settings.allow.clear();
        settings.conflict_markers = CheckMode::Off;
        assert_eq!(places(CONFLICT.as_bytes(), &settings), []);
    }
}
