//! Every error that a user can meet: its kind, its exit status and what to do about it. The one table of all three.

use std::error::Error;
use std::io;

use crate::cache::CacheError;
use crate::codex::error::{RemoteError, RemoteErrorKind};
use crate::codex::store::StoreError;
use crate::codex::transport::RefusalKind;
use crate::codex::transport::words::marked;
use crate::config::Direction;
use crate::config::problem::Problems;
use crate::config::tree::key_path;
use crate::interrupt::{Interrupt, Interrupted};
use crate::names::ProjectName;
use crate::outcome::{ProjectError, ProjectOutcome, ProjectReport, Pushed, SyncError, SyncOutcome};
use crate::paths::escaped;
use crate::plan::Withheld;
use crate::platform;
use crate::report::ErrorReport;
use crate::scan::ScanError;
use crate::text::pluralize;
use crate::workspace::SelectError;

/// Exit statuses, as `--help` and the README tell them.
pub(crate) mod exit {
    /// Done, or nothing to do.
    pub(crate) const DONE: u8 = 0;
    /// Some projects failed or were withheld; the others are done.
    pub(crate) const SOME_FAILED: u8 = 1;
    /// Wrong usage.
    pub(crate) const USAGE: u8 = 2;
    /// Wrong configuration.
    pub(crate) const CONFIGURATION: u8 = 3;
    /// The remote cannot be reached, found, read or authenticated to.
    pub(crate) const REMOTE: u8 = 4;
    /// The push was refused, or retries are used up.
    pub(crate) const PUSH: u8 = 5;
    /// `--check`: out of date.
    pub(crate) const OUT_OF_DATE: u8 = 6;
    /// A bug.
    pub(crate) const BUG: u8 = 70;
}

/// An error, worded, with its exit status.
#[derive(Debug)]
pub(crate) struct Failure {
    /// What every output shows.
    pub(crate) report: ErrorReport,
    /// The exit status.
    pub(crate) exit: u8,
}

impl Failure {
    /// An error that has no deeper cause.
    pub(crate) fn new(
        exit: u8,
        kind: &'static str,
        message: impl Into<String>,
        hints: Vec<String>,
    ) -> Self {
        Self {
            report: ErrorReport {
                kind,
                message: message.into(),
                hints,
                causes: Vec::new(),
            },
            exit,
        }
    }
}

/// What is wrong with the configuration, all of it.
pub(crate) fn of_configuration(problems: &Problems) -> Failure {
    let told: Vec<_> = problems
        .iter()
        .map(|problem| (problem.to_string(), problem.hint.clone()))
        .collect();
    if let [(message, hint)] = told.as_slice() {
        return Failure::new(
            exit::CONFIGURATION,
            "configuration",
            message,
            hint.iter().cloned().collect(),
        );
    }
    let message = format!("the configuration has {} mistakes", told.len());
    let mut failure = Failure::new(exit::CONFIGURATION, "configuration", message, Vec::new());
    failure.report.causes = told
        .into_iter()
        .map(|(message, hint)| match hint {
            Some(hint) => format!("{message} ({hint})"),
            None => message,
        })
        .collect();
    failure
}

/// Which projects were meant cannot be told.
pub(crate) fn of_selection(error: &SelectError) -> Failure {
    let listed = |known: &[String]| {
        let shown = known
            .iter()
            .take(20)
            .map(|name| format!("`{name}`"))
            .collect::<Vec<_>>()
            .join(", ");
        let rest = known.len().saturating_sub(20);
        let more = if rest > 0 {
            format!(" and {rest} more")
        } else {
            String::new()
        };
        format!("the projects are {shown}{more}")
    };
    let hints = match error {
        SelectError::Unknown {
            close: Some(close), ..
        } => vec![format!("did you mean `{close}`?")],
        SelectError::Unknown { known, .. } | SelectError::NoMatch { known, .. } => {
            vec![listed(known)]
        }
        SelectError::BadPattern(_) => Vec::new(),
        SelectError::Unclear { known } => {
            vec![
                "name some with `-p NAME`, or take all with `--all`".to_owned(),
                listed(known),
            ]
        }
    };
    Failure::new(exit::USAGE, "usage", error.to_string(), hints)
}

