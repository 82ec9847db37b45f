//! The API of GitHub, as in the description that the npm package `@octokit/openapi` publishes.

use serde_json::{Value, json};

use super::pulls::tip;
use super::{Request, Response, Shared, State, parameter};

const PULLS: &str = "/repos/acme/codex/pulls";

pub(super) fn respond(
    shared: &Shared,
    state: &mut State,
    request: &Request,
    target: &str,
) -> Response {
    let path = target.split('?').next().unwrap();
    let number = |before: &str, after: &str| -> Option<u64> {
        path.strip_prefix(before)?.strip_suffix(after)?.parse().ok()
    };
    match request.method.as_str() {
        "GET" if path == "/repos/acme/codex" => Response::json(
            200,
            &json!({
                "id": 1,
                "full_name": "acme/codex",
                "archived": state.is_archived,
                "allow_auto_merge": false,
                "permissions": { "pull": true, "push": !state.is_read_only, "admin": false },
            }),
        ),
        "GET" if path == PULLS => {
            let numbers = listed(state, target);
            let pulls: Vec<_> = numbers.map(|number| shown(shared, state, number)).collect();
            Response::json(200, &json!(pulls))
        }
        "POST" if path == PULLS => create(shared, state, request),
        "POST" if path == "/graphql" => auto_merge(shared, state, &request.body),
        method => {
            let pull = number("/repos/acme/codex/pulls/", "");
            let labels = number("/repos/acme/codex/issues/", "/labels");
            let reviewers = number("/repos/acme/codex/pulls/", "/requested_reviewers");
            match (method, pull, labels, reviewers) {
                ("GET", Some(number), ..) => Response::json(200, &shown(shared, state, number)),
                ("PATCH", Some(number), ..) => {
                    let pull = state.pull(number).unwrap();
                    pull.set_texts(&request.body["title"], &request.body["body"]);
                    Response::json(200, &shown(shared, state, number))
                }
                ("POST", _, Some(number), _) => {
                    let labels = strings(&request.body["labels"]);
                    state.pull(number).unwrap().labels.extend(labels);
                    Response::json(200, &json!([]))
                }
                ("POST", _, _, Some(number)) => {
                    let users = strings(&request.body["reviewers"]);
                    let teams = strings(&request.body["team_reviewers"]);
                    if users.iter().any(|user| user == "author") {
                        let message = "Review cannot be requested from pull request author.";
                        return Response::rejection(422, message);
                    }
                    let all = users.into_iter().chain(teams);
                    state.pull(number).unwrap().reviewers.extend(all);
                    Response::json(201, &shown(shared, state, number))
                }
                _ => Response::rejection(404, "Not Found"),
            }
        }
    }
}

/// The numbers of the pull requests in a list, the newest first. Without an owner, the filter for
/// the branch has no effect.
fn listed(state: &State, target: &str) -> impl Iterator<Item = u64> + use<> {
    let head = parameter(target, "head");
    let branch = head.as_deref().and_then(|head| head.strip_prefix("acme:"));
    let base = parameter(target, "base");
    let numbers: Vec<_> = state
        .pulls
        .iter()
        .rev()
        .filter(|pull| branch.is_none_or(|branch| pull.branch == branch))
        .filter(|pull| base.as_ref().is_none_or(|base| pull.base == *base))
        .filter(|pull| parameter(target, "state").unwrap() == "all" || pull.state == "open")
        .map(|pull| pull.number)
        .collect();
    numbers.into_iter()
}

fn create(shared: &Shared, state: &mut State, request: &Request) -> Response {
    let body = &request.body;
    let text = |name: &str| body[name].as_str().unwrap().to_owned();
    let (branch, base) = (text("head"), text("base"));
    let failed = |error: Value| {
        let body = json!({ "message": "Validation Failed", "errors": [error] });
        Response::json(422, &body)
    };
    if state.hides() || tip(&shared.open(), &branch).is_none() {
        return failed(json!({
            "resource": "PullRequest",
            "code": "custom",
            "message": "Head sha can't be blank",
        }));
    }
    if state.is_open(&branch, &base) {
        let message = format!("A pull request already exists for acme:{branch}.");
        return failed(json!({ "resource": "PullRequest", "code": "custom", "message": message }));
    }
    let number = state.open(&body["title"], &body["body"], &branch, &base);
    state.pull(number).unwrap().draft = body["draft"] == true;
    Response::json(201, &shown(shared, state, number))
}

fn auto_merge(shared: &Shared, state: &mut State, body: &Value) -> Response {
    let variables = &body["variables"];
    let number = variables["id"].as_str().unwrap().strip_prefix("PR_");
    let number = number.unwrap().parse().unwrap();
    let head = state.shown_head(number, &shared.open());
    if head.as_deref() != variables["head"].as_str() {
        let errors = json!([{ "message": "Head sha was modified" }]);
        return Response::json(200, &json!({ "data": null, "errors": errors }));
    }
    state.pull(number).unwrap().auto_merge = Some(variables.clone());
    let data = json!({ "enablePullRequestAutoMerge": { "clientMutationId": null } });
    Response::json(200, &json!({ "data": data }))
}

/// A pull request as the API shows it.
fn shown(shared: &Shared, state: &mut State, number: u64) -> Value {
    let head = state.shown_head(number, &shared.open());
    let pull = state.pull(number).unwrap();
    let repository = json!({ "full_name": "acme/codex" });
    json!({
        "number": number,
        "node_id": format!("PR_{number}"),
        "html_url": format!("https://github.example/acme/codex/pull/{number}"),
        "state": if pull.state == "open" { "open" } else { "closed" },
        "merged_at": (pull.state == "merged").then_some("2026-11-26T12:00:00Z"),
        "title": pull.title,
        "body": pull.body,
        "created_at": "2026-11-26T11:00:00Z",
        "draft": pull.draft,
        "head": { "ref": pull.branch, "sha": head.unwrap_or_default(), "repo": repository },
        "base": { "ref": pull.base, "sha": "", "repo": repository },
    })
}

/// The texts of a list.
pub(super) fn strings(list: &Value) -> Vec<String> {
    let list = list.as_array().into_iter().flatten();
    list.map(|text| text.as_str().unwrap().to_owned()).collect()
}
