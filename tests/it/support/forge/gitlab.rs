//! The API of GitLab.

use serde_json::json;

use super::{Request, Response, State};

pub(super) fn respond(state: &State, request: &Request, target: &str) -> Response {
    match (request.method.as_str(), target) {
        ("GET", "/projects/acme%2Fcodex") => Response::json(
            200,
            &json!({
                "id": 1,
                "path_with_namespace": "acme/codex",
                "archived": state.is_archived,
                "merge_requests_access_level": "enabled",
                "permissions": {
                    "project_access": { "access_level": if state.is_read_only { 20 } else { 30 } },
                    "group_access": null,
                },
            }),
        ),
        _ => Response::refusal(404, "404 Project Not Found"),
    }
}
