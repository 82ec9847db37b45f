//! The precedence of layers, and the values that they give.

use proptest::prelude::*;

use super::*;

#[test]
fn the_environment_is_sufficient_and_keeps_literal_values() {
    for branch in ["1.10", "true", "0x10"] {
        let projects = "{billing-api={root=\"services/billing\"}, \"Co.dex_1\"={root='x', mappings=[{from=\"a\",to=\"b/\"}]}}";
        let world = World::new(&[]).env(&[
            ("FRACTARY_CODEX_REMOTE__URL", "../codex.git"),
            ("FRACTARY_CODEX_REMOTE__BRANCH", branch),
            ("FRACTARY_CODEX_REMOTE__TOKEN", "007"),
            ("FRACTARY_CODEX_PROJECTS", projects),
            ("FRACTARY_CODEX_SYNC__TO_CODEX__INCLUDE", "[\"wiki/**\"]"),
            ("FRACTARY_CODEX_COMMIT__MESSAGE", "[skip ci] {count}"),
            ("FRACTARY_CODEX_JOBS", ""),
            ("FRACTARY_CODEX_LOG", "debug"),
        ]);
        let workspace = world.workspace();
        assert_eq!(names(&workspace), ["Co.dex_1", "billing-api"]);
        assert_eq!(workspace.remote.branch.as_deref(), Some(branch));
        assert_eq!(workspace.remote.token.as_ref().unwrap().reveal(), "007");
        assert_eq!(
            workspace.remote.url.local_path().unwrap(),
            world.dir.path().join("codex.git")
        );
        assert_eq!(workspace.commit.message, "[skip ci] {count}");
        assert_eq!(
            workspace.projects[1].root,
            world.request.cwd.join("services/billing")
        );
        assert_eq!(workspace.projects[1].claims.patterns().include, ["wiki/**"]);
        assert!(workspace.projects[0].claims.patterns().include.is_empty());
    }
}

#[test]
fn every_file_format_is_read() {
    let toml = "[codex]\norganization = 'acme'\ncodex_repo = \"c\"\nproject = \"p\"\n[codex.remote]\nbranch = 1.10\n";
    let json = "{\"codex\": {\"organization\": \"acme\", \"codex_repo\": \"\\ud83d\\ude00\", \"jobs\": 3,\n\t\"project\": \"p\"}}";
    let world = World::new(&[("ws/.fractary/config.toml", toml)]);
    assert_eq!(world.workspace().remote.branch.as_deref(), Some("1.10"));
    let world = World::new(&[("ws/.fractary/config.json", json)]);
    assert!(
        world.problems().contains("`codex_repo`: `\u{1f600}`"),
        "{}",
        world.problems()
    );
    let bom = format!("\u{feff}{}", ONE.replace('\n', "\r\n"));
    assert_eq!(
        names(&World::new(&[("ws/.fractary/config.yml", &bom)]).workspace()),
        ["billing"]
    );
    let two = World::new(&[
        ("ws/.fractary/config.yml", ONE),
        ("ws/.fractary/config.toml", toml),
    ]);
    assert!(two.problems().starts_with(
        "two files for one layer: /T/ws/.fractary/config.yml and /T/ws/.fractary/config.toml"
    ));
}

#[test]
fn a_projects_value_overrides_a_general_one_and_a_flag_both() {
    let text = format!(
        "{ONE}  projects: {{ billing: {{ sync: {{ prune: false, direction: from-codex }} }} }}\n  sync: {{ prune: true }}\n"
    );
    let world = World::new(&[("ws/.fractary/config.yaml", &text)])
        .env(&[("FRACTARY_CODEX_SYNC__PRUNE", "true")]);
    assert!(!world.workspace().projects[0].prune);
    let world = world.set(&["sync.prune=true", "sync.direction=bidirectional"]);
    let workspace = world.workspace();
    assert!(workspace.projects[0].prune);
    assert_eq!(workspace.projects[0].direction, Direction::Bidirectional);
    let world = world.set(&["sync.prune=true", "projects.billing.sync.prune=false"]);
    assert!(!world.workspace().projects[0].prune);
}

