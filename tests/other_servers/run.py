#!/usr/bin/env python3
"""Syncs with servers that are not git's own: dulwich over http, JGit behind ssh.

run.py PROGRAM [dulwich] [jgit]

PROGRAM is a built `fractary-codex`. dulwich comes from PyPI (this script runs in an interpreter that has it), JGit from
Debian (`libjgit-java`, a JDK). Each server gets a first sync, a change, a change on top of somebody else's commit, a run
with nothing to do, and a pull; after each step git itself checks the repository.
"""
import os, pathlib, shutil, socketserver, subprocess, sys, tempfile, threading
from wsgiref import simple_server

HERE = pathlib.Path(__file__).resolve().parent
JARS = ":".join(f"/usr/share/java/{name}.jar" for name in
                ("org.eclipse.jgit", "slf4j-api", "slf4j-nop", "slf4j-simple", "jsch", "javaewah", "jgit"))


def run(command, **options):
    done = subprocess.run(command, capture_output=True, text=True, **options)
    if done.returncode != 0:
        sys.exit(f"{command} failed with {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


class World:
    """A workspace of one project beside a bare codex, sealed from the user's configuration."""

    def __init__(self, program):
        self.program = program
        self.root = pathlib.Path(tempfile.mkdtemp())
        self.codex = self.root / "codex.git"
        self.environment = {
            "PATH": f"{self.root / 'bin'}:{os.environ['PATH']}", "HOME": str(self.root), "LC_ALL": "C",
            "GIT_CONFIG_NOSYSTEM": "1",
            **{f"GIT_{who}_{what}": "ada@acme.example" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
        }
        self.git("init", "-q", "--bare", "-b", "main", "--template=", str(self.codex), at=self.root)
        self.write("README.md", "first\n")

    def write(self, name, text):
        path = self.root / "ws" / "alpha" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def configure(self, url):
        path = self.root / "ws" / ".fractary" / "config.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"codex:\n  organization: acme\n  codex_repo: codex\n  remote: {{url: '{url}'}}\n"
                        "  projects:\n    alpha: {}\n"
                        "  sync: {from_codex: {include: ['codex://acme/other/**']}}\n")

    def git(self, *arguments, at=None):
        return run(["git", *arguments], cwd=at or self.codex, env=self.environment)

    def sync(self, expected, *more):
        out = run([self.program, "sync", "--all", *more], cwd=self.root / "ws", env=self.environment)
        assert expected in out, out
        self.git("fsck", "--strict")

    def file(self, name):
        return self.git("show", f"main:projects/{name}")

    def steps(self):
        self.sync("confirmed")
        assert self.file("alpha/README.md") == "first\n"
        self.write("docs/a.md", "a\n" * 10_000)
        self.sync("confirmed")
        self.somebody_commits()
        self.write("README.md", "second\n")
        self.sync("confirmed")
        assert self.file("alpha/README.md") == "second\n"
        assert self.file("other/docs.md") == "theirs\n"
        self.sync("nothing to push")
        assert len(self.git("log", "--format=%s", "main").splitlines()) == 4
        self.sync("", "--from-codex")
        pulled = list((self.root / "ws").rglob("docs.md"))
        assert [path.read_text() for path in pulled] == ["theirs\n"], pulled

    def somebody_commits(self):
        clone = self.root / "clone"
        self.git("clone", "-q", str(self.codex), str(clone), at=self.root)
        path = clone / "projects" / "other" / "docs.md"
        path.parent.mkdir(parents=True)
        path.write_text("theirs\n")
        self.git("add", ".", at=clone)
        self.git("commit", "-qm", "somebody else", at=clone)
        self.git("push", "-q", "origin", "main", at=clone)


def dulwich(world):
    from dulwich.repo import Repo
    from dulwich.server import DictBackend
    from dulwich.web import WSGIRequestHandlerLogger, make_wsgi_chain

    class Server(socketserver.ThreadingMixIn, simple_server.WSGIServer):
        daemon_threads = True

    class Quiet(WSGIRequestHandlerLogger):
        def log_message(self, *arguments):
            pass

    # Opened anew for each request, as objects and refs come from elsewhere too.
    class Backend(DictBackend):
        def open_repository(self, path):
            return Repo(str(world.codex))

    application = make_wsgi_chain(Backend({"/codex.git": None}))
    server = simple_server.make_server("127.0.0.1", 0, application, Server, Quiet)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    world.configure(f"http://127.0.0.1:{server.server_port}/codex.git")
    world.steps()
    server.shutdown()


def jgit(world):
    classes = world.root / "classes"
    run(["javac", "-cp", JARS, "-d", str(classes), str(HERE / "Service.java")])
    # In place of ssh: runs the service that the last argument names, on this machine.
    ssh = world.root / "bin" / "ssh"
    ssh.parent.mkdir()
    ssh.write_text("#!/bin/sh\nfor last; do :; done\neval \"set -- $last\"\n"
                   f"exec java -XX:TieredStopAtLevel=1 -cp {classes}:{JARS} Service \"$@\"\n")
    ssh.chmod(0o755)
    world.configure(f"ssh://jgit.example{world.codex}")
    world.steps()


def main():
    program = str(pathlib.Path(sys.argv[1]).resolve())
    for name in sys.argv[2:] or ("dulwich", "jgit"):
        world = World(program)
        {"dulwich": dulwich, "jgit": jgit}[name](world)
        shutil.rmtree(world.root)
        print(f"{name}: ok", flush=True)


main()
