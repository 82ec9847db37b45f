//! The temporary directory of a test, which holds its home, workspace, codex and temporary files.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use tempfile::TempDir;

use super::http::HttpServer;
use super::transport::Transport;
use super::{Codex, Output, executable, process};

/// A new directory whose path has the same length in each run, so that lines of a terminal are wrapped
/// at the same words.
fn directory_with_path_of_fixed_length() -> TempDir {
    const LENGTH: usize = 44;
    /// The number of random characters after the prefix.
    const RANDOM: usize = 6;
    let parent = std::env::temp_dir();
    let used = parent.as_os_str().len() + 2 + RANDOM;
    // Without the hyphen, the name could look like a token, which messages do not show.
    let prefix = "t".repeat(LENGTH.saturating_sub(used).max(1)) + "-";
    tempfile::Builder::new()
        .prefix(&prefix)
        .rand_bytes(RANDOM)
        .tempdir_in(parent)
        .unwrap()
}

/// The environment of one test. It is removed when dropped.
pub(crate) struct Sandbox {
    // Declared first, so that the server stops before its directory is removed.
    server: OnceLock<HttpServer>,
    directory: TempDir,
    uses_git: AtomicBool,
}

impl Sandbox {
    /// A sandbox for the transport of this test run.
    pub(crate) fn new() -> Self {
        Self::with(Transport::of_run())
    }

    /// A sandbox for the default transport, whatever transport the test run is for: the test is
    /// about that transport, or shows the configuration, in which no variable may appear.
    pub(crate) fn with_default_transport() -> Self {
        Self::with(Transport::Native)
    }

    fn with(transport: Transport) -> Self {
        process::isolate();
        let directory = directory_with_path_of_fixed_length();
        for name in ["home", "tmp", "ws"] {
            fs::create_dir(directory.path().join(name)).unwrap();
        }
        Self {
            server: OnceLock::new(),
            directory,
            uses_git: AtomicBool::new(transport == Transport::Git),
        }
    }

    /// Whether the program runs `git` to exchange objects with the remote.
    pub(crate) fn uses_git(&self) -> bool {
        self.uses_git.load(Ordering::Relaxed)
    }

    /// Makes the program run `git` to exchange objects with the remote, whatever transport the test
    /// run is for: the test is about what `git` does.
    pub(crate) fn use_git(&self) {
        self.uses_git.store(true, Ordering::Relaxed);
    }

