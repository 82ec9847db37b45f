//! `fetch`: prints or saves documents of the codex.
//!
//! The contents are data. They are written byte for byte, except to a terminal: there, control
//! characters are escaped, and binary contents are an error.

use std::time::Duration;

use bstr::{BString, ByteSlice};

use super::codex_query::finish_query;
use super::document_target::DocumentTarget;
use super::run_output::RunOutput;
use crate::cli::args::FetchArgs;
use crate::cli::command_error::CommandError;
use crate::cli::context::Context;
use crate::cli::exit;
use crate::masked_urls::mask_urls;
use crate::paths::{escaped, shown};
use crate::report::fetch::{
    FetchFailure, FetchReport, FetchResult, FetchedDocument, FetchedFrom, encode,
};
use crate::report::json::WarningDocument;
use crate::report::query::QueriedCodex;
use crate::sync::SyncRequest;
use crate::sync::fetch::{CacheUse, CodexDocument, FetchOutcome, ReadFrom, fetch};
use crate::workspace::Workspace;
use crate::workspace::codex_selector::project_and_path;
use crate::workspace::document_uri::{DocumentUri, uri_of};

/// Runs the command and returns the exit status.
pub(crate) fn run(arguments: &FetchArgs, context: &Context) -> u8 {
    let report = fetch_and_write(arguments, context);
    // Documents that are not a part of the JSON document are written already.
    finish_query(report, arguments.format.is_json(), context, |_| {
        String::new()
    })
}

/// Fetches the documents, writes them unless they are a part of the JSON document, and returns that.
fn fetch_and_write(arguments: &FetchArgs, context: &Context) -> Result<FetchReport, CommandError> {
    let (configuration, workspace) = context.load(arguments.env.as_deref(), Vec::new())?;
    let uris = arguments.uris.iter();
    let uris = uris.map(|uri| DocumentUri::new(uri, &configuration, &workspace));
    let uris: Vec<_> = uris
        .collect::<Result<_, _>>()
        .map_err(|error| CommandError::from(&error))?;
    let is_one = uris.len() == 1 && uris[0].path().is_some();
    let target = DocumentTarget::new(arguments.output.as_deref(), is_one, context)?;

    let is_json = arguments.format.is_json();
    let output = RunOutput::of_query("fetch", is_json);
    let reporter = output.reporter(context);
    let mut warnings = output.warnings(&configuration, Vec::new(), reporter.as_ref());
    let request = SyncRequest {
        offline: arguments.offline,
        ..context.sync_request(&configuration, &workspace, Vec::new(), reporter)
    };
    let cache_use = match arguments.bypass_cache {
        true => CacheUse::Bypass,
        false => CacheUse::UpTo(arguments.ttl.unwrap_or(Duration::ZERO)),
    };
    let mut outcome =
        fetch(&request, &uris, cache_use).map_err(|error| CommandError::from(&error))?;
    // Removes progress bars before anything is printed.
    drop(request);

    warnings.append(&mut outcome.warnings);
    let mut report = report(&outcome, &workspace);
    report.warnings = warnings
        .into_iter()
        .map(|warning| WarningDocument::new(&warning))
        .collect();
    for document in outcome.documents {
        report
            .result
            .documents
            .push(deliver(document, &target, is_json, &workspace, context)?);
    }
    Ok(report)
}

/// The JSON document of an outcome, without its documents.
fn report(outcome: &FetchOutcome, workspace: &Workspace) -> FetchReport {
    let failures = outcome.failures.iter().map(|(uri, error)| {
        let error = CommandError::from(error);
        let failure = FetchFailure {
            uri: escaped(mask_urls(uri).as_bytes()).to_string(),
            error: error.report,
        };
        (failure, error.exit)
    });
    let (failures, exits): (Vec<_>, Vec<_>) = failures.unzip();
    let codex = QueriedCodex::new(workspace, outcome.branch.as_deref(), outcome.tip);
    let result = FetchResult {
        documents: Vec::new(),
        failures,
    };
    FetchReport {
        exit_code: exit::first(exits),
        ..FetchReport::new(codex, result)
    }
}

/// Writes a document to its target, and returns its part of the JSON document, which has the
/// contents if they were not written.
fn deliver(
    document: CodexDocument,
    target: &DocumentTarget,
    is_json: bool,
    workspace: &Workspace,
    context: &Context,
) -> Result<FetchedDocument, CommandError> {
    let named = project_and_path(document.path.as_bstr(), workspace);
    let (project, path) = match named {
        Some((project, path)) => (Some(project), path),
        None => (None, document.path.clone()),
    };
    let below: BString = match &project {
        Some(project) => bstr::join("/", [project.as_bytes(), &path]).into(),
        None => path.clone(),
    };
    let file = target.write(below.as_bstr(), &document.contents)?;

    let (encoding, content) = match (&file, is_json) {
        (None, true) => {
            let (encoding, content) = encode(&document.contents);
            (Some(encoding), Some(content))
        }
        (None, false) => {
            print(&document, context)?;
            (None, None)
        }
        (Some(_), _) => (None, None),
    };
    let organization = workspace.organization.as_deref();
    let uri = project
        .as_ref()
        .map(|project| uri_of(organization, project, path.as_bstr()));
    Ok(FetchedDocument {
        uri: uri.map(|uri| escaped(uri.as_bytes()).to_string()),
        project,
        path: escaped(&path).to_string(),
        codex_path: escaped(&document.path).to_string(),
        id: document.entry.id.to_string(),
        size: document.contents.len(),
        from: match document.origin {
            ReadFrom::Cache => FetchedFrom::Cache,
            ReadFrom::Remote => FetchedFrom::Remote,
        },
        tip: document.tip.map(|tip| tip.to_string()),
        source_revision: document.source.map(|source| source.commit.to_string()),
        file: file.map(|file| shown(&file).to_string()),
        encoding,
        content,
    })
}

/// Prints a document. On a terminal, control characters are escaped, because they can change what
/// is shown.
fn print(document: &CodexDocument, context: &Context) -> Result<(), CommandError> {
    let contents = &document.contents;
    if !context.terminal.shows_results() {
        context.terminal.document(contents);
        return Ok(());
    }
    let text = contents.to_str().ok().filter(|text| !text.contains('\0'));
    let Some(text) = text else {
        let message = format!("`{}` is binary", escaped(&document.path));
        let hint = "save it with `--output FILE`, or redirect standard output";
        let error = CommandError::new(exit::SOME_FAILED, "binary", message, vec![hint.to_owned()]);
        return Err(error);
    };
    context.terminal.result(&harmless_text(text));
    Ok(())
}

/// A text whose control characters are escaped, except line breaks and tabs.
fn harmless_text(text: &str) -> String {
    let lines = text.split('\n').map(|line| {
        let line = line.strip_suffix('\r').unwrap_or(line);
        let parts = line.split('\t');
        let parts = parts.map(|part| escaped(part.as_bytes()).to_string());
        parts.collect::<Vec<_>>().join("\t")
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_on_a_terminal_has_no_control_characters() {
        let text = harmless_text("a\tb\r\n\u{1b}]0;x\u{7}\u{9b}2J\u{202e}\n");
        assert_eq!(text, "a\tb\n\\u{1b}]0;x\\u{7}\\u{9b}2J\\u{202e}\n");
    }
}
