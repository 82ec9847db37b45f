//! The documents as resources: those of the local cache are listed, and any can be read by its URI.

use std::time::Duration;

use bstr::ByteSlice;
use rmcp::ErrorData;
use rmcp::model::{
    ListResourceTemplatesResult, ListResourcesResult, ReadResourceResult, Resource,
    ResourceContents, ResourceTemplate,
};

use super::call::{ToolCall, error_text};
use super::documents::{DocumentSelection, ListPart, media_type};
use super::encoded_uri::encoded;
use super::single_document::SingleDocument;
use crate::cli::command_error::CommandError;
use crate::cli::exit;
use crate::report::fetch::{ContentEncoding, encode};
use crate::sync::fetch::CacheUse;
use crate::sync::fetch::listing::list;
use crate::workspace::document_uri::uri_at;

/// The number of resources of one page.
const PAGE: usize = 200;
/// The greatest size of a resource in bytes. Tools return larger documents in parts.
const MAX_SIZE: usize = 1_000_000;

/// Lists the documents of the local cache, from the offset in `cursor` on.
pub(super) fn list_cached(
    call: &ToolCall,
    cursor: Option<&str>,
) -> Result<ListResourcesResult, ErrorData> {
    let offset = match cursor.map(str::parse) {
        None => 0,
        Some(Ok(offset)) => offset,
        Some(Err(_)) => return Err(ErrorData::invalid_params("invalid cursor", None)),
    };
    let (configuration, workspace) = call.load().map_err(failed)?;
    let everything = DocumentSelection::default();
    let uri = everything.uri(&configuration, &workspace).map_err(failed)?;
    let request = call.request(&configuration, &workspace, true);
    let listing = list(&request, &uri).map_err(|error| failed(CommandError::from(&error)))?;

    let resources = listing.documents.iter().filter_map(|document| {
        let path = document.path.as_bstr();
        let uri = encoded(&uri_at(path, &workspace)?);
        let resource = Resource::new(uri, path.to_str_lossy());
        Some(match media_type(path) {
            Some(media) => resource.with_mime_type(media),
            None => resource,
        })
    });
    let part = ListPart::of(resources, offset, PAGE);
    let mut result = ListResourcesResult::with_all_items(part.items);
    result.next_cursor = part.next_offset.map(|offset| offset.to_string());
    Ok(result)
}

/// The template of the URIs of documents.
pub(super) fn templates(call: &ToolCall) -> ListResourceTemplatesResult {
    let organization = call.load().ok().and_then(|loaded| loaded.1.organization);
    let organization = organization.unwrap_or_else(|| "{organization}".to_owned());
    let template = format!("codex://{organization}/{{project}}/{{+path}}");
    let template = ResourceTemplate::new(template, "document")
        .with_title("Document of the codex")
        .with_description("The file PATH that a project has published to the codex");
    ListResourceTemplatesResult::with_all_items(vec![template])
}

/// Reads a document.
pub(super) fn read(call: &ToolCall, uri: &str) -> Result<ReadResourceResult, ErrorData> {
    let (configuration, workspace) = call.load().map_err(failed)?;
    let cache_use = CacheUse::UpTo(Duration::ZERO);
    let fetched = SingleDocument::fetch(call, &configuration, &workspace, uri, cache_use, false)
        .map_err(|error| match error.exit {
            exit::USAGE => ErrorData::invalid_params(error_text(&error.report), None),
            exit::SOME_FAILED => ErrorData::resource_not_found(error_text(&error.report), None),
            _ => failed(error),
        })?;
    let document = fetched.document;
    let size = document.contents.len();
    if size > MAX_SIZE {
        let message = format!(
            "the document has {size} bytes, more than the {MAX_SIZE} of a resource; `codex_document_fetch` returns it in parts"
        );
        return Err(ErrorData::invalid_params(message, None));
    }
    let contents = match encode(&document.contents) {
        (ContentEncoding::Utf8, text) => ResourceContents::text(text, uri),
        (ContentEncoding::Base64, blob) => ResourceContents::blob(blob, uri),
    };
    let contents = match media_type(document.path.as_bstr()) {
        Some(media) => contents.with_mime_type(media),
        None => contents,
    };
    Ok(ReadResourceResult::new(vec![contents]))
}

/// Requests for resources have no results with errors, so all errors are those of the protocol.
fn failed(error: CommandError) -> ErrorData {
    ErrorData::internal_error(error_text(&error.report), None)
}
