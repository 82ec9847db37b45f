//! The branch that sources were checked out from, for `sync.to_codex.branches`. CI systems check out
//! a commit without a branch, and name the branch in variables.

use std::fs;
use std::path::Path;

use super::ci_system::CiSystem;
use crate::environment::Environment;
use crate::object::ObjectId;
use crate::url::RemoteUrl;

/// The names of the variables in which a CI system describes the branch of a build. A name is empty
/// if the system does not have the variable.
struct BranchVariables {
    system: CiSystem,
    /// The variable with the commit of the build.
    commit: &'static str,
    /// The variable with the branch, in a build that is not about a pull request, or with a
    /// reference (`refs/heads/…`) in any build.
    branch: &'static str,
    /// The variable that is only set in a build that is about a tag; empty without such a
    /// variable.
    tag: &'static str,
    /// In a build that is about a pull request: the variable with the branch that is to be merged,
    /// and the variable with the branch that it is merged into.
    pull_request: (&'static str, &'static str),
    /// The way to find out whether the branch of a pull request is in another repository.
    fork: ForkTest,
}

/// The variables that show whether the branch of a pull request is in another repository.
enum ForkTest {
    /// The variable is set, and not `false`, for another repository.
    Variable(&'static str),
    /// The variables with the ids of the branch's repository and of the pull request's.
    Ids(&'static str, &'static str),
    /// The variables with the URLs of the branch's repository and of the pull request's.
    Urls(&'static str, &'static str),
    /// The variable with the path of a file that describes the event in JSON, as for webhooks, and
    /// the variable with the full name of the repository.
    Event(&'static str, &'static str),
    /// The system builds no pull request of another repository.
    NotBuilt,
}

const SYSTEMS: [BranchVariables; 7] = [
    BranchVariables {
        system: CiSystem::GitHub,
        commit: "GITHUB_SHA",
        branch: "GITHUB_REF",
        tag: "",
        pull_request: ("GITHUB_HEAD_REF", "GITHUB_BASE_REF"),
        fork: ForkTest::Event("GITHUB_EVENT_PATH", "GITHUB_REPOSITORY"),
    },
    BranchVariables {
        system: CiSystem::GitLab,
        commit: "CI_COMMIT_SHA",
        branch: "CI_COMMIT_BRANCH",
        tag: "CI_COMMIT_TAG",
        pull_request: (
            "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME",
            "CI_MERGE_REQUEST_TARGET_BRANCH_NAME",
        ),
        fork: ForkTest::Ids(
            "CI_MERGE_REQUEST_SOURCE_PROJECT_ID",
            "CI_MERGE_REQUEST_PROJECT_ID",
        ),
    },
    BranchVariables {
        system: CiSystem::Buildkite,
        commit: "BUILDKITE_COMMIT",
        branch: "BUILDKITE_BRANCH",
        tag: "BUILDKITE_TAG",
        pull_request: ("", "BUILDKITE_PULL_REQUEST_BASE_BRANCH"),
        fork: ForkTest::Urls("BUILDKITE_PULL_REQUEST_REPO", "BUILDKITE_REPO"),
    },
    BranchVariables {
        system: CiSystem::Jenkins,
        commit: "GIT_COMMIT",
        branch: "BRANCH_NAME",
        tag: "TAG_NAME",
        pull_request: ("CHANGE_BRANCH", "CHANGE_TARGET"),
        fork: ForkTest::Variable("CHANGE_FORK"),
    },
    BranchVariables {
        system: CiSystem::Bitbucket,
        commit: "BITBUCKET_COMMIT",
        branch: "BITBUCKET_BRANCH",
        tag: "BITBUCKET_TAG",
        pull_request: ("", "BITBUCKET_PR_DESTINATION_BRANCH"),
        fork: ForkTest::NotBuilt,
    },
    BranchVariables {
        system: CiSystem::CircleCi,
        commit: "CIRCLE_SHA1",
        branch: "CIRCLE_BRANCH",
        tag: "CIRCLE_TAG",
        pull_request: ("", ""),
        fork: ForkTest::Variable("CIRCLE_PR_REPONAME"),
    },
    BranchVariables {
        system: CiSystem::Azure,
        commit: "BUILD_SOURCEVERSION",
        branch: "BUILD_SOURCEBRANCH",
        tag: "",
        pull_request: (
            "SYSTEM_PULLREQUEST_SOURCEBRANCH",
            "SYSTEM_PULLREQUEST_TARGETBRANCH",
        ),
        fork: ForkTest::Variable("SYSTEM_PULLREQUEST_ISFORK"),
    },
];

const IN_FORK: &str = "the pull request is from a fork";

/// The branch that a CI system names for the checked-out commit `head`; otherwise the reason why the
/// branch is not known.
///
/// The build of a pull request is about the branch that is to be merged, never about the one that it
/// is merged into. If both have one name, the first is in a fork. A build whose reference is a branch
/// is about that one, also if a pull request has started it (`pull_request_target` on GitHub).
pub(super) fn of_ci(environment: &Environment, head: ObjectId) -> Result<String, &'static str> {
    let get = |name: &str| (!name.is_empty()).then(|| environment.get(name)).flatten();
    let running = CiSystem::of(environment);
    let Some(system) = SYSTEMS.iter().find(|one| Some(one.system) == running) else {
        return Err("no branch is checked out");
    };
    let named = get(system.commit).and_then(ObjectId::from_hex);
    if named.is_some_and(|commit| commit != head) {
        return Err("the build is about another commit than the one that is checked out");
    }
    if get(system.tag).is_some() {
        return Err("the build is about a tag");
    }
    let reference = get(system.branch);
    if let Some(branch) = reference.and_then(|name| name.strip_prefix("refs/heads/")) {
        return Ok(branch.to_owned());
    }
    if system.fork.is_in_other_repository(&get)? {
        return Err(IN_FORK);
    }

