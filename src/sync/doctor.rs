//! Checks whether a sync would work: takes the same steps, each on its own, without pushing
//! anything.

use std::collections::BTreeSet;
use std::path::Path;

use cap_std::fs::Dir;

use super::authorship::Authorship;
use super::orphans::orphans;
use super::remote_session::{RemoteSession, connect};
use super::request::SyncRequest;
use crate::cache::selected::Selected;
use crate::codex::remote::PushReply;
use crate::codex::remote::credential;
use crate::codex::remote::error::{RemoteError, RemoteErrorKind};
use crate::codex::signing::SigningError;
use crate::codex::store::{Store, StoreError, is_repository};
use crate::config::tree::key_path;
use crate::config::{AutoMerge, CloneStrategy, Direction};
use crate::forge::{self, ForgeError};
use crate::object::ObjectId;
use crate::outcome::{Orphan, SyncError};
use crate::paths::{escaped, shown};
use crate::platform;
use crate::scan::{ScanError, Survey, useless_patterns};
use crate::state::State;
use crate::text::pluralize;
use crate::url::RemoteUrl;
use crate::workspace::Project;
use crate::workspace::codex_selector::CodexSelector;

/// If fewer bytes than this are free, the check warns.
const MIN_FREE_SPACE: u64 = 512 << 20;
/// The number of seconds by which this machine's clock may be behind the time of the tip's commit.
const MAX_SKEW: i64 = 300;

/// The result of one check.
#[derive(Debug)]
#[non_exhaustive]
pub struct Check {
    /// The subject of the check in one or two words, such as `disk`.
    pub subject: &'static str,
    /// The result.
    pub verdict: Verdict,
}

/// The result of a check.
#[derive(Debug)]
#[non_exhaustive]
pub enum Verdict {
    /// The check passed.
    Ok(String),
    /// A sync would work, but something should be corrected.
    Warning {
        /// The problem.
        message: String,
        /// The change that the user can make.
        hint: String,
    },
    /// A sync would work for some of the projects only.
    Incomplete {
        /// The problem of the other projects.
        message: String,
        /// The change that the user can make.
        hint: String,
    },
    /// A sync would fail with this error.
    Failed(SyncError),
    /// The codex can be read, but the server denies write access with this error.
    NotWritable(RemoteError),
    /// The check was not made because an earlier one failed.
    Skipped,
}

