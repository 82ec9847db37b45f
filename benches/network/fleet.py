#!/usr/bin/env python3
"""Measures how long many runners need that push into one codex at the same time, and computes it for more of them.

fleet.py PROGRAM [--runners 5,10,20] [--delay 40] [--window 100] [--rounds 3] [--cores 8] [--processor 20]

PROGRAM is a release build of `fractary-codex`. Each runner is a process with a home directory of its own, as on a machine
of its own, and publishes one project. The codex is behind a link that delays each direction by `--delay` milliseconds,
and a hook of the server takes `--window` milliseconds before a push is accepted.

The first table has the measured runs. Beside each is what the model computes for the same machine, whose cores the
runners and the server share. The model uses the times of a runner that is alone, which are measured first, and assumes
that a request needs `--processor` milliseconds of the server's processor; the rest of its time is waiting. The second
table is computed for a server of `--cores` cores and runners on machines of their own.

Needs the same programs as `run.py`.
"""
import argparse
import heapq
import json
import os
import pathlib
import random
import signal
import statistics
import subprocess
import sys
import time

from run import World, codex_documents, run

# The delays between attempts: `src/sync/publish/retry.rs`. The maximum number of retries: `sync.retries`.
FIRST_BOUND = (0.02, 0.5)
FACTOR = 1.4
MAX_BOUND = 30.0
RETRIES = 50
COMPUTED = (10, 20, 50, 100, 200, 500, 1000)


class Fleet:
    """The processes of a measured run."""

    def __init__(self, world, program):
        self.world, self.program = world, program
        self.codex = world.root / "repositories" / "codex.git"
        run(["cp", "-a", str(world.origin), str(self.codex)])
        hook = self.codex / "hooks" / "pre-receive"
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(f"#!/bin/sh\nexec sleep {world.options.window / 1000}\n")
        hook.chmod(0o755)
        self.round = 0

    def start(self, runner):
        home = self.world.root / f"runner-{self.round}-{runner}"
        (home / "tmp").mkdir(parents=True)
        environment = {**self.world.environment, "HOME": str(home), "TMPDIR": str(home / "tmp"),
                       "FRACTARY_CODEX_REMOTE__URL": f"https://127.0.0.1:{self.world.https_link.port}/codex.git"}
        command = [self.program, "sync", "-p", f"proj-{runner:03}", "--no-cache", "--json"]
        return subprocess.Popen(command, cwd=self.world.workspace, env=environment, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)

    def measure(self, runners):
        """Starts all runners at once. Returns the seconds until the last one has ended, and the attempts of each."""
        self.round += 1
        self.world.change(f"round {self.round}")
        before = self.commits()
        start = time.monotonic()
        processes = [self.start(runner) for runner in range(runners)]
        outputs = [process.communicate()[0] for process in processes]
        seconds = time.monotonic() - start
        attempts = [json.loads(output)["attempts"] for output in outputs]
        landed = self.commits() - before
        assert landed == runners, f"{landed} of {runners} commits have landed"
        return seconds, attempts

    def commits(self):
        history = run(["git", "rev-list", "--count", "--min-parents=1", "main"], cwd=self.codex,
                      env={**self.world.environment, "HOME": str(self.world.root)})
        return int(history)


class Alone:
    """The times of one runner that is alone, in seconds. They are the parameters of the model."""

    def __init__(self, fleet, options, rounds):
        durations, processor = [], []
        for _ in range(rounds):
            before = os.times()
            seconds, _ = fleet.measure(1)
            after = os.times()
            durations.append(seconds)
            processor.append(after.children_user + after.children_system
                             - before.children_user - before.children_system)
        delay, window = options.delay / 1000, options.window / 1000
        self.delay, self.window, self.processor = delay, window, options.processor / 1000
        self.duration = statistics.median(durations)
        self.runner = statistics.median(processor)
        # The server's processes are not children of this one: what neither the link nor the hook nor the runner explains
        # is the time that the server takes. A run has three requests on one connection: two round trips to connect, one per request.
        self.server = max(0.005, (self.duration - 10 * delay - window - self.runner) / 3)


class Cores:
    """Processor cores that do the work in the order of its arrival."""

    def __init__(self, count):
        self.free_at = [0.0] * count

    def work(self, now, seconds):
        start = max(now, heapq.heappop(self.free_at))
        heapq.heappush(self.free_at, start + seconds)
        return start + seconds


