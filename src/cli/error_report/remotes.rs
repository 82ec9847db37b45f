//! Errors of the connection to a remote.

use crate::codex::remote::error::{RemoteError, RemoteErrorKind};

/// The messages of git and of the server, and the credentials that were tried.
pub(super) fn remote_details(error: &RemoteError) -> Vec<String> {
    error.detail.iter().chain(&error.tried).cloned().collect()
}

/// The suggested fix for an error of the remote. `None` if a signal ended the operation.
pub(super) fn remote_hint(error: &RemoteError) -> Option<String> {
    let RemoteError { place, url, .. } = error;
    let host = ssh_arguments(place);

    let hint = match error.kind {
        RemoteErrorKind::NoCredentials => {
            "set `remote.token` (or `FRACTARY_CODEX_REMOTE__TOKEN`), or store credentials with `git credential approve`"
        }
        RemoteErrorKind::WrongCredentials => {
            "check that the token is correct and not expired, and that `remote.username` is the user that the server expects"
        }
        RemoteErrorKind::Forbidden if !url.starts_with("http") => {
            "the key is valid but lacks access: give it read and write access to the codex"
        }
        RemoteErrorKind::Forbidden => {
            "the credentials are valid but lack access: give the token read and write access to the codex"
        }
        RemoteErrorKind::NotFound => {
            "check `remote.url` (or `organization` and `codex_repo`); servers also report this if the token lacks access to the repository"
        }
        RemoteErrorKind::HostUnknown => "check the host name in `remote.url`, and the network",
        RemoteErrorKind::Refused => {
            "check the host and port in `remote.url` and that the server is running"
        }
        RemoteErrorKind::TimedOut => {
            "try again; if the server is slow, raise `remote.timeout.idle`"
        }
        RemoteErrorKind::Tls => {
            "install the certificate authority of the server, or set git's `http.sslCAInfo` to its file"
        }
        RemoteErrorKind::SshKeyRefused => {
            return Some(format!(
                "check which key is used: `ssh -v {host}`; in CI, start an agent with the deploy key"
            ));
        }
        RemoteErrorKind::SshHostUnknown => {
            let scan = error
                .advice
                .command
                .clone()
                .unwrap_or_else(|| format!("ssh-keyscan {host} >> ~/.ssh/known_hosts"));
            return Some(format!(
                "compare its key with the published one, then add it: `{scan}`"
            ));
        }
        RemoteErrorKind::SshHostChanged => {
            let removal = error
                .advice
                .command
                .clone()
                .unwrap_or_else(|| format!("ssh-keygen -R {}", known_host(place)));
            return Some(format!(
                "this may be an attack: compare the host's new key with the published one before you remove the old key: `{removal}`"
            ));
        }
        RemoteErrorKind::ServerWithoutGit => {
            return Some(format!(
                "install git on the server, so that `ssh {host} git --version` works"
            ));
        }
        RemoteErrorKind::ShellNoise => {
            return Some(format!(
                "make the shell's start files silent for logins without a terminal; this must print nothing: `ssh {host} true`"
            ));
        }
        RemoteErrorKind::ServerOwnership => {
            "on the server, as the login user, run `git config --global --add safe.directory PATH`, or change the owner"
        }
        RemoteErrorKind::PlainHttp => {
            "set `remote.url` to a port that serves https, or to `http://…` if the network is trusted"
        }
        RemoteErrorKind::Proxy => {
            "check git's `http.proxy` (`git config --show-origin --get-all http.proxy`) and the variables `http_proxy`, `https_proxy`, `all_proxy` and `no_proxy`"
        }
        RemoteErrorKind::NotGit => {
            "check `remote.url`: it must be a URL that `git clone` accepts; the response may also be the login page of a proxy"
        }
        RemoteErrorKind::RateLimited => match error.advice.retry_after {
            Some(wait) => {
                return Some(format!("run again in {}", humantime::format_duration(wait)));
            }
            None => {
                "run again later, or use your own credentials: many servers allow more requests with them"
            }
        },
        RemoteErrorKind::ObjectFormat => {
            "use a codex that stores SHA-1 objects: `git init --bare --object-format=sha1`"
        }
        RemoteErrorKind::Unadvertised => {
            "set `uploadpack.allowAnySHA1InWant` to `true` on the server"
        }
        RemoteErrorKind::GitConfig => {
            "correct the file and line that git names; `git config --list --show-origin` checks it"
        }
        RemoteErrorKind::Rewritten => {
            "find and change the rule: `git config --show-origin --get-regexp 'url\\..*insteadof'`"
        }
        RemoteErrorKind::Redirected => "set `remote.url` to the target URL",
        RemoteErrorKind::Insecure => {
            return Some(format!(
                "use https for `{url}`, or set `remote.allow_insecure: true` if the network is trusted"
            ));
        }
        RemoteErrorKind::BranchMissing => {
            "set `remote.branch` to an existing branch; servers also report this if they hide the branch from you"
        }
        RemoteErrorKind::DubiousOwnership => {
            return Some(format!(
                "if this is intended (in a container, for example), run `git config --global --add safe.directory {url}`"
            ));
        }
        RemoteErrorKind::Damaged => {
            "check the repository with `git fsck --strict` where it is stored; a clone has copies of its objects"
        }
        RemoteErrorKind::ServerFailure => "try again later",
        RemoteErrorKind::RequestRefused => {
            "check `remote.url`, and that the server and its proxies accept pushes over http"
        }
        RemoteErrorKind::NoTransport => "install git 2.31 or newer",
        RemoteErrorKind::ProtocolNotAllowed => {
            "change `GIT_ALLOW_PROTOCOL`, or find the setting: `git config --show-origin --get-regexp '^protocol\\.'`"
        }
        RemoteErrorKind::NotCreated => {
            "check the path in `remote.url`, and that its directory is writable"
        }
        RemoteErrorKind::NoSsh => {
            "install OpenSSH's client, or correct `GIT_SSH_COMMAND` or `core.sshCommand`"
        }
        RemoteErrorKind::NeedsGit => {
            "use `remote.transport: auto`, which runs `git` for this remote"
        }
        RemoteErrorKind::DiskFull => "free some space, or set `TMPDIR` to another directory",
        RemoteErrorKind::Interrupted(_) => return None,
        RemoteErrorKind::Other => "run again with `-vv` to see what git did",
    };
    Some(hint.to_owned())
}

/// The arguments of ssh's programs for a host, which may end with a port.
fn ssh_arguments(place: &str) -> String {
    match place.rsplit_once(':') {
        Some((host, port)) if port.parse::<u16>().is_ok() => format!("-p {port} {host}"),
        _ => place.to_owned(),
    }
}

/// The name of a host, which may end with a port, in a file of known hosts, quoted for a shell.
fn known_host(place: &str) -> String {
    match place.rsplit_once(':') {
        Some((host, port)) if port.parse::<u16>().is_ok() => format!("'[{host}]:{port}'"),
        _ => place.to_owned(),
    }
}
