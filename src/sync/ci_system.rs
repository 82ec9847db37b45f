//! The CI system that runs the program.

use crate::environment::Environment;

/// A CI system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CiSystem {
    GitHub,
    GitLab,
    Buildkite,
    Jenkins,
    Bitbucket,
    CircleCi,
    Azure,
}

/// Each system, with a variable that only this system sets.
const MARKERS: [(CiSystem, &str); 7] = [
    (CiSystem::GitHub, "GITHUB_ACTIONS"),
    (CiSystem::GitLab, "GITLAB_CI"),
    (CiSystem::Buildkite, "BUILDKITE"),
    (CiSystem::Jenkins, "JENKINS_URL"),
    (CiSystem::Bitbucket, "BITBUCKET_BUILD_NUMBER"),
    (CiSystem::CircleCi, "CIRCLECI"),
    (CiSystem::Azure, "TF_BUILD"),
];

impl CiSystem {
    /// The system whose variables are set.
    pub(super) fn of(environment: &Environment) -> Option<Self> {
        let mut markers = MARKERS.iter();
        let (system, _) = markers.find(|(_, marker)| environment.get(marker).is_some())?;
        Some(*system)
    }

    /// The setting that makes the system clone the commits that a revision needs.
    pub(super) fn depth_hint(self) -> &'static str {
        match self {
            Self::GitHub => "set `fetch-depth: 0` of `actions/checkout`",
            Self::GitLab => "set the variable `GIT_DEPTH: 0` of the job",
            Self::Buildkite => {
                "remove `--depth` from `BUILDKITE_GIT_CLONE_FLAGS` and `BUILDKITE_GIT_FETCH_FLAGS`"
            }
            Self::Jenkins => "remove the shallow clone from the checkout (`CloneOption`)",
            Self::Bitbucket => "set `clone: { depth: full }` in the pipeline",
            Self::CircleCi => "set `method: full` of the step `checkout`",
            Self::Azure => "set `fetchDepth: 0` of the step `checkout`",
        }
    }
}
