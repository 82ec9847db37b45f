//! The projects of a workspace, and the settings of each.

use super::*;

#[test]
fn a_minimal_file_uses_the_defaults() {
    let world = World::new(&[("ws/.fractary/config.yaml", ONE)]).at("ws");
    let (configuration, workspace) = world.load();
    assert_eq!(
        workspace.remote.url.to_string(),
        "https://github.com/acme/codex.acme.com.git"
    );
    assert_eq!(workspace.projects.len(), 1);
    let project = &workspace.projects[0];
    assert_eq!(
        (project.name.as_str(), project.to.to_string().as_str()),
        ("billing", "projects/billing")
    );
    assert_eq!(project.root, world.request.cwd);
    assert_eq!(project.direction, Direction::ToCodex);
    assert_eq!(
        project.claims.patterns().include,
        ["docs/**", "README.md", "CLAUDE.md"]
    );
    assert_eq!(project.claims.patterns().exclude, ["**/*.tmp"]);
    assert!(
        project
            .scan
            .deny_list
            .paths
            .contains(&world.request.cwd.join(".fractary/codex/cache"))
    );
    assert_eq!(
        project.cache_dir,
        world.request.cwd.join(".fractary/codex/cache")
    );
    assert_eq!(
        workspace.state_dir,
        world.dir.path().join("home/state/fractary-codex")
    );
    assert_eq!(configuration.warnings().count(), 0);
}

#[test]
fn members_set_their_name_and_sync_and_must_agree_otherwise() {
    let root = "codex:\n  organization: acme\n  codex_repo: c\n  workspace: { members: ['services/*', lib], exclude: ['services/old-*'] }\n  \
                projects:\n    api: { to: elsewhere/api }\n  sync: { prune: true, to_codex: { exclude: [a] } }\n";
    let api = "codex: { project: api, organization: acme, sync: { prune: false, to_codex: { exclude: [b] } } }";
    let world = World::new(&[
        ("ws/.fractary/config.yaml", root),
        ("ws/services/x/.fractary/config.yaml", api),
        ("ws/services/y/README.md", ""),
        ("ws/services/old-z/README.md", ""),
        ("ws/lib/README.md", ""),
    ]);
    let (configuration, workspace) = world.load();
    assert_eq!(names(&workspace), ["api", "lib", "y"]);
    let api = &workspace.projects[0];
    assert_eq!(
        (api.root.clone(), api.to.to_string(), api.prune),
        (
            world.request.cwd.join("services/x"),
            "elsewhere/api".to_owned(),
            false
        )
    );
    assert_eq!(api.claims.patterns().exclude, ["**/*.tmp", "a", "b"]);
    assert!(workspace.projects[2].prune);
    assert_eq!(configuration.files().len(), 2);
    // From inside a member, and deeper, the workspace is the same.
    for cwd in ["ws/services/x", "ws/services/x/docs"] {
        fs::create_dir_all(world.dir.path().join("ws/services/x/docs")).unwrap();
        let request = LoadRequest {
            cwd: world.dir.path().join(cwd),
            ..world.request.clone()
        };
        let (configuration, workspace) = workspace::load(&request).unwrap();
        assert_eq!(configuration.root, world.request.cwd);
        let selected = workspace::select(&workspace, false, &[], &request.cwd).unwrap();
        assert_eq!(selected[0].name.as_str(), "api");
    }
    let other = "codex: { organization: other }";
    fs::create_dir_all(world.dir.path().join("ws/lib/.fractary")).unwrap();
    fs::write(world.dir.path().join("ws/lib/.fractary/config.yaml"), other).unwrap();
    let problems = world.problems();
    assert!(
        problems.contains("/T/ws/lib/.fractary/config.yaml:1:24: `organization` is `other` here"),
        "{problems}"
    );
    assert!(
        problems.contains("but `acme` in the workspace: /T/ws/.fractary/config.yaml:2:17"),
        "{problems}"
    );
}

