//! Values of the wrong type, and the number of reported errors.

use super::*;

/// The problems of a workspace file with the required keys and `more`.
fn problems_of(more: &str) -> String {
    World::new(&[("ws/.fractary/config.yaml", &format!("{ONE}  {more}\n"))]).problems()
}

#[test]
fn maps_and_lists_are_not_confused() {
    for (more, expected) in [
        ("sync: []", "5:9: `sync`: expected a map, found a list"),
        ("sync: [x]", "5:9: `sync`: expected a map, found a list"),
        ("remote: []", "5:11: `remote`: expected a map, found a list"),
        ("commit: []", "5:11: `commit`: expected a map, found a list"),
        (
            "workspace: [\"services/*\"]",
            "5:14: `workspace`: expected a map, found a list",
        ),
        (
            "projects: [a]",
            "5:13: `projects`: expected a map, found a list",
        ),
        (
            "projects: { a: [x] }",
            "5:18: `projects.a`: expected a map, found a list",
        ),
        (
            "projects: { a: x }",
            "5:18: `projects.a`: expected a map, found a string",
        ),
        (
            "projects: { a: { sync: { delete_guard: [1, 2] } } }",
            "`projects.a.sync.delete_guard`: expected a map",
        ),
        (
            "projects: { a: { mappings: [[a, b]] } }",
            "5:31: `projects.a.mappings[0]`: expected a map, found a list",
        ),
        (
            "projects: { a: { mappings: { from: a } } }",
            "5:30: `projects.a.mappings`: expected a list, found a map",
        ),
        (
            "commit: { author: [n, e] }",
            "5:21: `commit.author`: expected a map, found a list",
        ),
        (
            "sync: { environments: [main] }",
            "5:25: `sync.environments`: expected a map, found a list",
        ),
        (
            "sync: { direction: { to-codex: } }",
            "`sync.direction`: expected one of `to-codex`, `from-codex`, `bidi",
        ),
        (
            "sync: { to_codex: { include: [[a]] } }",
            "`sync.to_codex.include[0]`: expected a string, found a list",
        ),
    ] {
        let problems = problems_of(more);
        assert!(
            problems.contains(expected) && problems.lines().count() == 1,
            "{more}: {problems}"
        );
    }
    for (name, value, expected) in [
        (
            "SYNC",
            "{environments=[]}",
            "`sync.environments`: expected a map, found a list",
        ),
        ("SYNC", "[]", "`sync`: expected a map, found a list"),
        (
            "REMOTE",
            "{timeout=['1s']}",
            "`remote.timeout`: expected a map, found a list",
        ),
        ("REMOTE", "x", "`remote`: expected a map, found a string"),
        (
            "WORKSPACE__MEMBERS",
            "{a='b'}",
            "`workspace.members`: expected a list, found a map",
        ),
        (
            "WORKSPACE__MEMBERS",
            "{a,b}/*",
            "`workspace.members`: expected a list, found a string",
        ),
        (
            "WORKSPACE__MEMBERS",
            "['a'",
            "`workspace.members`: expected a TOML list: ",
        ),
    ] {
        let name = format!("FRACTARY_CODEX_{name}");
        let problems = World::new(&[("ws/.fractary/config.yaml", ONE)])
            .env(&[(&name, value)])
            .problems();
        assert!(
            problems.contains(expected) && problems.lines().count() == 1,
            "{value}: {problems}"
        );
    }
}

#[test]
fn errors_in_a_list_have_the_indexes_of_the_file() {
    let problems = problems_of(
        "projects: { a: { mappings: [x, { from: 1 }, { form: 1, to: x }, { from: '[', to: y }] } }",
    );
    let expected = "\
/T/ws/.fractary/config.yaml:5:31: `projects.a.mappings[0]`: expected a map, found a string
/T/ws/.fractary/config.yaml:5:34: `projects.a.mappings[1]` has no `to`
/T/ws/.fractary/config.yaml:5:49: unknown key `projects.a.mappings[2].form` [did you mean `projects.a.mappings[2].from`?]
/T/ws/.fractary/config.yaml:5:75: `projects.a.mappings[3].from`: `[`: unclosed character class; missing ']'
";
    assert_eq!(problems, expected);
    let problems = problems_of(
        "projects: { a: { mappings: [{ from: '${NB}', to: x }, { from: [y], to: x }, { from: z }] } }",
    );
    let lines: Vec<&str> = problems
        .lines()
        .map(|line| line.split_once(' ').unwrap().1)
        .collect();
    assert_eq!(lines.len(), 3, "{problems}");
    assert!(
        lines[0].starts_with("`projects.a.mappings[0].from`: the variable `NB` is not set"),
        "{problems}"
    );
    assert_eq!(
        lines[1],
        "`projects.a.mappings[1].from`: expected a string, found a list"
    );
    assert_eq!(lines[2], "`projects.a.mappings[2]` has no `to`");
}

#[test]
fn the_number_of_reported_errors_is_limited() {
    let many: String = (0..150)
        .map(|number| format!("    wrong{number}: 1\n"))
        .collect();
    let problems = problems_of(&format!("remote:\n{many}"));
    assert_eq!(problems.lines().count(), 101);
    let last = problems.lines().last().unwrap();
    assert_eq!(
        last,
        "/T/ws/.fractary/config.yaml:106:5: only the first 100 errors are listed, and at least 50 from here on are not"
    );
}

#[test]
fn a_key_in_the_map_of_a_variable_is_reported_as_a_key() {
    let projects = [("FRACTARY_CODEX_PROJECTS", "{a={roots='x'}}")];
    let problems = World::new(&[("ws/.fractary/config.yaml", ONE)])
        .env(&projects)
        .problems();
    let expected = "environment variable `FRACTARY_CODEX_PROJECTS`: unknown key `projects.a.roots` [did you mean \
                    `projects.a.root`?]\n";
    assert_eq!(problems, expected);
}

#[test]
fn invalid_values_are_reported_at_load() {
    for (more, expected) in [
        (
            "remote: { branch: refs/heads/main }",
            "`remote.branch`: `refs/heads/main` is not a branch name [use the short name `main`]",
        ),
        (
            "remote: { branch: refs/for/main }",
            "`remote.branch`: `refs/for/main` is not a branch name [use a branch name, without `refs/`: a push to a ref for reviews (`refs/for/…`) changes no branch, so it could not be verified]",
        ),
        (
            "remote: { branch: HEAD }",
            "`remote.branch`: `HEAD` is not a branch name",
        ),
        (
            "remote: { url: \"/a\\0b\" }",
            "`remote.url`: a path or URL cannot contain a NUL character",
        ),
        (
            "cache: { dir: \"a\\0b\" }",
            "`cache.dir`: a path or URL cannot contain a NUL character",
        ),
        (
            "state: { dir: \"a\\0b\" }",
            "`state.dir`: a path or URL cannot contain a NUL character",
        ),
        (
            "projects: { a: { root: \"a\\0b\" } }",
            "`projects.a.root`: a path or URL cannot contain a NUL character",
        ),
        ("commit: { message: '' }", "`commit.message` is empty"),
        (
            "commit: { author: { name: ' ', email: e } }",
            "`commit.author.name` is empty",
        ),
        (
            "commit: { author: { name: n, email: '' } }",
            "`commit.author.email` is empty",
        ),
        (
            "remote: { timeout: { idle: 18446744073709551615s } }",
            "`remote.timeout.idle`: expected a duration of at most 24h",
        ),
    ] {
        let problems = problems_of(more);
        assert!(
            problems.contains(expected) && problems.lines().count() == 1,
            "{more}: {problems}"
        );
    }
}
