//! A connection to a server, directly or through a proxy, with or without TLS.

use std::io::{self, BufReader, BufWriter, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};

use super::message::{Chunks, Head, ResponseBody, read_head};
use super::proxy::Proxy;
use super::tls;
use crate::codex::remote::error::RemoteErrorKind;
use crate::codex::remote::native::address::Address;
use crate::codex::remote::native::carrier;
use crate::codex::remote::native::failure::Failure;
use crate::codex::remote::native::idle_timeout::{IdleTimeout, TimedStream};

/// The size of the buffers for requests and responses.
const SEND_BUFFER: usize = 64 << 10;

/// The target of a connection, and the way to it.
pub(super) struct Route<'r> {
    pub(super) address: &'r Address,
    pub(super) proxy: Option<&'r Proxy>,
    pub(super) tls: Option<Arc<ClientConfig>>,
    pub(super) connect: Duration,
    pub(super) idle_timeout: &'r IdleTimeout,
}

/// A connection for consecutive requests.
pub(super) struct HttpConnection {
    stream: BufReader<Stream>,
    /// The server at the other end, which decides whether the connection can be used for a request.
    pub(super) address: Address,
}

/// The bytes of a connection, encrypted or not.
pub(super) enum Stream {
    Plain(TimedStream<TcpStream>),
    Tls(Box<StreamOwned<ClientConnection, TimedStream<TcpStream>>>),
}

impl HttpConnection {
    /// Connects to the server, through the proxy if there is one, and makes the TLS handshake.
    pub(super) fn open(route: &Route<'_>) -> Result<Self, Failure> {
        let socket = match route.proxy {
            Some(proxy) => connect(&proxy.address, route).map_err(Failure::of_proxy)?,
            None => connect(route.address, route)?,
        };
        socket.set_nodelay(true)?;
        let wire = TimedStream::new(socket, route.idle_timeout.clone())?;
        let stream = match &route.tls {
            Some(config) => {
                let wire = match route.proxy {
                    Some(proxy) => tunnel(wire, proxy, route.address)?,
                    None => wire,
                };
                let tls = handshake(config.clone(), route.address, wire)
                    .map_err(|failure| explained(failure, route))?;
                Stream::Tls(Box::new(tls))
            }
            None => Stream::Plain(wire),
        };
        tracing::debug!(server = %route.address.authority(), proxied = route.proxy.is_some(), "connected");
        Ok(Self {
            stream: BufReader::with_capacity(SEND_BUFFER, stream),
            address: route.address.clone(),
        })
    }

    /// Whether the connection is unused and open. A server sends nothing unrequested except the
    /// end.
    pub(super) fn is_idle(&mut self) -> bool {
        let silent = matches!(self.stream.get_mut().has_response(), Ok(false));
        self.stream.buffer().is_empty() && silent
    }

    /// Sends a request and reads the head of the response. The server may respond before it has
    /// read the whole request, with status 401 or 413 for example: then the rest is not sent. The
    /// second value says whether the connection can be used again; it is `false` in that case.
    pub(super) fn exchange(
        &mut self,
        head: &str,
        body: &mut carrier::RequestBody<'_>,
    ) -> Result<(Head, bool), Failure> {
        match self.send(head, body) {
            Ok(()) => Ok((read_head(&mut self.stream)?, true)),
            Err(error) if is_early_response(&error) => Ok((read_head(&mut self.stream)?, false)),
            Err(error) if is_broken(&error) => match read_head(&mut self.stream) {
                Ok(head) => Ok((head, false)),
                Err(_) => Err(error.into()),
            },
            Err(error) => Err(error.into()),
        }
    }

    /// Sends the head and the body. A body of unknown length is sent in chunks.
    fn send(&mut self, head: &str, body: &mut carrier::RequestBody<'_>) -> io::Result<()> {
        let watched = Watched(self.stream.get_mut());
        let mut out = BufWriter::with_capacity(SEND_BUFFER, watched);
        out.write_all(head.as_bytes())?;
        match body {
            carrier::RequestBody::None => {}
            carrier::RequestBody::Bytes(bytes) => out.write_all(bytes)?,
            carrier::RequestBody::Stream {
                length: Some(_),
                write,
            } => write(&mut out)?,
            carrier::RequestBody::Stream {
                length: None,
                write,
            } => {
                let mut chunks = BufWriter::with_capacity(SEND_BUFFER, Chunks(&mut out));
                write(&mut chunks)?;
                let chunks = chunks
                    .into_inner()
                    .map_err(io::IntoInnerError::into_error)?;
                chunks.end()?;
            }
        }
        out.flush()
    }

