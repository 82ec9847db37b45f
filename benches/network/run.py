#!/usr/bin/env python3
"""Measures what a sync costs over a network, beside `git ls-remote` and the script that people would write instead.

run.py PROGRAM [--baseline OTHER_PROGRAM] [--rounds 5] [--cases https,ssh,fetch,rate]

PROGRAM is a release build of `fractary-codex`. The codex is behind a link on loopback that delays each direction by
40 ms (`link.py`): nginx with TLS and `git http-backend` for https, sshd for ssh. In every round each contender does each
case once, from equal states, so that a busy machine slows all of them down. The tables show medians; `ratio` is to the
median of `git ls-remote`. The case `fetch` reads one document of a codex of 80,000 files. The case `rate` limits the link to
5 MB/s in each direction.

Needs git, nginx, fcgiwrap, openssl, sshd and rsync (`apt-get install nginx-light fcgiwrap openssh-server rsync`).
"""
import argparse
import contextlib
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
DELAY = 40
RATE = 5_000_000
SHELL = r"""set -e
t=$(mktemp -d); trap 'rm -rf "$t"' EXIT
git clone -q --depth 1 --single-branch --branch main "$2" "$t/codex"; cd "$t/codex"
for project in "$1"/proj-*/; do
  name=$(basename "$project"); mkdir -p "projects/$name"
  rsync -a --delete --include=/README.md --include='/docs/***' --exclude='*' "$project" "projects/$name/"
  git add -A "projects/$name"
  git diff --cached --quiet || git commit -qm "Sync $name"
done
git push -q origin main"""
WORDS = ("service queue owner table index retry metric alert deploy cluster schema branch the of and with before after "
         "must should every each between under").split()


def run(command, **options):
    done = subprocess.run(command, capture_output=True, text=True, **options)
    if done.returncode != 0:
        sys.exit(f"{command} failed with {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for_port(port):
    for _ in range(500):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.02)
    sys.exit(f"nothing listens on port {port}")


def document(source):
    length = source.randint(1024, 12_000)
    lines = []
    while length > 0:
        line = " ".join(source.choices(WORDS, k=12)) + "\n"
        lines.append(line)
        length -= len(line)
    return "".join(lines)


def codex_documents(count):
    """The documents of a codex with 20 other projects."""
    source = random.Random(2)
    return [(f"projects/other-{number % 20}/docs/{number}.md", document(source)) for number in range(count)]


def many_small_documents():
    """80,000 documents of 200 projects."""
    return [(f"projects/other-{number % 200:03}/docs/part-{number // 200 % 20:02}/{number}.md", f"# Document {number}\n" * 20)
            for number in range(80_000)]


class Contender:
    """One way to publish, with a codex and a home directory of its own."""

    def __init__(self, world, name, program=None):
        self.world = world
        self.name = name
        self.program = program
        self.home = world.root / f"home-{name}"
        self.home.mkdir()
        self.codex = world.root / "repositories" / f"{name}.git"
        shutil.copytree(world.origin, self.codex)

    def url(self, carrier):
        if carrier == "ssh":
            return f"ssh://127.0.0.1:{self.world.ssh_link.port}{self.codex}"
        return f"https://127.0.0.1:{self.world.https_link.port}/{self.name}.git"

    def environment(self):
        return {**self.world.environment, "HOME": str(self.home)}

    def sync(self, carrier, *more):
        """Publishes or pulls; the seconds that it took."""
        workspace = self.world.workspace
        environment = self.environment()
        if self.program is None:
            command = ["bash", "-c", SHELL, "bash", str(workspace), self.url(carrier)]
        else:
            command = [self.program, "sync", "--all", "--no-cache", *more]
            if "--from-codex" in more:
                command.remove("--no-cache")
            environment["FRACTARY_CODEX_REMOTE__URL"] = self.url(carrier)
            environment["FRACTARY_CODEX_REMOTE__TRANSPORT"] = self.world.transport(self)
            environment["FRACTARY_CODEX_CACHE__DIR"] = str(self.home / "cache")
        start = time.monotonic()
        run(command, cwd=workspace, env=environment)
        return time.monotonic() - start

    def fetch(self, carrier, document):
        """Prints a document of the codex; the seconds that it took."""
        environment = {**self.environment(), "FRACTARY_CODEX_REMOTE__URL": self.url(carrier),
                       "FRACTARY_CODEX_REMOTE__TRANSPORT": self.world.transport(self)}
        start = time.monotonic()
        printed = run([self.program, "fetch", document], cwd=self.world.workspace, env=environment)
        seconds = time.monotonic() - start
        assert printed.startswith("# "), printed
        return seconds

    def forget(self):
        """Removes the recorded state, as on a machine that never synced."""
        shutil.rmtree(self.home / ".local/state", ignore_errors=True)

    @contextlib.contextmanager
    def without_capabilities(self):
        """Hides what is remembered of servers for a while."""
        known = self.home / ".local/state/fractary-codex/servers"
        kept = self.home / "servers"
        if known.exists():
            known.rename(kept)
        yield
        shutil.rmtree(known, ignore_errors=True)
        if kept.exists():
            kept.rename(known)

    def tree(self):
        return run(["git", "rev-parse", "main:projects"], cwd=self.codex, env=self.environment())


