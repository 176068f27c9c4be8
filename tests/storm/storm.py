#!/usr/bin/python3
"""Storms against the real binaries: several clients at once, blows in between, and the promises looked at after each round.

    tests/storm/storm.py [--rounds 300] [--seed N]       rounds 0 to 299 of seed N (default: a new one, which is printed)
    tests/storm/storm.py --seed N --rounds 17            no: that many; --only 17 is that round alone, in a home of its own
    tests/storm/storm.py --seed N --only 10-17           these, one after another in one home, as they were the first time
    --show       what a round does, without doing it        --jobs J    so many homes at a time (default: 5 for each core)
    --on NAME    although it stands in OFF of blows.py     --on all
    --user NAME  only as root, or only as that user         --xml FILE  results as junit xml
    --shares     how many of each verb worked, and of each blow hit something

Ten rounds share a home on tmpfs and its server: even tens as root, odd ones as the unprivileged user (all as who calls it
where that is not root). After each round: what `up` says is up runs, no line of log is missing, no process, mount, runc state,
cgroup or folder is left after `down`, no verb hung or ended as it may not, every request was answered. In the end of 200 rounds or
more: enough of each verb worked, and of each blow hit (verbs.py). What fails leaves its logs in build/test-logs/storm-….
"""
import argparse
import concurrent.futures
import multiprocessing
import os
import pathlib
import pwd
import random
import shutil
import signal
import subprocess
import sys
import time
import traceback
import xml.sax.saxutils as saxutils

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "functional")]
from blows import OFF, ON  # noqa: E402
from homes import USER, copy_busybox, copy_dist, keep_logs, make_images, make_user, scratch_folder  # noqa: E402
from plan import draw  # noqa: E402
from rounds import Storm  # noqa: E402
from support import Identity, Locald, Project, one_at_a_time  # noqa: E402
from verbs import shares  # noqa: E402

PER_HOME = 10
ENOUGH_ROUNDS = 200  # from which on shares say something
HOME_BYTES = 48 << 20


class Home:
    """A locald with a home of its own, on a file system of its own where we are root."""

    def __init__(self, scratch, user, name):
        self.path = scratch / name
        self.path.mkdir()
        self.mounted = os.geteuid() == 0
        if self.mounted:
            subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={HOME_BYTES},mode=700", "tmpfs", self.path], check=True)
        self.path.chmod(0o700)
        (self.path / "user").mkdir()
        identity = Identity(user)
        identity.own(self.path)
        self.locald = Locald(scratch / "dist", identity, self.path)
        if self.mounted:
            self.locald.own_mounts.append(str(self.path))
        self.output = scratch / f"{name}.output"
        self.output.mkdir()

    def project(self, name, toml):
        return Project(self.locald, self.path / "user" / name, toml)

    def end(self):
        self.locald.destroy()
        if self.mounted:
            for _ in range(50):
                if subprocess.run(["umount", self.path], stderr=subprocess.DEVNULL).returncode == 0:
                    break
                time.sleep(0.1)
            else:
                subprocess.run(["umount", "--lazy", self.path])
        shutil.rmtree(self.path, ignore_errors=True)
        shutil.rmtree(self.output, ignore_errors=True)


def run_rounds(scratch, seed, numbers, user, image, shared):
    """Rounds one after another in one home; a new one after a round that failed. @return [(number, user, seconds, verbs, blows, problems)]"""
    done, home = [], None
    for number in numbers:
        home = home or Home(scratch, user, f"h{number}-{scratch.name[-8:]}")  # the name alone tells it from all others
        plan = draw(seed, number, image, scratch.name)
        begun = time.monotonic()
        storm = Storm(home.locald, plan, home.project, home.output)
        try:
            problems = storm.run()
        except Exception:  # the driver's own fault: say it as a failure, end what runs
            problems = ["the driver failed: " + traceback.format_exc()]
        if problems:
            storm.end()
            kept = keep_logs(home.locald, f"storm-{number}-{user}")
            kept.mkdir(parents=True, exist_ok=True)
            (kept / "round.txt").write_text("\n".join([show(plan), *storm.log, "", *problems]))
            for f in sorted(home.output.glob(f"{number}.*")):
                (kept / f"verb-{f.name}").write_bytes(f.read_bytes()[-100000:])
            report(seed, number, numbers, user, problems, kept)
            home.end()
            home = None
        for f in home.output.iterdir() if home else ():
            f.unlink()
        done.append((number, user, time.monotonic() - begun, storm.verbs, storm.blows, problems))
        if shared is not None and shared.is_set():
            break
    if home:
        r = home.locald("server", "stop", "--all", check=False, timeout=60)
        rest = home.locald.processes(holders=True)
        if r.rc != 0 or rest:
            done[-1][-1].append(f"`server stop --all` at the end: {r!r}, left: {rest}")
            report(seed, numbers[-1], numbers, user, done[-1][-1], keep_logs(home.locald, f"storm-{numbers[-1]}-{user}"))
        home.end()
    return done


def report(seed, number, numbers, user, problems, kept):
    me = "tests/storm/storm.py" + "".join(f" --on '{name}'" for name in filter(None, os.environ.get(ON, "").split(",")))
    print("\n".join([f"storm: round {number} as {user} of seed {seed} FAILED:", *("  " + line for p in problems for line in p.splitlines()[:60]),
                     f"  again: {me} --seed {seed} --user {user} --only {number}", f"  with those before it in its home: {me} --seed {seed} --user {user} --only {numbers[0]}-{number}",
                     f"  logs: {kept}"]), flush=True)


