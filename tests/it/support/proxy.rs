//! A proxy on loopback that speaks http (absolute URLs and `CONNECT`) and SOCKS5.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// A running proxy. Its threads end with the connections.
pub(crate) struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// The value of `Proxy-Authorization` that requests need.
    authorization: Option<&'static str>,
    /// The value of `Proxy-Authenticate` in its responses with status 407.
    challenge: &'static str,
    /// The first line of every request, and whether it had the credentials.
    requests: Mutex<Vec<String>>,
}

impl Proxy {
    pub(crate) fn start() -> Self {
        Self::with(Shared::default())
    }

    /// Starts a proxy that needs `authorization`, and asks for it with `challenge`.
    pub(crate) fn with_credentials(authorization: &'static str, challenge: &'static str) -> Self {
        Self::with(Shared {
            authorization: Some(authorization),
            challenge,
            ..Shared::default()
        })
    }

    fn with(shared: Shared) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(shared);
        let own = shared.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let shared = own.clone();
                // The error of a client that closes its connection early is ignored.
                thread::spawn(move || stream.and_then(|stream| serve(stream, &shared)));
            }
        });
        Self { address, shared }
    }

    /// Host and port.
    pub(crate) fn place(&self) -> String {
        self.address.to_string()
    }

    /// The requests so far: the first line of http, or `SOCKS HOST:PORT`.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.shared.requests.lock().unwrap().clone()
    }
}

fn serve(client: TcpStream, shared: &Shared) -> io::Result<()> {
    let mut reader = BufReader::new(client.try_clone()?);
    if reader.fill_buf()?.first() == Some(&5) {
        return socks(reader, client, shared);
    }
    let mut client = client;
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut headers = String::new();
    let mut authorization = None;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header)?;
        if header.trim_end().is_empty() {
            break;
        }
        match header.split_once(':') {
            Some((name, value)) if name.eq_ignore_ascii_case("proxy-authorization") => {
                authorization = Some(value.trim().to_owned());
            }
            // One request per connection, so that each is recorded.
            Some((name, _)) if name.eq_ignore_ascii_case("connection") => {}
            _ => headers.push_str(&header),
        }
    }
    let request = line.trim_end().to_owned();
    shared.requests.lock().unwrap().push(request.clone());
    if shared.authorization.is_some() && authorization.as_deref() != shared.authorization {
        return write!(
            client,
            "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: {}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            shared.challenge
        );
    }

    let mut words = request.split(' ');
    let (method, target) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
    if method == "CONNECT" {
        let server = TcpStream::connect(target)?;
        client.write_all(b"HTTP/1.1 200 Connected\r\n\r\n")?;
        return relay(reader, client, server);
    }
    let (place, path) = target
        .trim_start_matches("http://")
        .split_once('/')
        .unwrap_or((target, ""));
    let mut server = TcpStream::connect(place)?;
    write!(
        server,
        "{method} /{path} HTTP/1.1\r\n{headers}Connection: close\r\n\r\n"
    )?;
    relay(reader, client, server)
}

/// SOCKS5 without credentials: RFC 1928.
fn socks(
    mut reader: BufReader<TcpStream>,
    mut client: TcpStream,
    shared: &Shared,
) -> io::Result<()> {
    let mut head = [0; 2];
    reader.read_exact(&mut head)?;
    reader.read_exact(&mut vec![0; head[1].into()])?;
    client.write_all(&[5, 0])?;
    let mut request = [0; 4];
    reader.read_exact(&mut request)?;
    let host = match request[3] {
        1 => {
            let mut ip = [0; 4];
            reader.read_exact(&mut ip)?;
            ip.map(|byte| byte.to_string()).join(".")
        }
        _ => {
            let mut length = [0];
            reader.read_exact(&mut length)?;
            let mut name = vec![0; length[0].into()];
            reader.read_exact(&mut name)?;
            String::from_utf8_lossy(&name).into_owned()
        }
    };
    let mut port = [0; 2];
    reader.read_exact(&mut port)?;
    let place = format!("{host}:{}", u16::from_be_bytes(port));
    shared
        .requests
        .lock()
        .unwrap()
        .push(format!("SOCKS {place}"));
    let server = TcpStream::connect(place)?;
    client.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0])?;
    relay(reader, client, server)
}

/// Copies in both directions until both sides have ended.
fn relay(
    mut reader: BufReader<TcpStream>,
    mut client: TcpStream,
    server: TcpStream,
) -> io::Result<()> {
    let mut up = server.try_clone()?;
    let mut down = server;
    let sender = thread::spawn(move || {
        let _ = io::copy(&mut reader, &mut up);
        let _ = up.shutdown(Shutdown::Write);
    });
    io::copy(&mut down, &mut client)?;
    client.shutdown(Shutdown::Both)?;
    let _ = sender.join();
    Ok(())
}
