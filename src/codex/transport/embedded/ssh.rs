//! Who we are to an ssh server, and whether its key is known. The agent's keys are tried, then the usual files, each
//! once; a key behind a passphrase is left to the agent, for nobody is asked. libgit2 compares the server's key with
//! `~/.ssh/known_hosts` and takes no other.

use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use git2::{Cred, CredentialType, ErrorClass, ErrorCode};
use sha1::{Digest, Sha1};

use crate::codex::transport::bound::Bound;
use crate::environment::Environment;
use crate::platform;
use crate::url::RemoteUrl;

const DEFAULT_PORT: u16 = 22;

/// The keys that are left to try.
pub(super) struct Keys {
    user: String,
    agent: bool,
    files: std::vec::IntoIter<PathBuf>,
}

impl Keys {
    pub(super) fn new(bound: &Bound) -> Self {
        let environment = &bound.environment;
        let agent = environment
            .get("SSH_AUTH_SOCK")
            .is_some_and(platform::somebody_listens);
        let names = ["id_ed25519", "id_ecdsa", "id_rsa"];
        let files =
            directory(environment).map(|directory| names.map(|name| directory.join(name)).to_vec());
        let files: Vec<_> = files
            .into_iter()
            .flatten()
            .filter(|path| is_usable(path))
            .collect();
        Self {
            user: user(environment),
            agent,
            files: files.into_iter(),
        }
    }

    /// The next to try; an error once none is left. libgit2 would ask for ever.
    pub(super) fn next(
        &mut self,
        user: Option<&str>,
        allowed: CredentialType,
    ) -> Result<Cred, git2::Error> {
        let user = user.unwrap_or(&self.user);
        if allowed.contains(CredentialType::USERNAME) {
            return Cred::username(user);
        }
        if allowed.contains(CredentialType::SSH_KEY) {
            if std::mem::take(&mut self.agent) {
                return Cred::ssh_key_from_agent(user);
            }
            if let Some(path) = self.files.next() {
                return Cred::ssh_key(user, None, &path, None);
            }
        }
        Err(git2::Error::new(
            ErrorCode::Auth,
            ErrorClass::Ssh,
            "no key of the agent or of `~/.ssh` was taken",
        ))
    }
}

fn directory(environment: &Environment) -> Option<PathBuf> {
    Some(Path::new(environment.get("HOME")?).join(".ssh"))
}

/// Whether the file is a private key that needs no passphrase.
fn is_usable(path: &Path) -> bool {
    let Ok(text) = fs::read_to_string(path) else {
        return false;
    };
    let body: String = text
        .lines()
        .filter(|line| !line.starts_with("-----"))
        .collect();
    match BASE64_STANDARD.decode(body.trim()) {
        // OpenSSH's own format begins with a word and the name of the cipher.
        Ok(data) if data.starts_with(b"openssh-key-v1\0") => {
            data[15..].starts_with(b"\0\0\0\x04none")
        }
        _ => text.contains("PRIVATE KEY-----") && !text.contains("ENCRYPTED"),
    }
}

/// Who ssh logs in as where the URL does not say: the user of this process.
fn user(environment: &Environment) -> String {
    let given = || {
        ["USER", "LOGNAME"]
            .iter()
            .find_map(|name| environment.get(name))
            .map(str::to_owned)
    };
    platform::user_name()
        .or_else(given)
        .unwrap_or_else(|| "git".to_owned())
}

/// Whether `known_hosts` has any key of the URL's host: then it is another one that the server showed.
pub(super) fn knows_host(url: &RemoteUrl, environment: &Environment) -> bool {
    let (Some(host), Some(directory)) = (url.host(), directory(environment)) else {
        return false;
    };
    let known = fs::read_to_string(directory.join("known_hosts")).unwrap_or_default();
    let port = url.port().unwrap_or(DEFAULT_PORT);
    known.lines().any(|line| names_host(line, host, port))
}