def show(plan):
    lines = [f"round {plan.number}"]
    for p in plan.projects:
        lines += [p.toml]
    for i, client in enumerate(plan.clients):
        lines += [f"client {i}: +{v.delay:.3f} s p{v.project}: {' '.join(v.argv)}" + (f" (SIGINT after {v.signal_after} s)" if v.signal_after else "") for v in client]
    lines += [f"blow at {b.at:.3f} s: {b.kind}" for b in sorted(plan.blows, key=lambda b: b.at)]
    return "\n".join(lines) + (f"\nthen up again{' and all must come' if all(p.sound for p in plan.projects) else ''}\n" if plan.up_again else "\n")


def total(counters):
    """{name: (how many, how many of them were good)} of counters of (name, good)."""
    out = {}
    for counter in counters:
        for (name, good), n in counter.items():
            before = out.get(name, (0, 0))
            out[name] = (before[0] + n, before[1] + n * good)
    return out


def write_xml(path, seed, results, missed):
    cases = []
    whole = ("all", "all", 0, None, None, missed)  # what only all rounds together can show
    for number, user, seconds, _, _, problems in [*results, whole]:
        text = saxutils.escape("\n".join(problems)[:20000], {chr(c): "?" for c in range(32) if c not in (9, 10, 13)})
        cases.append(f'<testcase classname="storm" name="round {number} of seed {seed}, {user}" time="{seconds:.3f}">' +
                     (f'<failure message="promises were not kept">{text}</failure>' if problems else "") + "</testcase>")
    pathlib.Path(path).write_text(f'<?xml version="1.0" encoding="utf-8"?>\n<testsuites><testsuite name="storm" tests="{len(cases)}">' + "\n".join(cases) + "</testsuite></testsuites>\n")


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--only")
    parser.add_argument("--jobs", type=int, default=5 * (os.cpu_count() or 1))
    parser.add_argument("--on", action="append", default=[])
    parser.add_argument("--user")
    parser.add_argument("--xml")
    parser.add_argument("--show", action="store_true")
    parser.add_argument("--shares", action="store_true")
    return parser.parse_args()


def main():
    args = parse()
    on = list(OFF) if "all" in args.on else args.on
    os.environ[ON] = ",".join(on)
    for name in on:
        if OFF.pop(name, None) is None:
            print(f"storm: --on {name}: not off: {', '.join(OFF) or 'nothing is'}")
            return 2
    seed = random.SystemRandom().randrange(1 << 31) if args.seed is None else args.seed
    users = [args.user] if args.user else ["root", USER] if os.geteuid() == 0 else [pwd.getpwuid(os.geteuid()).pw_name]
    if args.only:
        first, _, last = args.only.partition("-")
        groups = [list(range(int(first), int(last or first) + 1))]
    else:
        groups = [list(range(n, min(n + PER_HOME, args.rounds))) for n in range(0, args.rounds, PER_HOME)]
    if args.show:
        for group in groups:
            print("\n".join(show(draw(seed, n, "oci:busybox:1")) for n in group))
        return 0
    print(f"storm: {sum(map(len, groups))} rounds, seed {seed}, {min(args.jobs, len(groups))} homes at a time, as {' and '.join(users)}", flush=True)
    for what, why in OFF.items():
        print(f"storm: off: {what}: {why}")
    if os.geteuid() != 0:
        print("storm: without root homes have no file system of their own: filling the disk is left out")
    if USER in users and os.geteuid() == 0:
        with one_at_a_time():
            make_user(USER, subids=True)
    scratch = scratch_folder("locald-storm.")
    begun = time.monotonic()
    results = []
    try:
        if copy_dist(scratch / "dist") is None:
            print("storm: the built binaries are not there: build first (cmake --preset dev && cmake --build --preset dev)")
            return 2
        image = copy_busybox(make_images("busybox"), scratch)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        with multiprocessing.Manager() as manager, concurrent.futures.ProcessPoolExecutor(args.jobs, max_tasks_per_child=1, mp_context=multiprocessing.get_context("forkserver")) as pool:
            stop = manager.Event()
            futures = [pool.submit(run_rounds, scratch, seed, group, users[group[0] // PER_HOME % len(users)], image, stop) for group in groups]
            try:
                for future in concurrent.futures.as_completed(futures):
                    results += future.result()
            except KeyboardInterrupt:
                stop.set()
                pool.shutdown(cancel_futures=True)
                raise
    finally:
        for line in open("/proc/self/mountinfo"):  # of a worker that died
            if (path := line.split()[4]).startswith(f"{scratch}/"):
                subprocess.run(["umount", "--lazy", path])
        shutil.rmtree(scratch, ignore_errors=True)
    results.sort(key=lambda r: r[0])
    bad = [r for r in results if r[-1]]
    worked, struck = total(r[3] for r in results), total(r[4] for r in results)
    missed = shares(worked, struck) if len(results) >= ENOUGH_ROUNDS else []
    if args.xml:
        write_xml(args.xml, seed, results, missed)
    if args.shares:
        for name, (all_, good) in [*sorted(worked.items()), *sorted(struck.items())]:
            print(f"storm: {name}: {good} of {all_} ({good / all_:.0%})")
    for problem in missed:
        print(f"storm: too little has happened: {problem}")
    print(f"storm: {len(results)} rounds, {sum(n for _, n in worked.values())} of {sum(n for n, _ in worked.values())} verbs worked, "
          f"{sum(n for _, n in struck.values())} of {sum(n for n, _ in struck.values())} blows hit, in {time.monotonic() - begun:.0f} s: "
          f"{len(bad)} failed{': ' + ', '.join(str(r[0]) for r in bad) if bad else ''} (seed {seed})")
    return 1 if bad or missed else 0


if __name__ == "__main__":
    sys.exit(main())