/// The exit status of a whole run. A run that a signal asked to stop ends with that signal, however far it got.
pub(crate) fn exit_status(outcome: &SyncOutcome, interrupt: &Interrupt) -> u8 {
    if let Err(interrupted) = interrupt.check() {
        return signal_exit(interrupted);
    }
    let unready = |project: &ProjectReport| project.outcome.status().is_held_up();
    match &outcome.failure {
        Some(error) => of_run(error).exit,
        None if outcome.projects.iter().any(unready) => exit::SOME_FAILED,
        None => exit::DONE,
    }
}

/// Of several exit statuses, the one that is told: a signal, usage, configuration, remote, push, some failed.
pub(crate) fn first_exit(statuses: impl Iterator<Item = u8>) -> u8 {
    let rank = |status: &u8| match *status {
        exit::DONE => u8::MAX,
        // A run that a signal asked to stop ends with that signal.
        signal if signal > 128 => 0,
        exit::SOME_FAILED => exit::PUSH + 1,
        exit::OUT_OF_DATE => exit::PUSH + 2,
        other => other,
    };
    statuses.min_by_key(rank).unwrap_or(exit::DONE)
}

/// What ended a run. That nothing was pushed is said where a user would ask: only the outcome knows it.
pub(crate) fn of_outcome(outcome: &SyncOutcome) -> Option<Failure> {
    let error = outcome.failure.as_ref()?;
    let mut failure = of_run(error);
    let is_asked = matches!(error, SyncError::Interrupted(_) | SyncError::Store(_));
    let pushes = outcome.direction != Direction::FromCodex && !outcome.dry_run;
    if is_asked && pushes && outcome.pushed == Pushed::No {
        failure.report.message.push_str("; nothing was pushed");
    }
    Some(failure)
}

