#!/usr/bin/env python3
"""Generates clients from `schemas/` and reads the documents of the real program with them.

run.py PROGRAM NODE_PROJECT

PROGRAM is a built `fractary-codex`. This script runs in an interpreter that has `datamodel-code-generator`, `pydantic` and `mypy`
from PyPI. NODE_PROJECT is a directory in which the packages of package.json are installed: this one after `npm ci`.

The generators run with the options that a user would try first. Every name that they make must be one that a user can
guess: a number at its end shows that the schema gives a part no name. `use.py` and `use.ts` are small programs of users.
"""
import importlib, json, os, pathlib, re, subprocess, sys, tempfile

HERE = pathlib.Path(__file__).resolve().parent
SCHEMAS = HERE.parent.parent / "schemas"
CONFIG = """codex:
  organization: acme
  codex_repo: codex
  remote: { url: ../codex.git }
  projects: { billing: {}, ledger: {}, lost: {} }
  sync: { from_codex: { include: ["codex://acme/billing/**"] } }
"""
# The schema, the exit status and the arguments of commands, in the order in which they run.
COMMANDS = [
    ("init", 0, "-C elsewhere init --yes --organization acme --json"),
    ("update", 0, "-C elsewhere config update --organization acme-docs --json"),
    ("sync", 1, "sync --all --dry-run --plan-out ../plan.json --json"),
    ("sync", 0, "plan show ../plan.json --json"),
    ("sync", 1, "sync --all --json"),
    ("sync", 0, "sync -p billing --from-codex --json"),
    ("sync", 1, "status --html ../page.html --json"),
    ("sync", 2, "sync --nothing --json"),
    ("sync", 3, "sync --all --config jobs=many --json"),
    ("events", 1, "status --format ndjson"),
    ("matrix", 0, "projects -p [bl]* --matrix 2"),
    ("projects", 0, "projects -p billing --json"),
    ("fetch", 1, "fetch codex://acme/billing/docs/ledger.md codex://acme/billing/none.md --json"),
    ("log", 0, "log --json"),
    ("trace", 1, "trace projects/billing/docs/ledger.md none.md --json"),
    ("doctor", 1, "doctor --json"),
    ("keys", 0, "config show --json"),
    ("keys", 0, "config explain remote.branch --json"),
    ("path", 0, "config path --json"),
    ("validate", 0, "config validate --json"),
    ("validate", 3, "config validate --config jobs=many --json"),
    ("error", 3, "projects --config jobs=many --json"),
    ("cache-list", 0, "cache list --json"),
    ("cache-status", 0, "cache status --json"),
    ("cache-clear", 0, "cache clear --dry-run --json"),
    ("sync", 2, "retire none --yes --json"),
]