    let (source, target) = system.pull_request;
    let target = get(target).map(short);
    let name = get(source).or(reference);
    match name.map(short) {
        Some(Some(name)) if target == Some(Some(name)) => Err(IN_FORK),
        Some(Some(name)) => Ok(name.to_owned()),
        Some(None) => Err("the build is not about a branch"),
        None => Err("the variables of the build name no branch"),
    }
}

impl ForkTest {
    /// Whether the branch of a pull request is in another repository. `get` returns a variable.
    fn is_in_other_repository<'v>(
        &self,
        get: &dyn Fn(&str) -> Option<&'v str>,
    ) -> Result<bool, &'static str> {
        let differ = |(one, other): (&str, &str)| !one.eq_ignore_ascii_case(other);
        Ok(match self {
            Self::Variable(name) => get(name).is_some_and(|fork| differ((fork, "false"))),
            Self::Ids(source, target) => get(source).zip(get(target)).is_some_and(differ),
            Self::Urls(source, target) => {
                let repository = |name| {
                    let url = RemoteUrl::parse(get(name)?, Path::new("/")).ok()?;
                    Some((url.host_or_path(), url.repository()))
                };
                let both = repository(source).zip(repository(target));
                both.is_some_and(|((host, source), (target_host, target))| {
                    differ((&host, &target_host)) || differ((&source, &target))
                })
            }
            Self::Event(event, repository) => match (get(event), get(repository)) {
                (Some(event), Some(own)) => {
                    let head = repository_of_pull_request(Path::new(event))
                        .map_err(|()| "the event of the build cannot be read")?;
                    head.is_some_and(|head| differ((&head, own)))
                }
                _ => false,
            },
            Self::NotBuilt => false,
        })
    }
}

/// The full name of the repository with the branch of a pull request, from the description of an
/// event. `None` if the event is about no pull request. A repository that was deleted has no name.
fn repository_of_pull_request(event: &Path) -> Result<Option<String>, ()> {
    let text = fs::read(event).map_err(drop)?;
    let event: serde_json::Value = serde_json::from_slice(&text).map_err(drop)?;
    let pull_request = event.get("pull_request").filter(|value| !value.is_null());
    Ok(pull_request.map(|pull_request| {
        let name = pull_request["head"]["repo"]["full_name"].as_str();
        name.unwrap_or_default().to_owned()
    }))
}