/// Runs all checks, from the projects' roots to the permission to push, in the order of a sync.
pub fn examine(request: &SyncRequest<'_>) -> Vec<Check> {
    // A dry run creates neither a repository nor a branch.
    let request = &SyncRequest {
        dry_run: true,
        ..request.clone()
    };
    let remote = &request.workspace.remote;

    let mut checks = Vec::new();
    let mut add = |subject, verdict| checks.push(Check { subject, verdict });

    let surveys = surveys(request);
    add("roots", roots(request, &surveys));
    add("patterns", patterns(&surveys));
    add("disk", disk(request));
    if let Some(verdict) = signing_key(request) {
        add("signing key", verdict);
    }

    if let Some(path) = remote
        .url
        .local_path()
        .filter(|path| remote.create && !path.exists() && !is_repository(path))
    {
        let message = format!(
            "`{}` does not exist yet; the first sync will create it",
            shown(path)
        );
        add("remote", Verdict::Ok(message));
        return checks;
    }

    let publishing_request = SyncRequest {
        projects: publishing(request).collect(),
        ..request.clone()
    };
    let sync_branches = publishing_request.sync_branches();
    let mut session = match connect(request, remote.create, &sync_branches) {
        Ok(session) => session,
        Err(error) => {
            let is_reachable = matches!(
                error,
                SyncError::BranchMissing { .. }
                    | SyncError::NoDefaultBranch { .. }
                    | SyncError::SyncBranchIsBase { .. }
                    | SyncError::NothingToMergeInto { .. }
            );
            let (remote, branch) = if is_reachable {
                (reachable(request, &remote.url), Verdict::Failed(error))
            } else {
                (Verdict::Failed(error), Verdict::Skipped)
            };
            add("remote", remote);
            add("branch", branch);
            add("clock", Verdict::Skipped);
            add("push", Verdict::Skipped);
            return checks;
        }
    };
    add("remote", reachable(request, session.transport.url()));
    if let Some(reason) = session.transport.fallback() {
        let message = format!("the `git` program is used, because {reason}");
        add("transport", Verdict::Ok(message));
    }
    add("branch", branch(&session));

    let fetched = session.clone_of_tip(request).map(|(store, tip)| {
        let time = tip.and_then(|tip| store.commit_time(tip));
        (time, pulled_patterns(request, store, tip))
    });
    match fetched {
        Ok((time, pulled)) => {
            match pulled {
                Some(Ok(verdict)) => add("pulled patterns", verdict),
                Some(Err(error)) => add("pulled patterns", Verdict::Failed(error)),
                None => {}
            }
            if session.has_sync_branches {
                add("sync branch", sync_branch(&session));
            }
            if let Some(verdict) = left_directories(request, &mut session) {
                add("left directories", verdict);
            }
            add("clock", clock(request.now, time));
            let is_published = publishing(request).next().is_some();
            add(
                "push",
                if is_published {
                    push_permission(request, &session)
                } else {
                    nothing_published()
                },
            );
            let workspace = request.workspace;
            let uses_forge = workspace.forge.is_configured() || workspace.pull_request.is_some();
            if is_published && uses_forge {
                add("pull requests", pull_request_permission(request));
            }
        }
        Err(error) => {
            add("fetch", Verdict::Failed(error));
            add("clock", Verdict::Skipped);
            add("push", Verdict::Skipped);
        }
    }
    checks
}

/// Checks that no project of the workspace has left its directory in the codex; `None` if none has.
fn left_directories(request: &SyncRequest<'_>, session: &mut RemoteSession) -> Option<Verdict> {
    let orphans = match orphans(request, session) {
        Ok(orphans) => orphans,
        Err(error) => return Some(Verdict::Failed(error)),
    };
    let join =
        |part: fn(&Orphan) -> String| orphans.iter().map(part).collect::<Vec<_>>().join("; ");
    (!orphans.is_empty()).then(|| Verdict::Warning {
        message: join(Orphan::description),
        hint: join(Orphan::hint),
    })
}

/// The projects that publish to the codex.
fn publishing<'r>(request: &'r SyncRequest<'_>) -> impl Iterator<Item = &'r Project> {
    request
        .projects
        .iter()
        .copied()
        .filter(|project| project.direction != Direction::FromCodex)
}

fn nothing_published() -> Verdict {
    Verdict::Ok("no project publishes to the codex".to_owned())
}

type Surveyed<'r> = (&'r Project, Result<Survey, ScanError>);

/// Counts the files that each publishing project's patterns match.
fn surveys<'r>(request: &'r SyncRequest<'_>) -> Vec<Surveyed<'r>> {
    publishing(request)
        .map(|project| (project, request.sources.count(project)))
        .collect()
}

/// Checks the patterns that select files to publish: each one must match a file.
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
    unmatched_patterns(messages)
}

fn unmatched_patterns(messages: Vec<String>) -> Verdict {
    if messages.is_empty() {
        return Verdict::Ok("every pattern matches at least one file".to_owned());
    }
    Verdict::Warning {
        message: messages.join("; "),
        hint: "correct the pattern, or remove it".to_owned(),
    }
}

/// Checks the patterns of `sync.from_codex.include`: each one must match a file of the codex.
/// `None` if no project has any.
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
            let found = Selected::find(&selector, &|id| store.read_tree(id), root)?;
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
        Ok(()) => Ok(unmatched_patterns(messages)),
        Err(error) => Err(error.into()),
    })
}

