//! Would a sync work? The same steps as its own, each looked at alone, and nothing is pushed.

use std::collections::BTreeSet;
use std::path::Path;

use bstr::ByteSlice;

use super::remote_session::{RemoteSession, connect};
use super::request::SyncRequest;
use crate::codex::auth;
use crate::codex::error::{RemoteError, RemoteErrorKind};
use crate::codex::store::{Store, StoreError, is_repository};
use crate::codex::transport::PushReply;
use crate::config::tree::key_path;
use crate::config::{CloneStrategy, Direction};
use crate::object::ObjectId;
use crate::outcome::SyncError;
use crate::paths::{escaped, shown};
use crate::platform;
use crate::scan::{self, ScanError, Survey, useless_patterns};
use crate::text::pluralize;
use crate::url::RemoteUrl;
use crate::workspace::Project;
use crate::workspace::codex_selector::CodexSelector;

/// Less free space than this is worth a warning, in bytes.
const LITTLE_SPACE: u64 = 512 << 20;
/// A clock may be behind the tip's commit by so many seconds.
const SKEW: i64 = 300;

/// One thing that was looked at.
#[derive(Debug)]
pub struct Check {
    /// What.
    pub subject: &'static str,
    /// How it is.
    pub verdict: Verdict,
}

/// How something is.
#[derive(Debug)]
pub enum Verdict {
    /// As it should be.
    Good(String),
    /// Odd: what, and what to do.
    Odd {
        /// What is odd.
        message: String,
        /// What to do about it.
        hint: String,
    },
    /// A sync would do a part of the job: what is wrong with the rest, and what to do.
    Partly {
        /// What is wrong.
        message: String,
        /// What to do about it.
        hint: String,
    },
    /// A sync would fail.
    Bad(SyncError),
    /// A sync could read the codex and not write it: the server's answer to who wants to push.
    NotWritable(RemoteError),
    /// Not looked at, for something before it failed.
    Skipped,
}

/// Looks at everything from the roots to the right to push, in the order of a sync.
pub fn examine(request: &SyncRequest<'_>) -> Vec<Check> {
    // Nothing is made.
    let request = &SyncRequest {
        dry_run: true,
        ..request.clone()
    };
    let remote = &request.workspace.remote;
    let mut checks = Vec::new();
    let mut note = |subject, verdict| checks.push(Check { subject, verdict });
    let surveys = surveys(request);
    note("roots", roots(request, &surveys));
    note("patterns", patterns(&surveys));
    note("disk", disk(request));
    if let Some(path) = remote
        .url
        .local_path()
        .filter(|path| remote.create && !path.exists() && !is_repository(path))
    {
        note(
            "remote",
            Verdict::Good(format!(
                "`{}` is not there yet: the first sync makes it",
                shown(path)
            )),
        );
        return checks;
    }
    let mut session = match connect(request, remote.create) {
        Ok(session) => session,
        Err(error @ SyncError::BranchMissing { .. }) => {
            note("remote", reachable(request, &remote.url));
            note("branch", Verdict::Bad(error));
            note("clock", Verdict::Skipped);
            note("push", Verdict::Skipped);
            return checks;
        }
        Err(error) => {
            note("remote", Verdict::Bad(error));
            note("branch", Verdict::Skipped);
            note("clock", Verdict::Skipped);
            note("push", Verdict::Skipped);
            return checks;
        }
    };
    note("remote", reachable(request, session.transport.url()));
    if let Some(reason) = session.transport.fallback() {
        let message = format!("the `git` program is used, because {reason}");
        note("transport", Verdict::Good(message));
    }
    note("branch", branch(&session));
    let fetched = session.clone_of_tip(request).map(|(store, tip)| {
        let time = tip.and_then(|tip| store.commit_time(tip));
        (time, pulled_patterns(request, store, tip))
    });
    match fetched {
        Ok((time, pulled)) => {
            match pulled {
                Some(Ok(verdict)) => note("pulled patterns", verdict),
                Some(Err(error)) => note("pulled patterns", Verdict::Bad(error)),
                None => {}
            }
            note("clock", clock(request.now, time));
            note(
                "push",
                if publishing(request).next().is_some() {
                    may_push(&session)
                } else {
                    nothing_published()
                },
            );
        }
        Err(error) => {
            note("fetch", Verdict::Bad(error));
            note("clock", Verdict::Skipped);
            note("push", Verdict::Skipped);
        }
    }
    checks
}

