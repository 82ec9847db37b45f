//! The page of `status --html`: its contents, its safety, and its target.

mod browser;
mod history;
mod target;

use std::fs;

use crate::support::{Codex, Sandbox, masked};
use crate::support::{TOKEN, World};

/// File names that could affect a browser, a terminal or a reader.
const HOSTILE: [&[u8]; 8] = [
    b"<script>window.pwned=1</script>.md",
    b"<img src=x onerror=window.pwned=1>.md",
    b"\"><b class=pwned>.md",
    b"' onmouseover='window.pwned=1.md",
    b"]]>&lt;&amp;{{ 7 }}{% raw %}.md",
    b"over\xe2\x80\xaeridden.md",
    b"esc\x1b[31m\n.md",
    b"bytes\xff.md",
];

/// A workspace of four projects: out of date, up to date, withheld, and failed.
fn world() -> (Sandbox, Codex) {
    let sandbox = Sandbox::new();
    let codex = sandbox.workspace(
        &["billing", "handbook", "ledger", "web"],
        "  cache: { enabled: false }\n",
    );
    for name in ["billing", "handbook", "ledger", "web"] {
        sandbox.write(&format!("ws/{name}/README.md"), name);
        for number in 0..8 {
            sandbox.write(
                &format!("ws/{name}/docs/{number}.md"),
                format!("{name} {number}"),
            );
        }
    }
    let mut first = sandbox.program(&["sync", "--all"]);
    sandbox.finish({
        first.env("SOURCE_DATE_EPOCH", "1699000000");
        first
    });
    sandbox.write("ws/billing/README.md", "changed");
    for number in 0..52 {
        sandbox.write(&format!("ws/billing/docs/new/{number:02}.md"), "new");
    }
    sandbox.remove("ws/billing/docs/7.md");
    sandbox.remove("ws/ledger/docs");
    sandbox.remove("ws/ledger/README.md");
    sandbox.remove("ws/web");
    (sandbox, codex)
}

/// Returns the page of all projects. The exit status must be `code`.
fn page(sandbox: &Sandbox, code: i32, more: &[&str]) -> String {
    sandbox
        .run(&[&["status", "--all", "--html", "page.html"], more].concat())
        .code(code);
    fs::read_to_string(sandbox.path("ws/page.html")).unwrap()
}

/// Removes the style and the script, which have their own source files, from a page.
fn without_assets(page: &str) -> String {
    let mut text = page.to_owned();
    for (start, end) in [("<style>", "</style>"), ("<script>", "</script>\n</body>")] {
        let from = text.find(start).unwrap() + start.len();
        let to = from + text[from..].find(end).unwrap();
        text.replace_range(from..to, "");
    }
    let text = text.replace(
        concat!("fractary-codex ", env!("CARGO_PKG_VERSION")),
        "fractary-codex [version]",
    );
    let digest = |part: &str| {
        if part.starts_with("sha256-") {
            "[digest]&#39;".to_owned()
        } else {
            part.to_owned()
        }
    };
    text.split_inclusive("&#39;").map(digest).collect()
}

#[test]
fn page_shows_states_and_reasons() {
    let (sandbox, _codex) = world();
    let first = page(&sandbox, 1, &[]);
    let shown = without_assets(&first).replace(&*sandbox.path("").to_string_lossy(), "[sandbox]/");
    insta::assert_snapshot!(masked(&shown));
    assert_eq!(page(&sandbox, 1, &["--json"]), first);
    let all = page(&sandbox, 1, &["-v"]);
    assert!(all.contains("projects/billing/docs/new/51.md") && !all.contains("more: <code>"));
    assert!(
        !first.contains("projects/billing/docs/new/51.md")
            && first.contains("… and 4 more: <code>")
    );
}

#[test]
fn page_does_not_change_table_or_document() {
    let (sandbox, _codex) = world();
    let plain = sandbox.run(&["status", "--all"]).code(1);
    let with_page = sandbox
        .run(&["status", "--all", "--html", "page.html"])
        .code(1);
    assert_eq!(
        with_page.stdout,
        format!("{}wrote the report to page.html\n", plain.stdout)
    );
    assert_eq!(with_page.stderr, plain.stderr);
    let document = |more: &[&str]| {
        let mut document = sandbox
            .run(&[&["status", "--all", "--json"], more].concat())
            .code(1)
            .json();
        document["duration_ms"] = 0.into();
        for project in document["projects"].as_array_mut().unwrap() {
            let last_sync = project.as_object_mut().unwrap().remove("last_sync");
            assert_eq!(last_sync.is_some(), !more.is_empty());
        }
        document
    };
    assert_eq!(document(&["--html", "page.html"]), document(&[]));
}

