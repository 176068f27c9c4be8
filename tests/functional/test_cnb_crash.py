"""Servers, workers and phases that are killed in a build: what ran goes on, the next build ends well, nothing is left.

A build that is called off: test_cnb_bad_input.py. A first build whose server dies, and `down` after it: test_cnb_services.py.
"""
import contextlib
import os
import signal
import subprocess

import pytest
from cnb_failures import WEB, names
from support import wait_until

pytestmark = pytest.mark.single_id

# 3000 files in a cached layer that is made once, 300 in one that is made each time; waits where it is told to.
BUILD = """
set -e
deps=$CNB_LAYERS_DIR/deps
if [[ ! -e $deps/3000 ]]; then mkdir -p $deps; for ((i = 0; i <= 3000; ++i)); do echo $i >$deps/$i; done; fi
printf '[types]\\nlaunch = true\\ncache = true\\n' >$deps.toml
new=$CNB_LAYERS_DIR/new
mkdir $new; for ((i = 0; i <= 300; ++i)); do echo $RANDOM >$new/$i; done
printf '[types]\\nlaunch = true\\n' >$new.toml
[[ ! -e wait ]] || { sleep 4242 & sleep 4243; }
""" + WEB
WAITS = {"detect.sh": "sleep 4242 & sleep 4243\n"}


class Crashes:
    def __init__(self, app_home):
        self.app_home, self.locald = app_home, app_home.locald
        self.count = 0
        self.app = app_home.app("crash", {"build.sh": BUILD, **{f"many/{i}": "x" for i in range(2000)}}, toml='health = { exec = ["test", "-e", "text"] }')
        self.app("up", "--wait")
        app_home.assert_nothing_left(running=True)

    def begin(self, files, *args):
        """A build of a changed source, under way."""
        self.count += 1
        self.app.write({"text": f"it runs {self.count}\n", **files})
        return self.app.popen("build", *args)

    def pids(self, *words):
        return [p for p, c in self.locald.processes().items() if p not in self.app_home.expected["processes"] and any(w in c for w in words)]

    def wait_for(self, *words):
        return wait_until(lambda: self.pids(*words), f"{' or '.join(words)} runs", 20, 0.002)

    def kill(self, *pids):
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def kill_server(self):
        server = self.locald.server_pid()
        os.kill(server, signal.SIGKILL)
        wait_until(lambda: not os.path.exists(f"/proc/{server}") or self.locald.server_pid() != server, "the server is gone")

    def ends(self, build, *words):
        out, err = build.communicate(timeout=30)
        assert build.returncode == 1, err
        for word in words:
            assert word in err.decode(), err.decode()

    def is_well(self):
        """As it was before, without a build; then a build goes well, and so does what it built."""
        self.app_home.assert_nothing_left()
        self.count += 1
        self.app.write({"text": f"it runs {self.count} well\n", "detect.sh": None, "wait": None})
        built = self.app.build()
        assert built["built"]
        self.locald.at_rest()
        top = self.app.data / "g" / str(built["generation"])
        assert (top / "root/workspace/text").read_text() == f"it runs {self.count} well\n"
        assert len(names(top / "root/workspace/many")) == 2000
        layers = {len(names(p)) for p in self.app.data.glob("t/*/layers/test_script/*")}
        assert layers == {3001, 301}, layers
        self.app_home.assert_nothing_left()


@pytest.fixture(scope="module")
def all_crashes(shared_app_home):
    crashes = Crashes(shared_app_home)
    yield crashes
    shared_app_home.expected = {}
    crashes.app("down")


@pytest.fixture
def crashes(app_home, all_crashes):
    with all_crashes.app.keeps_running():
        yield all_crashes
        all_crashes.is_well()


def no_spare_layer(c):
    c.locald.at_rest()
    subprocess.run(["rm", "-rf", c.app.data / "spare/t"], check=True)


def trees(c):
    return set(names(c.app.data / "t"))


