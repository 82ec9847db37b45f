//! Repositories behind ssh, reached by the user's ssh program with its configuration, agents and
//! keys.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::failure::Failure;
use super::protocol::capabilities::Service;
use super::service_process::ServiceProgram;
use crate::codex::child_process;
use crate::codex::remote::context::RemoteContext;
use crate::codex::remote::error::RemoteErrorKind;
use crate::environment::Environment;
use crate::interrupt::OnSignal;
use crate::paths::escaped;
use crate::text::shell_quoted;
use crate::workspace::Timeouts;

/// The time limit for ssh to print its configuration.
const SHOW_LIMIT: Duration = Duration::from_secs(30);

/// The location of a repository on a server.
#[derive(Debug, Clone, PartialEq, Eq)]
struct SshDestination {
    /// `HOST` or `USER@HOST`.
    host: String,
    port: Option<u16>,
    path: String,
}

/// The program that runs the services of the repository at `url`. An error if the ssh program is
/// not OpenSSH's.
pub(super) fn program(url: &str, context: &RemoteContext) -> Result<ServiceProgram, Failure> {
    let location = SshDestination::parse(url)
        .ok_or_else(|| Failure::NeedsGit("its ssh address is unusual".to_owned()))?;
    let ssh = SshCommand::configured(context);
    let variant = context
        .environment
        .get("GIT_SSH_VARIANT")
        .or(context.settings.get("ssh.variant"));
    if !ssh.is_openssh(variant) {
        return Err(Failure::NeedsGit(
            "the ssh program is not OpenSSH's".to_owned(),
        ));
    }
    let options = match ssh {
        SshCommand::Default => own_options(context.remote.timeout),
        // A command that the user chose contains the options that the user wants.
        SshCommand::Line(_) | SshCommand::ServiceProgram(_) => Vec::new(),
    };
    let environment = context.environment.clone();
    let command = move |service: Service| {
        let mut command = ssh.command(&environment);
        if service == Service::UploadPack {
            command.env("GIT_PROTOCOL", "version=2");
            command.args(["-o", "SendEnv=GIT_PROTOCOL"]);
        }
        for option in &options {
            command.args(["-o", option]);
        }
        if let Some(port) = location.port {
            command.args(["-p", &port.to_string()]);
        }
        let remote = format!("{} {}", service.name(), shell_quoted(&location.path));
        command.args([location.host.as_str(), &remote]);
        command
    };
    Ok(ServiceProgram {
        command: Box::new(command),
        missing: RemoteErrorKind::NoSsh,
        need: "an ssh URL is reached with the user's ssh program",
        accepts_socket: false,
    })
}

/// Whether the user configured the ssh command.
pub(in crate::codex) fn is_configured(context: &RemoteContext) -> bool {
    !matches!(SshCommand::configured(context), SshCommand::Default)
}

/// The options of the default ssh command: it never prompts, and gives up if the server does not
/// respond.
pub(in crate::codex) fn own_options(timeout: Timeouts) -> Vec<String> {
    vec![
        "BatchMode=yes".to_owned(),
        format!("ConnectTimeout={}", timeout.connect.as_secs().max(1)),
        format!(
            "ServerAliveInterval={}",
            (timeout.idle.as_secs() / 3).max(1)
        ),
        "ServerAliveCountMax=3".to_owned(),
    ]
}

/// The command that a user runs after the host's key was checked: it adds the key of an unknown
/// host, or removes the old key of a host whose key has changed. `None` for other errors, and if ssh
/// does not print its configuration.
pub(in crate::codex) fn host_key_command(
    kind: RemoteErrorKind,
    context: &RemoteContext,
) -> Option<String> {
    match kind {
        RemoteErrorKind::SshHostUnknown => Some(HostKeySettings::read(context)?.scan_command()),
        RemoteErrorKind::SshHostChanged => Some(HostKeySettings::read(context)?.removal_command()),
        _ => None,
    }
}

/// The settings of the user's ssh configuration that decide under which name and in which file the
/// key of a host is stored. All values are escaped for messages.
#[derive(Debug, Clone, PartialEq, Eq)]
struct HostKeySettings {
    host: String,
    /// The port, if it is not 22.
    port: Option<String>,
    /// The name that the key is stored under instead of host and port (`HostKeyAlias`).
    alias: Option<String>,
    /// The first file of known hosts.
    file: String,
}