/// The name of a branch, which can be given as a reference; `None` for any other reference.
fn short(name: &str) -> Option<&str> {
    match name.strip_prefix("refs/") {
        None => Some(name),
        Some(rest) => rest.strip_prefix("heads/"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "1111111111111111111111111111111111111111";
    const OTHER: &str = "2222222222222222222222222222222222222222";

    fn branch(variables: &[(&str, &str)]) -> Option<String> {
        let pairs = variables.iter();
        let pairs = pairs.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let head = ObjectId::from_hex(HEAD).unwrap();
        of_ci(&pairs.collect::<Environment>(), head).ok()
    }

    #[test]
    fn branch_is_that_of_the_build() {
        for variables in [
            [
                ("GITHUB_ACTIONS", "true"),
                ("GITHUB_SHA", HEAD),
                ("GITHUB_REF", "refs/heads/main"),
            ],
            [
                ("GITLAB_CI", "true"),
                ("CI_COMMIT_SHA", HEAD),
                ("CI_COMMIT_BRANCH", "main"),
            ],
            [
                ("BUILDKITE", "true"),
                ("BUILDKITE_COMMIT", "HEAD"),
                ("BUILDKITE_BRANCH", "main"),
            ],
            [
                ("JENKINS_URL", "x"),
                ("GIT_COMMIT", HEAD),
                ("BRANCH_NAME", "main"),
            ],
            [
                ("BITBUCKET_BUILD_NUMBER", "1"),
                ("BITBUCKET_COMMIT", HEAD),
                ("BITBUCKET_BRANCH", "main"),
            ],
            [
                ("CIRCLECI", "true"),
                ("CIRCLE_SHA1", HEAD),
                ("CIRCLE_BRANCH", "main"),
            ],
            [
                ("TF_BUILD", "True"),
                ("BUILD_SOURCEVERSION", HEAD),
                ("BUILD_SOURCEBRANCH", "refs/heads/main"),
            ],
        ] {
            assert_eq!(branch(&variables).as_deref(), Some("main"), "{variables:?}");
            let [marker, (commit, _), named] = variables;
            assert_eq!(
                branch(&[marker, (commit, OTHER), named]),
                None,
                "{variables:?}"
            );
            // Without the variable that only the system sets, its names have no meaning.
            assert_eq!(branch(&[(commit, HEAD), named]), None, "{variables:?}");
        }
    }

    #[test]
    fn build_of_a_pull_request_is_not_about_its_base() {
        let github = [
            ("GITHUB_ACTIONS", "true"),
            ("GITHUB_REF", "refs/pull/1/merge"),
        ];
        let pull = |head, base| {
            branch(
                &[
                    &github[..],
                    &[("GITHUB_HEAD_REF", head), ("GITHUB_BASE_REF", base)],
                ]
                .concat(),
            )
        };
        assert_eq!(pull("topic", "main").as_deref(), Some("topic"));
        assert_eq!(pull("main", "main"), None);
        assert_eq!(branch(&github), None);

        let gitlab = [
            ("GITLAB_CI", "true"),
            ("CI_MERGE_REQUEST_SOURCE_BRANCH_NAME", "topic"),
            ("CI_MERGE_REQUEST_TARGET_BRANCH_NAME", "main"),
        ];
        assert_eq!(branch(&gitlab).as_deref(), Some("topic"));
        let jenkins = [
            ("JENKINS_URL", "x"),
            ("BRANCH_NAME", "PR-1"),
            ("CHANGE_BRANCH", "main"),
            ("CHANGE_TARGET", "dev"),
        ];
        assert_eq!(branch(&jenkins).as_deref(), Some("main"));
        assert_eq!(
            branch(&[&jenkins[..], &[("CHANGE_FORK", "ada")]].concat()),
            None
        );
        let azure = [
            ("TF_BUILD", "True"),
            ("BUILD_SOURCEBRANCH", "refs/pull/1/merge"),
            ("SYSTEM_PULLREQUEST_SOURCEBRANCH", "refs/heads/topic"),
        ];
        assert_eq!(branch(&azure).as_deref(), Some("topic"));

        // The base is checked out.
        let target = [
            ("GITHUB_ACTIONS", "true"),
            ("GITHUB_REF", "refs/heads/main"),
            ("GITHUB_HEAD_REF", "topic"),
            ("GITHUB_BASE_REF", "main"),
        ];
        assert_eq!(branch(&target).as_deref(), Some("main"));
    }

    #[test]
    fn branch_of_a_fork_is_not_known() {
        let directory = tempfile::tempdir().unwrap();
        let event = |name: &str, text: &str| {
            let path = directory.path().join(name);
            fs::write(&path, text).unwrap();
            path.display().to_string()
        };
        let head = |name| format!(r#"{{"pull_request":{{"head":{{"repo":{name}}}}}}}"#);
        let of_event = |path: &str| {
            branch(&[
                ("GITHUB_ACTIONS", "true"),
                ("GITHUB_REF", "refs/pull/1/merge"),
                ("GITHUB_HEAD_REF", "topic"),
                ("GITHUB_BASE_REF", "main"),
                ("GITHUB_REPOSITORY", "Acme/app"),
                ("GITHUB_EVENT_PATH", path),
            ])
        };
        let own = event("own", &head(r#"{"full_name":"acme/app"}"#));
        assert_eq!(of_event(&own).as_deref(), Some("topic"));
        let fork = event("fork", &head(r#"{"full_name":"ada/app"}"#));
        let deleted = event("deleted", &head("null"));
        let damaged = event("damaged", "{");
        for path in [&fork, &deleted, &damaged, "/missing/event"] {
            assert_eq!(of_event(path), None, "{path}");
        }

        for (variables, (name, own), fork) in [
            (
                [
                    ("GITLAB_CI", "true"),
                    ("CI_MERGE_REQUEST_SOURCE_BRANCH_NAME", "topic"),
                    ("CI_MERGE_REQUEST_PROJECT_ID", "1"),
                ],
                ("CI_MERGE_REQUEST_SOURCE_PROJECT_ID", "1"),
                "2",
            ),
            (
                [
                    ("BUILDKITE", "true"),
                    ("BUILDKITE_BRANCH", "topic"),
                    ("BUILDKITE_REPO", "git@github.com:acme/app.git"),
                ],
                ("BUILDKITE_PULL_REQUEST_REPO", "https://github.com/acme/app"),
                "git://github.com/ada/app.git",
            ),
            (
                [
                    ("CIRCLECI", "true"),
                    ("CIRCLE_BRANCH", "topic"),
                    ("CIRCLE_SHA1", HEAD),
                ],
                ("CIRCLE_PR_REPONAME", ""),
                "app",
            ),
            (
                [
                    ("TF_BUILD", "True"),
                    ("BUILD_SOURCEBRANCH", "refs/pull/1/merge"),
                    ("SYSTEM_PULLREQUEST_SOURCEBRANCH", "topic"),
                ],
                ("SYSTEM_PULLREQUEST_ISFORK", "False"),
                "True",
            ),
        ] {
            let with = |value| branch(&[&variables[..], &[(name, value)]].concat());
            assert_eq!(with(own).as_deref(), Some("topic"), "{name}");
            assert_eq!(with(fork), None, "{name}");
        }
    }

    #[test]
    fn build_of_a_tag_has_no_branch() {
        for variables in [
            [
                ("GITHUB_ACTIONS", "true"),
                ("GITHUB_REF", "refs/tags/v1"),
                ("GITHUB_REF_NAME", "v1"),
            ],
            [
                ("GITLAB_CI", "true"),
                ("CI_COMMIT_TAG", "v1"),
                ("CI_COMMIT_REF_NAME", "v1"),
            ],
            [
                ("BUILDKITE", "true"),
                ("BUILDKITE_TAG", "v1"),
                ("BUILDKITE_BRANCH", "v1"),
            ],
            [
                ("CIRCLECI", "true"),
                ("CIRCLE_TAG", "v1"),
                ("CIRCLE_BRANCH", "v1"),
            ],
        ] {
            assert_eq!(branch(&variables), None, "{variables:?}");
        }
        assert_eq!(branch(&[]), None);
    }
}
