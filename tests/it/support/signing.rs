//! Keys to sign with: ssh keys and their agent, and a GnuPG home with an agent of its own.

use std::fs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::{Sandbox, executable, not_installed, process, wait_until};

/// The committer of the sandbox, and the principal of its ssh keys.
const COMMITTER: &str = "ada@acme.example";

/// Creates an ssh key at `relative`, and the public key beside it. An empty passphrase leaves it
/// unlocked.
pub(crate) fn ssh_key(sandbox: &Sandbox, relative: &str, passphrase: &str) -> PathBuf {
    let path = sandbox.path(relative);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let made = process::program("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-C", COMMITTER, "-N", passphrase])
        .arg("-f")
        .arg(&path)
        .status()
        .unwrap();
    assert!(made.success());
    path
}

/// The text of the public key beside a private one.
pub(crate) fn public_key(path: &Path) -> String {
    let text = fs::read_to_string(path.with_extension("pub")).unwrap();
    text.trim_end().to_owned()
}

/// Asserts that git accepts the signatures of all commits of `main` after `base`, made with this
/// ssh key.
#[track_caller]
pub(crate) fn assert_signed_with_ssh(sandbox: &Sandbox, key: &Path, count: usize) {
    let allowed = format!("{COMMITTER} {}\n", public_key(key));
    sandbox.write("allowed_signers", allowed);
    let file = sandbox.path("allowed_signers").display().to_string();
    let setting = format!("gpg.ssh.allowedSignersFile={file}");
    assert_verified(sandbox, &["-c", &setting], None, count);
}

/// Asserts that `git verify-commit` accepts each of the newest `count` commits of `main`.
#[track_caller]
fn assert_verified(sandbox: &Sandbox, options: &[&str], gnupg: Option<&GnuPg>, count: usize) {
    let codex = sandbox.path("codex.git");
    let newest = format!("-{count}");
    let commits = sandbox.git(&codex, &["rev-list", &newest, "main"]);
    assert_eq!(commits.lines().count(), count);
    let mut command = sandbox.command("git");
    command
        .args(options)
        .arg("verify-commit")
        .args(commits.lines())
        .current_dir(codex);
    if let Some(gnupg) = gnupg {
        gnupg.apply(&mut command);
    }
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    assert_eq!(text.to_lowercase().matches("good").count(), count, "{text}");
}

/// An `ssh-agent`. It stops when dropped.
pub(crate) struct SshAgent {
    child: Child,
    socket: PathBuf,
}

impl SshAgent {
    pub(crate) fn start(sandbox: &Sandbox) -> Self {
        let socket = sandbox.path("agent");
        let child = process::program("ssh-agent")
            .arg("-D")
            .arg("-a")
            .arg(&socket)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        // The file of the socket exists shortly before the agent listens on it.
        wait_until("the agent listens", || UnixStream::connect(&socket).is_ok());
        Self { child, socket }
    }

    /// Adds a key that has no passphrase.
    pub(crate) fn add(&self, key: &Path) {
        let added = process::program("ssh-add")
            .arg("-q")
            .arg(key)
            .env("SSH_AUTH_SOCK", &self.socket)
            .status()
            .unwrap();
        assert!(added.success());
    }

    /// Lets a program use the agent.
    pub(crate) fn apply(&self, command: &mut Command) {
        command.env("SSH_AUTH_SOCK", &self.socket);
    }
}

impl Drop for SshAgent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A GnuPG home directory. Its agents stop when it is dropped.
pub(crate) struct GnuPg {
    home: PathBuf,
}

impl GnuPg {
    /// Creates a home directory whose agent asks for passphrases with a program that answers
    /// `response`, in the protocol of pinentry. Reports that the test is skipped and returns `None`
    /// if GnuPG is not installed.
    pub(crate) fn create(sandbox: &Sandbox, response: &str) -> Option<Self> {
        if process::program("gpg").arg("--version").output().is_err() {
            not_installed("gpg");
            return None;
        }
        let home = sandbox.path("gnupg");
        fs::create_dir(&home).unwrap();
        sandbox.set_mode("gnupg", 0o700);
        let pinentry = sandbox.path("pinentry");
        let script = format!(
            "echo OK ready\nwhile read -r request; do\n  case $request in\n    GETPIN*) {response};;\n    BYE*) exit;;\n    *) echo OK;;\n  esac\ndone"
        );
        executable::script(&pinentry, &script);
        sandbox.write(
            "gnupg/gpg-agent.conf",
            format!("pinentry-program {}\n", pinentry.display()),
        );
        Some(Self { home })
    }

    /// Creates a key for `user`.
    pub(crate) fn key(&self, user: &str, passphrase: &str) {
        self.gpg(
            "gpg",
            &[
                "--pinentry-mode",
                "loopback",
                "--passphrase",
                passphrase,
                "--quick-gen-key",
                user,
                "ed25519",
                "sign",
                "never",
            ],
        );
        // The agent remembers the passphrase of a new key.
        self.end();
    }

    /// Runs a program of GnuPG and returns its output. It must succeed.
    pub(crate) fn gpg(&self, program: &str, arguments: &[&str]) -> String {
        let mut command = process::program(program);
        self.apply(&mut command);
        let output = command.arg("--batch").args(arguments).output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{program} {arguments:?}: {text}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Lets a program use this home directory.
    pub(crate) fn apply(&self, command: &mut Command) {
        command.env("GNUPGHOME", &self.home);
    }

    /// Asserts that git accepts the signatures of the newest `count` commits of `main`.
    #[track_caller]
    pub(crate) fn assert_signed(&self, sandbox: &Sandbox, count: usize) {
        assert_verified(sandbox, &[], Some(self), count);
    }

    /// Ends the agents of this home directory, which are found by their sockets.
    fn end(&self) {
        let mut command = process::program("gpgconf");
        self.apply(&mut command);
        let _ = command.args(["--kill", "all"]).status();
    }
}

impl Drop for GnuPg {
    fn drop(&mut self) {
        self.end();
    }
}
