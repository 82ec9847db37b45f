//! Errors of signing.

use super::storage::{store_hint, store_kind};
use crate::codex::signing::{SignatureFormat, SigningError};

pub(super) fn signing_kind(error: &SigningError) -> &'static str {
    match error {
        SigningError::InvalidSetting { .. }
        | SigningError::NoKey
        | SigningError::KeyCommand { .. }
        | SigningError::RelativeProgram { .. } => "signing-configuration",
        SigningError::Program { .. } => "signing-program",
        SigningError::KeyMissing { .. } => "signing-key-missing",
        SigningError::KeyLocked { .. } => "signing-key-locked",
        SigningError::TimedOut { .. } => "signing-timed-out",
        SigningError::Failed { .. } => "signing-failed",
        SigningError::Store(store) => store_kind(store),
        SigningError::Interrupted(_) => "interrupted",
    }
}

/// The suggestions for an error of signing. The last one is always to publish unsigned commits.
pub(super) fn signing_hints(error: &SigningError) -> Vec<String> {
    let set = "git config --global";
    let hint = match error {
        SigningError::InvalidSetting { key, .. } => format!("correct it: `{set} {key} VALUE`"),
        SigningError::NoKey => {
            format!("name the key: `{set} user.signingkey ~/.ssh/id_ed25519.pub`")
        }
        SigningError::KeyCommand { .. } => {
            "its first line of output must be `key::` and a public key, or begin with `ssh-`".to_owned()
        }
        SigningError::RelativeProgram { key, .. } => {
            format!("use an absolute path, or the name of a program in `PATH`: `{set} {key} PROGRAM`")
        }
        SigningError::Program { key, .. } => {
            format!("install it, or use another program: `{set} {key} PROGRAM`")
        }
        SigningError::KeyMissing { format, .. } => match format {
            SignatureFormat::Ssh => {
                "check `user.signingkey` of git; if only the public key is in a file, the agent must have the private one (`ssh-add -L`)"
                    .to_owned()
            }
            SignatureFormat::OpenPgp | SignatureFormat::X509 => {
                let program = format.default_program();
                format!("select one of `{program} --list-secret-keys`: `{set} user.signingkey KEY`")
            }
        },
        SigningError::KeyLocked { format, key, .. } => match format {
            SignatureFormat::Ssh => format!("add it to the agent: `ssh-add {}`", key.trim_end_matches(".pub")),
            SignatureFormat::OpenPgp | SignatureFormat::X509 => {
                "unlock it: sign anything with it in a terminal, after `export GPG_TTY=$(tty)`".to_owned()
            }
        },
        SigningError::TimedOut { .. } => {
            "run again, and confirm in the program's window or on the hardware key".to_owned()
        }
        SigningError::Failed { .. } => {
            "check that git can sign with this key: `git commit --allow-empty -S` in a scratch repository".to_owned()
        }
        SigningError::Store(store) => return vec![store_hint(store)],
        SigningError::Interrupted(_) => return Vec::new(),
    };
    let unsigned = "or publish unsigned commits: `--config commit.sign=never`";
    vec![hint, unsigned.to_owned()]
}
