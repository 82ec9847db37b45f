//! Git's protocol over http for libgit2. Its own client follows redirects within a host whatever is asked, keeps a
//! server's words to itself and sends a credential only after a refusal; this one attaches a token from the start, to
//! the one URL it is for, follows nothing while one is attached, and says what the server said.

use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, Once, PoisonError};

use git2::transport::{self, Service, SmartSubtransport, SmartSubtransportStream, Transport};
use tempfile::SpooledTempFile;
use ureq::http::Response;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, TlsProvider, parse_pem};
use ureq::{Agent, Body, BodyReader, Proxy, SendBody};

use super::call::Call;
use crate::codex::error::RemoteErrorKind;
use crate::codex::git_config::GitConfig;
use crate::codex::transport::answer::NOT_GIT;
use crate::environment::Environment;
use crate::paths::shown;

/// Stands before `http` and `https` in the URLs that libgit2 is given, so that this client is asked for them alone.
const MARK: &str = "codex+";
/// Bytes of a request that stay in memory; what is beyond waits in a temporary file.
const IN_MEMORY: usize = 1 << 20;
/// Bytes of a refusal's text that are told.
const WORDS: u64 = 4096;
/// Redirects in a row that are followed.
const REDIRECTS: usize = 5;
/// Hosting services know git by it.
const USER_AGENT: &str = concat!("git/2.31 (fractary-codex ", env!("CARGO_PKG_VERSION"), ")");

/// The URL to give to libgit2 for `url`, so that this client is used.
pub(super) fn marked(url: &str) -> String {
    static REGISTERED: Once = Once::new();
    REGISTERED.call_once(|| {
        for scheme in ["codex+http", "codex+https"] {
            register(scheme);
        }
    });
    format!("{MARK}{url}")
}

fn register(scheme: &str) {
    let make = |remote: &git2::Remote<'_>| {
        let call = Call::current().ok_or_else(|| git2::Error::from_str("no call of ours"))?;
        Transport::smart(remote, true, Http::new(call)?)
    };
    #[expect(
        unsafe_code,
        reason = "libgit2's list of transports must not be read while it grows: this runs once, before the first URL \
                  with our mark exists, and nothing else in this program makes transports"
    )]
    let registered = unsafe { transport::register(scheme, make) };
    // Said again when the scheme is not found.
    let _ = registered.inspect_err(|error| tracing::debug!(%error, "no transport for http"));
}

/// One connection's worth of requests.
struct Http(Arc<Shared>);

struct Shared {
    call: Arc<Call>,
    agent: Agent,
    /// The repository's URL; another than was asked for once a redirect was followed.
    base: Mutex<String>,
}

impl Http {
    fn new(call: Arc<Call>) -> Result<Self, git2::Error> {
        let environment = &call.bound.environment;
        let config = GitConfig::open(environment);
        let tls = tls(environment, &config)
            .map_err(|detail| call.fails(RemoteErrorKind::Tls, vec![detail]))?;
        let timeout = &call.bound.remote.timeout;
        let mut agent = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(USER_AGENT)
            .timeout_connect(Some(timeout.connect))
            // Who waits for the call is stricter; this ends what was given up.
            .timeout_per_read(Some(timeout.idle.max(timeout.push_verdict)))
            .timeout_per_write(Some(timeout.idle.max(timeout.push_verdict)))
            .tls_config(tls);
        if let Some(proxy) = config.text("http.proxy") {
            let unusable = |_| {
                call.fails(
                    RemoteErrorKind::Other,
                    vec!["`http.proxy` is no URL of a proxy".to_owned()],
                )
            };
            agent = agent.proxy(Some(Proxy::new(&proxy).map_err(unusable)?));
        }
        let agent = agent.build().new_agent();
        Ok(Self(Arc::new(Shared {
            call,
            agent,
            base: Mutex::default(),
        })))
    }
}

