//! Title and body of a pull request.
//!
//! A forge interprets them: mentions, words that close issues, and on GitLab commands
//! at the start of a line, which it executes with the rights of the token. Texts that do not come
//! from the configuration are therefore in code spans, or lose their meaning by an invisible
//! character.
//!
//! The program writes its part of the body between two markers. Everything outside belongs to the
//! people who review the pull request, and is kept.

use std::collections::BTreeSet;

use super::pull_request::TextLimits;
use crate::markdown::{link, push_list, push_within, shortened, span};
use crate::object::{Kind, ObjectId, hash};

/// The start of the first marker.
const START: &str = "<!-- fractary-codex:start";
/// The second marker.
const END: &str = "<!-- fractary-codex:end -->";
/// An invisible character that separates characters which have a meaning together.
const WORD_JOINER: char = '\u{2060}';
/// The words in the first marker of a pull request that the program opened.
const OPENED: &str = " opened=sync";

/// A project in a pull request.
pub(crate) struct ProposedProject {
    pub name: String,
    /// The numbers of added, modified and deleted files.
    pub counts: [u64; 3],
    /// The source revision: the abbreviated commit, and the address of its page if it is known.
    pub revision: Option<(String, Option<String>)>,
    /// A digest of the project's name and files, in hexadecimal digits.
    pub contents: String,
}

/// The contents of the program's part of a body.
pub(crate) struct BodyContents<'c> {
    /// The text of the configuration, with placeholders replaced.
    pub introduction: &'c str,
    pub projects: &'c [ProposedProject],
    /// The projects that are not in the pull request, each with the reason.
    pub withheld: &'c [(String, String)],
    /// The files of others that the pull request overwrites, each with the name of its project.
    pub drift: &'c [(String, String)],
    /// The findings of the checks, each with the name of its project.
    pub findings: &'c [(String, String)],
    /// The address of an earlier pull request of the same branch.
    pub earlier: Option<&'c str>,
}

/// The values in the marker of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MarkerRecord {
    /// The tip of the branch that the text is about.
    pub tip: ObjectId,
    /// The digest of the title that the program wrote.
    pub title: ObjectId,
    /// Whether the program opened the pull request.
    pub is_own: bool,
}

/// The digest of a title, to find out later whether a person has changed it.
pub(crate) fn title_digest(title: &str) -> ObjectId {
    hash(Kind::Blob, title.as_bytes())
}

/// A title of at most the maximum length, on one line.
pub(crate) fn fit_title(title: &str, limits: TextLimits) -> String {
    let words: Vec<_> = title.split_whitespace().collect();
    // A prefix for drafts must fit too.
    shortened(&words.join(" "), limits.title.saturating_sub(10))
}

/// A text that is not from the configuration, without any meaning for the forge.
pub(crate) fn inert(text: &str) -> String {
    let mut result = String::new();
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        let next = characters.peek().copied();
        let c = if c.is_control() { ' ' } else { c };
        if c == '/' && result.trim().is_empty() {
            result.push(WORD_JOINER);
        }
        match c {
            // The start of a comment could hide the rest, or forge a marker.
            '<' => result.push('‹'),
            '`' => result.push('\''),
            _ => result.push(c),
        }
        // `GH-7` and an address refer to an issue; a name with `-` stays as it can be searched for.
        let is_reference = match c {
            '@' | '#' | '!' => true,
            '-' => next.is_some_and(char::is_numeric),
            ':' => next == Some('/'),
            _ => false,
        };
        if is_reference {
            result.push(WORD_JOINER);
        }
    }
    result
}

