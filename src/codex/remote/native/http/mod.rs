//! The carrier for `http://` and `https://`: git's smart http on one persistent connection.
//!
//! HTTP/1.1 is implemented here, as client libraries lack features that a push needs: reading a
//! response while the request is still being sent, interruption by a signal, a time limit for
//! silence instead of the whole request, and a self-signed certificate in `http.sslCAInfo`.
//! [`client`] uses the same connections for the API of a forge.

mod challenge;
pub(crate) mod client;
mod connection;
mod logins;
mod message;
mod proxy;
mod tls;

use std::io::{BufReader, Read};
use std::sync::Arc;
use std::time::SystemTime;

use rustls::ClientConfig;

use super::address::Address;
use super::carrier::{Carrier, RequestBody, ResponseReader};
use super::failure::Failure;
use super::http_settings::is_authorization;
use super::idle_timeout::IdleTimeout;
use super::protocol::capabilities::Service;
use crate::codex::remote::context::RemoteContext;
use crate::codex::remote::credential::Credential;
use crate::codex::remote::error::RemoteErrorKind;
use crate::codex::remote::http_response::{is_rate_limit, retry_after};
use crate::codex::remote::refs::NOT_GIT;
use crate::codex::remote::rejection;
use crate::codex::remote::server_message::mark;
use crate::secret::Secret;
use connection::{HttpConnection, Route};
use logins::{Login, Logins};
use message::Head;
use proxy::Proxy;
use tls::Trust;

/// The maximum length of the quoted text of an error response.
const MAX_QUOTED: u64 = 4096;
/// The maximum length of the rest of a response that is read in order to use the connection again.
const MAX_LEFT: u64 = 64 << 10;
/// The maximum number of redirects, as for git with curl.
const MAX_REDIRECTS: usize = 20;

/// Keys `http.NAME` of git's configuration that only git supports. Those of TLS apply to https
/// only.
const ONLY_GIT: [&str; 10] = [
    "cookieFile",
    "curloptResolve",
    "delegation",
    "pinnedPubkey",
    "proxySSLCAInfo",
    "proxySSLCert",
    "sslCAPath",
    "sslCert",
    "sslCipherList",
    "sslVersion",
];
/// Environment variables that only git supports.
const ONLY_GIT_VARIABLES: [&str; 6] = [
    "GIT_PROXY_SSL_CAINFO",
    "GIT_PROXY_SSL_CERT",
    "GIT_SSL_CAPATH",
    "GIT_SSL_CERT",
    "GIT_SSL_CIPHER_LIST",
    "GIT_SSL_VERSION",
];

/// A server reached over http.
pub(super) struct Http {
    context: RemoteContext,
    idle_timeout: IdleTimeout,
    /// The address of the repository. A redirect of the first request changes it.
    address: Address,
    tls: Option<Arc<ClientConfig>>,
    proxy: Option<Proxy>,
    logins: Logins,
    login: Option<Login>,
    /// Whether the server accepted `login`.
    is_approved: bool,
    connection: Option<HttpConnection>,
    /// The services that were greeted, so that their address and capabilities are current.
    greeted: Vec<Service>,
}

/// A request.
struct Call<'c> {
    service: Service,
    method: &'static str,
    /// The part after the path of the repository.
    target: String,
    content_type: Option<String>,
    accept: String,
    body: RequestBody<'c>,
}

impl Http {
    /// Prepares requests to the repository at `url`. An error if only git can talk to it.
    pub(super) fn new(
        context: &RemoteContext,
        idle_timeout: IdleTimeout,
        url: &str,
    ) -> Result<Self, Failure> {
        let address = Address::parse(url)
            .ok_or_else(|| Failure::NeedsGit(format!("`{url}` is not a valid http URL")))?;
        check_settings(&address, context)?;
        let proxy = proxy::choose(&address, context)?;
        let tls = address.is_tls.then(|| trust(&address, context));
        Ok(Self {
            logins: Logins::new(&address, context),
            tls: tls.transpose()?,
            context: context.clone(),
            idle_timeout,
            address,
            proxy,
            login: None,
            is_approved: false,
            connection: None,
            greeted: Vec::new(),
        })
    }