class Link:
    def __init__(self, world, name, target, rate=0):
        self.port = free_port()
        self.stats = world.root / f"{name}.json"
        command = [sys.executable, str(HERE / "link.py"), "--listen", str(self.port), "--target", str(target),
                   "--stats", str(self.stats), "--delay", str(world.options.delay), "--rate", str(rate)]
        world.start(command)
        for _ in range(500):
            if self.stats.exists():
                return
            time.sleep(0.02)
        sys.exit("the link does not start")

    def read(self):
        return json.loads(self.stats.read_text())


class World:
    """A workspace, the servers, and the links to them."""

    def __init__(self, options, projects, files, codex):
        """`codex` has the path and the text of each document of the codex."""
        self.options = options
        self.projects = projects
        self.children = []
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="network-"))
        self.workspace = self.root / "ws"
        self.environment = {
            "PATH": os.environ["PATH"], "LC_ALL": "C", "GIT_CONFIG_NOSYSTEM": "1",
            "TMPDIR": tempfile.gettempdir(), "FRACTARY_CODEX_COMMIT__TRAILERS": "false",
            **{f"GIT_{who}_{what}": "bench@acme.example"
               for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
        }
        try:
            self.make_workspace(projects, files)
            self.make_codex(codex)
            self.start_https()
        except BaseException:
            self.close()
            raise

    def transport(self, contender):
        return "git" if contender.name == "baseline" else self.options.transport

    def start(self, command, **options):
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                 start_new_session=True, **options)
        self.children.append(child)

    def close(self):
        for child in self.children:
            # The children of a server too: each has a session of its own.
            os.killpg(child.pid, signal.SIGTERM)
            child.wait()
        shutil.rmtree(self.root)

    def make_workspace(self, projects, files):
        source = random.Random(1)
        for project in range(projects):
            for number in range(files):
                name = "README.md" if number == 0 else f"docs/part-{number % 23}/{number}.md"
                self.write(f"proj-{project:03}/{name}", document(source))
        self.write(".fractary/config.yaml",
                   "codex:\n  organization: acme\n  codex_repo: codex\n  workspace: { members: ['proj-*'] }\n"
                   "  sync:\n    to_codex: { include: ['docs/**', 'README.md'] }\n"
                   "    from_codex: { include: ['codex://acme/other-*/**'] }\n")

    def write(self, name, text):
        path = self.workspace / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def change(self, label):
        """Changes one file of each project. Its length tells rounds apart, as rsync compares size and seconds."""
        self.changes = getattr(self, "changes", 0) + 1
        for project in range(self.projects):
            self.write(f"proj-{project:03}/README.md", f"{label}\n" + "word " * self.changes)

    def make_codex(self, documents):
        self.origin = self.root / "origin.git"
        (self.root / "repositories").mkdir()
        environment = {**self.environment, "HOME": str(self.root)}
        run(["git", "init", "-q", "--bare", "-b", "main", str(self.origin)], env=environment)
        for key, value in (("uploadpack.allowFilter", "true"), ("http.receivepack", "true"), ("gc.auto", "0"),
                           ("receive.autogc", "false")):
            run(["git", "config", key, value], cwd=self.origin, env=environment)
        stream = ["commit refs/heads/main\ncommitter b <b@b> 1700000000 +0000\ndata 5\nstart\n"]
        for path, text in documents:
            stream.append(f"M 100644 inline {path}\ndata {len(text)}\n{text}\n")
        run(["git", "fast-import", "--quiet"], cwd=self.origin, env=environment, input="".join(stream))

    def somebody_commits(self, contender, round_number):
        """Changes a file of each other project in the codex."""
        stream = [f"commit refs/heads/main\ncommitter b <b@b> {1700000000 + round_number} +0000\ndata 5\nother\n"
                  "from refs/heads/main^0\n"]
        for number in range(20):
            text = f"round {round_number}\n" * 100
            stream.append(f"M 100644 inline projects/other-{number}/docs/{number}.md\ndata {len(text)}\n{text}\n")
        run(["git", "fast-import", "--quiet"], cwd=contender.codex, env=contender.environment(),
            input="".join(stream))

    def start_https(self):
        directory = self.root / "https"
        directory.mkdir()
        key, certificate = directory / "key", directory / "certificate"
        run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
             "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key),
             "-out", str(certificate)])
        socket_path = directory / "cgi"
        self.start(["fcgiwrap", "-c", str(self.options.server_processes), "-s", f"unix:{socket_path}"], env={**self.environment, "HOME": str(self.root)})
        port = free_port()
        self.log = directory / "requests"
        temporary = "".join(f"{name}_temp_path {directory}/{name};\n"
                            for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        backend = pathlib.Path(run(["git", "--exec-path"]).strip()) / "git-http-backend"
        (directory / "nginx.conf").write_text(f"""
daemon off; master_process off; pid {directory}/pid; error_log stderr; events {{}}
http {{
  log_format requests '$request_method $request_uri $status';
  access_log {self.log} requests; client_max_body_size 0;
  {temporary}
  server {{
    listen 127.0.0.1:{port} ssl; ssl_certificate {certificate}; ssl_certificate_key {key};
    location / {{
      fastcgi_pass unix:{socket_path}; fastcgi_request_buffering off;
      fastcgi_param SCRIPT_FILENAME {backend}; fastcgi_param GIT_PROJECT_ROOT {self.root}/repositories;
      fastcgi_param GIT_HTTP_EXPORT_ALL 1; fastcgi_param REMOTE_USER bench; fastcgi_param REMOTE_ADDR 127.0.0.1;
      fastcgi_param PATH_INFO $uri; fastcgi_param QUERY_STRING $query_string;
      fastcgi_param REQUEST_METHOD $request_method; fastcgi_param CONTENT_TYPE $content_type;
      fastcgi_param CONTENT_LENGTH $content_length; fastcgi_param HTTP_GIT_PROTOCOL $http_git_protocol;
    }}
  }}
}}""")
        self.start(["nginx", "-e", "stderr", "-c", str(directory / "nginx.conf")])
        wait_for_port(port)
        self.https_port = port
        self.environment["GIT_SSL_CAINFO"] = str(certificate)
        self.https_link = Link(self, "https-link", port)

    def start_ssh(self):
        directory = self.root / "ssh"
        directory.mkdir()
        for key in ("host", "user"):
            run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(directory / key)])
        port = free_port()
        pathlib.Path("/run/sshd").mkdir(exist_ok=True)
        (directory / "config").write_text(
            f"Port {port}\nListenAddress 127.0.0.1\nHostKey {directory}/host\nAuthorizedKeysFile {directory}/user.pub\n"
            "PidFile none\nStrictModes no\nUsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n"
            "PermitRootLogin yes\nLogLevel ERROR\nAcceptEnv GIT_PROTOCOL\n"
            "SetEnv GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1\n")
        self.start(["/usr/sbin/sshd", "-D", "-e", "-f", str(directory / "config")])
        wait_for_port(port)
        self.ssh_link = Link(self, "ssh-link", port)
        host = (directory / "host.pub").read_text()
        (directory / "known_hosts").write_text(f"[127.0.0.1]:{self.ssh_link.port} {host}")
        self.environment["GIT_SSH_COMMAND"] = (
            f"ssh -F /dev/null -o BatchMode=yes -o IdentitiesOnly=yes -o IdentityFile={directory}/user "
            f"-o UserKnownHostsFile={directory}/known_hosts")

    def requests(self):
        return self.log.read_text().count("\n") if self.log.exists() else 0


