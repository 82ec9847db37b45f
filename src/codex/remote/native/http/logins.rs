//! Logins for a server that requires one and for which no token is configured: from `.netrc`, then
//! from git's credential helpers.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use crate::codex::child_process::{self, RunError};
use crate::codex::remote::context::RemoteContext;
use crate::codex::remote::credential::basic;
use crate::codex::remote::error::RemoteErrorKind;
use crate::codex::remote::native::address::Address;
use crate::codex::remote::native::failure::Failure;
use crate::environment::Environment;
use crate::interrupt::OnSignal;
use crate::secret::Secret;

/// That `.netrc` has a login, as a sentence for an error message.
pub(super) const NETRC_SENT: &str = "the login of `~/.netrc` was sent";

/// A login for a server.
#[derive(Debug, Clone)]
pub(super) struct Login {
    /// The value of an `Authorization` header.
    header: Secret,
    /// The response of a credential helper, which is sent back to it when the login was accepted or
    /// rejected.
    output: Option<Secret>,
}

impl Login {
    fn basic(user: &str, password: &str) -> Self {
        Self {
            header: basic(user.as_bytes(), password.as_bytes()),
            output: None,
        }
    }

    /// Parses the output of `git credential fill`: a user name and a password, or a scheme and its
    /// credential.
    fn from_helper_output(output: &str) -> Option<Self> {
        let value = |key: &str| {
            let mut lines = output.lines().filter_map(|line| line.split_once('='));
            lines.find_map(|(name, value)| (name == key).then_some(value))
        };
        let login = match (value("authtype"), value("credential")) {
            (Some(scheme), Some(credential)) => Self {
                header: Secret::new(format!("{scheme} {credential}")),
                output: None,
            },
            _ => Self::basic(value("username").unwrap_or_default(), value("password")?),
        };
        Some(Self {
            output: Some(Secret::new(output)),
            ..login
        })
    }

    /// The value of an `Authorization` header.
    pub(super) fn header(&self) -> Secret {
        self.header.clone()
    }
}

/// The sources of logins for one server. Each is asked once.
pub(super) struct Logins {
    helper: Helper,
    netrc: Option<Login>,
    is_helper_asked: bool,
    /// The logins that were tried, as sentences for an error message.
    tried: Vec<String>,
}

impl Logins {
    pub(super) fn new(address: &Address, context: &RemoteContext) -> Self {
        Self {
            netrc: from_netrc(address, &context.environment),
            helper: Helper::new(address, address.user.as_deref(), context),
            is_helper_asked: false,
            tried: Vec::new(),
        }
    }

    /// The next login to try with a server that sent these `WWW-Authenticate` headers.
    pub(super) fn next(&mut self, challenges: &[&str]) -> Result<Option<Login>, Failure> {
        if let Some(login) = self.netrc.take() {
            self.tried.push(NETRC_SENT.to_owned());
            return Ok(Some(login));
        }
        if std::mem::replace(&mut self.is_helper_asked, true) {
            return Ok(None);
        }
        let login = self.helper.fill(challenges)?;
        let tried = match &login {
            Some(_) => "the login of git's credential helper was sent",
            None if self.helper.is_missing => {
                "git is not installed, so no credential helper was asked"
            }
            None => "git's credential helpers have no login for this host",
        };
        self.tried.push(tried.to_owned());
        Ok(login)
    }

    /// The logins that were tried, as sentences for an error message.
    pub(super) fn tried(&self) -> &[String] {
        &self.tried
    }

    /// Reports to the helper that its login was accepted, so that it may store it.
    pub(super) fn approve(&mut self, login: &Login) {
        self.helper.report("approve", login);
    }

    /// Reports to the helper that its login was rejected.
    pub(super) fn reject(&mut self, login: &Login) {
        self.helper.report("reject", login);
    }
}

/// git's credential helpers for one server. `git credential` runs them as git does.
pub(super) struct Helper {
    /// The server, in the format of `git credential`.
    server: String,
    context: RemoteContext,
    /// Whether git is not installed.
    is_missing: bool,
}

impl Helper {
    pub(super) fn new(address: &Address, user: Option<&str>, context: &RemoteContext) -> Self {
        let mut server = format!(
            "protocol={}\nhost={}\npath={}\n",
            address.scheme(),
            address.host_and_port(),
            address.path.trim_start_matches('/')
        );
        if let Some(user) = user {
            server.push_str(&format!("username={user}\n"));
        }
        Self {
            server,
            context: context.clone(),
            is_missing: false,
        }
    }

    /// Asks for a login. `challenges` are the `WWW-Authenticate` headers of the server. `None` if
    /// no helper has a login, or git is not installed.
    pub(super) fn fill(&mut self, challenges: &[&str]) -> Result<Option<Login>, Failure> {
        let mut description = format!("capability[]=authtype\n{}", self.server);
        for challenge in challenges {
            description.push_str(&format!("wwwauth[]={challenge}\n"));
        }
        let output = self.run("fill", &description)?;
        Ok(output.and_then(|output| Login::from_helper_output(&output)))
    }