    /// Repeats a request until its final response: with a login after a 401, at another address
    /// after a redirect.
    fn call(&mut self, mut call: Call<'_>, read: ResponseReader<'_>) -> Result<(), Failure> {
        for _ in 0..MAX_REDIRECTS {
            let (head, is_whole) = self.send(&mut call)?;
            match head.status {
                200 => {
                    self.approve();
                    return self.read_response(&head, is_whole, &call, read);
                }
                401 => self.log_in(&head, is_whole)?,
                301 | 302 | 303 | 307 | 308 => self.redirect(&head, &call)?,
                _ => return Err(self.rejection(&head, is_whole, &call)),
            }
        }
        Err(Failure::new(
            RemoteErrorKind::Redirected,
            "too many redirects",
        ))
    }

    /// Sends a request, on the open connection if there is one.
    fn send(&mut self, call: &mut Call<'_>) -> Result<(Head, bool), Failure> {
        let text = self.head(call);
        tracing::debug!(method = call.method, target = call.target, "http request");
        let reused = self
            .connection
            .take()
            .filter(|connection| connection.address.same_server(&self.address));
        let may_repeat = call.service == Service::UploadPack;
        if let Some(mut connection) = reused
            && connection.is_idle()
        {
            match connection.exchange(&text, &mut call.body) {
                // The server closed the idle connection at this moment.
                Err(failure)
                    if may_repeat && failure.kind() == Some(RemoteErrorKind::ServerFailure) => {}
                Err(failure) => return Err(failure),
                Ok(response) => {
                    self.connection = Some(connection);
                    return Ok(response);
                }
            }
        }
        let mut connection = HttpConnection::open(&self.route())?;
        let response = connection.exchange(&text, &mut call.body)?;
        self.connection = Some(connection);
        Ok(response)
    }