#[test]
fn a_thousand_members() {
    let world = World::new(&[(
        "ws/.fractary/config.yaml",
        "codex: { remote: { url: /c.git }, workspace: { members: ['*/*'] } }",
    )]);
    for number in 0..1000 {
        let own = world
            .request
            .cwd
            .join(format!("g{}/p{number}/.fractary", number % 10));
        fs::create_dir_all(&own).unwrap();
        fs::write(
            own.join("config.yaml"),
            "codex:\n  sync: { to_codex: { exclude: ['draft/**'] } }\n",
        )
        .unwrap();
    }
    assert_eq!(world.workspace().projects.len(), 1000);
}

#[test]
fn files_of_the_older_tool_work_alone_and_as_members() {
    let sample = |name: &str| {
        format!(
            "version: '2.0'\nwork: {{ token: '${{NOT_SET}}' }}\ncodex:\n  schema_version: '2.0'\n  organization: acme\n  project: {name}\n  \
             codex_repo: codex.acme.com\n  remotes:\n    acme/codex.acme.com:\n      token: ${{GITHUB_TOKEN}}\n  sync:\n    to_codex:\n      \
             include: [docs/**, README.md]\n      exclude: ['*.tmp', _archive/**]\n    from_codex:\n      \
             include: [codex://acme/codex.acme.com/docs/**]\n      exclude: [_archive/**]\n"
        )
    };
    let alone =
        World::new(&[("ws/.fractary/config.yaml", &sample("core"))]).env(&[("GITHUB_TOKEN", "t")]);
    let (configuration, workspace) = alone.load();
    assert_eq!(names(&workspace), ["core"]);
    assert_eq!(workspace.remote.repository_token.unwrap().reveal(), "t");
    assert_eq!(
        workspace.projects[0].from_codex.include,
        ["codex://acme/codex.acme.com/docs/**"]
    );
    assert_eq!(configuration.warnings().count(), 0);
    let outer =
        "codex: { organization: acme, codex_repo: codex.acme.com, workspace: { members: ['*'] } }";
    let together = World::new(&[
        ("ws/.fractary/config.yaml", outer),
        ("ws/one/.fractary/config.yaml", &sample("core")),
        ("ws/two/.fractary/config.yaml", &sample("forge")),
    ]);
    let workspace = together.at("ws/one").workspace();
    assert_eq!(names(&workspace), ["core", "forge"]);
    assert_eq!(
        workspace.projects[1].claims.patterns().exclude,
        ["**/*.tmp", "*.tmp", "_archive/**"]
    );
}

#[test]
fn the_workspace_is_the_nearest_file_unless_an_outer_one_includes_it() {
    let inner = ONE.replace("billing", "inner");
    let found = |outer: &str| {
        let world = World::new(&[
            ("ws/.fractary/config.yaml", outer),
            ("ws/a/b/.fractary/config.yaml", &inner),
        ]);
        let (configuration, workspace) = world.at("ws/a/b").load();
        (
            configuration.root.ends_with("ws"),
            names(&workspace).join(" "),
        )
    };
    assert_eq!(found(ONE), (false, "inner".to_owned()));
    let including = format!("{ONE}  workspace: {{ members: ['a/*'] }}\n");
    assert_eq!(found(&including), (true, "billing inner".to_owned()));
    let excluding = format!("{ONE}  workspace: {{ members: ['a/*'], exclude: ['*/b'] }}\n");
    assert_eq!(found(&excluding), (false, "inner".to_owned()));
    let naming = format!("{ONE}  projects: {{ x: {{ root: a/b }} }}\n");
    assert_eq!(found(&naming), (true, "billing x".to_owned()));
    assert_eq!(found("work: {}\n"), (false, "inner".to_owned()));
}