/// What a user told git to trust.
fn tls(environment: &Environment, config: &GitConfig) -> Result<TlsConfig, String> {
    let verifies = config
        .text("http.sslverify")
        .is_none_or(|value| git2::Config::parse_bool(value).unwrap_or(true));
    let unverified = environment.get("GIT_SSL_NO_VERIFY").is_some() || !verifies;
    let file = environment
        .get("GIT_SSL_CAINFO")
        .map(str::to_owned)
        .or_else(|| config.text("http.sslcainfo"));
    let roots = match file {
        Some(file) => RootCerts::new_with_certs(&certificates(&expanded(&file, environment))?),
        None => RootCerts::PlatformVerifier,
    };
    let tls = TlsConfig::builder()
        .provider(TlsProvider::NativeTls)
        .root_certs(roots);
    Ok(tls.disable_verification(unverified).build())
}

fn certificates(path: &Path) -> Result<Vec<Certificate<'static>>, String> {
    let error = |error: &dyn std::fmt::Display| {
        format!(
            "no certificates can be read from `{}`: {error}",
            shown(path)
        )
    };
    let data = std::fs::read(path).map_err(|e| error(&e))?;
    let mut certificates = Vec::new();
    for item in parse_pem(&data) {
        if let PemItem::Certificate(certificate) = item.map_err(|e| error(&e))? {
            certificates.push(certificate);
        }
    }
    Ok(certificates)
}

/// `~/` as git's configuration has it.
fn expanded(file: &str, environment: &Environment) -> PathBuf {
    match (file.strip_prefix("~/"), environment.get("HOME")) {
        (Some(rest), Some(home)) => Path::new(home).join(rest),
        _ => file.into(),
    }
}

impl SmartSubtransport for Http {
    fn action(
        &self,
        url: &str,
        action: Service,
    ) -> Result<Box<dyn SmartSubtransportStream>, git2::Error> {
        let (service, lists) = match action {
            Service::UploadPackLs => ("git-upload-pack", true),
            Service::UploadPack => ("git-upload-pack", false),
            Service::ReceivePackLs => ("git-receive-pack", true),
            Service::ReceivePack => ("git-receive-pack", false),
        };
        let answer = if lists {
            *self.0.base() = url
                .strip_prefix(MARK)
                .unwrap_or(url)
                .trim_end_matches('/')
                .to_owned();
            Some(self.0.list(service)?)
        } else {
            None
        };
        Ok(Box::new(Exchange {
            shared: self.0.clone(),
            service,
            request: SpooledTempFile::new(IN_MEMORY),
            answer,
        }))
    }

    fn close(&self) -> Result<(), git2::Error> {
        Ok(())
    }
}

impl Shared {
    fn base(&self) -> std::sync::MutexGuard<'_, String> {
        self.base.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The token of ours, for this URL and no other: nothing is followed while there is one.
    fn authorization(&self) -> Option<String> {
        let header = self.call.bound.credential.as_ref()?.header();
        header
            .reveal()
            .split_once(": ")
            .map(|(_, value)| value.to_owned())
    }