    fn route(&self) -> Route<'_> {
        Route {
            address: &self.address,
            proxy: self.proxy.as_ref(),
            tls: self.tls.clone(),
            connect: self.context.remote.timeout.connect,
            idle_timeout: &self.idle_timeout,
        }
    }

    /// The head of a request.
    fn head(&self, call: &Call<'_>) -> String {
        let path = format!("{}/{}", self.address.path, call.target);
        let forwarded = self.proxy.as_ref().filter(|_| !self.address.is_tls);
        let target = match forwarded {
            // A request to a proxy contains the whole URL.
            Some(_) => format!("http://{}{path}", self.address.host_and_port()),
            None => path,
        };
        let mut head = format!("{} {target} HTTP/1.1\r\n", call.method);
        let mut add = |name: &str, value: &str| {
            // A value never starts a new line.
            let value = value.replace(['\r', '\n'], " ");
            head.push_str(&format!("{name}: {value}\r\n"));
        };
        add("Host", &self.address.host_and_port());
        add("User-Agent", &self.user_agent());
        add("Accept", &call.accept);
        add("Pragma", "no-cache");
        if let Some(content_type) = &call.content_type {
            add("Content-Type", content_type);
        }
        if call.service == Service::UploadPack
            && self.context.settings.get("protocol.version") != Some("0")
        {
            add("Git-Protocol", "version=2");
        }
        match &call.body {
            RequestBody::None => {}
            RequestBody::Bytes(bytes) => add("Content-Length", &bytes.len().to_string()),
            RequestBody::Stream {
                length: Some(length),
                ..
            } => add("Content-Length", &length.to_string()),
            RequestBody::Stream { length: None, .. } => add("Transfer-Encoding", "chunked"),
        }
        let authorization = self.authorization();
        if let Some(authorization) = &authorization {
            add("Authorization", authorization.reveal());
        }
        if let Some(authorization) = forwarded.and_then(|proxy| proxy.authorization.as_ref()) {
            add("Proxy-Authorization", authorization.reveal());
        }
        for header in self.context.settings.http_all(&self.address, "extraheader") {
            let (name, value) = header.split_once(':').unwrap_or((header, ""));
            // A server rejects two credentials.
            let is_replaced = authorization.is_some() && is_authorization(header);
            if !is_replaced && !name.contains(['\r', '\n']) {
                add(name.trim(), value.trim());
            }
        }
        head + "\r\n"
    }

    fn user_agent(&self) -> String {
        let configured = self.context.settings.http(&self.address, "useragent");
        let configured = self
            .context
            .environment
            .get("GIT_HTTP_USER_AGENT")
            .or(configured);
        // Servers recognize git clients by `git/`.
        let own = concat!("git/2 (fractary-codex ", env!("CARGO_PKG_VERSION"), ")");
        configured.unwrap_or(own).to_owned()
    }

    /// The token, which is sent with every request, else the login that was chosen after a 401.
    fn authorization(&self) -> Option<Secret> {
        let own = self.context.credential.as_ref();
        own.map(Credential::authorization)
            .or_else(|| self.login.as_ref().map(Login::header))
    }

    /// Reacts to a 401: chooses the next login to try, or fails.
    fn log_in(&mut self, head: &Head, is_whole: bool) -> Result<(), Failure> {
        let challenges: Vec<_> = head.values("www-authenticate").collect();
        let schemes = challenge::schemes(challenges.iter().copied());
        let mut detail = self.quote(head, is_whole);
        let mut has_sent = self.context.credential.is_some()
            || authorized_by_header(&self.address, &self.context).is_some();
        if self.context.credential.is_none() {
            if challenge::excludes_basic(&schemes) {
                return Err(needs_git_for(&schemes));
            }
            if let Some(rejected) = self.login.take() {
                self.logins.reject(&rejected);
                self.is_approved = false;
                has_sent = true;
            }
            self.login = self.logins.next(&challenges)?;
            if let Some(login) = &self.login {
                let secrets = &self.context.sent_secrets;
                secrets.add_authorization(login.header().reveal());
                return Ok(());
            }
            // With a Kerberos ticket, git needs no login.
            if !has_sent && schemes.iter().any(|scheme| scheme == "negotiate") {
                return Err(needs_git_for(&schemes));
            }
        }

        detail.extend(self.tried());
        let kind = if has_sent {
            RemoteErrorKind::WrongCredentials
        } else {
            RemoteErrorKind::NoCredentials
        };
        Err(Failure::Remote {
            kind,
            detail,
            retry_after: None,
        })
    }

    /// Which logins were sent besides a token, as sentences for an error message.
    fn tried(&self) -> Vec<String> {
        let header = authorized_by_header(&self.address, &self.context);
        header
            .map(str::to_owned)
            .into_iter()
            .chain(self.logins.tried().iter().cloned())
            .collect()
    }

    /// Reports the login as accepted to its source, once.
    fn approve(&mut self) {
        if let Some(login) = self.login.as_ref().filter(|_| !self.is_approved) {
            self.logins.approve(login);
            self.is_approved = true;
        }
    }

    /// Follows the redirect of the first request, as git does, but not with a token, which is for
    /// the configured URL only.
    fn redirect(&mut self, head: &Head, call: &Call<'_>) -> Result<(), Failure> {
        self.connection = None;
        let location = head.header("location").unwrap_or_default();
        let follow = self.context.settings.http(&self.address, "followredirects");
        let may_follow = follow != Some("false") && call.method == "GET";
        let base = location
            .strip_suffix(call.target.as_str())
            .and_then(Address::parse);
        let is_safe = base
            .as_ref()
            .is_some_and(|base| base.is_tls || !self.address.is_tls);
        match base {
            Some(base) if may_follow && is_safe && self.authorization().is_none() => {
                tracing::debug!(to = %base, "redirected");
                self.logins = Logins::new(&base, &self.context);
                self.proxy = proxy::choose(&base, &self.context)?;
                let tls = base.is_tls.then(|| trust(&base, &self.context));
                self.tls = tls.transpose()?;
                self.address = base;
                Ok(())
            }
            _ if call.method != "GET" && !self.greeted.contains(&call.service) => {
                Err(Failure::ContradictsNotes(format!("status {}", head.status)))
            }
            _ => {
                let target = self.context.leads_to(location);
                let detail = target.map(|url| format!("it leads to {url}"));
                Err(Failure::Remote {
                    kind: RemoteErrorKind::Redirected,
                    detail: detail.into_iter().collect(),
                    retry_after: None,
                })
            }
        }
    }

    /// Passes the body of a successful response to `read`, and keeps the connection if it can be
    /// used again.
    fn read_response(
        &mut self,
        head: &Head,
        is_whole: bool,
        call: &Call<'_>,
        read: ResponseReader<'_>,
    ) -> Result<(), Failure> {
        let content_type = head.header("content-type").unwrap_or_default();
        let expected = call.accept.as_str();
        if !content_type.trim().eq_ignore_ascii_case(expected) {
            self.connection = None;
            return Err(match call.method {
                "GET" => Failure::new(RemoteErrorKind::NotGit, NOT_GIT),
                _ => Failure::invalid(format!("its response is not git's but `{content_type}`")),
            });
        }
        let Some(mut connection) = self.connection.take() else {
            return Err(Failure::invalid("the connection is gone"));
        };
        let mut body = connection.body(head)?;
        read(&mut BufReader::new(&mut body))?;
        let left = std::io::copy(&mut (&mut body).take(MAX_LEFT), &mut std::io::sink());
        let is_reusable = left.is_ok() && body.is_reusable() && is_whole;
        self.connection = is_reusable.then_some(connection);
        Ok(())
    }

    /// The failure for a status that is not a success.
    fn rejection(&mut self, head: &Head, is_whole: bool, call: &Call<'_>) -> Failure {
        let status = head.status;
        if status == 411 && matches!(call.body, RequestBody::Stream { length: None, .. }) {
            self.connection = None;
            return Failure::LengthRequired;
        }
        // A request that is too large is so for any server.
        let contradicts_notes = call.method == "POST" && status < 429 && status != 413;
        if contradicts_notes && !self.greeted.contains(&call.service) {
            self.connection = None;
            return Failure::ContradictsNotes(format!("status {status}"));
        }
        if let (407, Some(proxy)) = (status, &self.proxy) {
            return proxy.rejection(head);
        }
        let kind = match status {
            403 => RemoteErrorKind::Forbidden,
            404 | 410 => RemoteErrorKind::NotFound,
            429 => RemoteErrorKind::RateLimited,
            status if rejection::is_status_of_contents(status) => {
                let detail = self.quote(head, is_whole);
                return Failure::Rejected { status, detail };
            }
            400..=428 => RemoteErrorKind::RequestRefused,
            500.. => RemoteErrorKind::ServerFailure,
            _ => RemoteErrorKind::Other,
        };
        let mut detail = self.quote(head, is_whole);
        let kind = match kind {
            RemoteErrorKind::Forbidden if is_rate_limit(|name| head.header(name), &detail) => {
                RemoteErrorKind::RateLimited
            }
            kind => kind,
        };
        if matches!(kind, RemoteErrorKind::Forbidden | RemoteErrorKind::NotFound) {
            detail.extend(self.tried());
        }
        let retry_after = head
            .header("retry-after")
            .and_then(|value| retry_after(value, SystemTime::now()));
        Failure::Remote {
            kind,
            detail,
            retry_after,
        }
    }

    /// Describes a response: its status, and its body if that is plain text.
    fn quote(&mut self, head: &Head, is_whole: bool) -> Vec<String> {
        let mut lines = vec![format!("the server responded with status {}", head.status)];
        let Some(mut connection) = self.connection.take() else {
            return lines;
        };
        let Ok(mut body) = connection.body(head) else {
            return lines;
        };
        let mut text = Vec::new();
        let complete = (&mut body).take(MAX_QUOTED).read_to_end(&mut text).is_ok();
        let is_reusable = complete && body.is_reusable() && is_whole;
        self.connection = is_reusable.then_some(connection);
        let content_type = head.header("content-type").unwrap_or_default();
        if content_type.to_ascii_lowercase().starts_with("text/plain") {
            let text = self.context.redacted_line(&String::from_utf8_lossy(&text));
            let words = text
                .lines()
                .map(str::trim_end)
                .filter(|line| !line.is_empty());
            lines.extend(words.map(mark));
        }
        lines
    }
}

