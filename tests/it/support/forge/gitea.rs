//! The API of Gitea and Forgejo.

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
                "mirror": false,
                "has_pull_requests": true,
                "permissions": { "pull": true, "push": !state.is_read_only, "admin": false },
            }),
        ),
        _ => Response::refusal(404, "The target couldn't be found."),
    }
}