/// The file of known hosts that ssh uses without a setting.
const KNOWN_HOSTS: &str = "~/.ssh/known_hosts";

impl HostKeySettings {
    /// Reads the settings for the remote's host from the output of `ssh -G`.
    fn read(context: &RemoteContext) -> Option<Self> {
        let location = SshDestination::parse(&context.remote.url.written())?;
        let mut command = SshCommand::configured(context).command(&context.environment);
        command.arg("-G");
        if let Some(port) = location.port {
            command.args(["-p", &port.to_string()]);
        }
        command.arg(&location.host);
        let finished =
            child_process::run_with_limit(command, &context.interrupt, OnSignal::Stop, SHOW_LIMIT)
                .ok()
                .filter(|finished| finished.status.success())?;
        let home = context.environment.get("HOME").unwrap_or_default();
        Self::parse(&finished.stdout, home)
    }

    /// Parses the output of `ssh -G`. Paths below `home` are abbreviated to `~`.
    fn parse(shown: &str, home: &str) -> Option<Self> {
        let value = |wanted: &str| {
            let value = shown.lines().find_map(|line| {
                let (key, value) = line.split_once(' ')?;
                (key == wanted).then_some(value)
            })?;
            let first = value.split(' ').next()?;
            Some(escaped(first.as_bytes()).to_string())
        };

        let file = value("userknownhostsfile").unwrap_or_else(|| KNOWN_HOSTS.to_owned());
        Some(Self {
            host: value("hostname")?,
            port: value("port").filter(|port| port != "22"),
            alias: value("hostkeyalias"),
            file: match file.strip_prefix(home).filter(|_| !home.is_empty()) {
                Some(rest) => format!("~{rest}"),
                None => file,
            },
        })
    }

    /// The command that adds the key of the host.
    fn scan_command(&self) -> String {
        let Self { host, file, .. } = self;
        let port = self.port.iter().map(|port| format!("-p {port} "));
        let port: String = port.collect();
        let alias = self.alias.iter();
        let alias: String = alias
            .map(|alias| format!(" | sed 's/^[^ ]*/{alias}/'"))
            .collect();
        format!("ssh-keyscan {port}{host}{alias} >> {file}")
    }

    /// The command that removes the stored key of the host.
    fn removal_command(&self) -> String {
        let name = match (&self.alias, &self.port) {
            (Some(alias), _) => alias.clone(),
            (None, Some(port)) => format!("'[{}]:{port}'", self.host),
            (None, None) => self.host.clone(),
        };
        if self.file == KNOWN_HOSTS {
            format!("ssh-keygen -R {name}")
        } else {
            format!("ssh-keygen -f {} -R {name}", self.file)
        }
    }
}

impl SshDestination {
    /// Parses `ssh://[USER@]HOST[:PORT]/PATH` or `[USER@]HOST:PATH`.
    fn parse(url: &str) -> Option<Self> {
        let location = match url.split_once("://") {
            Some((_, rest)) => {
                let (authority, path) = rest.split_at(rest.find('/')?);
                let (host, port) = split_port(authority)?;
                // `/~` is a home directory on the server.
                let path = path
                    .strip_prefix('/')
                    .filter(|path| path.starts_with('~'))
                    .unwrap_or(path);
                Self {
                    host,
                    port,
                    path: path.to_owned(),
                }
            }
            None => {
                let (host, path) = url.split_once(':')?;
                Self {
                    host: host.to_owned(),
                    port: None,
                    path: path.to_owned(),
                }
            }
        };
        let name = location.host.rsplit('@').next().unwrap_or_default();
        let is_option = location.host.starts_with('-') || name.starts_with('-');
        let usable = !name.is_empty() && !is_option && !location.path.starts_with('-');
        // git has special rules for an address in brackets without a scheme.
        (usable && !name.starts_with('[')).then_some(location)
    }
}

/// Splits `[USER@]HOST[:PORT]`, and removes the brackets of an IPv6 address.
fn split_port(authority: &str) -> Option<(String, Option<u16>)> {
    let (user, host) = match authority.rsplit_once('@') {
        Some((user, host)) => (Some(user), host),
        None => (None, authority),
    };
    let (host, rest) = match host.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?,
        None => host.split_at(host.find(':').unwrap_or(host.len())),
    };
    let port = match rest.strip_prefix(':') {
        Some("") | None => None,
        Some(port) => Some(port.parse().ok()?),
    };
    // A password in a URL is never used for ssh.
    let user = user.and_then(|user| user.split(':').next());
    let host = match user {
        Some(user) => format!("{user}@{host}"),
        None => host.to_owned(),
    };
    Some((host, port))
}

