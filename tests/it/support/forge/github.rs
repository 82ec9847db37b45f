//! The API of GitHub.

use serde_json::json;

use super::{Request, Response, State};

pub(super) fn respond(state: &State, request: &Request, target: &str) -> Response {
    match (request.method.as_str(), target) {
        ("GET", "/repos/acme/codex") => Response::json(
            200,
            &json!({
                "id": 1,
                "full_name": "acme/codex",
                "archived": state.is_archived,
                "permissions": { "pull": true, "push": !state.is_read_only, "admin": false },
            }),
        ),
        _ => Response::refusal(404, "Not Found"),
    }
}