    /// Asks what the repository has.
    fn list(&self, service: &str) -> Result<BodyReader<'static>, git2::Error> {
        for _ in 0..=REDIRECTS {
            let base = self.base().clone();
            let mut request = self
                .agent
                .get(format!("{base}/info/refs?service={service}"));
            if let Some(value) = self.authorization() {
                request = request.header("Authorization", value);
            }
            let response = request.call().map_err(|error| self.broken(&error))?;
            // Nothing is followed while a token is attached.
            let location = location(&response).filter(|_| self.call.bound.credential.is_none());
            match location.and_then(|location| leads_on(&base, location)) {
                Some(next) => *self.base() = next,
                None => {
                    return self
                        .accept(response, &format!("application/x-{service}-advertisement"));
                }
            }
        }
        Err(self.call.fails(
            RemoteErrorKind::Redirected,
            vec!["it redirects again and again".to_owned()],
        ))
    }

    /// Sends a request whose body is whole.
    fn post(
        &self,
        service: &str,
        mut request: SpooledTempFile,
    ) -> Result<BodyReader<'static>, git2::Error> {
        let sized = request
            .seek(SeekFrom::End(0))
            .and_then(|length| request.rewind().map(|()| length));
        let length = sized.map_err(|error| git2::Error::from_str(&error.to_string()))?;
        let body = Outgoing {
            call: self.call.clone(),
            request,
            left: length,
            pushes: service == "git-receive-pack",
        };
        let mut post = self
            .agent
            .post(format!("{}/{service}", self.base()))
            .content_type(format!("application/x-{service}-request"))
            .header("Accept", format!("application/x-{service}-result"))
            .header("Content-Length", length);
        if let Some(value) = self.authorization() {
            post = post.header("Authorization", value);
        }
        let response = post
            .send(SendBody::from_owned_reader(body))
            .map_err(|error| self.broken(&error))?;
        self.accept(response, &format!("application/x-{service}-result"))
    }

    /// The body of an answer that is git's; else why it is not.
    fn accept(
        &self,
        response: Response<Body>,
        wanted: &str,
    ) -> Result<BodyReader<'static>, git2::Error> {
        self.call.moved();
        let status = response.status().as_u16();
        let kind = match status {
            200 if response.body().mime_type() == Some(wanted) => {
                return Ok(response.into_body().into_reader());
            }
            200 if wanted.ends_with("-advertisement") => RemoteErrorKind::NotGit,
            429 => RemoteErrorKind::RateLimited,
            200 | 500.. => RemoteErrorKind::ServerFailure,
            300..=399 => RemoteErrorKind::Redirected,
            401 if self.call.bound.credential.is_some() => RemoteErrorKind::WrongCredentials,
            401 => RemoteErrorKind::NoCredentials,
            403 => RemoteErrorKind::Forbidden,
            404 => RemoteErrorKind::NotFound,
            _ => RemoteErrorKind::Other,
        };
        let mut detail = match status {
            200 => vec![NOT_GIT.to_owned()],
            _ => vec![format!("the server answered {status}")],
        };
        let target = location(&response).and_then(|location| self.call.bound.leads_to(location));
        detail.extend(target.map(|url| format!("it leads to {url}")));
        if status != 200 && response.body().mime_type() == Some("text/plain") {
            let mut text = Vec::new();
            let _ = response
                .into_body()
                .into_reader()
                .take(WORDS)
                .read_to_end(&mut text);
            let text = String::from_utf8_lossy(&text);
            detail.splice(0..0, text.lines().map(|line| format!("remote: {line}")));
        }
        Err(self.call.fails(kind, detail))
    }

    /// What it means that there is no answer, or not all of one.
    fn broken(&self, error: &ureq::Error) -> git2::Error {
        self.call.fails(cause(error), vec![error.to_string()])
    }
}

/// The repository's new URL behind a redirect of the question what it has; `None` where it leads to nothing of git's, or
/// from https to http.
fn leads_on(base: &str, location: &str) -> Option<String> {
    let host = base
        .match_indices('/')
        .nth(2)
        .map_or(base, |(at, _)| &base[..at]);
    let next = if location.starts_with('/') {
        format!("{host}{location}")
    } else {
        location.to_owned()
    };
    let is_as_safe = next.starts_with("https://")
        || (next.starts_with("http://") && base.starts_with("http://"));
    let (next, _) = next.split_once("/info/refs?")?;
    is_as_safe.then(|| next.to_owned())
}

fn location(response: &Response<Body>) -> Option<&str> {
    response
        .headers()
        .get("location")
        .filter(|_| response.status().is_redirection())?
        .to_str()
        .ok()
}

/// The cause that a failed request points to.
fn cause(error: &ureq::Error) -> RemoteErrorKind {
    use io::ErrorKind::{
        ConnectionRefused, HostUnreachable, NetworkUnreachable, StorageFull, TimedOut,
    };
    match error {
        ureq::Error::HostNotFound => RemoteErrorKind::HostUnknown,
        ureq::Error::ConnectionFailed => RemoteErrorKind::Refused,
        ureq::Error::Timeout(_) => RemoteErrorKind::TimedOut,
        ureq::Error::Tls(_)
        | ureq::Error::NativeTls(_)
        | ureq::Error::Pem(_)
        | ureq::Error::Der(_) => RemoteErrorKind::Tls,
        ureq::Error::Io(error) => match error.kind() {
            ConnectionRefused | HostUnreachable | NetworkUnreachable => RemoteErrorKind::Refused,
            TimedOut => RemoteErrorKind::TimedOut,
            StorageFull => RemoteErrorKind::DiskFull,
            _ if error.to_string().contains("failed to lookup address") => {
                RemoteErrorKind::HostUnknown
            }
            _ => RemoteErrorKind::ServerFailure,
        },
        ureq::Error::Protocol(_) => RemoteErrorKind::ServerFailure,
        _ => RemoteErrorKind::Other,
    }
}

