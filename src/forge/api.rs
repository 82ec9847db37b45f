//! Requests to the JSON API of a forge, with its rate limits, its errors and its pages.
//!
//! Requests that only read are repeated if the connection breaks or the server fails. A request
//! that writes is only repeated if the server responded that it did not process it because of its
//! rate limit. No redirect is followed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use backon::{BackoffBuilder, ExponentialBuilder};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::error::{ForgeError, ForgeRejection};
use super::place::{ForgeKind, ForgePlace};
use super::pull_request::PullRequest;
use crate::codex::remote::error::RemoteError;
use crate::codex::remote::http_client::{HttpClient, HttpRequest, HttpResponse, retry_after};
use crate::environment::Environment;
use crate::event::Reporter;
use crate::interrupt::Interrupt;
use crate::paths::escaped;
use crate::secret::Secret;
use crate::workspace::Workspace;

/// The longest delay that is waited for because of a rate limit. A longer one is an error instead.
const MAX_DELAY: Duration = Duration::from_secs(120);
/// The delay if a rate limit has none: GitHub asks for at least one minute.
const UNSTATED_DELAY: Duration = Duration::from_secs(60);
/// The shortest delay until the time that a rate limit names, which has passed if the clocks differ.
const SHORTEST_RESET: Duration = Duration::from_secs(1);
/// The delay after GitHub's `was submitted too quickly`.
const TOO_QUICK_DELAY: Duration = Duration::from_secs(10);
/// The maximum number of repetitions of one request.
const MAX_REPEATS: u32 = 3;
/// The maximum number of waits for a server that still processes a push: about 15 seconds.
const MAX_WAITS: u32 = 5;
/// The interval between two requests that write, which GitHub asks for.
const WRITE_INTERVAL: Duration = Duration::from_secs(1);
/// The maximum number of pages of a list, in case a server always names another page.
const MAX_PAGES: u32 = 1000;
/// The maximum number of characters of a server's message.
const MAX_SHOWN: usize = 500;

/// The header with the token.
#[derive(Clone)]
pub(super) struct TokenHeader {
    name: &'static str,
    value: Secret,
    token: Secret,
}

impl TokenHeader {
    pub(super) fn new(kind: ForgeKind, token: Secret) -> Self {
        let (name, scheme) = match kind {
            ForgeKind::GitHub | ForgeKind::GitLab => ("Authorization", "Bearer"),
            ForgeKind::Gitea => ("Authorization", "token"),
        };
        Self {
            name,
            value: Secret::new(format!("{scheme} {}", token.reveal())),
            token,
        }
    }
}

/// The API of one server.
pub(super) struct Api {
    client: HttpClient,
    interrupt: Interrupt,
    kind: ForgeKind,
    authorization: Option<TokenHeader>,
    /// The path before all targets, as in `/api/v3`.
    prefix: String,
    place: String,
    /// The first delay before a repetition.
    delay: Duration,
    /// The minimum time between two requests that write.
    write_interval: Duration,
    last_write: Option<Instant>,
}

/// A successful response.
pub(super) struct ApiAnswer {
    pub(super) status: u16,
    pub(super) body: Value,
    /// Whether the server has another page.
    has_next: bool,
}

/// One page of a list.
pub(super) struct ListPage<T> {
    pub(super) entries: Vec<T>,
    /// Whether the server has another page.
    pub(super) has_next: bool,
}

impl Api {
    pub(super) fn new(
        place: &ForgePlace,
        workspace: &Workspace,
        environment: &Environment,
        interrupt: &Interrupt,
        reporter: Arc<dyn Reporter>,
        authorization: Option<TokenHeader>,
    ) -> Result<Self, ForgeError> {
        let url = &place.api;
        let is_exposed = url.is_plain_http() && !url.is_loopback();
        if authorization.is_some() && is_exposed && !workspace.forge.allow_insecure {
            return Err(ForgeError::Insecure {
                url: url.to_string(),
            });
        }

        let masked = authorization.as_ref().map(|one| one.token.clone());
        let client = HttpClient::new(
            url,
            &workspace.remote,
            environment,
            interrupt,
            reporter,
            masked,
        )
        .map_err(ForgeError::Connection)?;
        let delay = workspace.remote.timeout.idle / 100;
        Ok(Self {
            client,
            interrupt: interrupt.clone(),
            kind: place.kind,
            authorization,
            prefix: url.http_path().unwrap_or_default(),
            place: url.host_or_path(),
            delay: delay.clamp(Duration::from_millis(10), Duration::from_millis(500)),
            write_interval: match url.forge_host() {
                Some(host) if place.kind == ForgeKind::GitHub && is_github_service(&host) => {
                    WRITE_INTERVAL
                }
                _ => Duration::ZERO,
            },
            last_write: None,
        })
    }

