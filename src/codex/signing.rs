//! Signs commits as git does: the user's git configuration names the format, the key and the
//! program.
//!
//! Only the configuration of the system, of the user and of the environment counts, as for a
//! repository without a configuration of its own. A workspace can switch signing on and off
//! (`commit.sign`), but cannot choose the program. The programs run in a private directory, so that
//! a relative path, or `.` in `PATH`, does not lead into the workspace.
//!
//! A chain of commits is signed one commit after the other, because a commit contains the id of its
//! parent, and that id depends on the parent's signature. Several chains are signed side by side.

use std::collections::HashMap;
use std::fmt;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::child_process::{self, Finished, RunError};
use super::git_config::Settings;
use super::identity::Person;
use super::store::StoreError;
use super::temp_clone::TempCloneDir;
use crate::config::SignMode;
use crate::environment::Environment;
use crate::interrupt::{Interrupt, Interrupted, OnSignal};
use crate::object::{Kind, ObjectId, hash};
use crate::paths::{below_home, escaped, shown};

/// A program that prints nothing for this long is ended. Within this time a user can type a
/// passphrase or touch a hardware key.
const LIMIT: Duration = Duration::from_secs(120);
/// The number of lines of a program's output that an error keeps.
const MAX_LINES: usize = 10;
/// The name of the file with the public key, if the configuration has its text.
const KEY_FILE: &str = "key.pub";
/// The start of a line that GnuPG prints for other programs.
const STATUS: &str = "[GNUPG:] ";

/// The formats of signatures that git knows (`gpg.format`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SignatureFormat {
    /// GnuPG's `gpg`.
    OpenPgp,
    /// OpenSSH's `ssh-keygen`.
    Ssh,
    /// GnuPG's `gpgsm`.
    X509,
}

impl SignatureFormat {
    /// The value of `gpg.format`.
    fn name(self) -> &'static str {
        match self {
            Self::OpenPgp => "openpgp",
            Self::Ssh => "ssh",
            Self::X509 => "x509",
        }
    }

    /// The program, unless git's configuration names another one.
    pub fn default_program(self) -> &'static str {
        match self {
            Self::OpenPgp => "gpg",
            Self::Ssh => "ssh-keygen",
            Self::X509 => "gpgsm",
        }
    }

    /// The keys of git's configuration that name the program. The one that is set last counts.
    fn program_keys(self) -> &'static [&'static str] {
        match self {
            Self::OpenPgp => &["gpg.openpgp.program", "gpg.program"],
            Self::Ssh => &["gpg.ssh.program"],
            Self::X509 => &["gpg.x509.program"],
        }
    }
}

/// A key to sign with.
#[derive(Debug, Clone, PartialEq, Eq)]
enum SigningKey {
    /// A key id, a fingerprint or a user id, by which `gpg` and `gpgsm` find the key.
    User(String),
    /// A file with a private or a public ssh key.
    File(PathBuf),
    /// The text of a public ssh key. The agent has the private key.
    Text(String),
}

impl fmt::Display for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(name) => escaped(name.as_bytes()).fmt(f),
            Self::File(path) => shown(path).fmt(f),
            Self::Text(text) => {
                // Keys of one type begin alike and differ at the end.
                let mut words = text.split_whitespace();
                let kind = words.next().unwrap_or_default();
                let data = words.next().unwrap_or_default();
                let tail = data.get(data.len().saturating_sub(16)..).unwrap_or(data);
                write!(
                    f,
                    "{} …{}",
                    escaped(kind.as_bytes()),
                    escaped(tail.as_bytes())
                )
            }
        }
    }
}