    /// The body of the response with this head.
    pub(super) fn body(
        &mut self,
        head: &Head,
    ) -> Result<ResponseBody<&mut BufReader<Stream>>, Failure> {
        ResponseBody::new(&mut self.stream, head)
    }
}

/// Resolves the name and connects in a thread, as neither can be interrupted. An abandoned thread
/// ends by itself.
fn connect(address: &Address, route: &Route<'_>) -> Result<TcpStream, Failure> {
    let (sender, receiver) = mpsc::channel();
    let (host, port, limit) = (address.host.clone(), address.port, route.connect);
    thread::spawn(move || {
        // The receiver may be dropped already.
        let _ = sender.send(connect_blocking(&host, port, limit));
    });
    let mut outcome = None;
    // Twice the limit: for resolving the name, and for connecting.
    route.idle_timeout.until(route.connect * 2, |tick| {
        match receiver.recv_timeout(tick) {
            Ok(done) => outcome = Some(done),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Err(io::ErrorKind::BrokenPipe.into()),
        }
        Ok(outcome.is_some())
    })?;
    outcome.unwrap_or_else(|| Err(Failure::of(RemoteErrorKind::TimedOut)))
}

/// Connects to the first address that accepts a connection. `limit` applies to each address. The
/// error is that of the first address.
fn connect_blocking(host: &str, port: u16, limit: Duration) -> Result<TcpStream, Failure> {
    let unknown =
        |error: io::Error| Failure::new(RemoteErrorKind::HostUnknown, format!("`{host}`: {error}"));
    let mut failure = None;
    for address in (host, port).to_socket_addrs().map_err(unknown)? {
        match TcpStream::connect_timeout(&address, limit) {
            Ok(stream) => return Ok(stream),
            Err(error) => failure = failure.or(Some((address, error))),
        }
    }
    let Some((address, error)) = failure else {
        return Err(Failure::new(
            RemoteErrorKind::HostUnknown,
            format!("`{host}` has no address"),
        ));
    };
    let kind = match error.kind() {
        io::ErrorKind::TimedOut => RemoteErrorKind::TimedOut,
        _ => RemoteErrorKind::Refused,
    };
    Err(Failure::new(
        kind,
        format!("connecting to {address}: {error}"),
    ))
}

/// Makes a proxy connect to `address`, for end-to-end TLS.
fn tunnel(
    mut wire: TimedStream<TcpStream>,
    proxy: &Proxy,
    address: &Address,
) -> Result<TimedStream<TcpStream>, Failure> {
    let authority = address.authority();
    let mut request = format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n");
    if let Some(authorization) = &proxy.authorization {
        let value = authorization.reveal();
        request.push_str(&format!("Proxy-Authorization: {value}\r\n"));
    }
    request.push_str("\r\n");
    wire.write_all(request.as_bytes())?;
    // Byte by byte, as all bytes after the head belong to TLS.
    let head = read_head(&mut BufReader::with_capacity(1, &mut wire))?;
    match head.status {
        200..=299 => Ok(wire),
        407 => Err(proxy.rejection(&head)),
        status => Err(Failure::new(
            RemoteErrorKind::Proxy,
            format!(
                "the proxy `{}` responded with status {status}",
                proxy.address.authority()
            ),
        )),
    }
}

/// Makes the TLS handshake, so that its errors are not taken for errors of the request.
fn handshake(
    config: Arc<ClientConfig>,
    address: &Address,
    mut wire: TimedStream<TcpStream>,
) -> Result<StreamOwned<ClientConnection, TimedStream<TcpStream>>, Failure> {
    let name = ServerName::try_from(address.host.clone())
        .map_err(|error| Failure::new(RemoteErrorKind::Tls, error.to_string()))?;
    let mut connection = ClientConnection::new(config, name).map_err(tls::failure)?;
    while connection.is_handshaking() {
        connection
            .complete_io(&mut wire)
            .map_err(handshake_failure)?;
    }
    Ok(StreamOwned::new(connection, wire))
}