/// What ended a run, or one of its steps.
pub(crate) fn of_run(error: &SyncError) -> Failure {
    let again = "run again: what landed is found up to date, what did not is pushed".to_owned();
    let (exit, kind, hints) = match error {
        SyncError::Remote(remote) => (remote_exit(remote), remote.kind.name(), remote_hints(remote)),
        SyncError::Store(store) => store_failure(store),
        SyncError::Declined { refusal, .. } if refusal.reason.contains("hidden ref") => (
            exit::PUSH,
            "declined",
            vec![
                "the server hides this branch from clients (`transfer.hideRefs` there): use another branch (`remote.branch`), or change that setting"
                    .to_owned(),
            ],
        ),
        SyncError::Declined { refusal, others, .. } if refusal.kind == RefusalKind::TooLarge => {
            let limit = "raise the server's limit for the size of a push (nginx: `client_max_body_size`, git: `receive.maxInputSize`)";
            let mut hints = vec![limit.to_owned()];
            if others.len() > 1 {
                hints.push("or publish fewer projects at a time with `-p NAME`".to_owned());
            }
            (exit::PUSH, "too-large", hints)
        }
        SyncError::Declined { named, others, .. } => {
            let mut hints = vec![
                "the branch may be protected, or a hook of the server refuses the push: go by what the server said"
                    .to_owned(),
            ];
            hints.extend(isolation(named, others));
            (exit::PUSH, "declined", hints)
        }
        SyncError::RetriesExhausted { .. } => (
            exit::PUSH,
            "retries-exhausted",
            vec!["nothing is lost: run again, or allow more tries with `--retries N` (`push.retries`)".to_owned()],
        ),
        SyncError::BranchGone { branch, .. } => {
            let branch = escaped(branch.as_bytes());
            let hint = format!("restore `{branch}` on the server, or set `remote.branch` to its new name, and run again");
            (exit::PUSH, "branch-gone", vec![hint])
        }
        SyncError::LandedThenRemoved { .. } => (
            exit::PUSH,
            "landed-then-removed",
            vec!["another client rewrote the branch during the run: find out which one force-pushes, then run again".to_owned()],
        ),
        SyncError::NotInBranch { branch, .. } => {
            let branch = escaped(branch.as_bytes());
            let hint = format!("look for a new review (pull request, change) on the server; `{branch}` may only accept changes that way");
            (exit::PUSH, "not-in-branch", vec![hint])
        }
        SyncError::Unverified { source, .. } => {
            (exit::REMOTE, "unverified", [vec![again], remote_hints(source)].concat())
        }
        SyncError::NoVerdict { .. } => {
            let hint = "for hooks that take their time raise `remote.timeout.push_verdict`".to_owned();
            (exit::REMOTE, "no-verdict", vec![again, hint])
        }
        SyncError::LocalMissing { path } => (
            exit::REMOTE,
            "not-found",
            vec![format!("set `remote.create: true` to make it, or make it with `git init --bare {path}`")],
        ),
        SyncError::BranchMissing { branch, head, environment, .. } => {
            let branch = escaped(branch.as_bytes());
            let mut hints = vec![format!(
                "set `remote.create: true` to start `{branch}` from the remote's HEAD, unless the server hides the branch from you"
            )];
            hints.extend(head.as_ref().map(|head| escaped(head.as_bytes())).map(|head| {
                let key = environment
                    .as_ref()
                    .map_or("remote.branch".to_owned(), |environment| key_path(&["sync", "environments", environment]));
                format!("or sync to `{head}`, the branch of its HEAD: `--config {key}={head}`")
            }));
            (exit::REMOTE, "branch-missing", hints)
        }
        SyncError::NothingRecorded { .. } => (
            exit::REMOTE,
            "nothing-recorded",
            vec!["run a sync, which records what it saw, or leave `--offline` out".to_owned()],
        ),
        SyncError::Atomic => (
            exit::SOME_FAILED,
            "atomic",
            vec![
                "mend the projects that failed or are withheld, or leave `--atomic` out to land the others".to_owned(),
            ],
        ),
        SyncError::Interrupted(interrupted) => (signal_exit(*interrupted), "interrupted", Vec::new()),
    };
    let mut causes = Vec::new();
    match error {
        SyncError::Remote(remote)
        | SyncError::Unverified { source: remote, .. }
        | SyncError::NoVerdict { source: remote, .. } => {
            if !matches!(error, SyncError::Remote(_)) {
                causes.push(remote.to_string());
            }
            causes.extend(remote.detail.iter().chain(&remote.tried).cloned());
        }
        SyncError::Declined { refusal, .. } => causes.extend(marked(&refusal.words)),
        SyncError::RetriesExhausted { words, .. } | SyncError::LandedThenRemoved { words, .. } => {
            causes.extend(marked(words))
        }
        SyncError::NotInBranch { instead, words, .. } => {
            causes.push(match instead {
                Some(instead) => format!("the server updated `{instead}` instead"),
                None => "the server turned the push into a review, or the commits landed, then removed by another client".to_owned(),
            });
            causes.extend(marked(words));
        }
        SyncError::Interrupted(_) => {}
        _ => causes.extend(sources(error)),
    }
    Failure {
        report: ErrorReport {
            kind,
            message: error.to_string(),
            hints,
            causes,
        },
        exit,
    }
}

/// The most projects that a hint names.
const NAMED: usize = 10;

/// How to publish the projects that a refused push does not concern.
fn isolation(named: &[ProjectName], others: &[ProjectName]) -> Option<String> {
    let quoted = |names: &[ProjectName]| {
        let names = names.iter().map(|name| format!("`{name}`"));
        names.collect::<Vec<_>>().join(", ")
    };
    match (named, others) {
        ([], [] | [_]) => None,
        ([], _) => Some(
            "if the server refuses one project alone, publish the others with `-p NAME`".to_owned(),
        ),
        (named, others) if named.len() <= NAMED && others.len() <= NAMED => {
            let options: String = others.iter().map(|name| format!(" -p {name}")).collect();
            Some(format!(
                "the server names {}; publish the others with `fractary-codex sync{options}`",
                quoted(named)
            ))
        }
        (named, _) => Some(format!(
            "the server names {}; publish the others with `-p NAME`",
            quoted(&named[..named.len().min(NAMED)])
        )),
    }
}

