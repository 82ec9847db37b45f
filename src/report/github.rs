//! What GitHub Actions reads: a table in Markdown for the step's summary, and annotations.

use std::borrow::Cow;
use std::fmt::Write;

use bstr::ByteSlice;

use super::ErrorReport;
use crate::config::Direction;
use crate::outcome::{Status, SyncOutcome};

/// The table, and what was pushed where.
pub fn summary(outcome: &SyncOutcome) -> String {
    let mut text = String::from("| project | added | modified | deleted | unchanged | result |\n");
    text.push_str("| :-- | --: | --: | --: | --: | :-- |\n");
    for project in &outcome.projects {
        let counts = project.plan.counts();
        let status = match project.outcome.status() {
            Status::Synced => "synced",
            Status::WouldSync => "would sync",
            Status::UpToDate => "up to date",
            Status::Withheld => "withheld",
            Status::Failed => "**failed**",
        };
        let from = if project.direction == Direction::FromCodex {
            " (from the codex)"
        } else {
            ""
        };
        let _ = writeln!(
            text,
            "| {}{from} | {} | {} | {} | {} | {status} |",
            project.name, counts.added, counts.modified, counts.deleted, project.plan.unchanged
        );
    }
    let (url, branch) = (
        outcome.remote.url.to_string(),
        outcome.remote.branch.as_deref().unwrap_or("?"),
    );
    let _ = writeln!(
        text,
        "\n{}; `{}` of `{}`\n",
        outcome.totals().by_status(),
        branch.replace('`', "'"),
        url.replace('`', "'")
    );
    text
}

/// Output without anything that a runner would carry out as a workflow command: names, contents and the words of a
/// server are not commands of ours. The runner takes `::` at the start of a line, after any white space, and `##[`
/// anywhere; a `\r` ends a line for it as well.
///
/// One character of each is written as a JSON escape, so that a document stays the same document.
pub fn without_commands(output: &[u8]) -> Cow<'_, [u8]> {
    if !output.contains_str("::") && !output.contains_str("##[") {
        return Cow::Borrowed(output);
    }

    let mut harmless = Vec::with_capacity(output.len() + 8);
    for line in output.split_inclusive(|byte| matches!(byte, b'\n' | b'\r')) {
        let start = line.trim_start_with(|c| c.is_whitespace() || c == '\u{feff}');
        let (space, mut rest) = line.split_at(line.len() - start.len());
        harmless.extend_from_slice(space);
        if rest.starts_with(b"::") {
            harmless.extend_from_slice(b"\\u003a");
            rest = &rest[1..];
        }
        harmless.extend_from_slice(&rest.replace("##[", "#\\u0023["));
    }
    Cow::Owned(harmless)
}

/// A workflow command: `level` is `error` or `warning`.
pub fn annotation(level: &str, message: &str) -> String {
    let message = message
        .replace("##[", "#\\u0023[")
        .replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A");
    format!("::{level} title=fractary-codex::{message}")
}

/// An error as annotations, a line each. Mistakes of a configuration are only counted in its message: each is one.
pub fn errors(about: Option<&str>, error: &ErrorReport) -> String {
    let mistakes = if error.kind == "configuration" {
        error.causes.as_slice()
    } else {
        &[]
    };
    let messages = if mistakes.is_empty() {
        std::slice::from_ref(&error.message)
    } else {
        mistakes
    };
    let about = about.map(|about| format!("{about}: ")).unwrap_or_default();
    messages
        .iter()
        .map(|message| annotation("error", &format!("{about}{message}")) + "\n")
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_annotation_is_one_line_whatever_is_in_it() {
        assert_eq!(
            annotation("error", "100 %\n::set-x::"),
            "::error title=fractary-codex::100 %25%0A::set-x::"
        );
    }

    #[test]
    fn output_holds_no_command_of_a_workflow() {
        for (output, expected) in [
            ("::error::x\n", "\\u003a:error::x\n"),
            ("a\n \t::error::x", "a\n \t\\u003a:error::x"),
            ("a\r::error::x", "a\r\\u003a:error::x"),
            ("\u{a0}\u{feff}::x", "\u{a0}\u{feff}\\u003a:x"),
            ("\n\n::x\n::y\n", "\n\n\\u003a:x\n\\u003a:y\n"),
            ("a ::error::x and b::c\n", "a ::error::x and b::c\n"),
            ("docs/##[error]x", "docs/#\\u0023[error]x"),
            ("###[a]##[b]", "##\\u0023[a]#\\u0023[b]"),
            ("::##[x]", "\\u003a:#\\u0023[x]"),
            ("# ## [x] : :", "# ## [x] : :"),
        ] {
            let harmless = without_commands(output.as_bytes());
            assert_eq!(harmless.to_str(), Ok(expected), "{output:?}");
            assert_eq!(without_commands(&harmless), harmless, "{output:?}");
        }
        assert_eq!(&*without_commands(b"\xff::x"), b"\xff::x");
        assert_eq!(&*without_commands(b"\xff\n::x"), b"\xff\n\\u003a:x");
        let document = serde_json::json!({ "path": "##[error]::x" }).to_string();
        let harmless = without_commands(document.as_bytes());
        let read: serde_json::Value = serde_json::from_slice(&harmless).unwrap();
        assert!(!harmless.contains_str("##[") && read["path"] == "##[error]::x");
    }
}
