//! `mcp`: the Model Context Protocol over the pipes of the program.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::gate::send;
use crate::support::{Output, World, WorldBuilder};

const LEDGER: &str = "codex://acme/billing/docs/ledger.md";

fn builder() -> WorldBuilder {
    World::builder()
        .codex_files(&[
            ("README.md", "codex"),
            ("projects/billing/README.md", "billing"),
            (
                "projects/billing/docs/ledger.md",
                "# Ledger\nLEDGER token\n",
            ),
            (
                "projects/billing/docs/long.md",
                "äöü\nßéß\n\nlonger line ñ\nend",
            ),
            ("projects/payments/README.md", "payments\n"),
        ])
        .config("  sync: { from_codex: { include: ['codex://acme/billing/docs/*'] } }\n")
}

/// A client that writes one message per line.
struct Client {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    last_id: u64,
}

impl Client {
    fn start(world: &World) -> Self {
        Self::run(world, world.command(&["mcp"]))
    }

    fn run(world: &World, mut command: Command) -> Self {
        command.stdin(Stdio::piped());
        let mut child = world.sandbox.spawn(command);
        Self {
            input: child.stdin.take(),
            output: BufReader::new(child.stdout.take().unwrap()),
            child,
            last_id: 0,
        }
    }

    fn write(&mut self, line: &str) {
        let input = self.input.as_mut().unwrap();
        writeln!(input, "{line}").unwrap();
    }

    /// The next message, which must be JSON: nothing else is on standard output.
    fn read(&mut self) -> Value {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
    }

    /// Sends a request and returns its response.
    fn request(&mut self, method: &str, parameters: Value) -> Value {
        self.last_id += 1;
        let request =
            json!({ "jsonrpc": "2.0", "id": self.last_id, "method": method, "params": parameters });
        self.write(&request.to_string());
        let response = self.read();
        assert_eq!(response["id"], self.last_id, "{response}");
        response
    }

    /// Calls a tool and returns its result.
    fn call(&mut self, tool: &str, arguments: Value) -> Value {
        let parameters = json!({ "name": tool, "arguments": arguments });
        self.request("tools/call", parameters)["result"].take()
    }

    /// Calls a tool, which must succeed, and returns its structured content.
    fn structured(&mut self, tool: &str, arguments: Value) -> Value {
        let mut result = self.call(tool, arguments);
        assert_eq!(result["isError"], false, "{result}");
        result["structuredContent"].take()
    }

    /// The text of the error that a call returns.
    fn error(&mut self, tool: &str, arguments: Value) -> String {
        let result = self.call(tool, arguments);
        assert_eq!(result["isError"], true, "{result}");
        result["content"][0]["text"].as_str().unwrap().to_owned()
    }

    /// Closes the input and waits for the end.
    fn close(mut self, world: &World) -> Output {
        drop(self.input.take());
        world.sandbox.ended(self.child)
    }
}