    /// Reports to the helper that its login was accepted or rejected. Errors are ignored.
    fn report(&mut self, action: &str, login: &Login) {
        if let Some(output) = &login.output {
            let _ = self.run(action, output.reveal());
        }
    }

    /// Runs `git credential`, and returns its output. `None` if git is not installed, or fails.
    fn run(&mut self, action: &str, description: &str) -> Result<Option<String>, Failure> {
        let mut command = child_process::for_git("git", &self.context.environment);
        command.args(["credential", action]).current_dir("/");
        command.stdin(pipe(description)?);
        let timeout = self.context.remote.timeout;
        let ran = child_process::run_with_limit(
            command,
            &self.context.interrupt,
            OnSignal::Stop,
            timeout.connect + timeout.idle,
        );
        match ran {
            Ok(finished) if finished.status.success() => Ok(Some(finished.stdout)),
            Ok(finished) => {
                tracing::debug!(action, status = %finished.status, "no credential helper returned a login");
                Ok(None)
            }
            Err(RunError::Start(error)) => {
                tracing::debug!(action, %error, "cannot run git for its credential helpers");
                self.is_missing = true;
                Ok(None)
            }
            Err(RunError::NoProgress(limit)) => {
                let limit = humantime::format_duration(limit);
                let detail = format!("a credential helper did not respond within {limit}");
                Err(Failure::new(RemoteErrorKind::TimedOut, detail))
            }
            Err(RunError::Interrupted(signal)) => {
                Err(Failure::of(RemoteErrorKind::Interrupted(signal)))
            }
        }
    }
}

/// The end of a pipe from which `text`, which must fit into the pipe's buffer, can be read.
fn pipe(text: &str) -> io::Result<io::PipeReader> {
    let (reader, mut writer) = io::pipe()?;
    writer.write_all(text.as_bytes())?;
    writer.write_all(b"\n")?;
    Ok(reader)
}

/// The login of `~/.netrc` for this host.
pub(super) fn from_netrc(address: &Address, environment: &Environment) -> Option<Login> {
    let file = Path::new(environment.get("HOME")?).join(".netrc");
    let text = fs::read_to_string(file).ok()?;
    let (user, password) = find_in_netrc(&text, &address.host, address.user.as_deref())?;
    Some(Login::basic(&user, &password))
}

/// The user and the password for `host`, or those of the entry `default`.
fn find_in_netrc(text: &str, host: &str, user: Option<&str>) -> Option<(String, String)> {
    let mut words = text
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'))
        .flat_map(str::split_whitespace);
    let mut is_meant = false;
    let (mut login, mut password) = (None, None);
    let complete = |login: &Option<&str>, password: &Option<&str>| {
        let login = login.filter(|login| user.is_none_or(|user| user == *login))?;
        Some((login.to_owned(), (*password)?.to_owned()))
    };
    while let Some(word) = words.next() {
        match word {
            "machine" | "default" => {
                if let Some(found) = complete(&login, &password) {
                    return Some(found);
                }
                is_meant = word == "default" || words.next()?.eq_ignore_ascii_case(host);
                (login, password) = (None, None);
            }
            "login" if is_meant => login = words.next(),
            "password" if is_meant => password = words.next(),
            _ => {}
        }
    }
    complete(&login, &password)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn netrc_entry_is_chosen_by_host_and_user() {
        let text = "machine other login x password y\n# machine h login no password no\n\
                    machine h login ada password s3cret\nmachine h login bob password two\n\
                    default login anyone password d";
        let pair = |user: &str, password: &str| Some((user.to_owned(), password.to_owned()));
        assert_eq!(find_in_netrc(text, "h", None), pair("ada", "s3cret"));
        assert_eq!(find_in_netrc(text, "h", Some("bob")), pair("bob", "two"));
        assert_eq!(find_in_netrc(text, "else", None), pair("anyone", "d"));
        assert_eq!(find_in_netrc("machine h login x", "h", None), None);
        assert_eq!(find_in_netrc("machine", "h", None), None);
    }

    #[test]
    fn output_of_a_helper_is_a_password_or_a_header() {
        let header = |output: &str| {
            let login = Login::from_helper_output(output)?;
            Some(login.header().reveal().to_owned())
        };
        assert_eq!(
            header("protocol=https\nusername=ada\npassword=s3=cret\n").unwrap(),
            basic(b"ada", b"s3=cret").reveal()
        );
        let bearer = "capability[]=authtype\nauthtype=Bearer\ncredential=t0ken\n";
        assert_eq!(header(bearer).unwrap(), "Bearer t0ken");
        assert_eq!(header("username=ada\n"), None);
    }

    #[test]
    fn debug_output_does_not_show_a_login() {
        for login in [
            Login::basic("ada", "s3cret"),
            Login::from_helper_output("authtype=Bearer\ncredential=s3cret\n").unwrap(),
        ] {
            assert!(!format!("{login:?}").contains("s3cret"));
        }
    }
}