#[test]
fn every_project_has_the_deny_list_and_all_roots() {
    let text = format!("{ONE}  projects: {{ a: {{ root: x }}, b: {{ root: x/y }} }}\n");
    let world = World::new(&[("ws/.fractary/config.yaml", &text)]);
    let workspace = world.workspace();
    let at = |path: &str| world.request.cwd.join(path);
    for project in &workspace.projects {
        let list = &project.scan.deny_list;
        assert_eq!(list.roots, ["x", "x/y", ""].map(at).into());
        assert!(list.paths.contains(&at(".fractary/codex/cache")));
        assert!(list.fractary_dirs.contains(&at(".fractary")));
    }
}

#[test]
fn the_cache_is_off_in_ci() {
    let world = World::new(&[("ws/.fractary/config.yaml", ONE)]).env(&[("CI", "true")]);
    assert!(!world.workspace().caches_published);
    let world = world.set(&["cache.enabled=true"]);
    assert!(world.workspace().caches_published);
}

#[test]
fn an_outer_workspace_can_name_members_by_variables() {
    let inner = ONE.replace("billing", "inner");
    let world = |outer: &str, dotenv: &str| {
        let files = [
            ("ws/.fractary/config.yaml", outer),
            ("ws/.fractary/env/.env", dotenv),
            ("ws/a/b/.fractary/config.yaml", &inner),
        ];
        World::new(&files).at("ws/a/b")
    };
    for more in [
        "workspace: { members: ['${DIR}/*'] }",
        "projects: { inner: { root: '${DIR}/b' } }",
    ] {
        let outer = format!("{ONE}  {more}\n");
        assert_eq!(
            names(&world(&outer, "DIR=a").workspace()),
            ["billing", "inner"],
            "{more}"
        );
        assert_eq!(
            names(&world(&outer, "DIR=x").workspace()),
            ["inner"],
            "{more}"
        );
        let problems = world(&outer, "").problems();
        assert!(
            problems.contains("the variable `DIR` is not set") && problems.lines().count() == 1,
            "{problems}"
        );
    }
    // Other problems of a workspace that does not include the directory do not matter.
    assert_eq!(
        names(&world(&format!("{ONE}  jobs: '${{DIR}}'\n"), "").workspace()),
        ["inner"]
    );
}

#[test]
fn membership_does_not_depend_on_the_current_directory() {
    let inner = ONE.replace("billing", "inner");
    for (members, place, is_member) in [
        ("*", "x", true),
        ("*", ".x", false),
        (".x*", ".xy", true),
        (".x", ".x", true),
        ("*", "node_modules", false),
        ("node_modules", "node_modules", true),
        ("*/*", "node_modules/x", false),
        ("**", "a/b/c", true),
        ("**", "a/.b/c", false),
        ("**/c", "a/node_modules/c", false),
        ("{a,b/c}", "b/c", true),
    ] {
        let outer = format!("{ONE}  workspace: {{ members: ['{members}'] }}\n");
        let path = format!("ws/{place}/.fractary/config.yaml");
        let world = World::new(&[("ws/.fractary/config.yaml", &outer), (&path, &inner)]);
        let from_above = names(&world.workspace()).contains(&"inner");
        let from_inside = world
            .at(&format!("ws/{place}"))
            .load()
            .0
            .root
            .ends_with("ws");
        assert_eq!(
            (from_above, from_inside),
            (is_member, is_member),
            "{members} {place}"
        );
    }
}