/// Why commits cannot be signed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SigningError {
    /// A setting of git has a value that git rejects as well.
    #[error("git's `{key}` is `{}`: expected {expected}", escaped(value.as_bytes()))]
    InvalidSetting {
        /// The key.
        key: &'static str,
        /// The value of the setting.
        value: String,
        /// The valid values.
        expected: &'static str,
    },
    /// The format is ssh, and no key is configured. The other formats have a default: the
    /// committer.
    #[error(
        "no ssh key is configured: git's `user.signingkey` and `gpg.ssh.defaultKeyCommand` are not set"
    )]
    NoKey,
    /// The command of `gpg.ssh.defaultKeyCommand` failed, or its first line is not a key.
    #[error("git's `gpg.ssh.defaultKeyCommand` returned no key")]
    KeyCommand {
        /// The messages of the command.
        detail: Vec<String>,
    },
    /// The path of a program depends on the current directory, so a workspace could choose the
    /// program.
    #[error("git's `{key}` is the relative path `{}`", escaped(program.as_bytes()))]
    RelativeProgram {
        /// The key.
        key: &'static str,
        /// The value of the setting.
        program: String,
    },
    /// The program does not exist, or cannot be executed.
    #[error("cannot run the signing program `{}`", escaped(program.as_bytes()))]
    Program {
        /// The key of git's configuration that names the program.
        key: &'static str,
        /// The program.
        program: String,
        /// The system's error.
        source: io::Error,
    },
    /// The program has no such key.
    #[error("the {} key `{key}` was not found", format.name())]
    KeyMissing {
        /// The format.
        format: SignatureFormat,
        /// The key.
        key: String,
        /// The messages of the program.
        detail: Vec<String>,
    },
    /// The program needed a passphrase or a confirmation for the key, and did not get it.
    #[error("the {} key `{key}` is locked", format.name())]
    KeyLocked {
        /// The format.
        format: SignatureFormat,
        /// The key.
        key: String,
        /// The messages of the program.
        detail: Vec<String>,
    },
    /// The program printed nothing for too long and was ended.
    #[error("`{}` did not respond within {} seconds", escaped(program.as_bytes()), limit.as_secs())]
    TimedOut {
        /// The program.
        program: String,
        /// The limit.
        limit: Duration,
    },
    /// The program failed for another reason, or returned no signature.
    #[error("`{}` made no signature with the key `{key}`", escaped(program.as_bytes()))]
    Failed {
        /// The program.
        program: String,
        /// The key.
        key: String,
        /// The messages of the program.
        detail: Vec<String>,
    },
    /// The files that a program reads cannot be written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Stopped by a signal.
    #[error("{0}")]
    Interrupted(#[from] Interrupted),
}

impl SigningError {
    /// The messages of the program, one per line.
    pub fn detail(&self) -> &[String] {
        match self {
            Self::KeyCommand { detail }
            | Self::KeyMissing { detail, .. }
            | Self::KeyLocked { detail, .. }
            | Self::Failed { detail, .. } => detail,
            _ => &[],
        }
    }
}

/// Whether commits are signed.
pub(crate) fn is_wanted(mode: SignMode, settings: &Settings) -> Result<bool, SigningError> {
    match mode {
        SignMode::Always => Ok(true),
        SignMode::Never => Ok(false),
        SignMode::Auto => match settings.get("commit.gpgsign") {
            None => Ok(false),
            Some(value) => {
                git2::Config::parse_bool(value).map_err(|_| SigningError::InvalidSetting {
                    key: "commit.gpgsign",
                    value: value.to_owned(),
                    expected: "`true` or `false`",
                })
            }
        },
    }
}

/// Signs the commits of a run with one key.
pub(crate) struct Signer {
    format: SignatureFormat,
    key: SigningKey,
    program: String,
    /// The key of git's configuration that names the program.
    program_key: &'static str,
    directory: SigningDir,
    /// Whether the user has chosen a program that answers the prompts of ssh-keygen.
    has_askpass: bool,
    interrupt: Interrupt,
    limit: Duration,
    /// The signatures of this run, by the id of the unsigned commit. A second attempt on the same
    /// tip uses them again and so makes the same commits, even if the format writes the time into
    /// each signature.
    signatures: Mutex<HashMap<ObjectId, Vec<u8>>>,
}