/// The ssh command.
enum SshCommand {
    /// A command line for the shell (`GIT_SSH_COMMAND`, `core.sshCommand`).
    Line(String),
    /// A program (`GIT_SSH`).
    ServiceProgram(String),
    /// `ssh`, as the user configured no other.
    Default,
}

impl SshCommand {
    fn configured(context: &RemoteContext) -> Self {
        let environment = &context.environment;
        let line = environment
            .get("GIT_SSH_COMMAND")
            .or(context.settings.get("core.sshcommand"))
            .filter(|line| !line.is_empty());
        match (line, environment.get("GIT_SSH")) {
            (Some(line), _) => Self::Line(line.to_owned()),
            (None, Some(program)) => Self::ServiceProgram(program.to_owned()),
            (None, None) => Self::Default,
        }
    }

    fn is_openssh(&self, variant: Option<&str>) -> bool {
        if let Some(variant) = variant.filter(|variant| *variant != "auto") {
            return variant == "ssh";
        }
        let program = match self {
            Self::Line(line) => line.split_whitespace().next().unwrap_or_default(),
            Self::ServiceProgram(program) => program,
            Self::Default => "ssh",
        };
        Path::new(program)
            .file_name()
            .is_some_and(|name| name == "ssh")
    }

    fn command(&self, environment: &Environment) -> Command {
        match self {
            Self::Default => child_process::for_git("ssh", environment),
            Self::ServiceProgram(program) => child_process::for_git(program, environment),
            Self::Line(line) => {
                let mut command = child_process::for_git("sh", environment);
                // The following arguments are appended to the command line, each as one word.
                command.args(["-c", &format!("{line} \"$@\""), line]);
                command
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_for_host_keys_follow_the_configuration_of_ssh() {
        let own = "/home/ada/.ssh/known_hosts /home/ada/.ssh/known_hosts2";
        for (shown, scan, removal) in [
            (
                format!("hostname git.acme.com\nport 22\nuserknownhostsfile {own}\n"),
                "ssh-keyscan git.acme.com >> ~/.ssh/known_hosts",
                "ssh-keygen -R git.acme.com",
            ),
            (
                format!("hostname git.acme.com\nport 2222\nuserknownhostsfile {own}\n"),
                "ssh-keyscan -p 2222 git.acme.com >> ~/.ssh/known_hosts",
                "ssh-keygen -R '[git.acme.com]:2222'",
            ),
            (
                "hostname git.acme.com\nport 2222\nhostkeyalias codex\nuserknownhostsfile /etc/ssh/hosts\n"
                    .to_owned(),
                "ssh-keyscan -p 2222 git.acme.com | sed 's/^[^ ]*/codex/' >> /etc/ssh/hosts",
                "ssh-keygen -f /etc/ssh/hosts -R codex",
            ),
        ] {
            let settings = HostKeySettings::parse(&shown, "/home/ada").unwrap();
            assert_eq!(settings.scan_command(), scan);
            assert_eq!(settings.removal_command(), removal);
        }
    }

    #[test]
    fn every_form_of_url_is_parsed() {
        for (url, host, port, path) in [
            (
                "ssh://git@h:2222/docs/x.git",
                "git@h",
                Some(2222),
                "/docs/x.git",
            ),
            ("ssh://h/~me/x.git", "h", None, "~me/x.git"),
            ("ssh://[::1]:22/x", "::1", Some(22), "/x"),
            (
                "git@Host-Alias:acme/x.git",
                "git@Host-Alias",
                None,
                "acme/x.git",
            ),
        ] {
            let expected = SshDestination {
                host: host.to_owned(),
                port,
                path: path.to_owned(),
            };
            assert_eq!(SshDestination::parse(url), Some(expected), "{url}");
        }
        for bad in [
            "ssh://-oProxyCommand=x/y",
            "ssh://h",
            "-h:x",
            "h:-x",
            "ssh://h:x/y",
            ":x",
        ] {
            assert_eq!(SshDestination::parse(bad), None, "{bad}");
        }
    }
}