/// Why a project failed or was withheld.
pub(crate) fn of_project(project: &ProjectReport) -> Option<ErrorReport> {
    let name = &project.name;
    let report = |kind, message, hints, causes| {
        Some(ErrorReport {
            kind,
            message,
            hints,
            causes,
        })
    };
    match &project.outcome {
        ProjectOutcome::Failed(error) => {
            let (kind, hint) = match error {
                ProjectError::Scan(error) => scan_failure(&project.name, error),
                ProjectError::Cache(error) => cache_failure(error),
                ProjectError::Patterns(_) => {
                    ("patterns", Some("mend `sync.from_codex`".to_owned()))
                }
            };
            let causes = match error {
                ProjectError::Cache(error) => sources(error.as_ref()),
                _ => sources(error),
            };
            report(kind, error.to_string(), hint.into_iter().collect(), causes)
        }
        ProjectOutcome::Incomplete(entries) => {
            let message = format!(
                "{} of the codex could not be brought",
                pluralize(entries.len(), "path")
            );
            let hint = "rename them in the codex, or leave them out with `sync.from_codex.exclude`"
                .to_owned();
            let mut causes: Vec<_> = entries
                .iter()
                .take(20)
                .map(|(path, reason)| format!("`{}`: {reason}", escaped(path)))
                .collect();
            causes.extend(
                entries
                    .len()
                    .checked_sub(20)
                    .filter(|rest| *rest > 0)
                    .map(|rest| format!("and {rest} more")),
            );
            report("incomplete", message, vec![hint], causes)
        }
        ProjectOutcome::Withheld(reason) => {
            let hint = match reason {
                Withheld::Obstructed { obstacle, .. } => {
                    format!(
                        "move `{}` away in the codex, or exclude the path",
                        escaped(obstacle)
                    )
                }
                Withheld::NothingMatches { .. } => {
                    format!(
                        "check the patterns (`sync.to_codex.include`); if it is meant: sync again with `-p {name} --allow-mass-delete`"
                    )
                }
                Withheld::TooManyDeletions {
                    deleted,
                    pruned,
                    claimed,
                } if deleted < claimed => {
                    let all = deleted + pruned;
                    format!("if it is meant: sync again with `-p {name} --max-delete {all}`")
                }
                Withheld::TooManyDeletions { .. } | Withheld::NoneSurvives { .. } => {
                    format!("if it is meant: sync again with `-p {name} --allow-mass-delete`")
                }
            };
            report("withheld", reason.to_string(), vec![hint], Vec::new())
        }
        ProjectOutcome::WithheldByOthers => report(
            "atomic",
            "another project failed or was withheld, and `--atomic` is set".to_owned(),
            Vec::new(),
            Vec::new(),
        ),
        ProjectOutcome::NotLanded => report(
            "not-landed",
            "the run ended before it landed".to_owned(),
            Vec::new(),
            Vec::new(),
        ),
        ProjectOutcome::Sent(_) => report(
            "unverified",
            "sent, but not confirmed".to_owned(),
            Vec::new(),
            Vec::new(),
        ),
        ProjectOutcome::UpToDate
        | ProjectOutcome::WouldSync
        | ProjectOutcome::Synced(_)
        | ProjectOutcome::Brought => None,
    }
}

fn scan_failure(project: &ProjectName, error: &ScanError) -> (&'static str, Option<String>) {
    match error {
        ScanError::Root { .. } => (
            "root",
            Some(format!(
                "check `{}`, or remove the project from the configuration",
                key_path(&["projects", project.as_str(), "root"])
            )),
        ),
        ScanError::Read { source, .. } if source.kind() == io::ErrorKind::NotFound => (
            "read",
            Some("something removed it; run again when it is done".to_owned()),
        ),
        ScanError::Read { .. } => (
            "read",
            Some("check the file's permissions, or exclude it".to_owned()),
        ),
        ScanError::IgnoreFile { .. } => (
            "read",
            Some(
                "replace it with a regular file, or set `sync.respect_gitignore` to `false`"
                    .to_owned(),
            ),
        ),
        ScanError::Changed { .. } => (
            "changed",
            Some("something writes to it; run again when it is done".to_owned()),
        ),
        ScanError::Collision(_) => (
            "collision",
            Some("exclude one of them, or map it elsewhere".to_owned()),
        ),
        ScanError::Interrupted(_) => ("interrupted", None),
    }
}