/// The introduction without commands: no line begins with `/`, and no line looks like a marker.
fn without_commands(text: &str) -> String {
    let text = text.replace("<!--", "‹!--");
    let lines = text.lines().map(|line| {
        let start = line.trim_start();
        if start.starts_with('/') {
            format!("\\{start}")
        } else {
            line.to_owned()
        }
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The program's part of a body, with its markers, in at most `limit` characters. Projects that do
/// not fit are counted.
pub(crate) fn block(contents: &BodyContents<'_>, record: MarkerRecord, limit: usize) -> String {
    let head = format!(
        "{START} contents={} tip={} title={}{} -->\n",
        digests(contents.projects, limit / 4),
        record.tip,
        record.title,
        if record.is_own { OPENED } else { "" }
    );
    // The last line of a list, if it is cut, and the second marker.
    let reserve = END.len() + 80;
    let room = limit.saturating_sub(head.len() + reserve);
    let mut text = shortened(&without_commands(contents.introduction), room / 2);
    if !text.is_empty() {
        text.push_str("\n\n");
    }
    if let Some(earlier) = contents.earlier {
        let line = format!(
            "An earlier pull request of this branch is {}.\n\n",
            link(earlier, Some(earlier))
        );
        push_within(&mut text, &line, room);
    }

    let title =
        "| project | added | modified | deleted | source |\n| :-- | --: | --: | --: | :-- |\n";
    let rows = contents.projects.iter().map(|project| {
        let [added, modified, deleted] = project.counts;
        let revision = project
            .revision
            .as_ref()
            .map(|(commit, address)| link(commit, address.as_deref()));
        let name = span(&project.name);
        format!(
            "| {name} | {added} | {modified} | {deleted} | {} |\n",
            revision.unwrap_or_default()
        )
    });
    push_list(&mut text, title, rows, room);
    let row = |(name, reason): &(String, String)| format!("- {}: {}\n", span(name), span(reason));
    let withheld = contents.withheld.iter().map(row);
    push_list(&mut text, "\nNot included:\n\n", withheld, room);
    let drift = contents.drift.iter().map(row);
    let heading = "\nOverwrites changes that others have made in the codex:\n\n";
    push_list(&mut text, heading, drift, room);
    let findings = contents.findings.iter().map(row);
    push_list(&mut text, "\nFindings of the checks:\n\n", findings, room);
    format!("{head}{}\n{END}", text.trim_end())
}

/// The digests of the projects, in at most `room` characters. If a person closes the pull request,
/// the projects that do not fit are proposed again.
fn digests(projects: &[ProposedProject], room: usize) -> String {
    let mut list = String::new();
    for project in projects {
        if list.len() + project.contents.len() >= room {
            break;
        }
        if !list.is_empty() {
            list.push(',');
        }
        list.push_str(&project.contents);
    }
    list
}

/// Why the body of a pull request must stay as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum KeptBody {
    /// The text of other people is too long.
    #[error("the text of other people leaves no room for the list of projects")]
    Full,
    /// The forge would execute a line with the rights of the token.
    #[error(
        "the text of other people has a line that begins with `/`, which the forge would execute"
    )]
    Command,
}

/// The new body of an open pull request. The text of other people is kept.
pub(crate) fn updated_body(
    body: &str,
    contents: &BodyContents<'_>,
    record: MarkerRecord,
    limits: TextLimits,
) -> Result<String, KeptBody> {
    let (before, after) = match parts(body) {
        Some((before, _, after)) => (before, after),
        None => (body, ""),
    };
    let is_command = |line: &str| line.trim_start().starts_with('/');
    if limits.executes_commands && before.lines().chain(after.lines()).any(is_command) {
        return Err(KeptBody::Command);
    }

    let room = limits.body.saturating_sub(length_outside(body));
    let block = block(contents, record, room);
    if block.chars().count() > room {
        return Err(KeptBody::Full);
    }
    Ok(with_block(body, &block))
}

/// Replaces the program's part in the body of a pull request by `block`; without one, appends it.
/// The rest is kept.
fn with_block(body: &str, block: &str) -> String {
    match parts(body) {
        Some((before, _, after)) => format!("{before}{block}{after}"),
        None if body.trim().is_empty() => block.to_owned(),
        None => format!("{}\n\n{block}", body.trim_end()),
    }
}

/// The number of characters outside the program's part of a body.
fn length_outside(body: &str) -> usize {
    match parts(body) {
        Some((before, _, after)) => before.chars().count() + after.chars().count(),
        None => body.chars().count() + 2,
    }
}

/// The values in the marker of a body; `None` without a marker.
pub(crate) fn record_in(body: &str) -> Option<MarkerRecord> {
    let id = |name: &str| ObjectId::from_hex(value_in(body, name)?);
    Some(MarkerRecord {
        tip: id("tip=")?,
        title: id("title=")?,
        is_own: value_in(body, OPENED.trim_start()).is_some(),
    })
}