    /// The absolute path of a file in the sandbox.
    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.directory.path().join(relative)
    }

    /// Writes a file, and creates its directories.
    pub(crate) fn write(&self, relative: &str, content: impl AsRef<[u8]>) {
        let path = self.path(relative);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// Writes a file whose path below `directory` does not have to be UTF-8.
    pub(crate) fn write_bytes(&self, directory: &str, relative: &[u8], content: &str) {
        let path = self.path(directory).join(OsStr::from_bytes(relative));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    pub(crate) fn remove(&self, relative: &str) {
        let path = self.path(relative);
        if path.is_dir() {
            fs::remove_dir_all(path).unwrap()
        } else {
            fs::remove_file(path).unwrap()
        }
    }

    /// Creates a named pipe.
    pub(crate) fn pipe(&self, relative: &str) {
        let made = process::program("mkfifo")
            .arg(self.path(relative))
            .status()
            .unwrap();
        assert!(made.success());
    }

    pub(crate) fn set_mode(&self, relative: &str, mode: u32) {
        fs::set_permissions(self.path(relative), fs::Permissions::from_mode(mode)).unwrap();
    }

    /// Creates an empty codex, and a workspace with projects whose roots are the directories of
    /// these names. `more` is appended to the configuration file.
    pub(crate) fn workspace(&self, projects: &[&str], more: &str) -> Codex {
        let names: String = projects
            .iter()
            .map(|name| format!("    {name}: {{}}\n"))
            .collect();
        let config = format!(
            "codex:\n  organization: acme\n  codex_repo: codex\n  remote:\n    url: ../codex.git\n  projects:\n{names}{more}"
        );
        self.write("ws/.fractary/config.yaml", config);
        Codex::empty(&self.path("codex.git"), self)
    }

    /// Starts a server for the codex, and makes the workspace sync through it.
    pub(crate) fn serve(&self) -> &HttpServer {
        self.server.get_or_init(|| {
            let server = HttpServer::start(self.directory.path(), None);
            let config = fs::read_to_string(self.path("ws/.fractary/config.yaml")).unwrap();
            assert!(config.contains("../codex.git"), "{config}");
            self.write(
                "ws/.fractary/config.yaml",
                config.replace("../codex.git", &server.url("codex.git")),
            );
            server
        })
    }

    /// A command in the environment of the sandbox. Programs in its directory `bin` come first on
    /// PATH.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = process::program(program);
        command
            .env(
                "PATH",
                format!(
                    "{}:{}",
                    self.path("bin").display(),
                    std::env::var("PATH").unwrap()
                ),
            )
            .env("HOME", self.path("home"))
            .env("TMPDIR", self.path("tmp"))
            .env("GIT_AUTHOR_NAME", "Ada")
            .env("GIT_AUTHOR_EMAIL", "ada@acme.example")
            .env("GIT_COMMITTER_NAME", "Ada")
            .env("GIT_COMMITTER_EMAIL", "ada@acme.example")
            .env("SOURCE_DATE_EPOCH", "1700000000")
            .stdin(Stdio::null())
            .current_dir(self.path("ws"));
        if self.uses_git() {
            command.env("FRACTARY_CODEX_REMOTE__TRANSPORT", "git");
        }
        command
    }

    /// A command that runs the program in the workspace.
    pub(crate) fn program(&self, arguments: &[&str]) -> Command {
        let mut command = self.command(env!("CARGO_BIN_EXE_fractary-codex"));
        command.args(arguments);
        command
    }

    /// The program, not yet started, with permissions that count for root too.
    pub(crate) fn without_overrides(&self, arguments: &[&str]) -> Command {
        if !rustix::process::geteuid().is_root() {
            return self.program(arguments);
        }
        let mut command = self.command("setpriv");
        command
            .args([
                "--bounding-set=-dac_override,-dac_read_search",
                "--inh-caps=-dac_override,-dac_read_search",
                env!("CARGO_BIN_EXE_fractary-codex"),
            ])
            .args(arguments);
        command
    }

    /// The program, not yet started, with this mask for the permissions of new files.
    pub(crate) fn with_mask(&self, mask: &str, arguments: &[&str]) -> Command {
        let script = format!("umask {mask}; exec \"$@\"");
        let mut command = self.command("sh");
        command
            .args(["-c", &script, "sh", env!("CARGO_BIN_EXE_fractary-codex")])
            .args(arguments);
        command
    }

    /// Runs the program in the workspace.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.finish(self.program(arguments))
    }

    /// Syncs all projects with the remote at `url`. The output is JSON.
    pub(crate) fn sync_to(&self, url: &str, more: &[&str]) -> Output {
        let url = format!("remote.url={url}");
        let arguments = ["sync", "--all", "--json", "--config", &url];
        self.run(&[&arguments, more].concat())
    }

    /// Runs a command and waits for its end.
    pub(crate) fn finish(&self, mut command: Command) -> Output {
        self.output(command.output().unwrap())
    }

    /// Starts the program in the background.
    pub(crate) fn start(&self, arguments: &[&str]) -> Child {
        self.spawn(self.program(arguments))
    }

    /// Starts a command in the background.
    pub(crate) fn spawn(&self, mut command: Command) -> Child {
        command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// Waits for the end of a command in the background.
    pub(crate) fn ended(&self, child: Child) -> Output {
        self.output(child.wait_with_output().unwrap())
    }

    fn output(&self, output: std::process::Output) -> Output {
        Output::new(output, self.directory.path(), self.server.get())
    }

    /// Runs git and returns its output. It must succeed.
    pub(crate) fn git(&self, directory: &Path, arguments: &[&str]) -> String {
        let mut command = self.command("git");
        command.args(arguments).current_dir(directory);
        let output = command.output().unwrap();
        assert!(
            output.status.success(),
            "git {arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    }

    /// Adds the repository `url` as a submodule at `path` of the one in `directory`.
    pub(crate) fn add_submodule(&self, directory: &Path, url: &str, path: &str) {
        // git rejects local paths by default.
        let allow = ["-c", "protocol.file.allow=always"];
        let add = ["submodule", "add", "-q", url, path];
        self.git(directory, &[&allow[..], &add].concat());
    }

    /// Puts a wrapper of `git` on PATH, which runs a shell script and then the real `git`. The
    /// program uses it for remotes, whatever transport the test run is for.
    pub(crate) fn wrap_git(&self, script: &str) {
        self.use_git();
        let real = self.git(&self.path("ws"), &["--exec-path"]);
        let real = Path::new(real.trim()).join("git");
        executable::script(
            &self.path("bin/git"),
            &format!("{script}\nexec {} \"$@\"", real.display()),
        );
    }

    /// The names of the files in the temporary directory.
    pub(crate) fn leftovers(&self) -> Vec<String> {
        let entries = fs::read_dir(self.path("tmp")).unwrap();
        entries
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect()
    }

    /// Makes a directory look as if nothing had been created in it for two days.
    pub(crate) fn age(&self, relative: &str) {
        let two_days_ago = SystemTime::now() - Duration::from_secs(2 * 24 * 60 * 60);
        let directory = fs::File::open(self.path(relative)).unwrap();
        directory.set_modified(two_days_ago).unwrap();
    }

    /// All files below `relative` with their contents, mode and modification time, to check that
    /// nothing was changed.
    pub(crate) fn fingerprint(&self, relative: &str) -> Vec<(PathBuf, Vec<u8>, u32, SystemTime)> {
        let mut found = Vec::new();
        let mut pending = vec![self.path(relative)];
        while let Some(path) = pending.pop() {
            let meta = fs::symlink_metadata(&path).unwrap();
            let data = if meta.is_file() {
                fs::read(&path).unwrap()
            } else {
                Vec::new()
            };
            if meta.is_dir() {
                pending.extend(
                    fs::read_dir(&path)
                        .unwrap()
                        .map(|entry| entry.unwrap().path()),
                );
            }
            found.push((
                path,
                data,
                meta.permissions().mode(),
                meta.modified().unwrap(),
            ));
        }
        found.sort();
        found
    }
}