impl Carrier for Http {
    fn greet(&mut self, service: Service, read: ResponseReader<'_>) -> Result<(), Failure> {
        let name = service.name();
        let call = Call {
            service,
            method: "GET",
            target: format!("info/refs?service={name}"),
            content_type: None,
            accept: format!("application/x-{name}-advertisement"),
            body: RequestBody::None,
        };
        self.call(call, read)?;
        self.greeted.push(service);
        Ok(())
    }

    fn request(
        &mut self,
        service: Service,
        body: RequestBody<'_>,
        read: ResponseReader<'_>,
    ) -> Result<(), Failure> {
        let name = service.name();
        let call = Call {
            service,
            method: "POST",
            target: name.to_owned(),
            content_type: Some(format!("application/x-{name}-request")),
            accept: format!("application/x-{name}-result"),
            body,
        };
        self.call(call, read)
    }

    fn is_stateless(&self) -> bool {
        true
    }

    fn end(&mut self, service: Service) {
        self.greeted.retain(|greeted| *greeted != service);
    }
}

/// Returns an error if git's configuration asks for something that only git can do.
fn check_settings(address: &Address, context: &RemoteContext) -> Result<(), Failure> {
    let applies = |name: &&&str| address.is_tls || !name.to_ascii_lowercase().contains("ssl");
    let is_set = |name: &&&str| {
        let value = context.settings.http(address, &name.to_ascii_lowercase());
        // With an empty file name, cookies are kept in memory.
        value.is_some_and(|value| !value.is_empty() || **name == "cookieFile")
    };
    let setting = ONLY_GIT.iter().filter(applies).find(is_set);
    let variable = ONLY_GIT_VARIABLES
        .iter()
        .filter(applies)
        .find(|name| context.environment.get(name).is_some());

    match (setting, variable) {
        (Some(name), _) => Err(Failure::NeedsGit(format!("`http.{name}` is set"))),
        (None, Some(name)) => Err(Failure::NeedsGit(format!("`{name}` is set"))),
        (None, None) => Ok(()),
    }
}