/// A request that libgit2 writes and the answer that it reads.
struct Exchange {
    shared: Arc<Shared>,
    service: &'static str,
    request: SpooledTempFile,
    /// There once the request was sent.
    answer: Option<BodyReader<'static>>,
}

impl Write for Exchange {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        if !self.shared.call.moved() {
            return Err(given_up());
        }
        self.request.write(data)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for Exchange {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let answer = match &mut self.answer {
            Some(answer) => answer,
            None => {
                let request = std::mem::replace(&mut self.request, SpooledTempFile::new(IN_MEMORY));
                self.answer.insert(
                    self.shared
                        .post(self.service, request)
                        .map_err(io::Error::other)?,
                )
            }
        };
        let count = answer
            .read(buffer)
            .map_err(|error| io::Error::other(self.shared.broken(&ureq::Error::from(error))))?;
        if self.shared.call.moved() {
            Ok(count)
        } else {
            Err(given_up())
        }
    }
}

/// A request on its way, which tells that it moves and when all of it was handed over.
struct Outgoing {
    call: Arc<Call>,
    request: SpooledTempFile,
    left: u64,
    pushes: bool,
}

impl Read for Outgoing {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !self.call.moved() {
            return Err(given_up());
        }
        let count = self.request.read(buffer)?;
        self.left = self.left.saturating_sub(count as u64);
        if self.left == 0 && self.pushes {
            self.call.set_sent();
        }
        Ok(count)
    }
}

fn given_up() -> io::Error {
    io::Error::other("given up")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_lead_to_repositories_that_are_as_safe() {
        for (base, location, expected) in [
            (
                "http://h/x.git",
                "https://g/y.git/info/refs?service=s",
                Some("https://g/y.git"),
            ),
            (
                "http://h:1/x.git",
                "http://h:2/y/info/refs?service=s",
                Some("http://h:2/y"),
            ),
            (
                "https://h:1/x.git",
                "/y.git/info/refs?service=s",
                Some("https://h:1/y.git"),
            ),
            (
                "https://h/x.git",
                "http://h/x.git/info/refs?service=s",
                None,
            ),
            ("https://h/x.git", "file:///x.git/info/refs?service=s", None),
            ("https://h/x.git", "https://h/login?next=x", None),
        ] {
            assert_eq!(
                leads_on(base, location).as_deref(),
                expected,
                "{base} {location}"
            );
        }
    }

    #[test]
    fn each_failure_of_a_request_has_its_cause() {
        use RemoteErrorKind as Kind;
        let io = |kind: io::ErrorKind| ureq::Error::Io(kind.into());
        for (error, expected) in [
            (ureq::Error::HostNotFound, Kind::HostUnknown),
            (ureq::Error::ConnectionFailed, Kind::Refused),
            (ureq::Error::Tls("certificate"), Kind::Tls),
            (io(io::ErrorKind::ConnectionRefused), Kind::Refused),
            (io(io::ErrorKind::NetworkUnreachable), Kind::Refused),
            (io(io::ErrorKind::TimedOut), Kind::TimedOut),
            (io(io::ErrorKind::ConnectionReset), Kind::ServerFailure),
            (io(io::ErrorKind::UnexpectedEof), Kind::ServerFailure),
            (io(io::ErrorKind::StorageFull), Kind::DiskFull),
            (
                ureq::Error::Io(io::Error::other("failed to lookup address information: x")),
                Kind::HostUnknown,
            ),
            (ureq::Error::BadUri("x".to_owned()), Kind::Other),
        ] {
            assert_eq!(cause(&error), expected, "{error}");
        }
    }
}
