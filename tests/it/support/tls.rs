//! TLS on loopback: an `nginx` in front of another server, with a self-signed certificate.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use super::{Sandbox, listens, not_installed, process};

/// A running `nginx`. It stops when dropped.
pub(crate) struct TlsServer {
    child: Child,
    port: u16,
    certificate: PathBuf,
}

impl TlsServer {
    /// Starts an `nginx` that forwards all requests to `upstream` (`http://…`). Reports that the test is skipped and returns
    /// `None` if a program is not installed.
    pub(crate) fn start(sandbox: &Sandbox, upstream: &str) -> Option<Self> {
        let program = "/usr/sbin/nginx";
        if !Path::new(program).exists()
            || process::program("openssl").arg("version").output().is_err()
        {
            not_installed("nginx or openssl");
            return None;
        }
        let directory = sandbox.path("tls");
        fs::create_dir(&directory).unwrap();
        let (key, certificate) = (directory.join("key"), directory.join("certificate"));
        let made = process::program("openssl")
            .args([
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
                "-nodes",
                "-days",
                "2",
            ])
            .args([
                "-subj",
                "/CN=127.0.0.1",
                "-addext",
                "subjectAltName=IP:127.0.0.1",
                "-keyout",
            ])
            .arg(&key)
            .arg("-out")
            .arg(&certificate)
            .output()
            .unwrap();
        assert!(
            made.status.success(),
            "{}",
            String::from_utf8_lossy(&made.stderr)
        );
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let own = directory.display();
        let places: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|name| format!("{name}_temp_path {own}/{name};\n"))
            .concat();
        let config = format!(
            "daemon off;\nmaster_process off;\npid {own}/pid;\nerror_log stderr;\nevents {{}}\n\
             http {{\naccess_log off;\nclient_max_body_size 0;\n{places}\
             server {{\nlisten 127.0.0.1:{port} ssl;\nssl_certificate {};\nssl_certificate_key {};\n\
             location / {{ proxy_pass {upstream}; }}\n}}\n}}\n",
            certificate.display(),
            key.display(),
        );
        let path = directory.join("nginx.conf");
        fs::write(&path, config).unwrap();
        let child = process::program(program)
            .args(["-e", "stderr", "-c"])
            .arg(path)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        listens(port);
        Some(Self {
            child,
            port,
            certificate,
        })
    }

    /// The https URL of the repository at `path` of the upstream server.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("https://127.0.0.1:{}/{path}", self.port)
    }

    /// The path of the certificate, which a client must trust.
    pub(crate) fn certificate(&self) -> &str {
        self.certificate.to_str().unwrap()
    }
}

impl Drop for TlsServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