/// Checks the roots of the publishing projects: each one must be readable and contain a file to
/// publish.
fn roots(request: &SyncRequest<'_>, surveys: &[Surveyed<'_>]) -> Verdict {
    if publishing(request).next().is_none() {
        return nothing_published();
    }

    let mut files = 0;
    let mut unreadable = Vec::new();
    let mut keys = Vec::new();
    let mut empty = Vec::new();
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
        return Verdict::Incomplete {
            message: unreadable.join("; "),
            hint,
        };
    }
    if !empty.is_empty() {
        let message = format!("no files match the patterns of {}", empty.join(", "));
        let hint = "check `sync.to_codex.include` and `mappings`; the command `projects` shows the number of matching files"
            .to_owned();
        return Verdict::Warning { message, hint };
    }
    Verdict::Ok(format!(
        "{} with {}",
        pluralize(publishing(request).count(), "project"),
        pluralize(files, "matching file")
    ))
}

/// Signs a text that is thrown away. `None` if no commit would be signed.
fn signing_key(request: &SyncRequest<'_>) -> Option<Verdict> {
    publishing(request).next()?;

    let authorship = Authorship::new(request);
    let check = || -> Result<Option<String>, SigningError> {
        let Some(signer) = authorship.signer()? else {
            return Ok(None);
        };
        signer.sign(b"a check of fractary-codex doctor\n")?;
        Ok(Some(signer.describe()))
    };
    match check() {
        Ok(None) => None,
        Ok(Some(key)) => Some(Verdict::Ok(format!("commits are signed with the {key}"))),
        Err(error) => Some(Verdict::Failed(error.into())),
    }
}

/// Checks that the directories that a sync writes to are writable and have free space.
fn disk(request: &SyncRequest<'_>) -> Verdict {
    let workspace = request.workspace;
    let other = |name: &str| format!("set `{name}` to another directory");

    // Each directory, and the alternative that the hint offers.
    let mut directories = vec![
        (request.temporary.clone(), other("TMPDIR")),
        (workspace.state_dir.clone(), other("state.dir")),
    ];
    if let Some(home) = request
        .cache_home
        .as_ref()
        .filter(|_| workspace.clone == CloneStrategy::Cached)
    {
        directories.push((home.join("clones"), "set `clone.strategy: temp`".to_owned()));
    }
    let uses_cache =
        |project: &&&Project| workspace.caches_published || project.direction != Direction::ToCodex;
    let caches: BTreeSet<_> = request
        .projects
        .iter()
        .filter(uses_cache)
        .map(|project| &project.cache_dir)
        .collect();
    directories.extend(
        caches
            .into_iter()
            .map(|cache| (cache.clone(), other("cache.dir"))),
    );

    for (directory, alternative) in &directories {
        if let Err(error) = tempfile::tempfile_in(existing(directory)) {
            let message = format!(
                "`{}` cannot be written: {}",
                shown(directory),
                platform::words_of(&error)
            );
            return Verdict::Warning {
                message,
                hint: format!("make it writable, or {alternative}"),
            };
        }
        let free = platform::free_space(existing(directory)).unwrap_or(u64::MAX);
        if free < MIN_FREE_SPACE {
            let message = format!("only {} MB are free in `{}`", free >> 20, shown(directory));
            return Verdict::Warning {
                message,
                hint: format!("free some space, or {alternative}"),
            };
        }
    }
    Verdict::Ok("writable, enough free space".to_owned())
}

/// The path itself, or its nearest ancestor that exists.
fn existing(path: &Path) -> &Path {
    path.ancestors().find(|path| path.exists()).unwrap_or(path)
}

