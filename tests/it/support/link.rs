//! A slow link on loopback: forwards connections to a server at a limited rate.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use rustix::net::sockopt::{set_socket_recv_buffer_size, set_socket_send_buffer_size};

/// Bytes that the sockets of the link may hold, so that it is the link that holds data up.
const BUFFER: usize = 8 << 10;

/// A link; no more connections are made through it once it is dropped.
pub(crate) struct SlowLink {
    address: SocketAddr,
    stopped: Arc<AtomicBool>,
    connections: Arc<AtomicUsize>,
}

impl SlowLink {
    /// Forwards to `target` (host and port), so many bytes a second in each direction and
    /// connection.
    pub(crate) fn start(target: &str, rate: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        set_socket_recv_buffer_size(&listener, BUFFER).unwrap();
        set_socket_send_buffer_size(&listener, BUFFER).unwrap();
        let address = listener.local_addr().unwrap();
        let stopped = Arc::new(AtomicBool::new(false));
        let connections = Arc::new(AtomicUsize::new(0));
        let (target, ended) = (target.to_owned(), stopped.clone());
        let counter = connections.clone();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if ended.load(Ordering::SeqCst) {
                    return;
                }
                counter.fetch_add(1, Ordering::SeqCst);
                let Ok(server) = TcpStream::connect(&target) else {
                    continue;
                };
                let _ = set_socket_send_buffer_size(&server, BUFFER);
                let up = (client.try_clone().unwrap(), server.try_clone().unwrap());
                thread::spawn(move || forward(up.0, up.1, rate));
                thread::spawn(move || forward(server, client, rate));
            }
        });
        Self {
            address,
            stopped,
            connections,
        }
    }

    /// The number of connections so far.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Host and port.
    pub(crate) fn place(&self) -> String {
        self.address.to_string()
    }
}

impl Drop for SlowLink {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
    }
}

fn forward(mut from: TcpStream, mut to: TcpStream, rate: usize) {
    let mut chunk = vec![0; (rate / 20).clamp(1, BUFFER)];
    while let Ok(count) = from.read(&mut chunk)
        && count > 0
    {
        thread::sleep(Duration::from_secs_f64(count as f64 / rate as f64));
        if to.write_all(&chunk[..count]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}
