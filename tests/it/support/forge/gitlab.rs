//! The API of GitLab, as in `lib/api/merge_requests.rb` of its sources.

use serde_json::{Value, json};

use super::pulls::{Pull, tip};
use super::{Request, Response, Shared, State, parameter};

const REQUESTS: &str = "/projects/acme%2Fcodex/merge_requests";

pub(super) fn respond(
    shared: &Shared,
    state: &mut State,
    request: &Request,
    target: &str,
) -> Response {
    let path = target.split('?').next().unwrap();
    let number = |after: &str| -> Option<u64> {
        let rest = path.strip_prefix(REQUESTS)?.strip_prefix('/')?;
        rest.strip_suffix(after)?.parse().ok()
    };
    match request.method.as_str() {
        "GET" if path == "/projects/acme%2Fcodex" => Response::json(
            200,
            &json!({
                "id": 1,
                "path_with_namespace": "acme/codex",
                "archived": state.is_archived,
                "merge_requests_access_level": "enabled",
                "only_allow_merge_if_pipeline_succeeds": false,
                "permissions": {
                    "project_access": { "access_level": if state.is_read_only { 20 } else { 30 } },
                    "group_access": null,
                },
            }),
        ),
        "GET" if path == "/users" => {
            let users = match parameter(target, "username").unwrap().as_str() {
                "ada" => json!([{ "id": 11, "username": "ada" }]),
                _ => json!([]),
            };
            Response::json(200, &users)
        }
        "GET" if path == REQUESTS => list(shared, state, target),
        "POST" if path == REQUESTS => create(shared, state, request),
        method => match (method, number(""), number("/merge")) {
            ("GET", Some(number), _) => Response::json(200, &shown(shared, state, number)),
            ("PUT", Some(number), _) => update(shared, state, number, &request.body),
            ("PUT", _, Some(number)) => {
                state.pull(number).unwrap().auto_merge = Some(request.body.clone());
                Response::json(200, &shown(shared, state, number))
            }
            _ => Response::rejection(404, "404 Project Not Found"),
        },
    }
}

fn list(shared: &Shared, state: &mut State, target: &str) -> Response {
    let branch = parameter(target, "source_branch");
    let base = parameter(target, "target_branch");
    let numbers: Vec<_> = state
        .pulls
        .iter()
        .rev()
        .filter(|pull| Some(&pull.branch) == branch.as_ref())
        .filter(|pull| base.as_ref().is_none_or(|base| pull.base == *base))
        .filter(|pull| parameter(target, "state").unwrap() == "all" || pull.state == "open")
        .map(|pull| pull.number)
        .collect();
    let shown: Vec<_> = numbers
        .into_iter()
        .map(|number| {
            let mut shown = shown(shared, state, number);
            shown.as_object_mut().unwrap().remove("head_pipeline");
            shown
        })
        .collect();
    Response::json(200, &json!(shown))
}

fn create(shared: &Shared, state: &mut State, request: &Request) -> Response {
    let body = &request.body;
    let text = |name: &str| body[name].as_str().unwrap().to_owned();
    let (branch, base) = (text("source_branch"), text("target_branch"));
    if state.hides() || tip(&shared.open(), &branch).is_none() {
        let message = json!({ "source_branch": ["does not exist"] });
        return Response::json(400, &json!({ "message": message }));
    }
    if state.is_open(&branch, &base) {
        let message = "Another open merge request already exists for this source branch: !1";
        return Response::json(409, &json!({ "message": [message] }));
    }
    let number = state.open(&body["title"], &body["description"], &branch, &base);
    let pull = state.pull(number).unwrap();
    pull.draft = pull.title.starts_with("Draft:");
    set_labels_and_reviewers(pull, body);
    Response::json(201, &shown(shared, state, number))
}

fn update(shared: &Shared, state: &mut State, number: u64, body: &Value) -> Response {
    let pull = state.pull(number).unwrap();
    pull.set_texts(&body["title"], &body["description"]);
    set_labels_and_reviewers(pull, body);
    Response::json(200, &shown(shared, state, number))
}

fn set_labels_and_reviewers(pull: &mut Pull, body: &Value) {
    let labels = body["labels"].as_str().or(body["add_labels"].as_str());
    let labels = labels.into_iter().flat_map(|labels| labels.split(','));
    pull.labels.extend(labels.map(str::to_owned));
    if body["reviewer_ids"] == json!([11]) {
        pull.reviewers.push("ada".to_owned());
    }
}

/// A merge request as the API shows it.
fn shown(shared: &Shared, state: &mut State, number: u64) -> Value {
    let head = state.shown_head(number, &shared.open());
    let pipeline = state
        .shows_pipeline()
        .then(|| json!({ "sha": head, "status": "running" }));
    let pull = state.pull(number).unwrap();
    json!({
        "iid": number,
        "web_url": format!("https://gitlab.example/acme/codex/-/merge_requests/{number}"),
        "state": if pull.state == "open" { "opened" } else { pull.state },
        "title": pull.title,
        "description": pull.body,
        "created_at": "2026-11-26T11:00:00Z",
        "draft": pull.draft,
        "sha": head,
        "source_branch": pull.branch,
        "target_branch": pull.base,
        "source_project_id": 1,
        "target_project_id": 1,
        "head_pipeline": pipeline,
    })
}
