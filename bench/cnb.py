"""Builds with Cloud Native Buildpacks: locald's two ways beside the five real phases run by hand, without locald."""
import json
import os
import shutil
import subprocess
import sys
import time

from common import ROOT, Locald, Skip, compare, goal, median, say, table

sys.path.insert(0, str(ROOT / "tests/cnb"))

TOML = """
[project]
name = "{name}"
[services.app]
type = "cnb"
path = "."
builder = "{builder}"
run_image = "{run}"
port = "auto"
build = {{ strict = {strict} }}
"""


def seconds(values):
    return f"{median(values):.2f}" if values else "-"


class Competitor:
    """One way to build one app, in a folder of its own. `cold`, `same` and `one` are lists of (all, buildpacks' own) in seconds."""

    def __init__(self, name):
        self.name, self.cold, self.same, self.one = name, [], [], []

    def row(self):
        def both(measured):
            return [seconds([a for a, _ in measured]), seconds([b for _, b in measured])]
        return [self.name, *both(self.cold), seconds([a for a, _ in self.same]), *both(self.one)]


def touch(app, number):
    """One file of the source becomes another."""
    with open(app / "server.js", "a") as f:
        f.write(f"// change {number}\n")


class Real(Competitor):
    def __init__(self, oracle, app, target):
        super().__init__("five real phases")
        self.oracle, self.app, self.target, self.count = oracle, app, target, 0
        shutil.copytree(app, target)

    def _build(self, state, into):
        build = self.oracle.build(self.target, state=state)
        if build.rc:
            raise Skip(repr(build))
        into.append((build.seconds, build.buildpack_seconds))
        return build

    def begin(self):
        self.count += 1
        self.state = self.oracle.folder / f"{self.target.name}-{self.count}"
        self._build(self.state, self.cold)

    def again(self):
        self._build(self.state, self.same)

    def change(self, number):
        touch(self.target, number)
        self._build(self.state, self.one)


class Ours(Competitor):
    """`locald up -d`, from a project that is down until its service runs; and with a change, from running to running anew."""

    def __init__(self, locald, app, target, builder, run, strict):
        super().__init__("locald, strict" if strict else "locald")
        self.locald, self.target = locald, target
        shutil.copytree(app, target)
        (target / "locald.toml").write_text(TOML.format(name=target.name, builder=builder, run=run, strict=str(strict).lower()))
        if locald.bench.switch:
            subprocess.run(["chown", "-R", f"{locald.bench.uid}:{locald.bench.gid}", target], check=True)

    def _up(self, into):
        started = time.monotonic()
        self.locald("up", "-d", cwd=self.target)
        took = time.monotonic() - started
        built = json.loads(self.locald("build", "--json", cwd=self.target))["apps"][0]
        into.append((took, sum(b["ms"] for b in built["times"]["buildpacks"]) / 1000))

    def _settle(self):
        """The background work after a build is over."""
        for _ in range(600):
            if json.loads(self.locald("server", "status", "--json"))["jobs"] == 0:
                return
            time.sleep(0.05)

    def begin(self):
        self.locald("down", cwd=self.target, check=False)
        for cache in json.loads(self.locald("cache", "ls", "--json"))["caches"]:
            if cache["path"] == str(self.target):
                self.locald("cache", "rm", cache["app"])
        self._up(self.cold)
        self._settle()

    def again(self):
        self.locald("down", cwd=self.target)
        self._up(self.same)

    def change(self, number):
        touch(self.target, number)
        self._up(self.one)
        self._settle()


def cnb(bench):
    """buildpack apps: cold, nothing changed, one file changed; seconds to the running service, of the real phases to the exported image"""
    try:
        from make_apps import big_node_app, copy_app
        from oracle import Oracle
    except ImportError as e:
        raise Skip(str(e)) from None
    if bench.rootless:
        raise Skip("the five real phases run by hand need root")
    made = subprocess.run([ROOT / "scripts/cnb-builder", ROOT / "build/cnb"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if made.returncode:
        raise Skip(made.stdout.strip().splitlines()[-1])
    out = bench.dir / "cnb-images"
    shutil.copytree(ROOT / "build/cnb", out, symlinks=True, ignore=shutil.ignore_patterns("tools", "build", "builder-old"))
    builder, run = f"oci:{out}/builder:1", f"oci:{out}/run:1"
    oracle = Oracle(bench.dir / "cnb-oracle", builder, run)
    locald = Locald(bench, "cnb-home")
    apps = bench.dir / "cnb-apps"
    apps.mkdir()
    # Images are pulled and unpacked before: that is `pull`'s business.
    warm = Ours(locald, copy_app("procfile", apps / "warm-app"), apps / "warm", builder, run, strict=True)
    warm.begin()
    sizes = {"small": lambda target: copy_app("node", target), "big": lambda target: big_node_app(target)}
    for size, make in sizes.items():
        app = make(apps / size)
        total = sum(os.lstat(os.path.join(folder, f)).st_size for folder, _, files in os.walk(app) for f in files)
        say(f"  {size}: {sum(len(f) for _, _, f in os.walk(app))} files, {total / 1e6:.1f} MB")
        real = Real(oracle, app, apps / f"{size}-real")
        strict = Ours(locald, app, apps / f"{size}-strict", builder, run, strict=True)
        ours = Ours(locald, app, apps / f"{size}-locald", builder, run, strict=False)
        rounds = 1 if bench.quick else (5 if size == "small" else 3)
        for _ in range(rounds):
            for one in (real, strict, ours):
                one.begin()
        for number in range(3 * rounds):
            for one in (real, strict, ours):
                one.again()
                one.change(number)
        table([["", "cold", "buildpacks", "same", "one file", "buildpacks"], *(one.row() for one in (real, strict, ours))])
        change = median([a for a, _ in ours.one])
        own = median([b for _, b in ours.one])
        goal(f"{size}, nothing changed, to running", median([a for a, _ in ours.same]), 0.2, "s")
        goal(f"{size}, one file, beyond the buildpacks' own time", change - own, 0.25, "s")
        compare(f"{size}, one file", change, {"five real phases": median([a for a, _ in real.one])}, ("five real phases", 0.35) if size == "big" else None)
    locald.close()