fn publishing<'r>(request: &'r SyncRequest<'_>) -> impl Iterator<Item = &'r Project> {
    request
        .projects
        .iter()
        .copied()
        .filter(|project| project.direction != Direction::FromCodex)
}

fn nothing_published() -> Verdict {
    Verdict::Good("nothing is published from here".to_owned())
}

type Surveyed<'r> = (&'r Project, Result<Survey, ScanError>);

/// Counts the files of the projects that publish.
fn surveys<'r>(request: &'r SyncRequest<'_>) -> Vec<Surveyed<'r>> {
    publishing(request)
        .map(|project| (project, scan::count(project)))
        .collect()
}

/// Patterns of published files that publish nothing.
fn patterns(surveys: &[Surveyed<'_>]) -> Verdict {
    if surveys.is_empty() {
        return nothing_published();
    }
    let counted: Vec<_> = surveys
        .iter()
        .filter_map(|(project, survey)| {
            let survey = survey.as_ref().ok()?;
            Some((*project, survey.unmatched.as_slice()))
        })
        .collect();
    let useless = useless_patterns(&counted);
    let messages: Vec<_> = useless
        .into_iter()
        .map(|pattern| match pattern.project {
            Some(project) => format!("{}: {}", project.name, pattern.message),
            None => pattern.message,
        })
        .collect();
    found_useless(messages)
}

fn found_useless(messages: Vec<String>) -> Verdict {
    if messages.is_empty() {
        return Verdict::Good("every pattern matches something".to_owned());
    }
    Verdict::Odd {
        message: messages.join("; "),
        hint: "correct the pattern, or remove it".to_owned(),
    }
}

/// Patterns of `sync.from_codex.include` that match nothing in the codex. `None` if no project has any.
fn pulled_patterns(
    request: &SyncRequest<'_>,
    store: &Store,
    tip: Option<ObjectId>,
) -> Option<Result<Verdict, SyncError>> {
    let mut pulling = request
        .projects
        .iter()
        .filter(|project| !project.from_codex.include.is_empty())
        .peekable();
    pulling.peek()?;
    let mut messages = Vec::new();
    let look = || -> Result<(), StoreError> {
        let root = tip.map(|tip| store.root_tree(tip)).transpose()?;
        for project in pulling {
            let Ok(selector) = CodexSelector::new(project, request.workspace) else {
                continue;
            };
            let found = selector.find(&|id| store.read_tree(id), root)?;
            let useless = selector.unmatched(project, found.files.keys());
            messages.extend(
                useless
                    .filter(|message| !messages.contains(message))
                    .collect::<Vec<_>>(),
            );
        }
        Ok(())
    };
    Some(match look() {
        Ok(()) => Ok(found_useless(messages)),
        Err(error) => Err(error.into()),
    })
}

fn roots(request: &SyncRequest<'_>, surveys: &[Surveyed<'_>]) -> Verdict {
    if publishing(request).next().is_none() {
        return nothing_published();
    }
    let mut files = 0;
    let (mut unreadable, mut empty) = (Vec::new(), Vec::new());
    let mut keys = Vec::new();
    for (project, survey) in surveys {
        match survey {
            Ok(survey) if survey.files == 0 => empty.push(format!("`{}`", project.name)),
            Ok(survey) => files += survey.files,
            Err(error) => {
                unreadable.push(format!("`{}`: {error}", project.name));
                let key = key_path(&["projects", project.name.as_str(), "root"]);
                keys.push(format!("`{key}`"));
            }
        }
    }
    if !unreadable.is_empty() {
        let hint = format!("check {} and `workspace.members`", keys.join(", "));
        return Verdict::Partly {
            message: unreadable.join("; "),
            hint,
        };
    }
    if !empty.is_empty() {
        let message = format!("the patterns match no file of {}", empty.join(", "));
        let hint = "check `sync.to_codex.include` and `mappings`; `projects` counts what matches"
            .to_owned();
        return Verdict::Odd { message, hint };
    }
    Verdict::Good(format!(
        "{} with {}",
        pluralize(publishing(request).count(), "project"),
        pluralize(files, "matching file")
    ))
}

