// client.cjs PROGRAM ARGUMENT… — uses the server with the client of the npm SDK, which is installed in the current
// directory. `run.py` calls it.
const assert = require("node:assert");
const { createRequire } = require("node:module");

const sdk = createRequire(process.cwd() + "/");
const { Client } = sdk("@modelcontextprotocol/sdk/client/index.js");
const { StdioClientTransport } = sdk("@modelcontextprotocol/sdk/client/stdio.js");
const URI = "codex://acme/billing/docs/ledger.md";

async function main() {
  const [command, ...args] = process.argv.slice(2);
  const client = new Client({ name: "test", version: "1" });
  await client.connect(new StdioClientTransport({ command, args, env: process.env }));
  const { tools } = await client.listTools();
  assert.equal(tools.length, 6);

  // The client validates the structured content.
  const call = (name, parameters) => client.callTool({ name, arguments: parameters });
  assert.match((await call("codex_document_fetch", { uri: URI })).structuredContent.text, /^# Ledger/);
  assert.equal((await call("codex_search", { query: "HERE" })).structuredContent.matches.length, 1);
  for (const name of ["codex_document_list", "codex_project_status", "codex_cache_status"]) {
    assert.ok(!(await call(name, {})).isError, name);
  }
  assert.ok((await call("codex_document_fetch", { uri: "codex://acme/billing/../x" })).isError);
  await assert.rejects(call("unknown", {}), /unknown tool/);
  assert.match((await client.readResource({ uri: URI })).contents[0].text, /^# Ledger/);
  const { resources } = await client.listResources();
  assert.ok(resources.some(({ uri }) => uri.endsWith("/a%2520b.md")), JSON.stringify(resources));
  for (const { uri, name } of resources) {
    const [{ text }] = (await client.readResource({ uri })).contents;
    assert.ok(text.startsWith("# Ledger") || name.endsWith(`/${text}`), uri);
  }
  await client.close();
  console.log("npm: a client");
}

main();