/// Whether a line of `known_hosts` is for this host: by name, with its port unless that is the usual one, or hashed.
fn names_host(line: &str, host: &str, port: u16) -> bool {
    let with_port = format!("[{host}]:{port}");
    let forms = if port == DEFAULT_PORT {
        vec![host, &with_port]
    } else {
        vec![with_port.as_str()]
    };
    let names = line.split_whitespace().next().unwrap_or_default();
    let is = |name: &str| match name
        .strip_prefix("|1|")
        .and_then(|hashed| hashed.split_once('|'))
    {
        Some((salt, hash)) => match (BASE64_STANDARD.decode(salt), BASE64_STANDARD.decode(hash)) {
            (Ok(salt), Ok(hash)) => forms
                .iter()
                .any(|form| hmac_sha1(&salt, form.as_bytes()) == hash),
            _ => false,
        },
        None => forms.iter().any(|form| form.eq_ignore_ascii_case(name)),
    };
    names.split(',').any(is)
}

/// RFC 2104, for keys of at most 64 bytes: longer ones are no salt of OpenSSH's.
fn hmac_sha1(key: &[u8], text: &[u8]) -> Vec<u8> {
    let mut block = [0; 64];
    block.iter_mut().zip(key).for_each(|(to, from)| *to = *from);
    let inner = Sha1::new()
        .chain_update(block.map(|byte| byte ^ 0x36))
        .chain_update(text)
        .finalize();
    Sha1::new()
        .chain_update(block.map(|byte| byte ^ 0x5c))
        .chain_update(inner)
        .finalize()
        .to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_found_by_name_port_and_hash() {
        for (line, host, port, known) in [
            ("git.acme.com ssh-ed25519 AAAA", "git.acme.com", 22, true),
            (
                "other,Git.Acme.com ssh-ed25519 AAAA",
                "git.acme.com",
                22,
                true,
            ),
            ("git.acme.com ssh-ed25519 AAAA", "git.acme.com", 2222, false),
            (
                "[git.acme.com]:2222 ssh-ed25519 AAAA",
                "git.acme.com",
                2222,
                true,
            ),
            (
                "[git.acme.com]:2222 ssh-ed25519 AAAA",
                "git.acme.com",
                22,
                false,
            ),
            ("# git.acme.com", "git.acme.com", 22, false),
            ("", "git.acme.com", 22, false),
            ("|1|nonsense", "git.acme.com", 22, false),
        ] {
            assert_eq!(names_host(line, host, port), known, "{line}");
        }
        // RFC 2202, test case 1.
        let hex: String = hmac_sha1(&[0x0b; 20], b"Hi There")
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(hex, "b617318655057264e28bc0b6fb378c8ef146be00");
        // As `ssh-keygen -H` writes it.
        let hash = BASE64_STANDARD.encode(hmac_sha1(b"salt", b"[git.acme.com]:2222"));
        let line = format!(
            "|1|{}|{hash} ssh-ed25519 AAAA",
            BASE64_STANDARD.encode("salt")
        );
        assert!(names_host(&line, "git.acme.com", 2222) && !names_host(&line, "git.acme.com", 22));
    }

    #[test]
    fn keys_behind_a_passphrase_are_left_to_the_agent() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        let openssh = |cipher: &str| {
            let data = [
                b"openssh-key-v1\0\0\0\0",
                &[cipher.len() as u8][..],
                cipher.as_bytes(),
            ]
            .concat();
            let body = BASE64_STANDARD.encode(data);
            format!(
                "-----BEGIN OPENSSH PRIVATE KEY-----\n{body}\n-----END OPENSSH PRIVATE KEY-----\n"
            )
        };
        let pem = |more: &str| {
            format!("-----BEGIN RSA PRIVATE KEY-----\n{more}AAAA\n-----END RSA PRIVATE KEY-----\n")
        };
        for (text, usable) in [
            (openssh("none"), true),
            (openssh("aes256-ctr"), false),
            (pem(""), true),
            (pem("Proc-Type: 4,ENCRYPTED\n\n"), false),
            ("no key".to_owned(), false),
        ] {
            fs::write(&path, &text).unwrap();
            assert_eq!(is_usable(&path), usable, "{text}");
        }
        assert!(!is_usable(&directory.path().join("nothing")));
    }
}