/// The logins that git itself sends besides a token, as sentences for an error message.
pub(in crate::codex) fn logins_of_git(context: &RemoteContext) -> Vec<String> {
    let Some(address) = Address::parse(&context.remote.url.for_git()) else {
        return Vec::new();
    };
    let netrc = logins::from_netrc(&address, &context.environment);
    let netrc = netrc.map(|_| logins::NETRC_SENT);
    let sent = authorized_by_header(&address, context)
        .into_iter()
        .chain(netrc);
    sent.map(str::to_owned).collect()
}

/// A sentence for an error message, if the user's `http.extraHeader` authorizes requests to
/// `address`.
fn authorized_by_header(address: &Address, context: &RemoteContext) -> Option<&'static str> {
    let headers = context.settings.http_all(address, "extraheader");
    let is_authorized = headers.into_iter().any(is_authorization);
    is_authorized.then_some("the `Authorization` of git's `http.extraHeader` was sent")
}

fn needs_git_for(schemes: &[String]) -> Failure {
    let schemes = schemes.join("`, `");
    Failure::NeedsGit(format!("the server asks for `{schemes}` authentication"))
}

/// The TLS settings for `address`. The environment takes precedence over the configuration, as in
/// git.
fn trust(address: &Address, context: &RemoteContext) -> Result<Arc<ClientConfig>, Failure> {
    let environment = &context.environment;
    let is_unverified = environment.get("GIT_SSL_NO_VERIFY").is_some()
        || context.settings.http_flag(address, "sslverify") == Some(false);
    if is_unverified {
        return tls::config(&Trust::All);
    }

    let named = environment.get("GIT_SSL_CAINFO").map(Into::into);
    let home = environment.get("HOME");
    let file = named.or_else(|| context.settings.http_path(address, "sslcainfo", home));
    tls::config(&file.map_or(Trust::Platform, Trust::File))
}