impl Signer {
    /// Determines the format, the program and the key from git's configuration.
    ///
    /// `committer` selects the key if none is configured, a relative path of an ssh key starts at
    /// `root`, and the files to sign are written to a new directory in `temporary`. The only
    /// program that is run is the command of `gpg.ssh.defaultKeyCommand`, if the key is left to it.
    pub(crate) fn open(
        settings: &Settings,
        environment: &Environment,
        committer: &Person,
        root: &Path,
        temporary: &Path,
        interrupt: &Interrupt,
    ) -> Result<Self, SigningError> {
        let format = match settings.get("gpg.format") {
            None | Some("openpgp") => SignatureFormat::OpenPgp,
            Some("ssh") => SignatureFormat::Ssh,
            Some("x509") => SignatureFormat::X509,
            Some(other) => {
                return Err(SigningError::InvalidSetting {
                    key: "gpg.format",
                    value: other.to_owned(),
                    expected: "`openpgp`, `ssh` or `x509`",
                });
            }
        };
        let home = environment.get("HOME");
        let keys = format.program_keys();
        let (program_key, program) = match settings.last_of(keys) {
            Some((key, program)) => (key, below_home(program, home)),
            None => (keys[0], format.default_program().to_owned()),
        };
        let path = Path::new(&program);
        if path.is_relative() && path.components().count() > 1 {
            return Err(SigningError::RelativeProgram {
                key: program_key,
                program,
            });
        }

        let directory = SigningDir::create(temporary)?;
        let mut signer = Self {
            format,
            key: SigningKey::User(committer.name_and_email()),
            program,
            program_key,
            directory,
            has_askpass: environment.get("SSH_ASKPASS").is_some()
                && matches!(
                    environment.get("SSH_ASKPASS_REQUIRE"),
                    Some("force" | "prefer")
                ),
            interrupt: interrupt.clone(),
            limit: LIMIT,
            signatures: Mutex::default(),
        };
        match (format, settings.get("user.signingkey")) {
            (SignatureFormat::Ssh, None) => signer.key = signer.default_ssh_key(settings)?,
            (SignatureFormat::Ssh, Some(key)) => {
                signer.key = match literal_ssh_key(key) {
                    Some(text) => SigningKey::Text(text.to_owned()),
                    None => SigningKey::File(root.join(below_home(key, home))),
                }
            }
            (_, Some(key)) => signer.key = SigningKey::User(key.to_owned()),
            (_, None) => {}
        }
        if let SigningKey::Text(text) = &signer.key {
            signer.directory.write(KEY_FILE, text.as_bytes())?;
        }
        Ok(signer)
    }

    /// The format and the key, for messages: `ssh key …`.
    pub(crate) fn describe(&self) -> String {
        format!("{} key `{}`", self.format.name(), self.key)
    }

    /// Signs `data`: the bytes of a commit without a signature. Returns the signature, which is
    /// lines of ASCII text. Threads can sign at the same time.
    pub(crate) fn sign(&self, data: &[u8]) -> Result<Vec<u8>, SigningError> {
        self.interrupt.check()?;
        let unsigned = hash(Kind::Commit, data);
        let signatures = || {
            let signatures = self.signatures.lock();
            signatures.unwrap_or_else(PoisonError::into_inner)
        };
        let known = signatures().get(&unsigned).cloned();
        if let Some(signature) = known {
            return Ok(signature);
        }

        let file = self.directory.write(&unsigned.to_string(), data)?;
        let signature = match self.format {
            SignatureFormat::Ssh => self.sign_with_ssh(&file),
            SignatureFormat::OpenPgp | SignatureFormat::X509 => self.sign_with_gnupg(&file),
        };
        let _ = fs::remove_file(&file);
        let mut signature = signature?;
        signature.retain(|byte| *byte != b'\r');
        signatures().insert(unsigned, signature.clone());
        Ok(signature)
    }

