//! A client for the HTTP API of the server that hosts a repository: single requests with small
//! bodies, over the same connections, proxies and TLS settings as git's protocol.
//!
//! It sends no credential by itself, no header of git's configuration, and follows no redirect.

use std::io::Read;
use std::sync::Arc;

use rustls::ClientConfig;

use super::connection::{HttpConnection, Route};
use super::message::Head;
use super::proxy::{self, Proxy};
use super::{check_settings, trust};
use crate::codex::git_config::Settings;
use crate::codex::remote::context::{RemoteContext, SentSecrets};
use crate::codex::remote::error::{RemoteError, RemoteErrorKind};
pub(crate) use crate::codex::remote::http_response::retry_after;
use crate::codex::remote::native::address::Address;
use crate::codex::remote::native::carrier::RequestBody;
use crate::codex::remote::native::failure::Failure;
use crate::codex::remote::native::idle_timeout::IdleTimeout;
use crate::environment::Environment;
use crate::event::Reporter;
use crate::interrupt::Interrupt;
use crate::paths::escaped;
use crate::secret::Secret;
use crate::url::RemoteUrl;
use crate::workspace::Remote;

/// The maximum length of the body of a response, in bytes. A page of 100 pull requests, each with a
/// description of the maximum length, is smaller.
const MAX_BYTES: u64 = 32 << 20;

/// A client for one server.
pub(crate) struct HttpClient {
    context: RemoteContext,
    idle_timeout: IdleTimeout,
    address: Address,
    proxy: Option<Proxy>,
    tls: Option<Arc<ClientConfig>>,
    connection: Option<HttpConnection>,
    /// The token, which is masked in messages.
    token: Option<Secret>,
}

/// A request.
pub(crate) struct HttpRequest<'r> {
    pub(crate) method: &'static str,
    /// The path on the server, with the query.
    pub(crate) target: &'r str,
    /// Names and values of headers that are not secret.
    pub(crate) headers: &'r [(&'r str, &'r str)],
    /// The header with the token: its name and value.
    pub(crate) authorization: Option<(&'r str, &'r Secret)>,
    /// A JSON document.
    pub(crate) body: Option<&'r [u8]>,
}

/// A response with any status.
pub(crate) struct HttpResponse {
    pub(crate) status: u16,
    head: Head,
    pub(crate) body: Vec<u8>,
}

impl HttpResponse {
    /// The first value of a header, by its name in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.header(name)
    }
}

impl HttpClient {
    /// Prepares requests to `url`, with the time limits of `remote`. Nothing is sent yet. `token` is
    /// only masked in messages: each request has its own `authorization`.
    pub(crate) fn new(
        url: &RemoteUrl,
        remote: &Remote,
        environment: &Environment,
        interrupt: &Interrupt,
        reporter: Arc<dyn Reporter>,
        token: Option<Secret>,
    ) -> Result<Self, Box<RemoteError>> {
        let context = RemoteContext {
            remote: Remote {
                url: url.clone(),
                token: None,
                repository_token: None,
                unused_tokens: Vec::new(),
                unset_token_variables: Vec::new(),
                ..remote.clone()
            },
            environment: environment.clone(),
            credential: None,
            sent_secrets: SentSecrets::default(),
            configured_url: url.clone(),
            settings: Arc::new(Settings::read(environment)),
            interrupt: interrupt.clone(),
            reporter,
        };
        let failed = |failure| Box::new(error(&context, failure, token.as_ref()));
        let address = Address::parse(&url.for_git())
            .ok_or_else(|| failed(Failure::invalid(format!("`{url}` is not an http URL"))))?;
        check_settings(&address, &context).map_err(failed)?;
        let proxy = proxy::choose(&address, &context).map_err(failed)?;
        let tls = address.is_tls.then(|| trust(&address, &context));
        let tls = tls.transpose().map_err(failed)?;
        Ok(Self {
            idle_timeout: IdleTimeout::new(interrupt.clone(), remote.timeout.idle),
            context,
            address,
            proxy,
            tls,
            connection: None,
            token,
        })
    }