# name -> (files, arguments of build, what is done before, when it has come so far)
MOMENTS = {
    "stage": ({}, [], None, lambda c: wait_until(lambda: (c.app.data / "build").is_dir(), "it copies the source", step=0.0005)),
    "detect": (WAITS, [], None, lambda c: c.wait_for("sleep 4243")),
    "restore": ({}, [], no_spare_layer, lambda c: wait_until(lambda: names(c.app.data / "build/layers/test_script"), "it restores", step=0.0005)),
    "build": ({"wait": ""}, [], None, lambda c: c.wait_for("sleep 4243")),
    "commit": ({}, [], None, lambda c: wait_until(lambda: trees(c) != c.before, "it commits", step=0.0005)),
    "strict build": ({"wait": ""}, ["--strict"], None, lambda c: c.wait_for("sleep 4243")),
    "strict export": ({}, ["--strict"], None, lambda c: c.wait_for("/cnb/lifecycle/exporter")),
}


def begin(crashes, moment):
    files, args, before, reached = MOMENTS[moment]
    if before:
        before(crashes)
    crashes.before = trees(crashes)
    build = crashes.begin(files, *args)
    reached(crashes)
    return build


@pytest.mark.parametrize("moment", MOMENTS)
def test_the_server_is_killed(crashes, moment):
    build = begin(crashes, moment)
    crashes.kill_server()
    build.communicate(timeout=30)
    crashes.app("status")  # another one


@pytest.mark.parametrize("moment", ["detect", "build", "commit", "strict build"])
def test_all_is_killed(crashes, moment):
    """But what runs, as its shim was started by an earlier server."""
    build = begin(crashes, moment)
    crashes.kill(crashes.locald.server_pid(), *crashes.pids(""))
    build.communicate(timeout=30)
    crashes.app("status")


def test_the_server_is_killed_between_a_bundle_and_its_start(crashes):
    crashes.kill_server()
    bundle = crashes.locald.home / "run/bundles/0123456789ab"
    (bundle / "rootfs").mkdir(parents=True)
    crashes.app_home.identity.own(bundle)
    crashes.app("status")


def test_the_server_is_killed_after_the_build(crashes):
    """While copies for the next one are made."""
    no_spare_layer(crashes)
    build = crashes.begin({})
    wait_until(lambda: names(crashes.app.data / "spare/t"), "copies are made", step=0.0005)
    crashes.kill_server()
    build.communicate(timeout=30)
    crashes.app("status")


@pytest.mark.long
def test_the_server_is_killed_again_and_again(crashes):
    """When the build says what it does next, each time a bit later."""
    for word in ("copying", "detecting", "restoring", "building", "building test/script", ""):
        build = crashes.begin({})
        while (line := build.stderr.readline()) and (not word or word.encode() not in line):
            pass
        crashes.kill_server()
        build.communicate(timeout=30)
    crashes.app("status")


def test_the_server_ends_in_a_build(crashes):
    build = crashes.begin({"wait": ""})
    crashes.wait_for("sleep 4243")
    crashes.locald("server", "stop", timeout=20)
    crashes.ends(build)
    crashes.app("status")


@pytest.mark.parametrize("moment", ["stage", "restore", "commit"])
def test_a_worker_is_killed(crashes, moment):
    build = begin(crashes, moment)
    crashes.kill(*crashes.pids("locald-server worker"))
    out, err = build.communicate(timeout=30)
    assert build.returncode == 0 or b"the worker for " in err and b"was killed by KILL" in err, err


@pytest.mark.parametrize("phase", ["detect", "build"])
@pytest.mark.parametrize("what", ["all of it", "its first process", "its shim", "the buildpack"])
def test_a_phase_is_killed(crashes, phase, what):
    build = begin(crashes, phase)
    binary = {"detect": "/cnb/lifecycle/detector", "build": "/cnb/lifecycle/builder"}[phase]
    if what == "all of it":
        crashes.kill(*crashes.pids("/cnb/", "sleep", "bash"))
    elif what == "its first process":
        crashes.kill(*crashes.pids(binary))
    elif what == "its shim":
        crashes.kill(*crashes.pids("locald-shim run build/"))
    else:
        crashes.kill(*crashes.pids(phase + ".sh", "sleep 424"))  # the lifecycle waits for whoever has its output
    crashes.ends(build, *{"its shim": [phase], "the buildpack": ["test/script@1.0.0", "signal: killed" if phase == "build" else "code 21"]}.get(what, [f"{phase} was killed by signal 9", "hint: "]))
