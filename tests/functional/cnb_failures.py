"""For tests of builds that go wrong: a builder whose only buildpack runs the app's own scripts, one home for many builds, and the proof that
after each of them nothing is left but whole generations."""
import contextlib
import json
import os
import pathlib
import shutil
import tempfile
import time

import pytest
from cnb_support import copy_app
from oci_image import Image, derive
from support import Locald, wait_until

BUILDPACK = "cnb/buildpacks/test_script/1.0.0"
SCRIPT = {
    f"{BUILDPACK}/buildpack.toml": 'api = "0.10"\n[buildpack]\nid = "test/script"\nversion = "1.0.0"\n[[targets]]\nos = "linux"\n',
    f"{BUILDPACK}/bin/detect": "#!/bin/bash\n[[ ! -e detect.sh ]] || exec bash detect.sh\n",
    f"{BUILDPACK}/bin/build": "#!/bin/bash\nexec bash build.sh\n",
    "cnb/order.toml": '[[order]]\n[[order.group]]\nid = "test/script"\nversion = "1.0.0"\n',
}
WEB = """
cat >"$CNB_LAYERS_DIR/launch.toml" <<'END'
[[processes]]
type = "web"
command = ["sh", "-c", "cat /workspace/text; exec sleep 100000"]
default = true
END
"""
GOOD = {"build.sh": WEB, "text": "it runs\n"}
KEEPS = {"app.json", "failed", "source.index", "packed.json", "g", "t", "spare", "strict"}  # of an app, while no build is under way
SHARED = (".lifecycle", ".buildpacks")  # of all apps


class AppHome:
    """One locald, and projects of one app in it."""

    def __init__(self, locald, cnb, builder):
        self.locald, self.identity, self.cnb, self.builder = locald, locald.identity, cnb, builder
        self.data = locald.home / "data/cnb"
        self.expected = {}  # what is to run: running()

    def app(self, name, files=None, build=None, toml="", copy=None, path="app", builder=None, run_image=None):
        """A project whose service `web` is an app, that builds and runs unless `files` ({path: text or bytes}) or `build` (what its buildpack
        does before it ends well) say otherwise; or a copy of one of tests/cnb/apps. toml: more of the service."""
        app = App(self, self.locald.home / "user" / name)
        shutil.rmtree(app.dir, ignore_errors=True)
        app.dir.mkdir()
        app.toml(toml, path, builder, run_image)
        if copy:
            copy_app(copy, app.folder, files)
        else:
            app.folder.mkdir()
            app.write({**GOOD, **({"build.sh": "set -eu\n" + build + "\n" + WEB} if build is not None else {}), **(files or {})})
        self.identity.own(app.dir)
        return app

    def apps(self):
        return [n for n in names(self.data) if not n.startswith(".")]

    def running(self):
        """What belongs to containers that run: {what: names}."""
        at, server = self.locald.home, self.locald.server_pid()
        return {"processes": {p: c for p, c in self.locald.processes().items() if p != server}, "mounts": self.locald.mounts(),
                "runc": names(at / "run/runc"), "instances": names(at / "run/svc"), "bundles": names(at / "run/bundles")}

    def left(self):
        """{what: …} that is there, and is no whole generation, its cache or its log."""
        found = {}
        for what, there in self.running().items():
            if rest := [x for x in there if x not in self.expected.get(what, ())]:
                found[what] = {p: there[p] for p in rest} if isinstance(there, dict) else rest
            if gone := [x for x in self.expected.get(what, ()) if x not in there and what != "processes"]:  # a probe that was under way has ended
                found["gone: " + what] = gone
        if rest := [n for n in names(self.locald.home / "data/containers") if n.startswith((".", "build"))]:
            found["containers"] = rest
        if rest := [n for n in names(self.data) if n.startswith(".") and n not in SHARED]:
            found["trash"] = rest
        if rest := [n for n in names(self.data / ".buildpacks") if n.startswith(".")]:
            found["buildpacks"] = rest
        for app in self.apps():
            if rest := set(names(self.data / app)) - KEEPS:
                found[app] = sorted(rest)
            for number in names(self.data / app / "g"):
                if not (self.data / app / "g" / number / "generation.json").is_file():
                    found[f"{app}/g/{number}"] = "no generation.json"
        return found

    def assert_nothing_left(self, deadline=10, running=False):
        """No phase, no mount, no half generation, nothing of a build but its log; once what goes on in the background has ended.
        running: what runs now is to run at the end of each test, too."""
        self.locald.at_rest()
        if running:
            self.expected = self.running()
        end = time.monotonic() + deadline
        while (rest := self.left()) and time.monotonic() < end:
            time.sleep(0.05)
        assert not rest, f"left behind: {json.dumps(rest, indent=1)}"