#[test]
fn tools_and_resources_answer_as_they_describe() {
    let world = builder().build();
    world.run(&["sync", "--all", "--from-codex"]).code(0);
    let before = (world.sandbox.fingerprint("ws"), world.codex.tip());

    let mut client = Client::start(&world);
    let parameters = json!({ "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": { "name": "t", "version": "1" } });
    let initialized = client.request("initialize", parameters);
    assert_eq!(initialized["result"]["protocolVersion"], "2025-06-18");
    assert_eq!(
        initialized["result"]["serverInfo"]["name"],
        "fractary-codex"
    );
    client.write(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);

    let listed = client.request("tools/list", json!({}));
    let tools = listed["result"]["tools"].as_array().unwrap().clone();
    for (tool, arguments) in [
        ("codex_document_fetch", json!({ "uri": LEDGER })),
        ("codex_document_list", json!({ "pattern": "**/*.md" })),
        ("codex_search", json!({ "query": "ledger" })),
        ("codex_project_status", json!({})),
        ("codex_document_source", json!({ "uri": LEDGER })),
        ("codex_cache_status", json!({})),
    ] {
        let described = tools.iter().find(|described| described["name"] == tool);
        let described = described.unwrap_or_else(|| panic!("{tool} is not listed"));
        assert_eq!(described["annotations"]["readOnlyHint"], true);
        for (schema, value) in [
            ("inputSchema", arguments.clone()),
            ("outputSchema", client.structured(tool, arguments)),
        ] {
            let validator = jsonschema::validator_for(&described[schema]).unwrap();
            assert!(validator.is_valid(&value), "{tool}: {value:#}");
        }
    }
    assert_eq!(tools.len(), 6);

    let fetched = client.structured("codex_fetch", json!({ "uri": LEDGER, "noCache": true }));
    assert_eq!(fetched["text"], "# Ledger\nLEDGER token\n");
    assert_eq!(fetched["from"], "remote");
    assert_eq!(fetched["tip"], world.codex.tip().unwrap());
    let offline = json!({ "uri": LEDGER, "offline": true });
    assert_eq!(
        client.structured("codex_document_fetch", offline)["from"],
        "cache"
    );

    let all = client.structured("codex_document_list", json!({}));
    assert_eq!(all["total"], 4);
    let cached = all["documents"].as_array().unwrap().iter();
    let cached = cached.filter(|document| document["cached"] == true);
    assert_eq!(cached.count(), 2);
    let older = client.structured("codex_cache_list", json!({ "project": "billing" }));
    assert_eq!(
        (&older["total"], &older["codex"]["tip"]),
        (&json!(2), &Value::Null)
    );
    let directory = json!({ "pattern": "codex://acme/billing/docs/" });
    assert_eq!(
        client.structured("codex_document_list", directory)["total"],
        2
    );

    let found = client.structured(
        "codex_search",
        json!({ "query": "LeDGER T", "org": "acme" }),
    );
    let line = json!({ "uri": LEDGER, "line": 2, "text": "LEDGER token" });
    assert_eq!(found["matches"], json!([line]));
    // Documents that are not in the cache are fetched.
    let payments = json!({ "query": "^pay.*s$", "regex": true, "project": "pay*" });
    assert_eq!(
        client.structured("codex_search", payments.clone())["searched"],
        1
    );
    let mut offline = payments;
    offline["offline"] = true.into();
    assert_eq!(client.structured("codex_search", offline)["searched"], 0);
    let status = client.structured("codex_project_status", json!({ "projects": ["alpha"] }));
    assert_eq!(status["projects"][0]["status"], "would-sync");

    let resources = client.request("resources/list", json!({}));
    assert_eq!(resources["result"]["resources"][0]["uri"], LEDGER);
    let read = client.request("resources/read", json!({ "uri": LEDGER }));
    let contents = &read["result"]["contents"][0];
    assert_eq!(
        (&contents["text"], &contents["mimeType"]),
        (&fetched["text"], &json!("text/markdown"))
    );
    let templates = client.request("resources/templates/list", json!({}));
    let template = &templates["result"]["resourceTemplates"][0]["uriTemplate"];
    assert_eq!(template, "codex://acme/{project}/{+path}");

    let output = client.close(&world).code(0);
    assert_eq!(output.stderr, "");
    assert!(before == (world.sandbox.fingerprint("ws"), world.codex.tip()));
    assert_eq!(world.sandbox.leftovers(), [""; 0]);
}