/// The result for a remote that answered. It mentions the credentials only if some were sent: a
/// local path needs none, and a server may be readable by everyone.
fn reachable(request: &SyncRequest<'_>, url: &RemoteUrl) -> Verdict {
    let remote = &request.workspace.remote;
    let by_key = !url.is_http() && url.local_path().is_none();
    let are_sent = by_key || credential::credential(remote, request.environment).is_some();
    let credentials = if are_sent {
        ", credentials accepted for reading"
    } else {
        ""
    };
    Verdict::Ok(format!("{url} is reachable{credentials}"))
}

/// The tip of the branch, or how the first sync will create it.
fn branch(session: &RemoteSession) -> Verdict {
    let name = escaped(session.branch().as_bytes());
    let start = escaped(session.base.branch.as_bytes());
    Verdict::Ok(match (session.tip(), session.base.tip) {
        (Some(tip), _) => format!("`{name}` is at {}", tip.short()),
        (None, Some(_)) => {
            format!("`{name}` does not exist yet; the first sync will create it from `{start}`")
        }
        (None, None) => format!("the codex is empty; the first sync will create `{name}`"),
    })
}

/// The tips of the sync branches. A commit of others is published when the branch is merged, so it
/// is a warning.
fn sync_branch(session: &RemoteSession) -> Verdict {
    let targets = session.targets.iter().zip(&session.partings.foreign);
    let foreign: Vec<_> = targets
        .filter(|(_, commits)| !commits.is_empty())
        .map(|(target, commits)| {
            let count = pluralize(commits.len(), "commit");
            format!(
                "`{}` has {count} of others",
                escaped(target.branch.as_bytes())
            )
        })
        .collect();
    if !foreign.is_empty() {
        return Verdict::Warning {
            message: foreign.join("; "),
            hint:
                "review them: syncs keep them, and they are merged together with the synced files"
                    .to_owned(),
        };
    }
    let base = escaped(session.base.branch.as_bytes());
    Verdict::Ok(match session.targets.as_slice() {
        [target] => {
            let name = escaped(target.branch.as_bytes());
            match target.tip {
                Some(tip) => format!("`{name}` is at {}", tip.short()),
                None => format!("the first change will create `{name}` from `{base}`"),
            }
        }
        targets => {
            let existing = targets.iter().filter(|target| target.tip.is_some()).count();
            format!("one per project; {existing} of {} exist", targets.len())
        }
    })
}

/// Checks this machine's clock against the time of the tip, because commits that are older than
/// their parent confuse other tools.
fn clock(now: i64, tip: Option<i64>) -> Verdict {
    match tip {
        Some(time) if time > now + MAX_SKEW => Verdict::Warning {
            message: format!(
                "the codex's tip is dated {} minutes in the future",
                (time - now) / 60
            ),
            hint: "check the clocks of this machine and of the one that made the commit".to_owned(),
        },
        _ => Verdict::Ok("ok".to_owned()),
    }
}

/// Requests a push without sending any objects. Server hooks and branch protection only act on a
/// real push, so the server's message to the last one is taken into account.
fn push_permission(request: &SyncRequest<'_>, session: &RemoteSession) -> Verdict {
    let store = session.store();
    let reply = commit_to_offer(store, session.start(0)).map(|id| {
        let update = session.update(0, id);
        session.transport.would_push(store, update)
    });
    match reply {
        Ok(Ok(PushReply::Accepted { .. })) => accepted(request, session),
        Ok(Ok(PushReply::Rejected(rejection))) => Verdict::Warning {
            message: format!("would be rejected: {}", rejection.reason),
            hint: "run the check again".to_owned(),
        },
        Ok(Err(error) | Ok(PushReply::Lost(error))) if denies_writing(error.kind) => {
            Verdict::NotWritable(error)
        }
        Ok(Err(error) | Ok(PushReply::Lost(error))) => Verdict::Failed(error.into()),
        Err(error) => Verdict::Failed(error),
    }
}

