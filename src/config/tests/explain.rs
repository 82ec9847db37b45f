//! Explanations of keys, for every way to write a key.

use super::*;

/// The value of a key and the layers that give it, highest first.
fn explained(world: &World, key: &str) -> String {
    match world.load().0.explain(key) {
        Ok(keys) => keys.iter().map(line).collect::<Vec<_>>().join("\n"),
        Err(problem) => format!(
            "{problem} [{}]",
            problem.hint.as_deref().unwrap_or_default()
        ),
    }
}

fn line(key: &Explanation) -> String {
    let value = key
        .value
        .as_ref()
        .map_or("not set".to_owned(), ToString::to_string);
    let counts = key
        .given
        .iter()
        .filter(|given| given.counts)
        .map(|given| given.layer.to_string());
    let from: Vec<String> = counts.collect();
    format!("{} = {value} {}", key.key, from.join(" "))
        .trim_end()
        .to_owned()
}

fn world() -> World {
    let text = format!(
        "{ONE}  remote: {{ token: s3cret }}\n  projects:\n    p:\n      mappings: [{{ from: a, to: b, exclude: [c] }}]\n      \
         sync: {{ direction: from-codex }}\n    token: {{ root: t }}\n    exclude: {{ root: e }}\n  \
         sync:\n    environments: {{ exclude: none, token: open }}\n    to_codex: {{ exclude: [x] }}\n"
    );
    World::new(&[("ws/.fractary/config.yaml", &text)])
}

#[test]
fn missing_keys_are_not_set_or_unknown() {
    let world = world();
    for (key, expected) in [
        ("commit.author", "commit.author = not set"),
        ("remotes", "remotes = not set"),
        ("remote.branch", "remote.branch = not set"),
        ("projects.billing.to", "projects.billing.to = not set"),
        (
            "projects.billing.sync.delete_guard.files",
            "projects.billing.sync.delete_guard.files = 20 default",
        ),
        ("projects.zz", "there is no project `zz` []"),
        (
            "projects.tokn.root",
            "there is no project `tokn` [did you mean `token`?]",
        ),
        (
            "sync.exclude",
            "`sync.exclude` is an older key [it is now `sync.to_codex.exclude`]",
        ),
        (
            "projects.p.sync.include",
            "`projects.p.sync.include` is an older key [it is now `projects.p.sync.to_codex.include`]",
        ),
        (
            "schema_version",
            "`schema_version` is a key of the older tool and is ignored []",
        ),
        (
            "storage.path",
            "`storage.path` is a key of the older tool and is ignored []",
        ),
        (
            "projects.p.sync.environments",
            "unknown key `projects.p.sync.environments` []",
        ),
    ] {
        assert_eq!(explained(&world, key), expected, "{key}");
    }
}

#[test]
fn keys_are_accepted_as_messages_show_them() {
    let world = world();
    for (key, expected) in [
        (
            "projects.p.mappings[0].to",
            "projects.p.mappings[0].to = \"b\" workspace",
        ),
        (
            "projects.p.mappings[0].exclude[0]",
            "projects.p.mappings[0].exclude[0] = \"c\" workspace",
        ),
        ("projects.p.mappings[1]", "projects.p.mappings[1] = not set"),
        (
            "sync.to_codex.include[1]",
            "sync.to_codex.include[1] = \"README.md\" default",
        ),
        (
            "sync.to_codex.exclude",
            "sync.to_codex.exclude = [\"**/*.tmp\",\"x\"] workspace default",
        ),
        (
            "sync.to_codex.exclude[0]",
            "sync.to_codex.exclude[0] = \"x\" workspace default",
        ),
    ] {
        assert_eq!(explained(&world, key), expected, "{key}");
    }
}

#[test]
fn a_users_own_name_is_neither_a_secret_nor_a_list() {
    let world = world();
    assert_eq!(
        explained(&world, "sync.environments.token"),
        "sync.environments.token = \"open\" workspace"
    );
    assert_eq!(
        explained(&world, "sync.environments.exclude"),
        "sync.environments.exclude = \"none\" workspace"
    );
    assert_eq!(
        explained(&world, "remote.token"),
        "remote.token = \"***\" workspace"
    );
    assert!(explained(&world, "projects.token").starts_with("projects.token.root = \""));
    let empty = World::new(&[(
        "ws/.fractary/config.yaml",
        "codex: { remote: { url: /c }, projects: { exclude: {} } }",
    )]);
    assert_eq!(
        explained(&empty, "projects"),
        "projects.exclude = {} workspace"
    );
}

#[test]
fn the_winner_for_a_project_is_the_value_that_its_run_uses() {
    let direction = "projects.p.sync.direction";
    assert_eq!(
        explained(&world(), direction),
        format!("{direction} = \"from-codex\" workspace")
    );
    let world = world().set(&["sync.direction=bidirectional"]);
    assert_eq!(
        explained(&world, direction),
        format!("{direction} = \"bidirectional\" flag")
    );
    // Without a value for the project, the value for all projects is used.
    assert_eq!(
        explained(&world, "projects.p.sync.prune"),
        "projects.p.sync.prune = \"false\" default".replace('"', "")
    );
    let world = world.set(&[
        "sync.direction=bidirectional",
        "projects.p.sync.direction=to-codex",
    ]);
    assert_eq!(
        explained(&world, direction),
        format!("{direction} = \"to-codex\" flag")
    );
}

#[test]
fn the_lists_of_a_project_are_those_that_its_run_uses() {
    let own = "projects: { p: { sync: { to_codex: { include: [a], exclude: [own] } } }, q: {} }";
    let text =
        format!("{ONE}  {own}\n  sync: {{ to_codex: {{ include: [b, c], exclude: [x] }} }}\n");
    let world = World::new(&[("ws/.fractary/config.yaml", &text)]);
    let include = "projects.p.sync.to_codex.include";
    // Excludes for all projects are combined with the project's own.
    for (key, expected) in [
        (
            "projects.p.sync.to_codex.exclude",
            "[\"**/*.tmp\",\"x\",\"own\"] workspace workspace default",
        ),
        (
            "projects.q.sync.to_codex.exclude",
            "[\"**/*.tmp\",\"x\"] workspace default",
        ),
        (include, "[\"a\"] workspace"),
        (
            "projects.q.sync.to_codex.include",
            "[\"b\",\"c\"] workspace",
        ),
        // A list that is overridden has no elements.
        (&format!("{include}[0]"), "\"a\" workspace"),
        (&format!("{include}[1]"), "not set"),
        ("projects.q.sync.to_codex.include[1]", "\"c\" workspace"),
    ] {
        assert_eq!(explained(&world, key), format!("{key} = {expected}"));
    }
    let world = world.set(&["sync.to_codex.include=['flag']"]);
    assert_eq!(
        explained(&world, &format!("{include}[0]")),
        format!("{include}[0] = \"flag\" flag")
    );
}