def names(folder):
    try:
        return sorted(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return []


class App:
    def __init__(self, app_home, folder):
        self.app_home, self.dir, self.folder = app_home, folder, folder / "app"

    def toml(self, more="", path="app", builder=None, run_image=None):
        run_image = self.app_home.cnb.run if run_image is None else run_image
        (self.dir / "locald.toml").write_text(f"""[project]
name = "{self.dir.name}"
[services.web]
type = "cnb"
path = {json.dumps(str(path))}
builder = {json.dumps(builder or self.app_home.builder)}
{f'run_image = {json.dumps(run_image)}' if run_image else ''}
stop_timeout = "100ms"
{more}
""")

    def write(self, files):
        copy_app(None, self.folder, files)
        self.app_home.identity.own(self.folder)

    def __call__(self, *args, **more):
        return self.app_home.locald(*args, cwd=self.dir, **more)

    def popen(self, *args, **more):
        return self.app_home.locald.popen(*args, cwd=self.dir, **more)

    def build(self, *args, **more):
        """Builds it; the object that says what came of it."""
        return self("build", "--json", *args, **more).json()["apps"][0]

    def fails(self, *words, args=(), code=1, **more):
        """The build ends with `code`, and its message has all of `words`. The result; its `failure` is error.build."""
        r = self("build", "--json", *args, check=False, **more)
        assert r.rc == code, r
        for word in words:
            assert word in r.err, f"'{word}' is not said\n{r!r}"
        r.failure = json.loads(r.out)["error"].get("build") if r.out else None
        return r

    def runs(self, text="it runs\n"):
        """The service can be started, and prints that."""
        try:
            self("up", "-d")
            wait_until(lambda: text in self("logs", "web").out, f"the service says {text!r}", 10)
        finally:
            self("down", check=False)

    def said(self):
        """The log of its last build."""
        return self("logs", "--build", "web").out

    @property
    def data(self):
        """Its folder below LOCALD_HOME/data/cnb."""
        def path(name):
            try:
                return json.loads((self.app_home.data / name / "app.json").read_text())["spec"]["path"]
            except (OSError, ValueError):
                return None
        found = [n for n in self.app_home.apps() if path(n) == str(self.folder)]
        assert len(found) == 1, found
        return self.app_home.data / found[0]

    @property
    def service(self):
        """What the status says of it."""
        return self("status", "--json").json()["services"][0]

    @contextlib.contextmanager
    def keeps_running(self):
        """While that runs: the service does, the same process of the same generation, healthy."""
        def look():
            return wait_until(lambda: (s := self.service)["health"] == "healthy" and (s["state"], s["pid"], s["app"]["generation"]), "it is healthy", 10)  # not yet probed by a new server
        before = look()
        assert before[0] == "running", before
        yield
        assert look() == before

    def generations(self):
        return sorted(map(int, names(self.data / "g")))


@pytest.fixture(scope="session")
def script_builder(cnb, scratch):
    """oci:… of the builder whose one buildpack, test/script, runs the app's own detect.sh and build.sh."""
    return derive(Image.of(cnb.builder), scratch / "script-builder", files=SCRIPT)


@pytest.fixture(scope="module")
def shared_app_home(identity, dist, scratch, cnb, script_builder):
    home = pathlib.Path(tempfile.mkdtemp(prefix="h-", dir=scratch))
    (home / "user").mkdir()
    home.chmod(0o700)
    identity.own(home)
    locald = Locald(dist, identity, home)
    yield AppHome(locald, cnb, script_builder)
    locald("server", "stop", "--all", timeout=60, check=False)
    try:
        locald.assert_nothing_left(but_server=False)
    finally:
        locald.destroy()


@pytest.fixture
def app_home(shared_app_home):
    """One home for all tests of a file, and the proof that each leaves nothing but whole generations."""
    yield shared_app_home
    shared_app_home.assert_nothing_left()