class Table:
    """Rows of medians."""

    def __init__(self):
        self.rows = {}

    def add(self, row, **values):
        for name, value in values.items():
            self.rows.setdefault(row, {}).setdefault(name, []).append(value)

    def median(self, row, name):
        return statistics.median(self.rows[row][name])

    def print(self, title, unit):
        base = self.median(unit, "seconds")
        print(f"\n| {title} | connections | requests | kB up | kB down | seconds | ratio |")
        print("| --- | --- | --- | --- | --- | --- | --- |")
        for row, values in self.rows.items():
            cells = [f"{statistics.median(values[name]):g}" if name in values else ""
                     for name in ("connections", "requests", "up", "down")]
            seconds = self.median(row, "seconds")
            print(f"| {row} | {' | '.join(cells)} | {seconds:.2f} | {seconds / base:.2f} |", flush=True)


class Measure:
    """Runs one case and notes what passed the link."""

    def __init__(self, world, link, table):
        self.world, self.link, self.table = world, link, table

    def __call__(self, row, work):
        link, requests = self.link.read(), self.world.requests()
        seconds = work()
        # The last bytes of a closed connection may still be on their way.
        time.sleep(3 * DELAY / 1000)
        now = self.link.read()
        values = {"connections": now["connections"] - link["connections"],
                  "up": round((now["up"] - link["up"]) / 1000, 1), "down": round((now["down"] - link["down"]) / 1000, 1)}
        if self.link is self.world.https_link:
            values["requests"] = self.world.requests() - requests
        self.table.add(row, seconds=seconds, **values)