    /// Sends a request once and reads the whole response.
    pub(crate) fn send(
        &mut self,
        request: &HttpRequest<'_>,
    ) -> Result<HttpResponse, Box<RemoteError>> {
        tracing::debug!(
            method = request.method,
            target = request.target,
            "api request"
        );
        self.exchange(request)
            .map_err(|failure| Box::new(error(&self.context, failure, self.token.as_ref())))
    }

    fn exchange(&mut self, request: &HttpRequest<'_>) -> Result<HttpResponse, Failure> {
        let head = self.head(request);
        let mut body = request.body.map_or(RequestBody::None, RequestBody::Bytes);

        let mut open = self.connection.take();
        let mut connection = match open.take_if(HttpConnection::is_idle) {
            Some(connection) => connection,
            None => HttpConnection::open(&Route {
                address: &self.address,
                proxy: self.proxy.as_ref(),
                tls: self.tls.clone(),
                connect: self.context.remote.timeout.connect,
                idle_timeout: &self.idle_timeout,
            })?,
        };
        let (head, is_whole) = connection.exchange(&head, &mut body)?;
        let mut text = Vec::new();
        let mut rest = connection.body(&head)?;
        (&mut rest).take(MAX_BYTES).read_to_end(&mut text)?;
        if text.len() as u64 == MAX_BYTES {
            return Err(Failure::invalid("the response is too long"));
        }
        let is_reusable = rest.is_reusable() && is_whole;
        self.connection = is_reusable.then_some(connection);
        Ok(HttpResponse {
            status: head.status,
            head,
            body: text,
        })
    }

    /// The head of a request.
    fn head(&self, request: &HttpRequest<'_>) -> String {
        let path = request.target.to_owned();
        let forwarded = self.proxy.as_ref().filter(|_| !self.address.is_tls);
        let target = match forwarded {
            Some(_) => format!("http://{}{path}", self.address.host_and_port()),
            None => path,
        };
        let mut head = format!("{} {target} HTTP/1.1\r\n", request.method);
        let mut add = |name: &str, value: &str| {
            // A value never starts a new line.
            let value = value.replace(['\r', '\n'], " ");
            head.push_str(&format!("{name}: {value}\r\n"));
        };
        add("Host", &self.address.host_and_port());
        add(
            "User-Agent",
            concat!("fractary-codex/", env!("CARGO_PKG_VERSION")),
        );
        for (name, value) in request.headers {
            add(name, value);
        }
        if let Some((name, value)) = request.authorization {
            add(name, value.reveal());
        }
        if let Some(authorization) = forwarded.and_then(|proxy| proxy.authorization.as_ref()) {
            add("Proxy-Authorization", authorization.reveal());
        }
        if let Some(body) = request.body {
            add("Content-Type", "application/json");
            add("Content-Length", &body.len().to_string());
        } else if request.method != "GET" {
            add("Content-Length", "0");
        }
        head + "\r\n"
    }

    /// Masks the token, and secrets in the URL, in a text of the server.
    pub(crate) fn redacted(&self, text: &str) -> String {
        redacted(text, &self.context, self.token.as_ref())
    }
}

fn redacted(text: &str, context: &RemoteContext, token: Option<&Secret>) -> String {
    let text = context.redacted_line(text);
    match token {
        Some(token) => text.replace(token.reveal(), "***"),
        None => text,
    }
}

/// Converts a failure to the error of the API's server.
fn error(context: &RemoteContext, failure: Failure, token: Option<&Secret>) -> RemoteError {
    let (kind, detail) = match failure {
        Failure::Remote { kind, detail, .. } => (kind, detail),
        Failure::Complete(error) => return *error,
        Failure::NeedsGit(reason) => {
            let detail = format!("git cannot send requests to an API, and {reason}");
            (RemoteErrorKind::RequestRefused, vec![detail])
        }
        other => (
            other.kind().unwrap_or(RemoteErrorKind::ServerFailure),
            vec![other.to_string()],
        ),
    };
    let shown = |line: &String| escaped(redacted(line, context, token).as_bytes()).to_string();
    let detail = detail.iter().map(shown).collect();
    RemoteError::new(kind, &context.remote.url, detail)
}