#[test]
fn variables_are_expanded_and_unset_tokens_are_listed() {
    let text = format!(
        "{ONE}  remote: {{ branch: '${{BRANCH:-main}}', token: '${{NO_SUCH}}' }}\n  remotes: {{ acme/codex.acme.com: {{ token: '${{T}}', x: '${{Y}}' }}, o/r: {{ token: '${{Z}}' }} }}\n"
    );
    let world = World::new(&[
        ("ws/.fractary/config.yaml", &text),
        ("ws/.fractary/env/.env", "T=from-file\nBRANCH=unused\n"),
    ])
    .env(&[("BRANCH", "dev")]);
    let workspace = world.workspace();
    assert_eq!(workspace.remote.branch.as_deref(), Some("dev"));
    assert!(workspace.remote.token.is_none());
    assert_eq!(
        workspace.remote.repository_token.unwrap().reveal(),
        "from-file"
    );
    assert_eq!(workspace.remote.unset_token_variables, ["NO_SUCH"]);
    let text = format!("{ONE}  remote: {{ branch: '${{BRANCH}}' }}\n");
    let world = World::new(&[("ws/.fractary/config.yaml", &text)]);
    assert!(world.problems().starts_with(
        "/T/ws/.fractary/config.yaml:5:21: `remote.branch`: the variable `BRANCH` is not set"
    ));
}

#[test]
fn environments_select_the_branch() {
    let world =
        World::new(&[("ws/.fractary/config.yaml", ONE)]).env(&[("FRACTARY_CODEX_ENV", "prod")]);
    assert_eq!(world.workspace().remote.branch.as_deref(), Some("main"));
    let mut world = world;
    world.request.env_name = Some("pord".to_owned());
    assert_eq!(
        world.problems(),
        "`--env`: unknown environment `pord` [did you mean `prod`?]\n"
    );
}

#[test]
fn older_keys_are_read_with_a_warning() {
    let text = format!(
        "{ONE}  schema_version: '2.0'\n  storage: {{ path: '${{NOT_SET}}' }}\n  cache: {{ ttl: 5 }}\n  sync: {{ include: [a], exclude: [b], default_from_codex: [docs/**] }}\n"
    );
    let world = World::new(&[("ws/.fractary/config.yaml", &text)]);
    let (configuration, workspace) = world.load();
    let project = &workspace.projects[0];
    assert_eq!(project.claims.patterns().include, ["a"]);
    assert_eq!(project.claims.patterns().exclude, ["**/*.tmp", "b"]);
    assert_eq!(project.from_codex.include, ["codex://acme/billing/docs/**"]);
    let warnings: Vec<&str> = configuration
        .warnings
        .iter()
        .map(|warning| warning.message.as_str())
        .collect();
    assert_eq!(
        warnings,
        [
            "unknown key `cache.ttl` is ignored",
            "`sync.include` is now `sync.to_codex.include`",
            "`sync.exclude` is now `sync.to_codex.exclude`",
            "`sync.default_from_codex` is now `sync.from_codex.include`",
            "`sync.from_codex.include`: `docs/**` is an older form of `codex://{org}/{project}/docs/**`",
        ]
    );
}

const LAYERS: [LayerKind; 6] = [
    LayerKind::User,
    LayerKind::Workspace,
    LayerKind::Local,
    LayerKind::Member,
    LayerKind::Environment,
    LayerKind::Flags,
];

/// A world in which each layer of `set` sets `delete_guard.files` and one exclude for project `p`.
/// Both contain the index of the layer.
fn layered(set: &[bool]) -> World {
    let body = |layer: usize| {
        if set[layer] {
            format!(
                "    projects: {{ p: {{ sync: {{ delete_guard: {{ files: {layer} }}, to_codex: {{ exclude: [x{layer}] }} }} }} }}\n"
            )
        } else {
            String::new()
        }
    };
    let member = if set[3] {
        "  sync: { delete_guard: { files: 3 }, to_codex: { exclude: [x3] } }\n"
    } else {
        ""
    };
    let mut world = World::new(&[
        (
            "home/config/fractary/config.yaml",
            &format!("codex:\n    jobs: 1\n{}", body(0)),
        ),
        (
            "ws/.fractary/config.yaml",
            &format!(
                "codex:\n    remote: {{ url: /c.git }}\n    workspace: {{ members: [d] }}\n{}",
                body(1)
            ),
        ),
        (
            "ws/.fractary/config.local.yaml",
            &format!("codex:\n    jobs: 2\n{}", body(2)),
        ),
        (
            "ws/d/.fractary/config.yaml",
            &format!("codex:\n  project: p\n{member}"),
        ),
    ]);
    if set[4] {
        let value = "{p={sync={delete_guard={files=4},to_codex={exclude=['x4']}}}}";
        world = world.env(&[("FRACTARY_CODEX_PROJECTS", value)]);
    }
    if set[5] {
        world = world.set(&[
            "projects.p.sync.delete_guard.files=5",
            "projects.p.sync.to_codex.exclude=['x5']",
        ]);
    }
    world
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn the_highest_layer_wins_and_the_others_are_listed(set in proptest::collection::vec(any::<bool>(), 6)) {
        let world = layered(&set);
        let (configuration, workspace) = world.load();
        let expected: Vec<usize> = (0..6).rev().filter(|layer| set[*layer]).collect();
        let files = workspace.projects[0].delete_guard.files;
        prop_assert_eq!(files, expected.first().map_or(20, |layer| *layer as u64));

        let explained = configuration.explain("projects.p.sync.delete_guard.files").unwrap().remove(0);
        let given: Vec<LayerKind> = explained.given.iter().map(|given| given.layer).collect();
        let mut layers: Vec<LayerKind> = expected.iter().map(|layer| LAYERS[*layer]).collect();
        // The default for all projects has the lowest precedence.
        layers.push(LayerKind::Defaults);
        prop_assert_eq!(explained.winner().map(|given| given.layer), Some(layers[0]));
        prop_assert_eq!(given, layers);
        prop_assert_eq!(explained.overridden().count(), expected.len());

        let added: Vec<String> = expected.iter().rev().map(|layer| format!("x{layer}")).collect();
        let excludes = &workspace.projects[0].claims.patterns().exclude;
        prop_assert_eq!(&excludes[0], "**/*.tmp");
        prop_assert_eq!(excludes[1..].iter().cloned().collect::<std::collections::BTreeSet<_>>(), added.into_iter().collect());
    }
}