    /// Reads the document at `target`. `action` completes the sentence `HOST did not …`.
    pub(super) fn get(
        &mut self,
        action: &'static str,
        target: &str,
    ) -> Result<ApiAnswer, ForgeError> {
        self.request("GET", action, target, None)
    }

    /// Sends a request that writes.
    pub(super) fn write(
        &mut self,
        method: &'static str,
        action: &'static str,
        target: &str,
        body: &Value,
    ) -> Result<ApiAnswer, ForgeError> {
        let elapsed = self.last_write.map(|last| last.elapsed());
        let rest = elapsed.map(|elapsed| self.write_interval.saturating_sub(elapsed));
        self.interrupt.wait(rest.unwrap_or_default())?;
        let result = self.request(method, action, target, Some(body));
        self.last_write = Some(Instant::now());
        result
    }

    /// Calls GitHub's GraphQL API, which reports errors with status 200. Returns their messages.
    pub(super) fn graphql(
        &mut self,
        action: &'static str,
        body: &Value,
    ) -> Result<Vec<String>, ForgeError> {
        let prefix = self.prefix.clone();
        self.prefix = prefix.trim_end_matches("/v3").to_owned();
        let result = self.write("POST", action, "/graphql", body);
        self.prefix = prefix;
        let errors = result?.body.get("errors").cloned().unwrap_or_default();
        let messages = messages_in(&serde_json::json!({ "errors": errors }));
        Ok(messages.iter().map(|text| self.shown(text)).collect())
    }

    /// Reads all pages of a list. `target` has a query already.
    pub(super) fn pages<T: DeserializeOwned>(
        &mut self,
        action: &'static str,
        target: &str,
    ) -> Result<Vec<T>, ForgeError> {
        let mut all = Vec::new();
        for number in 1.. {
            let page = self.page(action, target, number)?;
            all.extend(page.entries);
            if !page.has_next {
                break;
            }
        }
        Ok(all)
    }

    /// Reads the page `number` of a list, counted from 1. `target` already contains a query.
    pub(super) fn page<T: DeserializeOwned>(
        &mut self,
        action: &'static str,
        target: &str,
        number: u32,
    ) -> Result<ListPage<T>, ForgeError> {
        if number > MAX_PAGES {
            return Err(self.unexpected(format!("a list has more than {MAX_PAGES} pages")));
        }
        let answer = self.get(action, &format!("{target}&page={number}"))?;
        let entries: Vec<T> = self.parsed(answer.body)?;
        Ok(ListPage {
            has_next: answer.has_next && !entries.is_empty(),
            entries,
        })
    }

    /// The error for a name that the server does not know. `what` is the kind of thing that it names,
    /// such as `label`.
    pub(super) fn no_such_name(&self, what: &'static str, name: &str) -> ForgeError {
        ForgeError::NoSuchName {
            place: self.place.clone(),
            what,
            name: name.to_owned(),
        }
    }

    /// Waits between two attempts of a request that the server cannot process yet. Returns `false`
    /// after the last attempt.
    pub(super) fn wait_for_server(&self, attempt: u32) -> Result<bool, ForgeError> {
        if attempt >= MAX_WAITS {
            return Ok(false);
        }
        self.interrupt.wait(self.delay * 2u32.pow(attempt))?;
        Ok(true)
    }