/// A cache that a command is about and that cannot be used.
pub(crate) fn of_cache(error: &CacheError) -> Failure {
    let (kind, hint) = cache_failure(error);
    let exit = match error {
        CacheError::Interrupted(interrupted) => signal_exit(*interrupted),
        _ => exit::SOME_FAILED,
    };
    let hints = hint.into_iter().collect();
    Failure {
        report: ErrorReport {
            kind,
            message: error.to_string(),
            hints,
            causes: sources(error),
        },
        exit,
    }
}

fn cache_failure(error: &CacheError) -> (&'static str, Option<String>) {
    let writable = "make it writable, or point `cache.dir` elsewhere".to_owned();
    match error {
        CacheError::Write { source, .. } if is_full(source) => (
            "disk-full",
            Some("free some space; what was there before is whole".to_owned()),
        ),
        CacheError::Open { .. } | CacheError::Write { .. } => ("cache", Some(writable)),
        CacheError::Interrupted(_) => ("interrupted", None),
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}

fn store_failure(error: &StoreError) -> (u8, &'static str, Vec<String>) {
    match error {
        StoreError::Write { kept, source, .. } => {
            let elsewhere = if *kept {
                "set `clone.strategy: temp`"
            } else {
                "point `TMPDIR` elsewhere"
            };
            let (kind, cure) = match is_full(source) {
                true => ("disk-full", "free some space"),
                false if *kept => ("kept-clone", "make it writable"),
                false => ("temporary-clone", "make it a directory that can be written"),
            };
            (exit::REMOTE, kind, vec![format!("{cure}, or {elsewhere}")])
        }
        StoreError::Git(_) | StoreError::Tree(_) => (
            exit::REMOTE,
            "codex-unreadable",
            vec!["check the codex with `git fsck --strict`".to_owned()],
        ),
    }
}

fn remote_exit(error: &RemoteError) -> u8 {
    match error.kind {
        RemoteErrorKind::Interrupted(interrupted) => signal_exit(interrupted),
        _ => exit::REMOTE,
    }
}

fn signal_exit(Interrupted(signal): Interrupted) -> u8 {
    128 + signal as u8
}

fn remote_hints(error: &RemoteError) -> Vec<String> {
    let RemoteError { place, url, .. } = error;
    let token = "set `remote.token` (or `FRACTARY_CODEX_REMOTE__TOKEN`), or store credentials with `git credential approve`";
    let hint = match error.kind {
        RemoteErrorKind::NoCredentials => token.to_owned(),
        RemoteErrorKind::WrongCredentials => {
            "check that the token is right and not expired, and that `remote.username` is what the server expects".to_owned()
        }
        RemoteErrorKind::Forbidden if !url.starts_with("http") => {
            "the key is known but may not do this: give it write access to the codex".to_owned()
        }
        RemoteErrorKind::Forbidden => {
            "the credentials are known but may not do this: give the token write access to the codex".to_owned()
        }
        RemoteErrorKind::NotFound => {
            "check `remote.url` (or `organization` and `codex_repo`); servers also answer so when a token may not see the repository".to_owned()
        }
        RemoteErrorKind::HostUnknown => "check the host's name in `remote.url`, and the network".to_owned(),
        RemoteErrorKind::Refused => "check host and port in `remote.url`, and that the server runs".to_owned(),
        RemoteErrorKind::TimedOut => "try again; for a slow server raise `remote.timeout.idle`".to_owned(),
        RemoteErrorKind::Tls => "install the server's certificate authority, or point `http.sslCAInfo` of git at it".to_owned(),
        RemoteErrorKind::SshKeyRefused => {
            format!("check which key is used: `ssh -v {}`; in CI, start an agent with the deploy key", ssh_place(place))
        }
        RemoteErrorKind::SshHostUnknown => {
            let scan = error.advice.command.clone().unwrap_or_else(|| {
                format!("ssh-keyscan {} >> ~/.ssh/known_hosts", ssh_place(place))
            });
            format!("compare its key with the published one, then add it: `{scan}`")
        }
        RemoteErrorKind::ServerWithoutGit => {
            format!("install git on the server, on the PATH of `ssh {} git --version`", ssh_place(place))
        }
        RemoteErrorKind::ShellNoise => {
            format!(
                "make the shell's start files silent for logins without a terminal; this must print nothing: `ssh {} true`",
                ssh_place(place)
            )
        }
        RemoteErrorKind::ServerOwnership => {
            "on the server, as the user of the login: `git config --global --add safe.directory PATH`, or change the owner"
                .to_owned()
        }
        RemoteErrorKind::PlainHttp => {
            "set `remote.url` to the port that serves https, or to `http://…` if the network is trusted".to_owned()
        }
        RemoteErrorKind::Proxy => {
            "check `http.proxy` of git (`git config --show-origin --get-all http.proxy`) and the variables `http_proxy`, `https_proxy`, `all_proxy` and `no_proxy`"
                .to_owned()
        }
        RemoteErrorKind::NotGit => {
            "check `remote.url`: it should be the URL that `git clone` takes; a login page or a proxy may also answer in its place"
                .to_owned()
        }
        RemoteErrorKind::RateLimited => match error.advice.retry_after {
            Some(wait) => format!("run again in {}", humantime::format_duration(wait)),
            None => "run again later, or with credentials of your own: many servers allow them more requests".to_owned(),
        },
        RemoteErrorKind::ObjectFormat => "use a codex that stores SHA-1 objects: `git init --bare --object-format=sha1`".to_owned(),
        RemoteErrorKind::Unadvertised => "set `uploadpack.allowAnySHA1InWant` to `true` on the server".to_owned(),
        RemoteErrorKind::GitConfig => {
            "correct the file and line that git names; `git config --list --show-origin` checks it".to_owned()
        }
        RemoteErrorKind::Rewritten => {
            "change it: `git config --show-origin --get-regexp 'url\\..*insteadof'`".to_owned()
        }
        RemoteErrorKind::SshHostChanged => "this may be an attack: compare the host's key before you change `known_hosts`".to_owned(),
        RemoteErrorKind::Redirected => "set `remote.url` to the URL that it leads to".to_owned(),
        RemoteErrorKind::Insecure => format!("use https for `{url}`, or set `remote.allow_insecure: true` if the network is trusted"),
        RemoteErrorKind::BranchMissing => {
            "name a branch that exists with `remote.branch`; a server also answers so when it hides the branch from you"
                .to_owned()
        }
        RemoteErrorKind::DubiousOwnership => {
            format!("if that is as it should be (a container, say): `git config --global --add safe.directory {url}`")
        }
        RemoteErrorKind::ServerFailure => "try again later".to_owned(),
        RemoteErrorKind::RequestRefused => {
            "check `remote.url`, and whether the server, or a proxy before it, accepts pushes over http".to_owned()
        }
        RemoteErrorKind::NoTransport => {
            "install git 2.31 or newer, or use a build with the cargo feature `embedded-transport`".to_owned()
        }
        RemoteErrorKind::NotBuiltIn => {
            "use `remote.transport: git`, or a build with the cargo feature `embedded-transport`".to_owned()
        }
        RemoteErrorKind::DiskFull => "free some space, or point `TMPDIR` elsewhere".to_owned(),
        RemoteErrorKind::Interrupted(_) => return Vec::new(),
        RemoteErrorKind::Other => "run again with `-vv` to see what git did".to_owned(),
    };
    vec![hint]
}

/// A host, with its port if it has one, as arguments of ssh's programs.
fn ssh_place(place: &str) -> String {
    match place.rsplit_once(':') {
        Some((host, port)) if port.parse::<u16>().is_ok() => format!("-p {port} {host}"),
        _ => place.to_owned(),
    }
}

/// The chain behind an error, outermost first.
pub(crate) fn sources(error: &dyn Error) -> Vec<String> {
    let chain = std::iter::successors(error.source(), |error: &&(dyn Error + 'static)| {
        (*error).source()
    });
    let of_system = |error: &(dyn Error + 'static)| error.downcast_ref().map(platform::words_of);
    chain
        .map(|error| of_system(error).unwrap_or_else(|| error.to_string()))
        .collect()
}
