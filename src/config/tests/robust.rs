//! A load of any file ends with a workspace, or with problems that name the file.

use proptest::prelude::*;

use super::*;

const RICH: &str = "codex:\n  organization: acme\n  codex_repo: c\n  project: billing\n  remote: { url: ../c.git, token: ${T:-t} }\n  \
                    workspace: { members: ['*'], exclude: [a] }\n  projects:\n    a: { root: x, to: '{project}/y' }\n    b:\n      \
                    mappings: [{ from: 'd/**', to: g/ }]\n  sync:\n    to_codex: { include: [docs/**], exclude: &e ['*.x'] }\n    \
                    from_codex: { include: ['codex://{org}/core/**'], exclude: *e }\n  commit: { message: '{count}' }\n";

fn piece() -> impl Strategy<Value = String> {
    let odd = [
        "",
        "~",
        "{",
        "}",
        "[",
        "]",
        "- ",
        ": ",
        "\n",
        "\n    ",
        "\t",
        "'",
        "\"",
        "&e ",
        "*e",
        "<<: ",
        "!!set ",
        "${",
        "..",
        "/",
        "{x}",
        "---\n",
        "\u{0}",
        "\u{feff}",
        "\u{85}",
        "é",
        "? ",
        "| ",
        "> ",
        "#",
        "%",
        "@",
        "0x",
        "codex: ",
        "exclude: [",
        "root: ",
        "[]",
        "{}",
        "[x]",
        "{a: b}",
        "[[x], {from: ",
    ];
    prop_oneof![
        proptest::sample::select(odd.to_vec()).prop_map(str::to_owned),
        ".{0,3}"
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn a_damaged_file_is_read_or_reported(
        edits in proptest::collection::vec((any::<proptest::sample::Index>(), 0..6_usize, piece()), 1..4),
        ending in proptest::sample::select(vec!["yaml", "toml", "json"]),
    ) {
        let mut text: Vec<char> = RICH.chars().collect();
        for (at, length, piece) in edits {
            let start = at.index(text.len());
            let end = (start + length).min(text.len());
            text.splice(start..end, piece.chars());
        }
        let text: String = text.into_iter().collect();
        let path = format!("ws/.fractary/config.{ending}");
        let files = [(path.as_str(), text.as_str()), ("ws/m/.fractary/config.yaml", &text), ("ws/.fractary/config.local.yaml", RICH)];
        let world = World::new(&files);
        match workspace::load(&world.request) {
            Ok((configuration, _)) => prop_assert!(!configuration.effective().is_empty()),
            Err(problems) => {
                let shown = world.shown(&problems);
                prop_assert!(shown.lines().all(|line| !line.is_empty() && line.len() < 2000), "{shown}");
                prop_assert!(shown.contains("/T/ws/"), "{shown}");
            }
        }
    }
}
