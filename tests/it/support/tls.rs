//! TLS on loopback: an `nginx` in front of another server, with a certificate of its own.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use super::{Sandbox, listens, not_installed, process};

/// The certificate of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Certificate {
    /// For 127.0.0.1, signed with its own key, and marked as an authority, as OpenSSL does by
    /// default.
    SelfSigned,
    /// For 127.0.0.1, signed by an authority.
    OfAuthority,
    /// For `localhost`, which only its subject names, as in certificates of older servers.
    SubjectOnly,
}

/// A running `nginx`. It stops when dropped.
pub(crate) struct TlsServer {
    child: Child,
    host: &'static str,
    port: u16,
    trusted: PathBuf,
}

impl TlsServer {
    /// Starts an `nginx` with a self-signed certificate that forwards all requests to `upstream`
    /// (`http://…`). Reports that the test is skipped and returns `None` if a program is not
    /// installed.
    pub(crate) fn start(sandbox: &Sandbox, upstream: &str) -> Option<Self> {
        Self::start_with(sandbox, upstream, Certificate::SelfSigned, "")
    }

    /// As [`Self::start`], with this certificate, and these lines in the server's configuration.
    pub(crate) fn start_with(
        sandbox: &Sandbox,
        upstream: &str,
        certificate: Certificate,
        configuration: &str,
    ) -> Option<Self> {
        let program = "/usr/sbin/nginx";
        if !Path::new(program).exists()
            || process::program("openssl").arg("version").output().is_err()
        {
            not_installed("nginx or openssl");
            return None;
        }
        let directory = sandbox.path("tls");
        fs::create_dir(&directory).unwrap();
        let host = match certificate {
            Certificate::SubjectOnly => "localhost",
            _ => "127.0.0.1",
        };
        let name = format!("subjectAltName=IP:{host}");
        let names: &[&str] = match certificate {
            Certificate::SubjectOnly => &[],
            _ => &["-addext", &name],
        };
        let subject = format!("/CN={host}");
        let own: &[&str] = match certificate {
            Certificate::OfAuthority => {
                make(
                    &directory,
                    "authority",
                    &["-x509", "-subj", "/CN=Authority"],
                );
                &["-x509", "-CA", "authority", "-CAkey", "authority.key"]
            }
            _ => &["-x509"],
        };
        let no_authority: &[&str] = match certificate {
            Certificate::OfAuthority => &["-addext", "basicConstraints=CA:FALSE"],
            _ => &[],
        };
        let arguments = [own, &["-subj", &subject], names, no_authority].concat();
        make(&directory, "certificate", &arguments);
        let trusted = match certificate {
            Certificate::OfAuthority => "authority",
            _ => "certificate",
        };
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
             server {{\nlisten 127.0.0.1:{port} ssl;\n{configuration}\n\
             ssl_certificate {own}/certificate;\nssl_certificate_key {own}/certificate.key;\n\
             location / {{ proxy_pass {upstream}; }}\n}}\n}}\n",
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
            host,
            port,
            trusted: directory.join(trusted),
        })
    }

    /// The https URL of the repository at `path` of the upstream server.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("https://{}:{}/{path}", self.host, self.port)
    }

    /// Host and port.
    pub(crate) fn place(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// The path of the certificate that a client must trust: that of the server or its authority.
    pub(crate) fn certificate(&self) -> &str {
        self.trusted.to_str().unwrap()
    }
}

/// Makes the certificate `name` and its key `name.key` in `directory`.
pub(crate) fn make(directory: &Path, name: &str, arguments: &[&str]) {
    let made = process::program("openssl")
        .args(["req", "-newkey", "ec", "-pkeyopt"])
        .args(["ec_paramgen_curve:P-256", "-nodes", "-days", "2"])
        .args(arguments)
        .args(["-keyout", &format!("{name}.key"), "-out", name])
        .current_dir(directory)
        .output()
        .unwrap();
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
}

impl Drop for TlsServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
