//! `{org}`, `{project}` and their like: names in braces that stand for values.

use crate::config::problem::{Problem, did_you_mean};

/// The values that placeholders stand for; `None` is a name that is known and has no value here.
pub(crate) type Values<'v> = [(&'v str, Option<&'v str>)];

/// Why a template cannot be filled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unfilled {
    /// No such placeholder.
    Unknown {
        /// As written.
        name: String,
        /// A close one, as a hint.
        hint: Option<String>,
    },
    /// A placeholder without a value.
    Missing(String),
}

/// Replaces the placeholders of `template`, once. Braces around anything but a name stand for themselves, as the
/// choices of a glob do.
pub(crate) fn fill(template: &str, values: &Values<'_>) -> Result<String, Unfilled> {
    let mut filled = String::with_capacity(template.len());
    let mut rest = template;
    while let Some(start) = rest.find('{') {
        let (before, from) = rest.split_at(start);
        filled.push_str(before);
        let inside = &from[1..];
        let end = inside
            .find(|c: char| !is_name_character(c))
            .unwrap_or(inside.len());
        let (name, behind) = inside.split_at(end);
        let Some(after) = behind.strip_prefix('}').filter(|_| is_name(name)) else {
            filled.push('{');
            rest = inside;
            continue;
        };
        match values.iter().find(|(known, _)| *known == name) {
            Some((_, Some(value))) => filled.push_str(value),
            Some((_, None)) => return Err(Unfilled::Missing(name.to_owned())),
            None => {
                let hint = did_you_mean(name, values.iter().map(|(known, _)| *known));
                return Err(Unfilled::Unknown {
                    name: name.to_owned(),
                    hint,
                });
            }
        }
        rest = after;
    }
    filled.push_str(rest);
    Ok(filled)
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.chars().all(is_name_character)
}

fn is_name_character(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// Tells `unfilled` as a problem of the key `key`.
pub(crate) fn problem(key: &str, unfilled: Unfilled) -> Problem {
    match unfilled {
        Unfilled::Unknown { name, hint } => Problem::new(format!("`{key}`: unknown placeholder `{{{name}}}`"))
            .maybe_hint(hint.map(|hint| hint.replacen('`', "`{", 1).replacen("`?", "}`?", 1))),
        Unfilled::Missing(name) => {
            let cure = match name.as_str() {
                "org" => "give `organization`",
                "codex_repo" => "give `codex_repo`",
                "env" => "choose an environment: `--env NAME` or `FRACTARY_CODEX_ENV=NAME`",
                "branch" => "give `remote.branch`, or choose an environment: `--env NAME` or `FRACTARY_CODEX_ENV=NAME`",
                _ => "remove it",
            };
            Problem::new(format!("`{key}`: `{{{name}}}` has no value")).hint(cure)
        }
    }
    .key(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_replaced_once_and_choices_left_alone() {
        let values = [
            ("org", Some("{project}")),
            ("project", Some("p")),
            ("env", None),
        ];
        assert_eq!(
            fill("{org}/{project}/*.{md,txt}{", &values).as_deref(),
            Ok("{project}/p/*.{md,txt}{")
        );
        assert_eq!(
            fill("{env}", &values),
            Err(Unfilled::Missing("env".to_owned()))
        );
        let unknown = fill("{projct}", &values).unwrap_err();
        assert_eq!(
            problem("to", unknown).hint.as_deref(),
            Some("did you mean `{project}`?")
        );
    }
}