class Model:
    """Simulates runners event by event. The codex accepts a push if its tip is still the one that the runner has read."""

    def __init__(self, alone, cores, shared, seed):
        self.alone = alone
        self.cores = Cores(cores)
        # The runners share the cores of the server, or have one each.
        self.shared = shared
        self.random = random.Random(seed)
        self.tip = 0
        self.events = []
        self.results = {}

    def at(self, moment, step, runner):
        heapq.heappush(self.events, (moment, self.random.random(), step.__name__, runner))

    def simulate(self, starts):
        for number, start in enumerate(starts):
            runner = {"number": number, "start": start, "attempts": 0, "bound": None}
            self.results[number] = runner
            self.at(start, self.prepare, number)
        while self.events:
            moment, _, step, number = heapq.heappop(self.events)
            getattr(self, step)(moment, self.results[number])
        return list(self.results.values())

    def work(self, now, seconds):
        """The end of work on a runner's machine."""
        return self.cores.work(now, seconds) if self.shared else now + seconds

    def serve(self, now):
        """The end of a request that reaches the server now."""
        processor = min(self.alone.processor, self.alone.server)
        return self.cores.work(now, processor) + self.alone.server - processor

    def prepare(self, now, runner):
        # Half of the work is done before the tip is read: the configuration and the scan. Then the runner connects.
        ready = self.work(now, self.alone.runner / 2)
        self.at(ready + 5 * self.alone.delay, self.read_tip, runner["number"])

    def read_tip(self, now, runner):
        runner["attempts"] += 1
        runner["began"] = now
        served = self.serve(now)
        runner["read"] = self.tip
        self.at(served + 2 * self.alone.delay, self.fetch, runner["number"])

    def fetch(self, now, runner):
        served = self.serve(now)
        self.at(served + self.alone.delay, self.plan, runner["number"])

    def plan(self, now, runner):
        planned = self.work(now, self.alone.runner / 2)
        self.at(planned + self.alone.delay, self.push, runner["number"])

    def push(self, now, runner):
        received = self.serve(now)
        self.at(received + self.alone.window, self.update, runner["number"])

    def update(self, now, runner):
        runner["end"] = now + self.alone.delay
        if runner["read"] == self.tip:
            self.tip += 1
            runner["landed"] = True
            return

        runner["landed"] = False
        if runner["attempts"] > RETRIES:
            return
        low, high = FIRST_BOUND
        first = min(max(runner["end"] - runner["began"], low), high)
        runner["bound"] = first if runner["bound"] is None else min(FACTOR * runner["bound"], MAX_BOUND)
        pause = self.random.random() * runner["bound"]
        self.at(runner["end"] + pause + self.alone.delay, self.read_tip, runner["number"])


def computed(alone, runners, cores, shared, spread, rounds=20):
    """Medians over several simulations: the seconds until the last runner has ended, the mean and the maximum number of
    retries, and the number of runners that have used up theirs."""
    results = []
    for seed in range(rounds):
        source = random.Random(seed)
        starts = [source.random() * spread for _ in range(runners)]
        ended = Model(alone, cores, shared, seed).simulate(starts)
        retries = [runner["attempts"] - 1 for runner in ended]
        results.append((max(runner["end"] for runner in ended), statistics.mean(retries), max(retries),
                        sum(not runner["landed"] for runner in ended)))
    return [statistics.median(column) for column in zip(*results)]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("--runners", default="5,10,20")
    parser.add_argument("--delay", type=int, default=40)
    parser.add_argument("--window", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cores", type=int, default=8)
    parser.add_argument("--processor", type=int, default=20)
    options = parser.parse_args()
    options.server_processes = 32
    options.program = str(pathlib.Path(options.program).resolve())
    # So that the servers are ended too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by a signal"))
    sizes = [int(size) for size in options.runners.split(",")]
    here = os.cpu_count()
    print(f"load of the machine: {os.getloadavg()[0]:.1f}; {here} cores")

    world = World(options, max(sizes), 5, codex_documents(200))
    try:
        fleet = Fleet(world, options.program)
        alone = Alone(fleet, options, 5)
        print(f"one runner alone: {alone.duration:.2f} s, of which {alone.runner:.2f} s of processor time; "
              f"each of 3 requests takes the server {alone.server * 1000:.0f} ms")
        print("\n| runners at once | seconds | computed | retries per runner | computed | most retries | computed |")
        print("| --: | --: | --: | --: | --: | --: | --: |")
        for size in sizes:
            measured = [fleet.measure(size) for _ in range(options.rounds)]
            seconds = statistics.median(seconds for seconds, _ in measured)
            mean = statistics.median(statistics.mean(attempts) - 1 for _, attempts in measured)
            most = statistics.median(max(attempts) - 1 for _, attempts in measured)
            model = computed(alone, size, here, True, 0)
            print(f"| {size} | {seconds:.1f} | {model[0]:.1f} | {mean:.1f} | {model[1]:.1f} | {most:.0f} | {model[2]:.0f} |",
                  flush=True)
    finally:
        world.close()

    print(f"\nComputed: {options.delay} ms each way, {options.window} ms for the hooks, a server of {options.cores} cores.\n")
    print("| runners | start | seconds | retries per runner | most retries | retries used up |")
    print("| --: | --- | --: | --: | --: | --: |")
    for size in COMPUTED:
        for name, spread in (("at once", 0), ("within 5 min", 300)):
            seconds, mean, most, failed = computed(alone, size, options.cores, False, spread, rounds=5)
            print(f"| {size} | {name} | {seconds:.0f} | {mean:.1f} | {most:.0f} | {failed:.0f} |", flush=True)


if __name__ == "__main__":
    main()