    /// Runs `gpg` or `gpgsm`, which read the data from standard input.
    fn sign_with_gnupg(&self, file: &Path) -> Result<Vec<u8>, SigningError> {
        let SigningKey::User(key) = &self.key else {
            unreachable!("only ssh keys are files or texts");
        };
        let input = File::open(file).map_err(|error| self.directory.error(error))?;
        let mut command = self.command(&self.program);
        command.args(["--status-fd=2", "-bsau", key]).stdin(input);
        let finished = self.run(command)?;

        let created = |line: &String| line.starts_with("[GNUPG:] SIG_CREATED ");
        if finished.status.success()
            && finished.stderr.iter().any(created)
            && is_armored(&finished.raw)
        {
            return Ok(finished.raw);
        }
        let problem = gnupg_problem(&finished.stderr);
        let mut messages = finished.stderr;
        messages.retain(|line| !line.starts_with(STATUS));
        let detail = bounded(messages);
        Err(match problem {
            Some(problem) => self.problem(problem, detail),
            None => self.failed(detail),
        })
    }

    /// Runs `ssh-keygen`, which writes the signature beside the file.
    fn sign_with_ssh(&self, file: &Path) -> Result<Vec<u8>, SigningError> {
        let key_file = match &self.key {
            SigningKey::File(path) => path.clone(),
            SigningKey::Text(_) => self.directory.path().join(KEY_FILE),
            SigningKey::User(_) => unreachable!("an ssh key is a file or a text"),
        };
        let mut command = self.command(&self.program);
        command
            .args(["-Y", "sign", "-n", "git", "-f"])
            .arg(key_file);
        if matches!(self.key, SigningKey::Text(_)) {
            command.arg("-U");
        }
        command.arg(file);
        // Without these variables ssh-keygen asks for the passphrase of a locked key on the
        // terminal, for every commit. There the system stops it, because its process group is in
        // the background. With them it asks a program, and `false` returns no passphrase.
        command.env("SSH_ASKPASS_REQUIRE", "force");
        if !self.has_askpass {
            command.env("SSH_ASKPASS", "false");
        }
        let finished = self.run(command)?;

        let path = file.with_extension("sig");
        let signature = fs::read(&path);
        let _ = fs::remove_file(&path);
        let signature = signature.ok().filter(|signature| is_armored(signature));
        if let Some(signature) = signature.filter(|_| finished.status.success()) {
            return Ok(signature);
        }
        let problem = ssh_problem(&finished.stderr);
        let detail = bounded(finished.stderr);
        Err(match problem {
            Some(problem) => self.problem(problem, detail),
            None => self.failed(detail),
        })
    }

    /// Runs the command of `gpg.ssh.defaultKeyCommand`. The first line of its output is the key.
    fn default_ssh_key(&self, settings: &Settings) -> Result<SigningKey, SigningError> {
        let line = settings
            .get("gpg.ssh.defaultkeycommand")
            .ok_or(SigningError::NoKey)?;
        let mut command = self.command("sh");
        command.args(["-c", line]);
        let finished = self.run(command)?;

        let first = finished.stdout.lines().next().unwrap_or_default();
        match literal_ssh_key(first) {
            Some(text) if finished.status.success() => Ok(SigningKey::Text(text.to_owned())),
            _ => Err(SigningError::KeyCommand {
                detail: bounded(finished.stderr),
            }),
        }
    }

    /// A command that runs in the private directory.
    fn command(&self, program: &str) -> Command {
        let mut command = child_process::sealed(program);
        command.current_dir(self.directory.path());
        command
    }

    fn run(&self, command: Command) -> Result<Finished, SigningError> {
        let program = command.get_program().to_string_lossy().into_owned();
        let finished =
            child_process::run_with_limit(command, &self.interrupt, OnSignal::Stop, self.limit);
        finished.map_err(|error| match error {
            RunError::Start(source) => SigningError::Program {
                key: self.program_key,
                program,
                source,
            },
            RunError::NoProgress(limit) => SigningError::TimedOut { program, limit },
            RunError::Interrupted(interrupted) => interrupted.into(),
        })
    }

    fn problem(&self, problem: KeyProblem, detail: Vec<String>) -> SigningError {
        let (format, key) = (self.format, self.key.to_string());
        match problem {
            KeyProblem::Missing => SigningError::KeyMissing {
                format,
                key,
                detail,
            },
            KeyProblem::Locked => SigningError::KeyLocked {
                format,
                key,
                detail,
            },
        }
    }

    fn failed(&self, detail: Vec<String>) -> SigningError {
        SigningError::Failed {
            program: self.program.clone(),
            key: self.key.to_string(),
            detail,
        }
    }
}

