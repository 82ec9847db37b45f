//! The branch that sources were checked out from, for `sync.to_codex.branches`. CI systems check out
//! a commit without a branch, and name the branch in variables.

use super::ci_system::CiSystem;
use crate::environment::Environment;
use crate::object::ObjectId;

/// The names of the variables in which a CI system describes the branch of a build.
struct BranchVariables {
    system: CiSystem,
    /// The variable with the commit of the build.
    commit: &'static str,
    /// The variable with the branch, in a build that is not about a pull request.
    branch: &'static str,
    /// The variable that is only set in a build that is about a tag; empty without such a
    /// variable.
    tag: &'static str,
    /// In a build that is about a pull request: the variable with the branch that is to be merged,
    /// and the variable with the branch that it is merged into.
    pull_request: (&'static str, &'static str),
    /// The variable that is set, and not `false`, if the branch of the pull request is in another
    /// repository; empty without such a variable.
    fork: &'static str,
}

const SYSTEMS: [BranchVariables; 7] = [
    BranchVariables {
        system: CiSystem::GitHub,
        commit: "GITHUB_SHA",
        branch: "GITHUB_REF",
        tag: "",
        pull_request: ("GITHUB_HEAD_REF", "GITHUB_BASE_REF"),
        fork: "",
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
        fork: "",
    },
    BranchVariables {
        system: CiSystem::Buildkite,
        commit: "BUILDKITE_COMMIT",
        branch: "BUILDKITE_BRANCH",
        tag: "BUILDKITE_TAG",
        pull_request: ("", "BUILDKITE_PULL_REQUEST_BASE_BRANCH"),
        fork: "",
    },
    BranchVariables {
        system: CiSystem::Jenkins,
        commit: "GIT_COMMIT",
        branch: "BRANCH_NAME",
        tag: "TAG_NAME",
        pull_request: ("CHANGE_BRANCH", "CHANGE_TARGET"),
        fork: "CHANGE_FORK",
    },
    BranchVariables {
        system: CiSystem::Bitbucket,
        commit: "BITBUCKET_COMMIT",
        branch: "BITBUCKET_BRANCH",
        tag: "BITBUCKET_TAG",
        pull_request: ("", "BITBUCKET_PR_DESTINATION_BRANCH"),
        fork: "",
    },
    BranchVariables {
        system: CiSystem::CircleCi,
        commit: "CIRCLE_SHA1",
        branch: "CIRCLE_BRANCH",
        tag: "CIRCLE_TAG",
        pull_request: ("", ""),
        fork: "",
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
        fork: "SYSTEM_PULLREQUEST_ISFORK",
    },
];

/// The branch that a CI system names for the checked-out commit `head`; otherwise the reason why the
/// branch is not known.
///
/// The build of a pull request is about the branch that is to be merged, never about the one that it
/// is merged into. If both have one name, the first is in a fork.
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
    if get(system.fork).is_some_and(|fork| !fork.eq_ignore_ascii_case("false")) {
        return Err("the pull request is from a fork");
    }

    let (source, target) = system.pull_request;
    let target = get(target).map(short);
    let name = get(source).or_else(|| get(system.branch));
    match name.map(short) {
        Some(Some(name)) if target == Some(Some(name)) => Err("the pull request is from a fork"),
        Some(Some(name)) => Ok(name.to_owned()),
        Some(None) => Err("the build is not about a branch"),
        None => Err("the variables of the build name no branch"),
    }
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