def ls_remote(contender, carrier):
    start = time.monotonic()
    run(["git", "ls-remote", contender.url(carrier), "HEAD", "refs/heads/main"], env=contender.environment())
    return time.monotonic() - start


def programs(world):
    made = [Contender(world, "program", world.options.program)]
    if world.options.baseline:
        made.append(Contender(world, "baseline", world.options.baseline))
    return made


def https(options):
    world = World(options, 30, 20, codex_documents(200))
    try:
        contenders = programs(world)
        shell = Contender(world, "shell")
        table = Table()
        measure = Measure(world, world.https_link, table)
        for contender in [*contenders, shell]:
            contender.sync("https")
        for number in range(options.rounds):
            measure("git ls-remote", lambda: ls_remote(shell, "https"))
            for contender in contenders:
                named = lambda row, contender=contender: f"{contender.name}: {row}"
                measure(named("nothing changed"), lambda: contender.sync("https"))
                with contender.without_capabilities():
                    measure(named("nothing changed, capabilities unknown"), lambda: contender.sync("https"))
            world.change(f"known {number}")
            for contender in contenders:
                measure(f"{contender.name}: one file per project", lambda: contender.sync("https"))
            measure("shell script: one file per project", lambda: shell.sync("https"))
            world.change(f"fresh {number}")
            for contender in contenders:
                contender.forget()
                measure(f"{contender.name}: one file per project, fresh machine", lambda: contender.sync("https"))
            shell.sync("https")
            trees = {contender.tree() for contender in [*contenders, shell]}
            assert len(trees) == 1, "the contenders do not publish the same"
            for contender in contenders:
                world.somebody_commits(contender, number)
                measure(f"{contender.name}: from the codex, changed", lambda: contender.sync("https", "--from-codex"))
            world.somebody_commits(shell, number)
            # The next round begins with a recorded state of this tip.
            for contender in contenders:
                contender.sync("https")
        table.print(f"https, {DELAY} ms each way, 30 × 20", "git ls-remote")
        times = table.median("shell script: one file per project", "seconds") / table.median(
            "program: one file per project", "seconds")
        print(f"\none file per project: {times:.1f} times as fast as the shell script")
    finally:
        world.close()


