//! The matrix of a CI pipeline with a job per shard (`projects --matrix`). Its schema is
//! `schemas/matrix.schema.json`.

use schemars::JsonSchema;
use serde::Serialize;

use crate::workspace::shards::Assignment;

/// The matrix, in the form of a CI system.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum MatrixDocument {
    /// For `strategy.matrix` of GitHub.
    GitHub(GitHubMatrix),
    /// For `parallel:matrix` of GitLab: one element, or none without projects.
    GitLab(Vec<GitLabVariables>),
}

/// A matrix of GitHub.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct GitHubMatrix {
    /// The shards that have projects.
    include: Vec<MatrixShard>,
}

/// One shard.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct MatrixShard {
    /// The value of `--shard`: `K/N:DIGEST`. The digest identifies the assignment of the projects.
    shard: String,
    /// The number of projects.
    projects: usize,
    /// The number of their files.
    files: u64,
}

/// The variables of the jobs of GitLab.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct GitLabVariables {
    /// The values of `--shard`, one per job.
    #[serde(rename = "SHARD")]
    shard: Vec<String>,
}

impl MatrixDocument {
    /// The matrix of GitHub for an assignment. `files` are the numbers of files of the projects.
    pub(crate) fn for_github(assignment: &Assignment, files: &[u64]) -> Self {
        let include = assignment.used().into_iter().map(|number| {
            let projects = assignment.shards.iter().zip(files);
            let own = projects.filter(|(shard, _)| **shard == number);
            let own: Vec<_> = own.map(|(_, files)| files).collect();
            MatrixShard {
                shard: assignment.value(number),
                projects: own.len(),
                files: own.into_iter().sum(),
            }
        });
        Self::GitHub(GitHubMatrix {
            include: include.collect(),
        })
    }

    /// The matrix of GitLab for an assignment.
    pub(crate) fn for_gitlab(assignment: &Assignment) -> Self {
        let used = assignment.used().into_iter();
        let shard: Vec<_> = used.map(|number| assignment.value(number)).collect();
        let is_empty = shard.is_empty();
        let variables = (!is_empty).then_some(GitLabVariables { shard });
        Self::GitLab(variables.into_iter().collect())
    }
}