    /// Whether the API has a JSON document at `target`, also one that requires a token.
    pub(super) fn has_document(&mut self, target: &str) -> Result<bool, ForgeError> {
        match self.get("respond", target) {
            Ok(_) => Ok(true),
            Err(ForgeError::Rejected { rejection, .. }) => {
                Ok(rejection.status == 401 && !rejection.messages.is_empty())
            }
            Err(ForgeError::Unexpected { .. } | ForgeError::Redirected { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Reads a response as a value of the type that the API documents.
    pub(super) fn parsed<T: DeserializeOwned>(&self, body: Value) -> Result<T, ForgeError> {
        serde_json::from_value(body)
            .map_err(|error| self.unexpected(self.shown(&error.to_string())))
    }

    /// Reads a response as a pull request. The address of the pull request is printed, so it must be
    /// an http URL.
    pub(super) fn pull_request<P: DeserializeOwned + Into<PullRequest>>(
        &self,
        body: Value,
    ) -> Result<PullRequest, ForgeError> {
        self.with_address(self.parsed::<P>(body)?.into())
    }

    /// Reads a response as a list of pull requests.
    pub(super) fn pull_requests<P: DeserializeOwned + Into<PullRequest>>(
        &self,
        body: Value,
    ) -> Result<Vec<PullRequest>, ForgeError> {
        let pulls: Vec<P> = self.parsed(body)?;
        let pulls = pulls.into_iter().map(Into::into);
        pulls.map(|pull| self.with_address(pull)).collect()
    }

    /// A pull request whose address contains no token and can be a link.
    fn with_address(&self, pull_request: PullRequest) -> Result<PullRequest, ForgeError> {
        let url = self.client.redacted(&pull_request.url);
        if !is_web_address(&url) {
            let detail = format!("`{}` is not the address of a page", self.shown(&url));
            return Err(self.unexpected(detail));
        }
        Ok(PullRequest {
            url,
            ..pull_request
        })
    }

    pub(super) fn unexpected(&self, detail: impl Into<String>) -> ForgeError {
        ForgeError::Unexpected {
            place: self.place.clone(),
            detail: detail.into(),
        }
    }

    /// Sends a request, and repeats it as far as that is safe.
    fn request(
        &mut self,
        method: &'static str,
        action: &'static str,
        target: &str,
        body: Option<&Value>,
    ) -> Result<ApiAnswer, ForgeError> {
        let only_reads = method == "GET";
        let bytes = body.map(|body| body.to_string().into_bytes());
        let mut delays = ExponentialBuilder::default()
            .with_min_delay(self.delay)
            .with_max_times(MAX_REPEATS as usize)
            .with_jitter()
            .build();
        let mut limited = 0;
        loop {
            self.interrupt.check()?;
            let response = match self.send_once(method, target, bytes.as_deref()) {
                Ok(response) => response,
                Err(error) if only_reads && error.kind.is_repeated() => {
                    let Some(delay) = delays.next() else {
                        return Err(ForgeError::Connection(error));
                    };
                    self.interrupt.wait(delay)?;
                    continue;
                }
                Err(error) => return Err(ForgeError::Connection(error)),
            };

            let status = response.status;
            if (200..300).contains(&status) {
                return self.answer(&response);
            }
            if (300..400).contains(&status) {
                let to = response.header("location").unwrap_or_default();
                return Err(ForgeError::Redirected {
                    place: self.place.clone(),
                    to: self.shown(to),
                });
            }
            let messages = self.messages(&response);
            let now = SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default();
            let header = |name: &str| response.header(name);
            if let Some(delay) = rate_limit(status, header, &messages, limited, now) {
                limited += 1;
                if limited > MAX_REPEATS || delay > MAX_DELAY {
                    return Err(ForgeError::RateLimited {
                        place: self.place.clone(),
                        delay,
                    });
                }
                tracing::debug!(?delay, "waiting because of a rate limit");
                self.interrupt.wait(delay)?;
                continue;
            }
            if only_reads
                && status >= 500
                && let Some(delay) = delays.next()
            {
                self.interrupt.wait(delay)?;
                continue;
            }
            return Err(self.rejected(action, &response, messages));
        }
    }

    fn send_once(
        &mut self,
        method: &'static str,
        target: &str,
        body: Option<&[u8]>,
    ) -> Result<HttpResponse, Box<RemoteError>> {
        let target = format!("{}{target}", self.prefix);
        let headers: &[(&str, &str)] = match self.kind {
            ForgeKind::GitHub => &[
                ("Accept", "application/vnd.github+json"),
                ("X-GitHub-Api-Version", "2022-11-28"),
            ],
            ForgeKind::GitLab | ForgeKind::Gitea => &[("Accept", "application/json")],
        };
        let authorization = self.authorization.as_ref();
        self.client.send(&HttpRequest {
            method,
            target: &target,
            headers,
            authorization: authorization.map(|one| (one.name, &one.value)),
            body,
        })
    }

    fn answer(&self, response: &HttpResponse) -> Result<ApiAnswer, ForgeError> {
        let body = if response.body.is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(&response.body).map_err(|_| self.unexpected("it is not JSON"))?
        };
        Ok(ApiAnswer {
            status: response.status,
            body,
            has_next: response.header("link").is_some_and(has_next),
        })
    }

    fn rejected(
        &self,
        action: &'static str,
        response: &HttpResponse,
        messages: Vec<String>,
    ) -> ForgeError {
        let header = |name| {
            let value = response.header(name).filter(|value| !value.is_empty());
            value.map(|value| self.shown(value))
        };
        ForgeError::Rejected {
            place: self.place.clone(),
            kind: Some(self.kind),
            action,
            rejection: Box::new(ForgeRejection {
                status: response.status,
                messages,
                needed: header("x-accepted-github-permissions"),
                granted: header("x-oauth-scopes"),
            }),
        }
    }

    /// The messages in the body of a rejected request, which is JSON or plain text.
    fn messages(&self, response: &HttpResponse) -> Vec<String> {
        let content_type = response.header("content-type").unwrap_or_default();
        let texts = match serde_json::from_slice(&response.body) {
            Ok(body) => messages_in(&body),
            Err(_) if content_type.starts_with("text/plain") => {
                vec![String::from_utf8_lossy(&response.body).into_owned()]
            }
            Err(_) => Vec::new(),
        };
        let mut shown: Vec<String> = Vec::new();
        for text in texts {
            let text = self.shown(text.trim());
            if !text.is_empty() && !shown.contains(&text) {
                shown.push(text);
            }
        }
        shown
    }

    /// A text of the server as it may be printed. The token is masked before the text is cut, because
    /// a part of it would not be recognized.
    fn shown(&self, text: &str) -> String {
        let masked = self.client.redacted(text);
        let short: String = masked.chars().take(MAX_SHOWN).collect();
        escaped(short.as_bytes()).to_string()
    }
}

/// The messages in the JSON document of a rejection. GitHub has `message` and `errors`, GitLab has a
/// text, a list or a map in `message`, or `error` and `error_description`, Gitea has `message`.
fn messages_in(body: &Value) -> Vec<String> {
    fn texts(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::String(text) => found.push(text.clone()),
            Value::Array(list) => list.iter().for_each(|value| texts(value, found)),
            Value::Object(map) => match map.get("message") {
                Some(message) => texts(message, found),
                None => {
                    let parts: BTreeMap<_, _> = map
                        .iter()
                        .map(|(name, value)| {
                            let mut inner = Vec::new();
                            texts(value, &mut inner);
                            (name, inner.join(", "))
                        })
                        .collect();
                    let parts = parts.iter().map(|(name, text)| format!("{name}: {text}"));
                    found.push(parts.collect::<Vec<_>>().join(", "));
                }
            },
            _ => {}
        }
    }

    let mut found = Vec::new();
    for name in ["message", "error", "error_description", "errors"] {
        if let Some(value) = body.get(name) {
            texts(value, &mut found);
        }
    }
    found
}

/// The delay before the request may be sent again, if the response with this status limits the rate
/// of requests. `header` looks up a header by its name in lower case, `before` is the number of such
/// responses to the same request so far, and `now` is the time since the epoch.
fn rate_limit<'h>(
    status: u16,
    header: impl Fn(&str) -> Option<&'h str>,
    messages: &[String],
    before: u32,
    now: Duration,
) -> Option<Duration> {
    let mentions = |text: &str| {
        let is_about = |message: &String| message.to_lowercase().contains(text);
        messages.iter().any(is_about)
    };
    let is_used_up = header("x-ratelimit-remaining") == Some("0");
    let is_limit = match status {
        429 => true,
        403 => {
            header("retry-after").is_some()
                || is_used_up
                || mentions("rate limit")
                || mentions("abuse")
        }
        422 if mentions("submitted too quickly") => return Some(TOO_QUICK_DELAY),
        _ => false,
    };
    if !is_limit {
        return None;
    }

    let stated = header("retry-after").and_then(|value| retry_after(value, UNIX_EPOCH + now));
    let reset = header("x-ratelimit-reset").or_else(|| header("ratelimit-reset"));
    let until_reset = reset
        .filter(|_| is_used_up || status == 429)
        .and_then(|reset| reset.trim().parse().ok())
        .map(|reset| {
            Duration::from_secs(reset)
                .saturating_sub(now)
                .max(SHORTEST_RESET)
        });
    let growing = UNSTATED_DELAY * 2u32.saturating_pow(before);
    Some(stated.or(until_reset).unwrap_or(growing))
}

/// Whether a text is a URL of a page without any character that has a meaning in Markdown or HTML.
fn is_web_address(text: &str) -> bool {
    let rest = ["https://", "http://"]
        .iter()
        .find_map(|scheme| text.strip_prefix(scheme));
    let is_plain = |c: char| c.is_ascii_graphic() && !"<>\"'`()[]{}|\\^".contains(c);
    rest.is_some_and(|rest| !rest.is_empty() && rest.chars().all(is_plain))
}

/// Whether `host` is the API of github.com or ghe.com, and not of a GitHub Enterprise Server.
fn is_github_service(host: &str) -> bool {
    host == "api.github.com" || host.ends_with(".ghe.com")
}

/// Whether a `Link` header has another page.
fn has_next(link: &str) -> bool {
    link.split(',').any(|part| {
        let is_next = |parameter: &str| {
            let parameter = parameter.trim().to_ascii_lowercase();
            parameter == "rel=\"next\"" || parameter == "rel=next"
        };
        part.split(';').skip(1).any(is_next)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn messages_are_found_in_every_documented_form() {
        for (body, expected) in [
            (
                json!({ "message": "Not Found", "documentation_url": "x" }),
                &["Not Found"][..],
            ),
            (
                json!({ "message": "Validation Failed", "errors": [{ "resource": "PullRequest", "code": "custom", "message": "exists" }] }),
                &["Validation Failed", "exists"],
            ),
            (
                json!({ "message": "Validation Failed", "errors": ["plain"] }),
                &["Validation Failed", "plain"],
            ),
            (
                json!({ "errors": [{ "field": "head", "code": "invalid" }] }),
                &["code: invalid, field: head"],
            ),
            (json!({ "message": ["one", "two"] }), &["one", "two"]),
            (
                json!({ "message": { "source_branch": ["does not exist"] } }),
                &["source_branch: does not exist"],
            ),
            (
                json!({ "error": "insufficient_scope", "error_description": "needs `api`" }),
                &["insufficient_scope", "needs `api`"],
            ),
            (json!([]), &[]),
        ] {
            assert_eq!(messages_in(&body), expected, "{body}");
        }
    }

    #[test]
    fn delay_of_a_rate_limit_is_read_from_headers_or_grows() {
        let delay = |status, headers: &[(&str, &'static str)], message: &str, before| {
            let header = |name: &str| {
                let found = headers.iter().find(|(key, _)| *key == name);
                found.map(|(_, value)| *value)
            };
            let now = Duration::from_secs(1000);
            rate_limit(status, header, &[message.to_owned()], before, now)
                .map(|delay| delay.as_secs())
        };
        let used_up = [
            ("x-ratelimit-remaining", "0"),
            ("x-ratelimit-reset", "1030"),
        ];
        for (status, headers, message, before, expected) in [
            (429, &[("retry-after", "7")][..], "", 0, Some(7)),
            (429, &[("ratelimit-reset", "1005")], "", 0, Some(5)),
            (429, &[("ratelimit-reset", "900")], "", 0, Some(1)),
            (429, &[], "Retry later", 0, Some(60)),
            (403, &used_up, "", 0, Some(30)),
            (403, &[("retry-after", "9")], "", 0, Some(9)),
            (
                403,
                &[],
                "You have exceeded a secondary rate limit",
                1,
                Some(120),
            ),
            (403, &[], "Resource not accessible", 0, None),
            (403, &[("x-ratelimit-reset", "1030")], "Forbidden", 0, None),
            (422, &[], "was submitted too quickly", 0, Some(10)),
            (422, &[], "already exists", 0, None),
            (500, &used_up, "", 0, None),
        ] {
            let found = delay(status, headers, message, before);
            assert_eq!(found, expected, "{status} {headers:?} {message}");
        }
    }

    #[test]
    fn address_has_no_other_meaning() {
        assert!(is_web_address(
            "https://h:8443/acme/codex/-/merge_requests/1?a=b#c"
        ));
        for text in [
            "",
            "https://",
            "javascript:alert(1)",
            "/acme/codex/pulls/1",
            "https://h/](https://evil",
            "https://h/<script>",
            "https://h/ x",
            "https://h/\u{1b}[2J",
        ] {
            assert!(!is_web_address(text), "{text}");
        }
    }

    #[test]
    fn another_page_is_recognized() {
        assert!(has_next(
            "<https://h/x?page=2>; rel=\"next\", <https://h/x?page=9>; rel=\"last\""
        ));
        assert!(has_next("<https://h/x?a=1,2>; title=\"a\"; rel=next"));
        assert!(!has_next("<https://h/next>; rel=\"prev\""));
    }
}
