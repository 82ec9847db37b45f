#!/usr/bin/env python3
"""Runs a first sync and writes docs/first-sync.svg, the picture in the README.

    pip install rich
    cargo build --release
    python3 docs/terminal.py target/release

Three small checkouts are published to an empty codex in a temporary directory. The times and commits in the picture are those
of the run.
"""

import os
import pathlib
import re
import subprocess
import sys
import tempfile

from rich.console import Console
from rich.text import Text

WIDTH = 110
FILES = {"click": 43, "flask": 88, "werkzeug": 47}
COMMANDS = [
    "fractary codex init --url ../codex.git",
    "fractary codex sync --all",
    "fractary codex trace projects/flask/docs/7.rst",
]


def main():
    programs = pathlib.Path(sys.argv[1]).resolve()
    picture = pathlib.Path(__file__).resolve().parent / "first-sync.svg"
    console = Console(record=True, width=WIDTH, file=open(os.devnull, "w"), force_terminal=True)

    with tempfile.TemporaryDirectory() as directory:
        environment = {
            "CLICOLOR_FORCE": "1",
            "COLUMNS": str(WIDTH),
            "GIT_CONFIG_NOSYSTEM": "1",
            "HOME": directory,
            "PATH": f"{programs}:{os.environ['PATH']}",
        }
        workspace = make_workspace(pathlib.Path(directory), environment)
        for command in COMMANDS:
            console.print(Text(f"$ {command}", style="bold"))
            result = subprocess.run(
                command.split(),
                cwd=workspace,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=True,
            )
            output = result.stdout.replace(directory, "/home/ada")
            console.print(Text.from_ansi(output.rstrip("\n")), end="\n\n")

    # Without the fonts that the picture would load from another server.
    picture.write_text(re.sub(r"@font-face \{.*?\}", "", console.export_svg(title="fractary codex"), flags=re.DOTALL))
    print(f"wrote {picture}")


def make_workspace(directory, environment):
    """Makes the codex and the checkouts. Returns the directory of the checkouts."""

    def git(*arguments):
        subprocess.run(["git", *arguments], env=environment, check=True)

    git("init", "--quiet", "--bare", str(directory / "codex.git"))
    for name, files in FILES.items():
        checkout = directory / "pallets" / name
        (checkout / "docs").mkdir(parents=True)
        (checkout / "README.md").write_text(f"# {name}\n")
        for number in range(1, files):
            (checkout / "docs" / f"{number}.rst").write_text(f"{name} {number}\n")

        git("init", "--quiet", str(checkout))
        git("-C", str(checkout), "remote", "add", "origin", f"https://github.com/pallets/{name}.git")
        git("-C", str(checkout), "add", ".")
        identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com"]
        git("-C", str(checkout), *identity, "commit", "--quiet", "--message", "Add the documentation")
    return directory / "pallets"


main()