/// The verdict if the remote would accept a push.
fn accepted(request: &SyncRequest<'_>, session: &RemoteSession) -> Verdict {
    if let Some(reason) = unwritable_directory(&request.workspace.remote.url) {
        return Verdict::Warning {
            message: format!("would be rejected: {reason}"),
            hint: "give this user the permission to write to the codex".to_owned(),
        };
    }
    match bypassed_rules(request, session) {
        Some(message) => Verdict::Warning {
            message: format!("the last push bypassed rules of its branch: {message}"),
            hint: "use credentials without the right to bypass rules, or nothing that they push is reviewed"
                .to_owned(),
        },
        None => Verdict::Ok(
            "allowed (server hooks and branch protection are only checked on a real push)"
                .to_owned(),
        ),
    }
}

/// Says which directory of a codex on this machine this user cannot write to. git only notices that
/// when it receives objects.
fn unwritable_directory(url: &RemoteUrl) -> Option<String> {
    let path = url.local_path()?;
    let places = [path.join(".git"), path.to_owned()];
    let repository = places.iter().find(|place| place.join("objects").is_dir())?;
    ["objects", "refs"].iter().find_map(|name| {
        let directory = repository.join(name);
        let opened = Dir::open_ambient_dir(&directory, cap_std::ambient_authority());
        let writable = opened.and_then(|opened| platform::check_writable(&opened));
        let reason = platform::words_of(&writable.err()?);
        Some(format!(
            "`{}` cannot be written: {reason}",
            shown(&directory)
        ))
    })
}

/// The server's message that the last push of this workspace bypassed rules of a branch.
fn bypassed_rules(request: &SyncRequest<'_>, session: &RemoteSession) -> Option<String> {
    session.targets.iter().find_map(|target| {
        let sync_branch = session.has_sync_branches.then_some(target.branch.as_str());
        State::of(request.workspace, sync_branch).bypassed_rules()
    })
}

/// Reads the rights of the token from the API of the forge.
fn pull_request_permission(request: &SyncRequest<'_>) -> Verdict {
    let rights = || {
        let mut forge = forge::open(
            request.workspace,
            request.environment,
            &request.interrupt,
            &request.reporter,
        )?;
        let rights = forge.rights()?;
        let name = format!("`{}` on {}", forge.repository(), forge.kind().name());
        Ok::<_, ForgeError>((name, rights))
    };
    let (name, rights) = match rights() {
        Ok(found) => found,
        Err(error) => return Verdict::Failed(error.into()),
    };
    if !rights.is_open {
        return Verdict::Warning {
            message: format!(
                "{name} takes no pull requests: it is archived, a mirror, or they are switched off"
            ),
            hint: "change the settings of the repository".to_owned(),
        };
    }
    if !rights.can_push {
        return Verdict::Warning {
            message: format!("the token of the API may not push to {name}"),
            hint: "give the owner of the token the right to write to the repository".to_owned(),
        };
    }
    let settings = request.workspace.pull_request.as_ref();
    let merges = settings.is_some_and(|settings| settings.auto_merge != AutoMerge::Off);
    if merges && !rights.allows_auto_merge {
        return Verdict::Warning {
            message: format!("{name} does not allow auto-merge"),
            hint: "allow it in the settings of the repository, or set `push.pull_request.auto_merge: off`".to_owned(),
        };
    }
    Verdict::Ok(format!("the token of the API may write to {name}"))
}

/// Whether a failed push means that the server does not let this client write. `false` if the server
/// may only be unavailable. Over ssh there is no status, so `SshKeyRefused` and `Other` mean it, too.
fn denies_writing(kind: RemoteErrorKind) -> bool {
    kind.denies_access()
        || matches!(
            kind,
            RemoteErrorKind::SshKeyRefused | RemoteErrorKind::Other
        )
}

/// The commit to name in the request: the tip, or an empty commit if the codex has none.
fn commit_to_offer(store: &Store, tip: Option<ObjectId>) -> Result<ObjectId, SyncError> {
    Ok(match tip {
        Some(tip) => tip,
        None => store.empty_commit()?,
    })
}