/// The failure of a handshake, or the finding that the server serves plain http on this port.
fn explained(failure: Failure, route: &Route<'_>) -> Failure {
    let is_about_trust = failure.to_string().contains("certificate");
    if failure.kind() != Some(RemoteErrorKind::Tls) || is_about_trust || route.proxy.is_some() {
        return failure;
    }
    let plain = Address {
        is_tls: false,
        ..route.address.clone()
    };
    let response = HttpConnection::open(&Route {
        address: &plain,
        proxy: None,
        tls: None,
        ..*route
    })
    .and_then(|mut connection| {
        connection.exchange("HEAD / HTTP/1.0\r\n\r\n", &mut carrier::RequestBody::None)
    });
    // Servers with TLS respond to plain http with status 400.
    match response {
        Ok((head, _)) if head.status != 400 => Failure::of(RemoteErrorKind::PlainHttp),
        _ => failure,
    }
}

fn handshake_failure(error: io::Error) -> Failure {
    if error.kind() == io::ErrorKind::UnexpectedEof {
        let detail = "the server ended the TLS handshake; does it speak TLS on this port?";
        return Failure::new(RemoteErrorKind::Tls, detail);
    }
    match error.downcast::<rustls::Error>() {
        Ok(error) => tls::failure(error),
        Err(error) => error.into(),
    }
}

impl Stream {
    /// Whether the server has sent data of http, or has ended the connection.
    fn has_response(&mut self) -> io::Result<bool> {
        match self {
            Self::Plain(wire) => wire.has_input(),
            Self::Tls(tls) => {
                let StreamOwned { conn, sock } = tls.as_mut();
                while sock.has_input()? {
                    if conn.read_tls(sock)? == 0 {
                        return Ok(true);
                    }
                    let state = conn.process_new_packets().map_err(io::Error::other)?;
                    if state.plaintext_bytes_to_read() > 0 || state.peer_has_closed() {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(wire) => wire.read(buffer),
            Self::Tls(tls) => tls.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(wire) => wire.write(buffer),
            Self::Tls(tls) => tls.write(buffer),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(wire) => wire.flush(),
            Self::Tls(tls) => tls.flush(),
        }
    }
}

/// Sends data until the server responds.
struct Watched<'s>(&'s mut Stream);

#[derive(Debug, thiserror::Error)]
#[error("the server responded before it had the whole request")]
struct EarlyResponse;

fn is_early_response(error: &io::Error) -> bool {
    error
        .get_ref()
        .is_some_and(|inner| inner.is::<EarlyResponse>())
}

/// Whether the server stopped reading. It may have responded.
fn is_broken(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::BrokenPipe
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
    )
}

impl Write for Watched<'_> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        if self.0.has_response()? {
            return Err(io::Error::other(EarlyResponse));
        }
        self.0.write(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;
    use crate::interrupt::Interrupt;

    /// A server that responds with `response` after the head of a request, and does not read the
    /// body.
    fn respond_with(response: &'static str) -> Address {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") {
                stream.read_exact(&mut byte).unwrap();
                head.push(byte[0]);
            }
            stream.write_all(response.as_bytes()).unwrap();
            // The connection stays open until the client closes it.
            let _ = io::copy(&mut stream, &mut io::sink());
        });
        Address::parse(&format!("http://127.0.0.1:{port}/")).unwrap()
    }

    #[test]
    fn response_to_an_incomplete_request_is_read() {
        let response = "HTTP/1.1 413 Too Large\r\nContent-Length: 5\r\n\r\nlimit";
        for length in [None, Some(u64::MAX)] {
            let address = respond_with(response);
            let idle_timeout = IdleTimeout::new(Interrupt::default(), Duration::from_secs(60));
            let mut connection = HttpConnection::open(&Route {
                address: &address,
                proxy: None,
                tls: None,
                connect: Duration::from_secs(60),
                idle_timeout: &idle_timeout,
            })
            .unwrap();
            // Endless: only the response can stop it.
            let mut write = |out: &mut dyn Write| loop {
                out.write_all(&[0; 4096])?;
            };
            let mut body = carrier::RequestBody::Stream {
                length,
                write: &mut write,
            };
            let head = "POST / HTTP/1.1\r\n\r\n";
            let (head, is_whole) = connection.exchange(head, &mut body).unwrap();
            assert_eq!((head.status, is_whole), (413, false));
            let mut text = String::new();
            let mut body = connection.body(&head).unwrap();
            body.read_to_string(&mut text).unwrap();
            assert_eq!(text, "limit");
        }
    }
}