#[test]
fn errors_say_what_to_do_and_the_server_goes_on() {
    let world = builder().build();
    world.codex.commit(
        &[("120000", "projects/billing/link.md", "/etc/passwd")],
        &[],
    );
    // Without `initialize`.
    let mut client = Client::start(&world);
    let mut shown = String::new();
    for (tool, arguments) in [
        (
            "codex_document_fetch",
            json!({ "uri": "codex://acme/billing/docs/leger.md" }),
        ),
        (
            "codex_document_fetch",
            json!({ "uri": "codex://acme/billing/docs" }),
        ),
        (
            "codex_document_fetch",
            json!({ "uri": "codex://acme/billing/../../x" }),
        ),
        (
            "codex_document_fetch",
            json!({ "uri": "codex://acme/billing/a\0b" }),
        ),
        (
            "codex_document_fetch",
            json!({ "uri": "codex://acme/billing/link.md" }),
        ),
        (
            "codex_document_fetch",
            json!({ "uri": "codex://acme/billing/*.md" }),
        ),
        (
            "codex_document_fetch",
            json!({ "uri": "codex://other/billing/README.md" }),
        ),
        (
            "codex_document_fetch",
            json!({ "uri": "file:///etc/passwd" }),
        ),
        ("codex_document_fetch", json!({ "uri": "/etc/passwd" })),
        (
            "codex_document_fetch",
            json!({ "uri": LEDGER, "offline": true }),
        ),
        (
            "codex_document_fetch",
            json!({ "uri": LEDGER, "offset": 100 }),
        ),
        ("codex_document_fetch", json!({ "url": LEDGER })),
        (
            "codex_document_source",
            json!({ "uri": "codex://acme/billing/.git/config" }),
        ),
        ("codex_document_list", json!({ "project": "../x" })),
        ("codex_document_list", json!({ "organization": "other" })),
        ("codex_search", json!({ "query": "" })),
        ("codex_search", json!({ "query": "(", "regex": true })),
        ("codex_search", json!({ "query": "x", "limit": 0 })),
        ("codex_document_list", json!({ "limit": 0 })),
        ("codex_document_fetch", json!({ "uri": LEDGER, "limit": 0 })),
        ("codex_project_status", json!({ "limit": 0 })),
        ("codex_project_status", json!({ "projects": ["alfa"] })),
        ("codex_cache_clear", json!({ "pattern": ".*" })),
    ] {
        let error = client.error(tool, arguments.clone());
        shown.push_str(&format!("> {tool} {arguments}\n{error}\n"));
    }
    for uri in ["codex://acme/billing/x.md", "file:///etc/passwd"] {
        let error = client.request("resources/read", json!({ "uri": uri }))["error"].take();
        shown.push_str(&format!(
            "> read {uri}\n{}\n{}\n",
            error["code"], error["message"]
        ));
    }
    let unknown = client.request("tools/call", json!({ "name": "nope" }));
    shown.push_str(&format!("> nope\n{}\n", unknown["error"]));
    insta::assert_snapshot!(shown);

    client.write(r#"{"jsonrpc":"2.0","method":"notifications/unknown"}"#);
    client.write(r#"{"jsonrpc":"2.0","method":"tools/call","params":[]}"#);
    assert_eq!(client.request("ping", json!({}))["result"], json!({}));
    let request = |id: u64, rest: &str| format!(r#"{{"jsonrpc":"2.0","id":{id}{rest}}}"#);
    for (line, id, code, words) in [
        ("not JSON".to_owned(), Value::Null, -32700, "is not JSON"),
        (
            r#"{"jsonrpc":"2.0","id":1"#.to_owned(),
            Value::Null,
            -32700,
            "is not JSON",
        ),
        ("[1]".to_owned(), Value::Null, -32600, "not a request"),
        (request(90, ""), json!(90), -32600, "not a request"),
        (
            request(91, r#","method":"tools/call""#),
            json!(91),
            -32602,
            "missing field `name`",
        ),
        (
            request(92, r#","method":"tools/call","params":{"name":5}"#),
            json!(92),
            -32602,
            "expected a string",
        ),
        (
            request(93, r#","method":"tools/call","params":[1]"#),
            json!(93),
            -32602,
            "not an object",
        ),
        (
            request(94, r#","method":"resources/read","params":{}"#),
            json!(94),
            -32602,
            "missing field `uri`",
        ),
        (
            request(95, r#","method":"nope""#),
            json!(95),
            -32601,
            "unknown method `nope`",
        ),
        (
            request(96, r#","method":"prompts/list""#),
            json!(96),
            -32601,
            "unknown method `prompts/list`",
        ),
    ] {
        client.write(&line);
        let answer = client.read();
        assert_eq!(
            (answer.get("id"), &answer["error"]["code"]),
            (Some(&id), &json!(code)),
            "{line}"
        );
        let message = answer["error"]["message"].as_str().unwrap();
        assert!(message.contains(words), "{line}: {message}");
    }
    // A configuration that was broken in the meantime.
    world
        .sandbox
        .write("ws/.fractary/config.yaml", "codex: { organisation: acme }");
    let error = client.error("codex_search", json!({ "query": "x" }));
    assert!(error.contains("unknown key `organisation`"), "{error}");
    client.close(&world).code(0);
}

#[test]
fn uris_are_percent_encoded_and_lead_nowhere_else() {
    let files = [
        ("projects/billing/docs/a b.md", "a b.md"),
        ("projects/billing/docs/a%20b.md", "a%20b.md"),
        ("projects/billing/docs/what?.md", "what?.md"),
        ("projects/billing/docs/x#y.md", "x#y.md"),
        ("projects/billing/docs/n[1].md", "n[1].md"),
        ("projects/billing/docs/ü.md", "ü.md"),
    ];
    let world = World::builder()
        .codex_files(&files)
        .config("  sync: { from_codex: { include: ['codex://acme/billing/docs/*'] } }\n")
        .build();
    world.run(&["sync", "--all", "--from-codex"]).code(0);
    let mut client = Client::start(&world);

    let listed = client.request("resources/list", json!({}))["result"]["resources"].take();
    let listed = listed.as_array().unwrap();
    assert_eq!(listed.len(), files.len());
    for resource in listed {
        let uri = resource["uri"].as_str().unwrap();
        let allowed = |c: char| c.is_ascii_alphanumeric() || ":/.%".contains(c);
        assert!(uri.chars().all(allowed), "{uri}");
        let read = client.request("resources/read", json!({ "uri": uri }));
        let name = read["result"]["contents"][0]["text"].as_str().unwrap();
        assert!(
            resource["name"]
                .as_str()
                .unwrap()
                .ends_with(&format!("/{name}")),
            "{uri}"
        );
        let fetched = client.structured("codex_document_fetch", json!({ "uri": uri }));
        assert_eq!(
            (&fetched["uri"], &fetched["text"]),
            (&json!(uri), &json!(name))
        );
        let source = client.structured("codex_document_source", json!({ "uri": uri }));
        assert_eq!(
            (&source["uri"], &source["origin"]),
            (&json!(uri), &json!("other"))
        );
        let only = client.structured("codex_document_list", json!({ "pattern": uri }));
        assert_eq!(only["documents"][0]["uri"], uri);
        assert_eq!(only["total"], 1);
    }

    let uri = |path: &str| json!({ "uri": format!("codex://acme/billing/docs/{path}") });
    for (path, name) in [
        ("a b.md", "a b.md"),
        ("a%20b.md", "a b.md"),
        ("a%2520b.md", "a%20b.md"),
        (r"a\%20b.md", "a%20b.md"),
        ("x#y.md", "x#y.md"),
        ("ü.md", "ü.md"),
        (r"what\?.md", "what?.md"),
    ] {
        assert_eq!(
            client.structured("codex_document_fetch", uri(path))["text"],
            name,
            "{path}"
        );
    }
    for (path, words) in [
        ("a%2F..%2Fb.md", "which cannot be in a name"),
        ("%2e%2e/%2e%2e/README.md", "without `.` and `..`"),
        ("%00", "NUL"),
        ("%FF", "is not UTF-8"),
        ("what?.md", "is a glob"),
        ("a%2A.md", "write `%25` for a `%`"),
    ] {
        let error = client.error("codex_document_fetch", uri(path));
        assert!(error.contains(words), "{path}: {error}");
    }
    client.close(&world).code(0);
}

#[test]
fn long_results_are_cut_and_continued() {
    let world = builder().build();
    let mut client = Client::start(&world);
    let mut text = String::new();
    let mut offset = json!(0);
    while !offset.is_null() {
        let uri = "codex://acme/billing/docs/long.md";
        let arguments = json!({ "uri": uri, "offset": offset, "limit": 7 });
        let part = client.structured("codex_document_fetch", arguments);
        let added = part["text"].as_str().unwrap();
        assert!(added.len() <= 10, "{added}");
        text.push_str(added);
        offset = part["next_offset"].clone();
    }
    assert_eq!(text, "äöü\nßéß\n\nlonger line ñ\nend");

    for (tool, list, query) in [
        ("codex_document_list", "documents", json!({ "limit": 2 })),
        (
            "codex_search",
            "matches",
            json!({ "limit": 2, "query": "[a-zß]", "regex": true }),
        ),
    ] {
        let mut parts = Vec::new();
        let mut offset = json!(0);
        while !offset.is_null() {
            let mut arguments = query.clone();
            arguments["offset"] = offset;
            let part = client.structured(tool, arguments);
            parts.extend(part[list].as_array().unwrap().clone());
            offset = part["next_offset"].clone();
        }
        let mut arguments = query;
        arguments["limit"] = json!(100);
        let whole = client.structured(tool, arguments);
        assert_eq!(Some(&parts), whole[list].as_array());
        assert!(parts.len() > 2);
    }
    client.close(&world).code(0);
}

#[test]
fn newest_revision_has_no_initialize_and_a_signal_ends_the_server() {
    let world = World::behind_http();
    let mut command = world.command(&["mcp"]);
    command.env("FRACTARY_CODEX_REMOTE__TOKEN", "wr0ng-token");
    let mut client = Client::run(&world, command);
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let discovered = client.request("server/discover", json!({ "_meta": meta }));
    let versions = discovered["result"]["supportedVersions"]
        .as_array()
        .unwrap();
    assert!(versions.contains(&json!("2026-07-28")), "{versions:?}");
    let parameters = json!({ "_meta": meta, "name": "codex_document_list", "arguments": {} });
    let result = client.request("tools/call", parameters)["result"].take();
    assert_eq!(
        (&result["isError"], &result["resultType"]),
        (&json!(true), &json!("complete"))
    );
    assert!(!result.to_string().contains("wr0ng"), "{result}");

    send(&client.child, Signal::TERM);
    let output = world.sandbox.ended(client.child).code(143);
    assert!(!output.stderr.contains("wr0ng"), "{}", output.stderr);
}
