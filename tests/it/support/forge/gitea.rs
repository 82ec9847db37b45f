//! The API of Gitea and Forgejo, as in the description that their npm package `@llamaduck/forgejo-ts`
//! is made from. The list of pull requests has no filter for the branch.

use serde_json::{Value, json};

use super::github::strings;
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
                "mirror": false,
                "has_pull_requests": true,
                "permissions": { "pull": true, "push": !state.is_read_only, "admin": false },
            }),
        ),
        "GET" if path == PULLS => list(shared, state, target),
        "POST" if path == PULLS => create(shared, state, request),
        "GET" if path == "/repos/acme/codex/branches/main" => Response::json(
            200,
            &json!({
                "name": "main",
                "protected": state.has_checks,
                "required_approvals": 0,
                "enable_status_check": state.has_checks,
            }),
        ),
        "GET" if path == "/repos/acme/codex/labels" => {
            Response::json(200, &json!([{ "id": 7, "name": "docs" }]))
        }
        method => {
            let pull = number("/repos/acme/codex/pulls/", "");
            let labels = number("/repos/acme/codex/issues/", "/labels");
            let reviewers = number("/repos/acme/codex/pulls/", "/requested_reviewers");
            let merge = number("/repos/acme/codex/pulls/", "/merge");
            match (method, pull, labels, reviewers, merge) {
                ("GET", Some(number), ..) => Response::json(200, &shown(shared, state, number)),
                ("PATCH", Some(number), ..) => {
                    let pull = state.pull(number).unwrap();
                    pull.set_texts(&request.body["title"], &request.body["body"]);
                    Response::json(201, &shown(shared, state, number))
                }
                ("POST", _, Some(number), ..) => {
                    assert_eq!(request.body["labels"], json!([7]));
                    let labels = &mut state.pull(number).unwrap().labels;
                    labels.push("docs".to_owned());
                    Response::json(200, &json!([]))
                }
                ("POST", _, _, Some(number), _) => {
                    let users = strings(&request.body["reviewers"]);
                    let teams = strings(&request.body["team_reviewers"]);
                    if users.iter().any(|user| user == "author") {
                        return Response::rejection(422, "poster of pr can't be reviewer");
                    }
                    let all = users.into_iter().chain(teams);
                    state.pull(number).unwrap().reviewers.extend(all);
                    Response::json(201, &json!([]))
                }
                ("POST", _, _, _, Some(number)) => {
                    state.pull(number).unwrap().auto_merge = Some(request.body.clone());
                    Response::json(201, &json!({}))
                }
                _ => Response::rejection(404, "The target couldn't be found."),
            }
        }
    }
}

fn list(shared: &Shared, state: &mut State, target: &str) -> Response {
    let is_open = parameter(target, "state").unwrap() == "open";
    let limit: usize = parameter(target, "limit").unwrap().parse().unwrap();
    let page: usize = parameter(target, "page").unwrap().parse().unwrap();
    assert!(limit <= 50, "the server caps the page at 50 entries");
    let numbers: Vec<_> = state
        .pulls
        .iter()
        .rev()
        .filter(|pull| (pull.state == "open") == is_open)
        .map(|pull| pull.number)
        .collect();
    let start = (page - 1) * limit;
    let shown: Vec<_> = numbers
        .iter()
        .skip(start)
        .take(limit)
        .map(|number| shown(shared, state, *number))
        .collect();
    let response = Response::json(200, &json!(shown));
    if start + limit < numbers.len() {
        response.with("Link: <http://h/next>; rel=\"next\"")
    } else {
        response
    }
}

fn create(shared: &Shared, state: &mut State, request: &Request) -> Response {
    let body = &request.body;
    let text = |name: &str| body[name].as_str().unwrap().to_owned();
    let (branch, base) = (text("head"), text("base"));
    if tip(&shared.open(), &branch).is_none() {
        return Response::rejection(404, "The target couldn't be found.");
    }
    if state.is_open(&branch, &base) {
        return Response::rejection(409, "pull request already exists for these targets");
    }
    let number = state.open(&body["title"], &body["body"], &branch, &base);
    let pull = state.pull(number).unwrap();
    pull.draft = pull.title.starts_with("WIP:");
    Response::json(201, &shown(shared, state, number))
}

/// A pull request as the API shows it. After the branch was deleted, only the label has its name.
fn shown(shared: &Shared, state: &mut State, number: u64) -> Value {
    let repository = shared.open();
    let head = state.shown_head(number, &repository);
    let pull = state.pull(number).unwrap();
    let name = match tip(&repository, &pull.branch) {
        Some(_) => pull.branch.clone(),
        None => format!("refs/pull/{number}/head"),
    };
    json!({
        "number": number,
        "html_url": format!("https://gitea.example/acme/codex/pulls/{number}"),
        "state": if pull.state == "open" { "open" } else { "closed" },
        "merged": pull.state == "merged",
        "title": pull.title,
        "body": pull.body,
        "created_at": "2026-11-26T11:00:00Z",
        "draft": pull.draft,
        "head": { "label": pull.branch, "ref": name, "sha": head.unwrap_or_default(), "repo_id": 1 },
        "base": { "label": pull.base, "ref": pull.base, "sha": "", "repo_id": 1 },
    })
}
