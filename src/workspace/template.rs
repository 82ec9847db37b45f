//! Templates: texts with placeholders such as `{org}` and `{project}`.

use crate::config::problem::{Problem, did_you_mean};

/// The values of the known placeholders; `None` for a placeholder without a value.
pub(crate) type Values<'v> = [(&'v str, Option<&'v str>)];

/// Why the placeholders of a template cannot be replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unfilled {
    /// The placeholder is unknown.
    Unknown {
        name: String,
        /// A hint with the closest known placeholder.
        hint: Option<String>,
    },
    /// The placeholder of this name has no value.
    Missing(String),
}

/// Replaces the placeholders of `template`; those in their values are not replaced. Braces around
/// anything other than a name are kept, for example those of a glob.
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

/// Converts the error to a problem of the key `key`.
pub(crate) fn problem(key: &str, unfilled: Unfilled) -> Problem {
    match unfilled {
        Unfilled::Unknown { name, hint } => {
            Problem::new(format!("`{key}`: unknown placeholder `{{{name}}}`"))
                .maybe_hint(hint.map(|hint| hint.replacen('`', "`{", 1).replacen("`?", "}`?", 1)))
        }
        Unfilled::Missing(name) => {
            let hint = match name.as_str() {
                "org" => "set `organization`",
                "codex_repo" => "set `codex_repo`",
                // Not all commands have the option `--env`.
                "env" => "select an environment: set `FRACTARY_CODEX_ENV=NAME`",
                "branch" => {
                    "set `remote.branch`, or select an environment: set `FRACTARY_CODEX_ENV=NAME`"
                }
                _ => "remove it",
            };
            Problem::new(format!("`{key}`: `{{{name}}}` has no value")).hint(hint)
        }
    }
    .key(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_replaced_once_and_other_braces_kept() {
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