def run(command, **options):
    done = subprocess.run(command, capture_output=True, text=True, **options)
    if done.returncode != 0:
        sys.exit(f"{command} failed with {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def make_documents(program, root):
    """The documents of the real program: pairs of a schema and a text."""
    environment = {"HOME": str(root / "home"), "PATH": os.environ["PATH"]}
    for name in ("AUTHOR", "COMMITTER"):
        environment |= {f"GIT_{name}_NAME": "Ada", f"GIT_{name}_EMAIL": "ada@acme.example"}
    for directory in ("home", "ws/.fractary", "ws/billing/docs", "ws/ledger/docs", "ws/elsewhere/docs"):
        (root / directory).mkdir(parents=True)
    workspace = root / "ws"
    (workspace / ".fractary/config.yaml").write_text(CONFIG)
    (workspace / "billing/docs/ledger.md").write_text("# Ledger\n")
    (workspace / "elsewhere/docs/a.md").write_text("a\n")
    # A conflict marker withholds this project, and the third one has no directory.
    (workspace / "ledger/docs/notes.md").write_text("<<<<<<< a\nours\n=======\ntheirs\n>>>>>>> b\n")
    run(["git", "init", "-q", "--bare", "-b", "main", root / "codex.git"], env=environment)

    documents = []
    for schema, status, arguments in COMMANDS:
        command = [program, *arguments.split()]
        done = subprocess.run(command, cwd=workspace, env=environment, capture_output=True, text=True)
        assert done.returncode == status, (arguments, done.returncode, done.stdout, done.stderr)
        texts = done.stdout.splitlines() if schema == "events" else [done.stdout]
        documents += [(schema, text) for text in texts]
    documents.append(("plan", (root / "plan.json").read_text()))
    return documents


def check_names(names, where):
    """A number at the end of a name comes from a part without a name of its own."""
    poor = sorted(name for name in names if re.search(r"\d$", name) or name.startswith(("Field", "Model")))
    assert not poor, f"{where}: {poor}"


def make_python(root):
    """Generates pydantic models, one module per schema. The schema of the configuration is for editors: it accepts
    the same texts as YAML, for which no class is needed."""
    package = root / "codex_models"
    package.mkdir()
    (package / "__init__.py").touch()
    for schema in documented_schemas():
        output = package / f"{module_of(schema)}.py"
        run([sys.executable, "-m", "datamodel_code_generator", "--input", path_of(schema), "--output", output,
             "--input-file-type", "jsonschema", "--output-model-type", "pydantic_v2.BaseModel", "--use-annotated"])
        check_names(re.findall(r"^class (\w+)", output.read_text(), re.M), output.name)


def documented_schemas():
    names = sorted(path.name.partition(".")[0] for path in SCHEMAS.glob("*.schema.json"))
    return [name for name in names if name != "config"]


def path_of(schema):
    return SCHEMAS / f"{schema}.schema.json"


def module_of(schema):
    return schema.replace("-", "_")


def title_of(schema):
    return json.loads(path_of(schema).read_text())["title"]


def use_python(root, documents):
    """Parses each document with the model of its schema, and writes it again."""
    sys.path.insert(0, str(root))
    for schema, text in documents:
        model = getattr(importlib.import_module(f"codex_models.{module_of(schema)}"), title_of(schema))
        parsed = model.model_validate_json(text)
        again = json.loads(parsed.model_dump_json(by_alias=True, exclude_unset=True))
        assert again == json.loads(text), (schema, again, text)
    run([sys.executable, "-m", "mypy", "--strict", "--cache-dir", root / "mypy", "codex_models", HERE / "use.py"],
        cwd=root, env=os.environ | {"MYPYPATH": str(root)})
    return run([sys.executable, HERE / "use.py", root / "documents"], env=os.environ | {"PYTHONPATH": str(root)})


def make_typescript(root, node_project):
    types = root / "types"
    types.mkdir()
    for schema in documented_schemas():
        output = types / f"{schema}.d.ts"
        run([node_project / "node_modules/.bin/json2ts", path_of(schema), output], cwd=node_project)
        names = re.findall(r"^export (?:interface|type|enum) (\w+)", output.read_text(), re.M)
        check_names(names, output.name)


def use_typescript(root, node_project, documents):
    """Checks each document against the type of its schema, and the program of a user."""
    checked = []
    for number, (schema, text) in enumerate(documents):
        checked.append(f'import type {{ {title_of(schema)} as Type{number} }} from "./types/{schema}";')
        checked.append(f"export const document{number}: Type{number} = {text.strip()};")
    (root / "documents.ts").write_text("\n".join(checked))
    (root / "use.ts").write_text((HERE / "use.ts").read_text())
    compiler = node_project / "node_modules/.bin/tsc"
    options = ["--strict", "--noUncheckedIndexedAccess", "--exactOptionalPropertyTypes", "--target", "es2022",
               "--module", "commonjs", "--types", "node", "--typeRoots", node_project / "node_modules/@types"]
    run([compiler, *options, root / "documents.ts", root / "use.ts"], cwd=root)
    return run(["node", root / "use.js", root / "documents"])


def main():
    program = pathlib.Path(sys.argv[1]).resolve()
    node_project = pathlib.Path(sys.argv[2]).resolve()
    with tempfile.TemporaryDirectory() as root:
        root = pathlib.Path(root)
        documents = make_documents(program, root / "run")
        assert {schema for schema, _ in documents} == set(documented_schemas())
        (root / "documents").mkdir()
        for number, (schema, text) in enumerate(documents):
            (root / "documents" / f"{number:03}-{schema}.json").write_text(text)
        make_python(root)
        python = use_python(root, documents)
        make_typescript(root, node_project)
        typescript = use_typescript(root, node_project, documents)
        assert python and python == typescript, (python, typescript)
        print(f"both clients read {len(documents)} documents")


main()