/// A workspace with hostile names of files, projects, paths and branch, and a hostile commit in the
/// codex.
pub(super) fn hostile() -> Sandbox {
    let sandbox = Sandbox::new();
    let branch = "main<b>\"'&";
    let long = "x".repeat(100);
    let codex = sandbox.workspace(&["beta", &long], "    alpha: { to: 'projects/<i>\"&' }\n");
    sandbox.write(&format!("ws/{long}/docs/{long}.md"), "long");
    sandbox.write("ws/alpha/README.md", "alpha");
    sandbox.write("ws/beta/README.md", "beta");
    let setting = format!("remote.branch={branch}");
    let mut sync = sandbox.program(&[
        "sync",
        "--all",
        "--config",
        &setting,
        "--config",
        "remote.create=true",
    ]);
    sync.env(
        "FRACTARY_CODEX_COMMIT__MESSAGE",
        "<script>window.pwned=1</script>",
    );
    sandbox.finish(sync).code(0);
    // Another user makes a commit that looks like one of a sync.
    let message = "x\n\nCodex-Project: beta\nCodex-Source: https://ada:s3cret@h/<script>window.pwned=1</script>\n\
                   Codex-Source-Commit: 0123456789012345678901234567890123456789\n";
    let head = format!("refs/heads/{branch}");
    let commit = codex.git(&[
        "commit-tree",
        "-p",
        &head,
        "-m",
        message,
        &format!("{head}^{{tree}}"),
    ]);
    codex.git(&["update-ref", &head, commit.trim()]);
    for name in HOSTILE {
        let mut path = b"docs/".to_vec();
        path.extend_from_slice(name);
        sandbox.write_bytes("ws/alpha", &path, "x");
    }
    // This file is too large, which gives a warning with its name.
    sandbox.write("ws/beta/docs/<b class=pwned>.md", "large".repeat(100));
    let mut status = sandbox.program(&[
        "status",
        "--all",
        "--html",
        "page.html",
        "--config",
        &setting,
    ]);
    status.env("FRACTARY_CODEX_SYNC__MAX_FILE_SIZE", "100B");
    sandbox.finish(status).code(0);
    sandbox
}

#[test]
fn names_cannot_inject_markup() {
    let sandbox = hostile();
    let page = fs::read_to_string(sandbox.path("ws/page.html")).unwrap();
    let body = without_assets(&page);
    for markup in [
        "<script>w",
        "<img",
        "<b class",
        "<i>\"",
        "<b>\"",
        "\u{202e}",
        "\u{1b}",
        "s3cret",
        "ada:",
    ] {
        assert!(!body.contains(markup), "{markup}\n{body}");
    }
    for shown in [
        "docs/&#60;script&#62;window.pwned=1&#60;/script&#62;.md",
        "docs/over\\u{202e}ridden.md",
        "docs/esc\\u{1b}[31m\\n.md",
        "docs/bytes\\xff.md",
        "docs/]]&#62;&#38;lt;&#38;amp;{{ 7 }}{% raw %}.md",
        "main&#60;b&#62;&#34;&#39;&#38;",
        "projects/<wbr>&#60;i&#62;&#34;&#38;</span>",
        "h/<wbr>&#60;script&#62;window.pwned=1&#60;/<wbr>script&#62;</span>",
        "&#60;b class=pwned&#62;.md</code>: ",
    ] {
        assert!(body.contains(shown), "{shown}\n{body}");
    }
}

#[test]
fn page_loads_no_resource() {
    let (sandbox, _codex) = world();
    let page = page(&sandbox, 1, &[]);
    let policy = "content=\"default-src &#39;none&#39;; style-src &#39;sha256-";
    assert!(page.find(policy).unwrap() < page.find("<style>").unwrap());
    assert_eq!(page.matches("href=").count(), 1);
    assert!(page.contains("<link rel=\"icon\" href=\"data:,\">"));
    for construct in [
        "src=",
        "srcset",
        "url(",
        "@import",
        "@font-face",
        "<iframe",
        "<form",
        "fetch(",
        "XMLHttp",
        "import(",
    ] {
        assert!(!page.contains(construct), "{construct}");
    }
}

#[test]
fn page_contains_no_secret() {
    let world = World::behind_http();
    let sandbox = &world.sandbox;
    let url = world
        .server()
        .url("codex.git")
        .replace("http://", &format!("http://x-access-token:{TOKEN}@"));
    let mut status = sandbox.program(&["status", "--all", "--html", "page.html"]);
    status
        .env("FRACTARY_CODEX_REMOTE__URL", url)
        .env("FRACTARY_CODEX_REMOTE__ALLOW_INSECURE", "true");
    sandbox.finish(status).code(0);
    let page = fs::read_to_string(sandbox.path("ws/page.html")).unwrap();
    assert!(page.contains("***") && !page.contains(TOKEN));
}