def ssh(options):
    world = World(options, 30, 20, codex_documents(200))
    try:
        world.start_ssh()
        contenders = programs(world)
        shell = Contender(world, "shell")
        table = Table()
        measure = Measure(world, world.ssh_link, table)
        for contender in contenders:
            contender.sync("ssh")
        for number in range(options.rounds):
            measure("git ls-remote", lambda: ls_remote(shell, "ssh"))
            for contender in contenders:
                measure(f"{contender.name}: nothing changed", lambda: contender.sync("ssh"))
            world.change(f"known {number}")
            for contender in contenders:
                measure(f"{contender.name}: one file per project", lambda: contender.sync("ssh"))
            world.change(f"fresh {number}")
            for contender in contenders:
                contender.forget()
                measure(f"{contender.name}: one file per project, fresh machine", lambda: contender.sync("ssh"))
        table.print(f"ssh, {DELAY} ms each way, 30 × 20 (connections are sessions)", "git ls-remote")
    finally:
        world.close()


def fetch(options):
    documents = many_small_documents()
    uri = documents[12_345][0].replace("projects/", "codex://acme/", 1)
    world = World(options, 1, 1, documents)
    try:
        contenders = programs(world)
        table = Table()
        measure = Measure(world, world.https_link, table)
        for _ in range(options.rounds):
            measure("git ls-remote", lambda: ls_remote(contenders[0], "https"))
            for contender in contenders:
                contender.forget()
                measure(f"{contender.name}: one document, first time", lambda: contender.fetch("https", uri))
                measure(f"{contender.name}: one document", lambda: contender.fetch("https", uri))
        table.print(f"https, {DELAY} ms each way, one of 80,000 documents", "git ls-remote")
    finally:
        world.close()


def upload_alone(world, size):
    """The seconds that so many bytes take through the limited link, with nothing else to do."""
    sink = socket.create_server(("127.0.0.1", 0))

    def receive():
        connection, _ = sink.accept()
        left = size
        while left > 0:
            left -= len(connection.recv(1 << 16))
        connection.sendall(b".")
        connection.close()

    threading.Thread(target=receive, daemon=True).start()
    link = Link(world, f"sink-{time.monotonic_ns()}", sink.getsockname()[1], RATE)
    start = time.monotonic()
    with socket.create_connection(("127.0.0.1", link.port)) as connection:
        connection.sendall(bytes(size))
        connection.recv(1)
    return time.monotonic() - start


def rate(options):
    world = World(options, 50, 400, codex_documents(2000))
    try:
        limited = Link(world, "limited-link", world.https_port, RATE)
        free = world.https_link
        contenders = programs(world)
        table = Table()
        for _ in range(options.rounds):
            for contender in contenders:
                for name, link in (("unlimited", free), ("limited", limited)):
                    shutil.rmtree(contender.codex)
                    shutil.copytree(world.origin, contender.codex)
                    contender.forget()
                    world.https_link = link
                    Measure(world, link, table)(f"{contender.name}: first sync, {name}", lambda: contender.sync("https"))
                size = int(table.rows[f"{contender.name}: first sync, limited"]["up"][-1] * 1000)
                table.add(f"{contender.name}: its bytes alone", seconds=upload_alone(world, size))
        table.print(f"https, {RATE / 1e6:g} MB/s, 50 × 400", "program: its bytes alone")
        for contender in contenders:
            seconds = lambda row: table.median(f"{contender.name}: {row}", "seconds")
            bound = max(seconds("its bytes alone"), seconds("first sync, unlimited"))
            print(f"\n{contender.name}: {seconds('first sync, limited') / bound:.2f} times the larger of "
                  "its bytes alone and the unlimited sync")
    finally:
        world.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("--baseline")
    parser.add_argument("--transport", default="native")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cases", default="https,ssh,fetch,rate")
    options = parser.parse_args()
    options.delay, options.server_processes = DELAY, 4
    # So that the servers are ended too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by a signal"))
    options.program = str(pathlib.Path(options.program).resolve())
    options.baseline = options.baseline and str(pathlib.Path(options.baseline).resolve())
    print(f"load of the machine: {os.getloadavg()[0]:.1f}")
    for case in options.cases.split(","):
        {"https": https, "ssh": ssh, "fetch": fetch, "rate": rate}[case](options)


if __name__ == "__main__":
    main()
