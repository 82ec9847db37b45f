//! Credentials for a server that asks for some and for which the configuration has no token: `.netrc`, then git's
//! credential helpers.

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use crate::codex::error::RemoteErrorKind;
use crate::codex::remote::address::Address;
use crate::codex::remote::failure::Failure;
use crate::codex::transport::OnSignal;
use crate::codex::transport::bound::Bound;
use crate::codex::transport::process::{self, Failed, Watch};
use crate::environment::Environment;
use crate::interrupt::Interrupt;
use crate::secret::Secret;

/// A user name with a password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Login {
    user: String,
    password: Secret,
    /// Whether a helper gave it, which learns whether it was right.
    from_helper: bool,
}

impl Login {
    /// The value of an `Authorization` header.
    pub(super) fn header(&self) -> Secret {
        let plain = format!("{}:{}", self.user, self.password.reveal());
        Secret::new(format!("Basic {}", BASE64_STANDARD.encode(plain)))
    }

    /// Replaces what would give it away.
    pub(super) fn redacted(&self, text: &str) -> String {
        let header = self.header();
        let encoded = header.reveal().trim_start_matches("Basic ");
        text.replace(encoded, "***")
            .replace(self.password.reveal(), "***")
    }
}

/// The sources of logins for one server, each asked once.
pub(super) struct Logins {
    address: Address,
    environment: Environment,
    interrupt: Interrupt,
    /// How long a helper may take.
    limit: Duration,
    netrc: Option<Login>,
    helpers_asked: bool,
}

impl Logins {
    pub(super) fn new(address: &Address, bound: &Bound) -> Self {
        let timeout = bound.remote.timeout;
        Self {
            netrc: from_netrc(address, &bound.environment),
            address: address.clone(),
            environment: bound.environment.clone(),
            interrupt: bound.interrupt.clone(),
            limit: timeout.connect + timeout.idle,
            helpers_asked: false,
        }
    }

    /// The next login to try.
    pub(super) fn next(&mut self) -> Result<Option<Login>, Failure> {
        if let Some(login) = self.netrc.take() {
            return Ok(Some(login));
        }
        if std::mem::replace(&mut self.helpers_asked, true) {
            return Ok(None);
        }
        let answer = self.helpers("fill", None)?;
        Ok(answer.and_then(|answer| Self::read(&answer)))
    }

    fn read(answer: &str) -> Option<Login> {
        let value = |key: &str| {
            let mut lines = answer.lines().filter_map(|line| line.split_once('='));
            lines.find_map(|(name, value)| (name == key).then(|| value.to_owned()))
        };
        Some(Login {
            user: value("username").unwrap_or_default(),
            password: Secret::new(value("password")?),
            from_helper: true,
        })
    }

    /// Lets the helpers know that a login of theirs was right, so that they may keep it.
    pub(super) fn approve(&self, login: &Login) {
        if login.from_helper {
            // Whether they take notice changes nothing here.
            let _ = self.helpers("approve", Some(login));
        }
    }

    /// Lets the helpers know that a login of theirs was wrong.
    pub(super) fn reject(&self, login: &Login) {
        if login.from_helper {
            let _ = self.helpers("reject", Some(login));
        }
    }

    /// Runs `git credential`; `None` where there is no git, or it has nothing to say.
    fn helpers(&self, action: &str, login: Option<&Login>) -> Result<Option<String>, Failure> {
        let mut command = process::git("git", &self.environment);
        command.args(["credential", action]).current_dir("/");
        command.stdin(self.description(login)?);
        let ran = process::run(
            command,
            &[],
            &self.interrupt,
            OnSignal::Stop,
            Watch::Output,
            |_| self.limit,
            |_| {},
        );
        match ran {
            Ok(finished) if finished.status.success() => Ok(Some(finished.stdout)),
            Ok(finished) => {
                tracing::debug!(action, status = %finished.status, "no credential helper answered");
                Ok(None)
            }
            Err(Failed::Start(error)) => {
                tracing::debug!(action, %error, "git is not there to ask its credential helpers");
                Ok(None)
            }
            Err(Failed::Silent(limit)) => {
                let limit = humantime::format_duration(limit);
                let detail = format!("a credential helper gave no answer for {limit}");
                Err(Failure::new(RemoteErrorKind::TimedOut, detail))
            }
            Err(Failed::Interrupted(signal)) => {
                Err(Failure::of(RemoteErrorKind::Interrupted(signal)))
            }
        }
    }

    /// The server and the login in the form that `git credential` reads, as the end of a pipe.
    fn description(&self, login: Option<&Login>) -> io::Result<io::PipeReader> {
        let address = &self.address;
        let host = address.host_header();
        let path = address.path.trim_start_matches('/');
        let mut text = format!("protocol={}\nhost={host}\npath={path}\n", address.scheme());
        let user = login.map(|login| &login.user).or(address.user.as_ref());
        if let Some(user) = user {
            text.push_str(&format!("username={user}\n"));
        }
        if let Some(login) = login {
            text.push_str(&format!("password={}\n", login.password.reveal()));
        }
        text.push('\n');
        let (reader, mut writer) = io::pipe()?;
        // Shorter than what a pipe holds.
        writer.write_all(text.as_bytes())?;
        Ok(reader)
    }
}

/// The login of `~/.netrc` for this host.
fn from_netrc(address: &Address, environment: &Environment) -> Option<Login> {
    let file = Path::new(environment.get("HOME")?).join(".netrc");
    let text = fs::read_to_string(file).ok()?;
    let (user, password) = find_in_netrc(&text, &address.host, address.user.as_deref())?;
    Some(Login {
        user,
        password: Secret::new(password),
        from_helper: false,
    })
}

/// User and password for `host`, or those of the `default` entry.
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
    fn netrc_is_read_by_host_and_user() {
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
    fn a_login_does_not_show() {
        let login = Login {
            user: "ada".to_owned(),
            password: Secret::new("s3cret"),
            from_helper: true,
        };
        let header = login.header();
        let text = format!("s3cret and {}", header.reveal());
        assert_eq!(login.redacted(&text), "*** and Basic ***");
        assert!(!format!("{login:?}").contains("s3cret"));
    }
}
