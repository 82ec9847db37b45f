//! Pushes that the server rejected.

use crate::codex::remote::{Rejection, RejectionKind};
use crate::names::ProjectName;

/// The hint for a push that is too large for the server.
pub(super) const SIZE_LIMIT_HINT: &str = "raise the server's limit for the size of a push (nginx: `client_max_body_size`, git: `receive.maxInputSize`)";

/// The maximum number of projects that the hint for a rejected push names.
const MAX_NAMED: usize = 10;

/// The identifier of a rejected push. All reasons but the size have the same one, because servers
/// do not give them in a form that programs can rely on.
pub(super) fn rejection_kind(rejection: &Rejection) -> &'static str {
    match rejection.kind {
        RejectionKind::TooLarge => "too-large",
        _ => "declined",
    }
}

pub(super) fn rejection_hints(
    rejection: &Rejection,
    named: &[ProjectName],
    others: &[ProjectName],
) -> Vec<String> {
    if rejection.is_of_hidden_branch() {
        return vec![
            "the server hides this branch from clients (`transfer.hideRefs`): use another branch (`remote.branch`), or change that setting"
                .to_owned(),
        ];
    }

    if rejection.kind == RejectionKind::TooLarge {
        let fewer = "or publish fewer projects per run with `-p NAME`";
        return [SIZE_LIMIT_HINT]
            .into_iter()
            .chain((others.len() > 1).then_some(fewer))
            .map(str::to_owned)
            .collect();
    }

    if rejection.is_of_nested_branch() {
        return vec![NESTED_BRANCH_HINT.to_owned()];
    }

    if rejection.kind == RejectionKind::BranchClosed {
        return vec![protected_branch_hint()];
    }
    if rejection.kind == RejectionKind::SignatureRequired {
        return vec![
            "sign the commits: set `commit.sign: always` and git's `user.signingkey`, and register the key on the server"
                .to_owned(),
        ];
    }

    let mut rejected = "the branch may be protected, or a server hook rejects the push".to_owned();
    if !rejection.words.is_empty() {
        rejected.push_str(": see the server's message");
    }
    [rejected]
        .into_iter()
        .chain(isolation_hint(named, others))
        .collect()
}

/// The hint for a branch that cannot exist beside another one.
pub(super) const NESTED_BRANCH_HINT: &str = "a branch of the server has a name that begins or continues this one: set another name with `push.branch`";

/// The way past a branch that accepts no push from this user.
fn protected_branch_hint() -> String {
    "the server accepts no push to this branch from you: push to a sync branch for a review (`push.mode: branch`), get permission to push, or use another branch (`remote.branch`, `push.branch`)"
        .to_owned()
}

/// How to publish the projects that a rejection is not about. `named` are the projects that the
/// server's message names.
fn isolation_hint(named: &[ProjectName], others: &[ProjectName]) -> Option<String> {
    let quoted = |names: &[ProjectName]| {
        let names = names.iter().map(|name| format!("`{name}`"));
        names.collect::<Vec<_>>().join(", ")
    };
    match (named, others) {
        ([], [] | [_]) => None,
        ([], _) => Some(
            "if the server rejects only some projects, publish the others with `push.on_declined: isolate` or `-p NAME`".to_owned(),
        ),
        (named, others) if named.len() <= MAX_NAMED && others.len() <= MAX_NAMED => {
            let options: String = others.iter().map(|name| format!(" -p {name}")).collect();
            Some(format!(
                "the server names {}; publish the others with `fractary-codex sync{options}`",
                quoted(named)
            ))
        }
        (named, _) => Some(format!(
            "the server names {}; publish the others with `-p NAME`",
            quoted(&named[..named.len().min(MAX_NAMED)])
        )),
    }
}