#[test]
fn codex_patterns_are_filled_and_checked() {
    let text = |exclude: &str| {
        format!("{ONE}  sync: {{ from_codex: {{ exclude: ['{exclude}', '{{project}}-x/**'] }} }}\n")
    };
    let world = World::new(&[(
        "ws/.fractary/config.yaml",
        &text("codex://{org}/core/{project}/**"),
    )]);
    assert_eq!(
        world.workspace().projects[0].from_codex.exclude,
        ["codex://acme/core/billing/**", "billing-x/**"]
    );
    for (exclude, expected) in [
        (
            "{projekt}/**",
            "`sync.from_codex.exclude`: unknown placeholder `{projekt}` [did you mean `{project}`?]",
        ),
        (
            "http://x/y",
            "`sync.from_codex.exclude`: `http://x/y`: expected `codex://ORGANIZATION/PROJECT/PATH`",
        ),
        (
            "[a",
            "`sync.from_codex.exclude`: `[a`: unclosed character class",
        ),
    ] {
        let problems = World::new(&[("ws/.fractary/config.yaml", &text(exclude))]).problems();
        assert!(problems.contains(expected), "{problems}");
    }
    for include in ["http://x/y", "CODEX://a/b"] {
        let text = format!("{ONE}  sync: {{ from_codex: {{ include: ['{include}'] }} }}\n");
        let problems = World::new(&[("ws/.fractary/config.yaml", &text)]).problems();
        assert!(
            problems.contains("expected `codex://ORGANIZATION/PROJECT/PATH`"),
            "{include}: {problems}"
        );
    }
}

#[test]
fn an_older_key_without_a_value_is_ignored() {
    for (sync, expected) in [
        ("exclude:\n    to_codex: { exclude: [a] }", ["a", "docs/**"]),
        (
            "to_codex:\n      include:\n    include: [x]\n    exclude: [a]",
            ["a", "x"],
        ),
        (
            "to_codex:\n    default_to_codex: [y]\n    exclude: [b]",
            ["b", "y"],
        ),
    ] {
        let world = World::new(&[(
            "ws/.fractary/config.yaml",
            &format!("{ONE}  sync:\n    {sync}\n"),
        )]);
        let workspace = world.workspace();
        let patterns = workspace.projects[0].claims.patterns();
        assert_eq!(
            [&patterns.exclude[1], &patterns.include[0]],
            expected,
            "{sync}"
        );
    }
}

#[test]
fn ignored_keys_of_a_members_file_are_reported() {
    let outer = "codex: { remote: { url: /c.git }, workspace: { members: ['*'] } }";
    let own = "codex:\n  organization: acme\n  remote: { url: /c.git, branch: x }\n  remotes: { a/b: { token: t } }\n  jobs: 3\n  \
               sync: { prune: true }\n  schema_version: 2\n  cache: { ttl: 1 }\n";
    let world = World::new(&[
        ("ws/.fractary/config.yaml", outer),
        ("ws/a/.fractary/config.yaml", own),
    ]);
    let (configuration, _) = world.load();
    let expected = "/ws/a/.fractary/config.yaml:5:3: ignored in a member's configuration: `jobs`, `remote.branch`";
    let warnings: Vec<String> = configuration.warnings().collect();
    assert!(
        warnings.len() == 2 && warnings[0].ends_with(expected),
        "{warnings:?}"
    );
    assert!(
        warnings[1].ends_with("unknown key `cache.ttl` is ignored"),
        "{warnings:?}"
    );
}

#[test]
fn a_run_has_one_branch() {
    let outer = "codex:\n  remote: { url: /c.git }\n  workspace: { members: ['*'] }\n";
    let named = format!("{outer}  projects:\n    a: {{ sync: {{ environments: {{ x: y }} }} }}\n");
    let world = World::new(&[("ws/.fractary/config.yaml", &named), ("ws/a/x", "")]);
    let expected = "/T/ws/.fractary/config.yaml:5:18: `projects.a.sync.environments`: all projects of a run have one branch [set it under `sync.environments`]\n";
    assert_eq!(world.problems(), expected);
    // A member can be a workspace of its own at other times.
    let own = "codex: { sync: { environments: { x: y }, prune: true } }";
    let world = World::new(&[
        ("ws/.fractary/config.yaml", outer),
        ("ws/b/.fractary/config.yaml", own),
    ]);
    let (configuration, workspace) = world.load();
    let expected = "/ws/b/.fractary/config.yaml:1:18: ignored in a member's configuration: `sync.environments`";
    let warnings: Vec<String> = configuration.warnings().collect();
    assert!(
        warnings.len() == 1 && warnings[0].contains(expected),
        "{warnings:?}"
    );
    assert!(workspace.projects[0].prune);
}
