#!/usr/bin/env python3
"""Uses `fractary-codex mcp` with the clients of the official SDKs.

run.py PROGRAM [NODE_PROJECT]

PROGRAM is a built `fractary-codex`. This script runs in an interpreter that has `mcp` from PyPI. NODE_PROJECT is a
directory in which `@modelcontextprotocol/sdk` from npm is installed.
"""
import asyncio, os, pathlib, subprocess, sys, tempfile

from mcp import Client, ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client

HERE = pathlib.Path(__file__).resolve().parent
URI = "codex://acme/billing/docs/ledger.md"
SPECIAL = ["a b.md", "a%20b.md", "what?.md", "x#y.md", "n[1].md", "ü.md"]
CONFIG = """codex:
  organization: acme
  codex_repo: codex
  remote: { url: ../codex.git }
  projects: { billing: {} }
  sync: { from_codex: { include: ["codex://acme/billing/**"] } }
"""


def run(command, **options):
    subprocess.run(command, check=True, **options)


def make_workspace(program, root):
    """A workspace of one project that is published, sealed from the user's configuration."""
    environment = {"HOME": str(root / "home"), "PATH": os.environ["PATH"]}
    for name in ("AUTHOR", "COMMITTER"):
        environment |= {f"GIT_{name}_NAME": "Ada", f"GIT_{name}_EMAIL": "ada@acme.example"}
    for directory in ("home", "ws/.fractary", "ws/billing/docs"):
        (root / directory).mkdir(parents=True)
    (root / "ws/.fractary/config.yaml").write_text(CONFIG)
    (root / "ws/billing/docs/ledger.md").write_text("# Ledger\nThe ledger is here.\n")
    for name in SPECIAL:
        (root / "ws/billing/docs" / name).write_text(name)
    run(["git", "init", "-q", "--bare", "-b", "main", root / "codex.git"], env=environment)
    run([program, "-C", root / "ws", "-q", "sync", "--all", "--bidirectional"], env=environment, stdout=subprocess.DEVNULL)
    return environment


async def use(client):
    """The calls that are the same for both kinds of clients."""
    tools = {tool.name: tool for tool in (await client.list_tools()).tools}
    assert all(tool.annotations.read_only_hint for tool in tools.values()), tools
    calls = {
        "codex_document_fetch": {"uri": URI},
        "codex_document_list": {},
        "codex_search": {"query": "HERE"},
        "codex_project_status": {},
        "codex_document_source": {"uri": URI},
        "codex_cache_status": {},
    }
    assert calls.keys() == tools.keys(), tools.keys()
    for name, arguments in calls.items():
        # The client validates the structured content.
        result = await client.call_tool(name, arguments)
        assert not result.is_error, (name, result)
    for uri in ("codex://acme/billing/../x", "file:///etc/passwd", "codex://other/billing/docs/ledger.md"):
        result = await client.call_tool("codex_document_fetch", {"uri": uri})
        assert result.is_error and result.content[0].text.startswith("error: "), result
    read = await client.read_resource(URI)
    assert read.contents[0].text.startswith("# Ledger"), read
    for resource in (await client.list_resources()).resources:
        name = resource.name.rpartition("/")[2]
        read = await client.read_resource(str(resource.uri))
        assert name not in SPECIAL or read.contents[0].text == name, (resource, read)


async def use_python(server):
    async with stdio_client(server) as (read, write), ClientSession(read, write) as session:
        initialized = await session.initialize()
        await use(session)
        print("python: a session with", initialized.protocol_version)
    async with Client(stdio_client(server)) as client:
        await use(client)
        print("python: a client with", client.protocol_version)


def main():
    program = pathlib.Path(sys.argv[1]).resolve()
    with tempfile.TemporaryDirectory() as root:
        root = pathlib.Path(root)
        environment = make_workspace(program, root)
        arguments = ["-C", str(root / "ws"), "mcp"]
        asyncio.run(use_python(StdioServerParameters(command=str(program), args=arguments, env=environment)))
        if len(sys.argv) > 2:
            run(["node", HERE / "client.cjs", program, *arguments], cwd=sys.argv[2], env=environment)


main()