/// The digests of the projects in the marker of a body.
pub(crate) fn contents_in(body: &str) -> BTreeSet<&str> {
    let list = value_in(body, "contents=").unwrap_or_default();
    list.split(',')
        .filter(|digest| !digest.is_empty())
        .collect()
}

/// The rest of the word that begins with `name` in the marker of a body.
fn value_in<'b>(body: &'b str, name: &str) -> Option<&'b str> {
    let (_, block, _) = parts(body)?;
    let mut words = block.lines().next()?.split_whitespace();
    words.find_map(|word| word.strip_prefix(name))
}

/// The text before the program's part, that part with its markers, and the text after it. A first
/// marker without a second one is a person's text.
fn parts(body: &str) -> Option<(&str, &str, &str)> {
    let first_start = body.find(START)?;
    let end_marker = first_start + body[first_start..].find(END)?;
    let start = body[..end_marker].rfind(START)?;
    let end = end_marker + END.len();
    Some((&body[..start], &body[start..end], &body[end..]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RECORD: MarkerRecord = MarkerRecord {
        tip: ObjectId([1; 20]),
        title: ObjectId([2; 20]),
        is_own: true,
    };

    fn project(name: &str) -> ProposedProject {
        ProposedProject {
            name: name.to_owned(),
            counts: [1, 2, 3],
            revision: Some((
                "0123456".to_owned(),
                Some("https://h/commit/0123456".to_owned()),
            )),
            contents: "0123456789ab".to_owned(),
        }
    }

    fn hostile() -> impl Strategy<Value = String> {
        let pieces = prop::sample::select(vec![
            "/merge", "@ada", "Fixes #7", "!5", "`", "```", "|", "\n", "\r\n", " ", "<!--", "-->",
            END, START, "a", "é", "](", "\u{202e}", "~", "GH-7",
        ]);
        prop::collection::vec(pieces, 0..30).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        /// Every foreign text is in one code span on one line, and the markers are the only ones.
        #[test]
        fn foreign_text_has_no_meaning(name in hostile(), reason in hostile(), introduction in hostile()) {
            let contents = BodyContents {
                introduction: &introduction,
                projects: &[project(&name)],
                withheld: &[(name.clone(), reason)],
                drift: &[],
            findings: &[],
                earlier: None,
            };
            let text = block(&contents, RECORD, 65_536);
            prop_assert_eq!(text.matches("<!--").count(), 2, "{}", text);
            prop_assert!(text.ends_with(END));
            for line in text.lines() {
                prop_assert!(!line.trim_start().starts_with('/'), "{}", line);
            }
            let (_, lists) = text.split_once("| project |").unwrap();
            let generated = lists.lines().filter(|line| line.starts_with("| `") || line.starts_with("- `"));
            for line in generated {
                let outside: String = line.split('`').step_by(2).collect();
                prop_assert!(!outside.contains(['@', '#', '!', '<']), "{}", line);
                prop_assert_eq!(line.matches('`').count() % 2, 0, "{}", line);
            }
        }

        /// A person's text outside the markers survives any number of updates.
        #[test]
        fn text_outside_the_markers_is_kept(before in "[a-z #\n]{0,40}", after in "[a-z #\n]{0,40}") {
            let old = block(&contents(&[]), RECORD, 1000);
            let body = format!("{before}{old}{after}");
            let new = block(&contents(&[project("alpha")]), RECORD, 1000);
            let updated = with_block(&body, &new);
            prop_assert_eq!(&updated, &format!("{before}{new}{after}"));
            prop_assert_eq!(with_block(&updated, &new), updated);
            prop_assert_eq!(length_outside(&body), before.chars().count() + after.chars().count());
        }

        #[test]
        fn text_fits_the_limit(count in 0usize..200, limit in 400usize..5000) {
            let projects: Vec<_> = (0..count).map(|n| project(&format!("project-{n}"))).collect();
            let text = block(&contents(&projects), RECORD, limit);
            prop_assert!(text.chars().count() <= limit, "{} > {limit}", text.chars().count());
            prop_assert_eq!(record_in(&text), Some(RECORD));
            prop_assert_eq!(contents_in(&text).is_empty(), count == 0);
        }

        #[test]
        fn inert_text_mentions_nobody(text in hostile()) {
            let text = inert(&text);
            prop_assert!(!text.contains("@a") && !text.contains("#7") && !text.contains("!5"), "{}", text);
            prop_assert!(!text.contains("GH-7") && !text.contains("<!--") && !text.contains('\n'));
            prop_assert!(!text.trim_start().starts_with('/'));
        }
    }

    fn contents(projects: &[ProposedProject]) -> BodyContents<'_> {
        BodyContents {
            introduction: "Documents of many projects.",
            projects,
            withheld: &[],
            drift: &[],
            findings: &[],
            earlier: None,
        }
    }

    fn limits(title: usize, body: usize) -> TextLimits {
        TextLimits {
            title,
            body,
            executes_commands: true,
        }
    }

    #[test]
    fn inert_text_stays_searchable() {
        for (text, expected) in [
            ("billing-api: new", "billing-api: new"),
            ("team-2024", "team-\u{2060}2024"),
            ("https://h/x", "https:\u{2060}//h/x"),
        ] {
            assert_eq!(inert(text), expected);
        }
    }

    #[test]
    fn body_with_a_command_of_another_person_is_left_alone() {
        let own = block(&contents(&[]), RECORD, 1000);
        let update = |body: &str, limits| updated_body(body, &contents(&[]), RECORD, limits);
        for outside in ["/merge", "Read this.\n  /approve"] {
            for body in [format!("{outside}\n\n{own}"), format!("{own}\n{outside}")] {
                assert_eq!(update(&body, limits(0, 1000)), Err(KeptBody::Command));
                let harmless = TextLimits {
                    executes_commands: false,
                    ..limits(0, 1000)
                };
                assert_eq!(update(&body, harmless), Ok(body));
            }
        }
        let path = format!("See a/b.\n\n{own}");
        assert_eq!(update(&path, limits(0, 1000)), Ok(path));
    }

    #[test]
    fn body_without_room_is_left_alone() {
        let own = block(&contents(&[]), RECORD, 1000);
        let body = format!("{}{own}", "x".repeat(900));
        let updated = updated_body(&body, &contents(&[]), RECORD, limits(0, 1000));
        assert_eq!(updated, Err(KeptBody::Full));
    }

    #[test]
    fn marker_without_an_end_belongs_to_a_person() {
        let own = block(&contents(&[]), RECORD, 1000);
        let before = format!("{START} a quotation -->\n");
        let body = format!("{before}{own}\nThanks. {END}");
        let new = block(&contents(&[project("alpha")]), RECORD, 1000);
        let expected = format!("{before}{new}\nThanks. {END}");
        assert_eq!(with_block(&body, &new), expected);
        assert_eq!(record_in(&body), Some(RECORD));
    }

    #[test]
    fn title_fits_on_one_line() {
        let limits = limits(30, 0);
        assert_eq!(fit_title("a\n b", limits), "a b");
        let long = fit_title(&"word ".repeat(20), limits);
        assert!(long.chars().count() <= 20 && long.ends_with('…'), "{long}");
    }

    #[test]
    fn block_of_a_small_run() {
        let contents = BodyContents {
            introduction: "Published documents.",
            projects: &[project("alpha")],
            withheld: &[("beta".to_owned(), "no `files` match".to_owned())],
            drift: &[],
            findings: &[],
            earlier: Some("https://h/pull/1"),
        };
        let expected = "<!-- fractary-codex:start contents=0123456789ab tip=0101010101010101010101010101010101010101 title=0202020202020202020202020202020202020202 opened=sync -->
Published documents.

An earlier pull request of this branch is [`https://h/pull/1`](https://h/pull/1).

| project | added | modified | deleted | source |
| :-- | --: | --: | --: | :-- |
| `alpha` | 1 | 2 | 3 | [`0123456`](https://h/commit/0123456) |

Not included:

- `beta`: `no 'files' match`
<!-- fractary-codex:end -->";
        assert_eq!(block(&contents, RECORD, 65_536), expected);
    }
}
