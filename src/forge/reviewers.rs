//! Requests reviews of a pull request.

use serde_json::json;

use super::api::Api;
use super::error::ForgeError;

/// The names of the teams among `reviewers`, which have the form `ORG/TEAM`, and the other
/// reviewers.
pub(super) fn teams_and_users(reviewers: &[String]) -> (Vec<&str>, Vec<&str>) {
    let mut teams = Vec::new();
    let mut users = Vec::new();
    for reviewer in reviewers {
        match reviewer.rsplit_once('/') {
            Some((_, team)) => teams.push(team),
            None => users.push(reviewer.as_str()),
        }
    }
    (teams, users)
}

/// Requests reviews in the format that GitHub and Gitea share. `target` is the document of the
/// requested reviewers.
///
/// One reviewer that is not possible makes the whole request fail, with a status for which
/// `is_about_reviewer` holds. Then each one is requested alone, and the result is the last error.
pub(super) fn request_reviews(
    api: &mut Api,
    target: &str,
    reviewers: &[String],
    is_about_reviewer: impl Fn(u16) -> bool,
) -> Result<(), ForgeError> {
    let mut request = |users: &[&str], teams: &[&str]| {
        let body = json!({ "reviewers": users, "team_reviewers": teams });
        api.write("POST", "request the reviews", target, &body)
            .map(drop)
    };
    let (teams, users) = teams_and_users(reviewers);
    let result = request(&users, &teams);
    let is_about_reviewer = result.as_ref().is_err_and(|error| {
        let rejection = error.rejection();
        rejection.is_some_and(|rejection| is_about_reviewer(rejection.status))
    });
    if !is_about_reviewer || reviewers.len() == 1 {
        return result;
    }

    let mut last = Ok(());
    for user in users {
        last = request(&[user], &[]).and(last);
    }
    for team in teams {
        last = request(&[], &[team]).and(last);
    }
    last
}