/// Room in the places that a sync writes to.
fn disk(request: &SyncRequest<'_>) -> Verdict {
    let workspace = request.workspace;
    let elsewhere = |name: &str| format!("point `{name}` elsewhere");
    let mut places = vec![
        (request.temporary.clone(), elsewhere("TMPDIR")),
        (workspace.state_dir.clone(), elsewhere("state.dir")),
    ];
    if let Some(home) = request
        .cache_home
        .as_ref()
        .filter(|_| workspace.clone == CloneStrategy::Cached)
    {
        places.push((home.join("clones"), "set `clone.strategy: temp`".to_owned()));
    }
    let caching =
        |project: &&&Project| workspace.caches_published || project.direction != Direction::ToCodex;
    let caches: BTreeSet<_> = request
        .projects
        .iter()
        .filter(caching)
        .map(|project| &project.cache_dir)
        .collect();
    places.extend(
        caches
            .into_iter()
            .map(|cache| (cache.clone(), elsewhere("cache.dir"))),
    );
    for (place, otherwise) in &places {
        if let Err(error) = tempfile::tempfile_in(existing(place)) {
            let message = format!(
                "`{}` cannot be written: {}",
                shown(place),
                platform::words_of(&error)
            );
            return Verdict::Odd {
                message,
                hint: format!("make it writable, or {otherwise}"),
            };
        }
        let free = platform::free_space(existing(place)).unwrap_or(u64::MAX);
        if free < LITTLE_SPACE {
            let message = format!("only {} MB are free in `{}`", free >> 20, shown(place));
            return Verdict::Odd {
                message,
                hint: format!("free some space, or {otherwise}"),
            };
        }
    }
    Verdict::Good("the directories that a sync writes to can be written and have room".to_owned())
}

/// The directory itself, or the nearest one above it that is there.
fn existing(path: &Path) -> &Path {
    path.ancestors().find(|path| path.exists()).unwrap_or(path)
}

/// What an answer of the remote says about who asked: a path of this machine asks for no credentials, and a server may
/// let anybody read.
fn reachable(request: &SyncRequest<'_>, url: &RemoteUrl) -> Verdict {
    let remote = &request.workspace.remote;
    let by_key = !url.is_http() && url.local_path().is_none();
    let known = by_key || auth::credential(remote, request.environment).is_some();
    let credentials = if known {
        ", credentials accepted for reading"
    } else {
        ""
    };
    Verdict::Good(format!("{url} is reachable{credentials}"))
}

fn branch(session: &RemoteSession) -> Verdict {
    let name = bstr::BStr::new(&session.target.branch).as_bytes();
    let name = escaped(name);
    let start = escaped(session.base.branch.as_bytes());
    Verdict::Good(match (session.target.tip, session.base.tip) {
        (Some(tip), _) => format!("`{name}` is at {}", tip.short()),
        (None, Some(_)) => {
            format!("`{name}` is not there yet: the first sync starts it from `{start}`")
        }
        (None, None) => format!("the codex is empty: the first sync makes `{name}`"),
    })
}

fn clock(now: i64, tip: Option<i64>) -> Verdict {
    match tip {
        Some(time) if time > now + SKEW => Verdict::Odd {
            message: format!(
                "the codex's tip is {} minutes in the future",
                (time - now) / 60
            ),
            hint: "set this machine's clock, or find out whose was wrong".to_owned(),
        },
        _ => Verdict::Good("not behind the codex".to_owned()),
    }
}

/// Asks as a push would, without pushing. Whether a hook or a protection would refuse cannot be known before.
fn may_push(session: &RemoteSession) -> Verdict {
    let store = session.store();
    let asked = commit_to_offer(store, session.base.tip).map(|id| {
        session
            .transport
            .would_push(store, id, session.target.for_transport())
    });
    match asked {
        Ok(Ok(PushReply::Accepted { .. })) => Verdict::Good(
            "allowed, as far as can be told without pushing: hooks and protections have their say then".to_owned(),
        ),
        Ok(Ok(PushReply::Refused(refusal))) => {
            Verdict::Odd { message: format!("would be refused: {}", refusal.reason), hint: "run the check again".to_owned() }
        }
        Ok(Err(error) | Ok(PushReply::Lost(error))) if refuses(error.kind) => Verdict::NotWritable(error),
        Ok(Err(error) | Ok(PushReply::Lost(error))) => Verdict::Bad(error.into()),
        Err(error) => Verdict::Bad(error),
    }
}

/// Whether who may read was told not to write, rather than that nobody can now. Over ssh the answer is in words alone.
fn refuses(kind: RemoteErrorKind) -> bool {
    kind.is_refusal()
        || matches!(
            kind,
            RemoteErrorKind::SshKeyRefused | RemoteErrorKind::Other
        )
}

fn commit_to_offer(store: &Store, tip: Option<ObjectId>) -> Result<ObjectId, SyncError> {
    Ok(match tip {
        Some(tip) => tip,
        None => store.empty_commit()?,
    })
}