#[test]
fn relative_paths_start_from_their_source() {
    let world = World::new(&[
        (
            "home/config/fractary/config.toml",
            "[codex]\nstate.dir = 'state'\n",
        ),
        (
            "ws/.fractary/config.yaml",
            &format!("{ONE}  remote: {{ url: ../codex.git }}\n  cache: {{ dir: c }}\n"),
        ),
        ("ws/sub/x", ""),
    ])
    .env(&[("FRACTARY_CODEX_PROJECTS", "{other={root='here'}}")])
    .at("ws/sub");
    let workspace = world.workspace();
    let at = |path: &str| world.dir.path().join(path);
    assert_eq!(
        workspace.remote.url.local_path(),
        Some(at("codex.git")).as_deref()
    );
    assert_eq!(workspace.projects[0].cache_dir, at("ws/c"));
    assert_eq!(workspace.state_dir, at("home/config/fractary/state"));
    assert_eq!(workspace.projects[1].root, at("ws/sub/here"));
}

#[test]
fn a_detected_organization_is_a_default() {
    let mut world = World::new(&[(
        "ws/.fractary/config.yaml",
        "codex: { codex_repo: c, project: p }",
    )]);
    world.request.detect_organization = Some(|_| Ok(Some("seen".to_owned())));
    let (configuration, workspace) = world.load();
    assert_eq!(
        workspace.remote.url.to_string(),
        "https://github.com/seen/c.git"
    );
    let explained = configuration.explain("organization").unwrap();
    assert_eq!(
        explained[0].winner().unwrap().origin.to_string(),
        "the git remote of the workspace"
    );
}

#[test]
fn maps_that_a_layer_gives_twice_are_merged() {
    let world = World::new(&[("ws/.fractary/config.yaml", ONE)]).set(&[
        "projects={a={root='x', sync={to_codex={exclude=['one']}}}}",
        "projects={a={to='y', sync={to_codex={exclude=['two'], include=['i']}}}}",
        "projects.a.sync.exclude=['three']",
        "projects.a.sync.prune=true",
    ]);
    let project = &world.workspace().projects[0];
    assert_eq!(
        (&project.root, project.to.to_string()),
        (&world.request.cwd.join("x"), "y".to_owned())
    );
    assert_eq!(
        project.claims.patterns().exclude,
        ["**/*.tmp", "one", "two", "three"]
    );
    assert!(project.prune);
}

#[test]
fn an_empty_token_is_not_given() {
    let text = format!("{ONE}  remotes: {{ acme/codex.acme.com: {{ token: '${{T:-}}' }} }}\n");
    let world = World::new(&[
        (
            "home/config/fractary/config.yaml",
            "codex: { remote: { token: kept, token_host: github.com } }",
        ),
        (
            "ws/.fractary/config.yaml",
            &format!("{text}  remote: {{ token: ' ' }}\n"),
        ),
    ]);
    for world in [
        world.set(&["remote.token="]),
        World::new(&[("ws/.fractary/config.yaml", &text)]),
    ] {
        let remote = world.workspace().remote;
        assert!(
            remote.token.is_none_or(|token| token.reveal() == "kept")
                && remote.repository_token.is_none()
        );
    }
}