/// The problem with a key that a program reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum KeyProblem {
    Missing,
    Locked,
}

/// Finds a problem with the key in what `gpg` or `gpgsm` prints: in the status lines, which are
/// documented in GnuPG's `doc/DETAILS` and, unlike messages, are not translated.
fn gnupg_problem(lines: &[String]) -> Option<KeyProblem> {
    // Codes of libgpg-error: bad passphrase, timeout, no pinentry, canceled by the user, no
    // passphrase. The upper bits of a code in a status line name the component that reported it.
    const LOCKED: [u32; 5] = [11, 62, 86, 99, 177];
    let statuses = || lines.iter().filter_map(|line| line.strip_prefix(STATUS));

    let is_missing = |status: &str| {
        let mut words = status.split(' ');
        // Reasons: not specified, not found, not a secret key.
        words.next() == Some("INV_SGNR") && matches!(words.next(), Some("0" | "1" | "9"))
    };
    if statuses().any(is_missing) {
        return Some(KeyProblem::Missing);
    }
    let is_locked = |status: &str| {
        let code = status.strip_prefix("FAILURE sign ");
        let code = code.and_then(|code| code.trim().parse::<u32>().ok());
        code.is_some_and(|code| LOCKED.contains(&(code & 0xffff)))
            || ["PINENTRY_LAUNCHED", "SC_OP_FAILURE"]
                .iter()
                .any(|word| status.starts_with(word))
    };
    // gpgsm reports this only in a message. The end of the message names the component that failed.
    let is_of_pinentry = |line: &String| line.ends_with("<Pinentry>");
    (statuses().any(is_locked) || lines.iter().any(is_of_pinentry)).then_some(KeyProblem::Locked)
}

/// Finds a problem with the key in the messages of `ssh-keygen`, which are not translated.
fn ssh_problem(lines: &[String]) -> Option<KeyProblem> {
    let has = |texts: &[&str]| {
        lines
            .iter()
            .any(|line| texts.iter().any(|text| line.contains(text)))
    };
    // ssh-keygen ignores a private key that other users can read, and then reports it as missing,
    // too.
    if has(&["UNPROTECTED PRIVATE KEY FILE"]) {
        return None;
    }
    if has(&["incorrect passphrase", "agent refused operation"]) {
        return Some(KeyProblem::Locked);
    }
    has(&[
        "Couldn't load public key",
        "No private key found",
        "Couldn't get agent socket",
        "Couldn't find key in agent",
    ])
    .then_some(KeyProblem::Missing)
}

/// The text of the public key in a setting, if the setting is a key and not the path of a file.
fn literal_ssh_key(text: &str) -> Option<&str> {
    text.strip_prefix("key::")
        .or_else(|| text.starts_with("ssh-").then_some(text))
}

/// Whether `signature` is ASCII armor, which the header of a commit can hold.
fn is_armored(signature: &[u8]) -> bool {
    let is_text = |byte: &u8| byte.is_ascii_graphic() || b" \r\n".contains(byte);
    signature.starts_with(b"-----BEGIN ") && signature.iter().all(is_text)
}

/// The last lines of a program's messages, without empty and repeated lines, and with control
/// characters escaped.
fn bounded(mut lines: Vec<String>) -> Vec<String> {
    lines.retain(|line| !line.trim().is_empty());
    lines.dedup();
    let start = lines.len().saturating_sub(MAX_LINES);
    lines[start..]
        .iter()
        .map(|line| escaped(line.trim_end().as_bytes()).to_string())
        .collect()
}

/// A private directory for files to sign. It is removed when dropped; after a kill the next run
/// removes it, like a temporary clone.
struct SigningDir {
    // Dropped in this order: the directory is removed while it is still locked.
    scratch: TempCloneDir,
    _lock: File,
    temporary: PathBuf,
}

