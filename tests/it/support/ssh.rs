//! Git over ssh on loopback: an `sshd` with its own keys.

use std::fs;
use std::net::TcpListener;
use std::process::{Child, Stdio};

use super::{Sandbox, listens, not_installed, process};

/// A running `sshd`. It stops when dropped.
pub(crate) struct SshServer {
    child: Child,
    port: u16,
    directory: std::path::PathBuf,
}

impl SshServer {
    /// Starts an `sshd` that accepts a key of the sandbox. Reports that the test is skipped and
    /// returns `None` if `sshd` is not installed.
    pub(crate) fn start(sandbox: &Sandbox) -> Option<Self> {
        Self::start_with(sandbox, "")
    }

    /// The same with more lines of configuration. Without any, clients cannot ask for version 2 of
    /// git's protocol.
    pub(crate) fn start_with(sandbox: &Sandbox, more: &str) -> Option<Self> {
        let program = "/usr/sbin/sshd";
        if !std::path::Path::new(program).exists() {
            not_installed(program);
            return None;
        }
        let directory = sandbox.path("ssh");
        fs::create_dir(&directory).unwrap();
        for key in ["host", "user", "stranger"] {
            let path = directory.join(key);
            let made = process::program("ssh-keygen")
                .args(["-q", "-t", "ed25519", "-N", "", "-f"])
                .arg(path)
                .status()
                .unwrap();
            assert!(made.success());
        }
        let path = |name: &str| directory.join(name).display().to_string();
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        fs::copy(
            directory.join("user.pub"),
            directory.join("authorized_keys"),
        )
        .unwrap();
        let host = fs::read_to_string(directory.join("host.pub")).unwrap();
        fs::write(
            directory.join("known_hosts"),
            format!("[127.0.0.1]:{port} {host}"),
        )
        .unwrap();
        let other = fs::read_to_string(directory.join("stranger.pub")).unwrap();
        fs::write(
            directory.join("others_known_hosts"),
            format!("[127.0.0.1]:{port} {other}"),
        )
        .unwrap();
        // If it is started by root, sshd requires its privilege separation directory.
        let _ = fs::create_dir_all("/run/sshd");
        let config = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\nStrictModes no\n\
             UsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin yes\nLogLevel ERROR\n\
             SetEnv GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1\n{more}",
            path("host"),
            path("authorized_keys"),
        );
        fs::write(directory.join("sshd_config"), config).unwrap();
        let child = process::program(program)
            .args(["-D", "-e", "-f", &path("sshd_config")])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        listens(port);
        Some(Self {
            child,
            port,
            directory,
        })
    }

    /// Has the server run `command` in place of what clients ask for; they find that in
    /// `$SSH_ORIGINAL_COMMAND`.
    pub(crate) fn force(&self, command: &str) {
        let key = fs::read_to_string(self.directory.join("user.pub")).unwrap();
        let command = command.replace('"', "\\\"");
        fs::write(
            self.directory.join("authorized_keys"),
            format!("command=\"{command}\" {key}"),
        )
        .unwrap();
    }

    /// The port on loopback.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The URL of a repository on this machine.
    pub(crate) fn url(&self, path: &std::path::Path) -> String {
        format!("ssh://127.0.0.1:{}{}", self.port, path.display())
    }

    /// Writes a client configuration, in the format of `~/.ssh/config`, with this key and these
    /// known hosts. Key and hosts are also written to the paths that libgit2 uses.
    pub(crate) fn client(&self, sandbox: &Sandbox, key: &str, known_hosts: &str) -> String {
        for (file, name) in [(key, "id_ed25519"), (known_hosts, "known_hosts")] {
            sandbox.write(
                &format!("home/.ssh/{name}"),
                fs::read(self.directory.join(file)).unwrap_or_default(),
            );
        }
        let path = |name: &str| self.directory.join(name).display().to_string();
        format!(
            "ssh -F /dev/null -o BatchMode=yes -o IdentitiesOnly=yes -o IdentityFile={} -o UserKnownHostsFile={}",
            path(key),
            path(known_hosts),
        )
    }
}

impl Drop for SshServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