impl SigningDir {
    fn create(temporary: &Path) -> Result<Self, StoreError> {
        match TempCloneDir::locked_in(temporary) {
            Ok((scratch, lock)) => Ok(Self {
                scratch,
                _lock: lock,
                temporary: temporary.to_owned(),
            }),
            Err(source) => Err(StoreError::Write {
                directory: temporary.to_owned(),
                kept: false,
                source,
            }),
        }
    }

    fn path(&self) -> &Path {
        self.scratch.path()
    }

    fn write(&self, name: &str, data: &[u8]) -> Result<PathBuf, StoreError> {
        let path = self.path().join(name);
        fs::write(&path, data).map_err(|error| self.error(error))?;
        Ok(path)
    }

    fn error(&self, source: io::Error) -> StoreError {
        StoreError::Write {
            directory: self.temporary.clone(),
            kept: false,
            source,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn a_program_that_hangs_is_ended() {
        let temporary = tempfile::tempdir().unwrap();
        let signer = Signer {
            format: SignatureFormat::OpenPgp,
            key: SigningKey::User("Ada".to_owned()),
            program: "sh".to_owned(),
            program_key: "gpg.program",
            directory: SigningDir::create(temporary.path()).unwrap(),
            has_askpass: false,
            interrupt: Interrupt::default(),
            limit: Duration::from_millis(300),
            signatures: Mutex::default(),
        };
        let mut command = signer.command("sh");
        command.args(["-c", "echo $$ > pid; exec sleep 1000"]);
        let error = signer.run(command).err().unwrap();
        assert!(matches!(error, SigningError::TimedOut { .. }), "{error}");

        let pid = fs::read_to_string(signer.directory.path().join("pid")).unwrap();
        let process = Path::new("/proc").join(pid.trim());
        assert!(!process.exists(), "{}", process.display());
    }

    #[test]
    fn problems_are_read_from_the_status_of_gnupg() {
        for (text, expected) in [
            (
                "[GNUPG:] INV_SGNR 9 Ada <a@b>\n[GNUPG:] FAILURE sign 17",
                Some(KeyProblem::Missing),
            ),
            ("[GNUPG:] INV_SGNR 1 Ada <a@b>", Some(KeyProblem::Missing)),
            // The key has expired.
            ("[GNUPG:] INV_SGNR 5 Ada\n[GNUPG:] FAILURE sign 54", None),
            (
                "[GNUPG:] PINENTRY_LAUNCHED 7 curses\n[GNUPG:] FAILURE sign 83918950",
                Some(KeyProblem::Locked),
            ),
            ("[GNUPG:] FAILURE sign 67108949", None),
            ("[GNUPG:] FAILURE sign 67108950", Some(KeyProblem::Locked)),
            ("[GNUPG:] SC_OP_FAILURE 2", Some(KeyProblem::Locked)),
            (
                "gpgsm: error creating signature: Inappropriate ioctl for device <Pinentry>",
                Some(KeyProblem::Locked),
            ),
            ("gpg: INV_SGNR 9", None),
        ] {
            assert_eq!(gnupg_problem(&lines(text)), expected, "{text}");
        }
    }

    #[test]
    fn problems_are_read_from_the_messages_of_ssh_keygen() {
        for (text, expected) in [
            (
                "Load key \"id\": incorrect passphrase supplied to decrypt private key",
                Some(KeyProblem::Locked),
            ),
            (
                "Couldn't load public key id: No such file or directory",
                Some(KeyProblem::Missing),
            ),
            ("Couldn't get agent socket", Some(KeyProblem::Missing)),
            (
                "@ WARNING: UNPROTECTED PRIVATE KEY FILE! @\nNo private key found for \"id\"",
                None,
            ),
            ("unknown option -- Y", None),
        ] {
            assert_eq!(ssh_problem(&lines(text)), expected, "{text}");
        }
    }

    #[test]
    fn a_public_key_is_shown_by_its_type_and_its_end() {
        let text = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA0123456789abcdef ada@laptop";
        let shown = SigningKey::Text(text.to_owned()).to_string();
        assert_eq!(shown, "ssh-ed25519 …0123456789abcdef");
        assert_eq!(
            SigningKey::Text("ssh-rsa é".to_owned()).to_string(),
            "ssh-rsa …é"
        );
    }
}
