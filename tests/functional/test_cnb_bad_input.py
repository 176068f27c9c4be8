"""Bad input for builds: each ends with a message that says what was tried, what failed and what to do next, and what ran before goes on.

Where the rest of it is: builds in the five real phases without locald (exit codes, a full disk) in test_cnb_builder.py; a changed source that does not build, a crash
of the app, an unknown process type at a first start, a failed build for people and programs, and live source that is not a folder in test_cnb_services.py; each mistake in
project.toml with its line, and folders, archives and packages that are no buildpacks in test_cnb_project.py; a full disk in an export in test_cnb_export.py; killed
servers and workers in test_cnb_crash.py.
"""
import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

import pytest
from cnb_failures import BUILDPACK, GOOD, WEB, AppHome
from oci_image import Image, derive
from support import Locald, wait_until

HEALTH = 'health = { exec = ["test", "-e", "text"] }'
single = pytest.mark.single_id
STOPPED = (130, -signal.SIGINT)


@pytest.fixture(scope="module")
def running_app(shared_app_home):
    """An app that runs, through all of what is wrong."""
    app = shared_app_home.app("running_app", toml=HEALTH)
    app("up", "--wait")
    shared_app_home.assert_nothing_left(running=True)
    yield app
    shared_app_home.expected = {}
    app("down")


@pytest.fixture
def wrong(app_home, running_app):
    """wrong(WORDS…, files=, toml arguments): with that, `up` and `build` end with an error that has all the words, and what runs goes on; put back as it was,
    nothing is to be built. Returns the error of `build --json`."""
    def check(*words, files=None, **toml):
        try:
            with running_app.keeps_running():
                if toml:
                    running_app.toml(HEALTH + "\n" + toml.pop("more", ""), **toml)
                running_app.write(files or {})
                up = running_app("up", "-d", check=False)
                assert up.rc == 1, up
                for word in words:
                    assert word in up.err, f"'{word}' is not said\n{up!r}"
                r = running_app.fails(*words)
        finally:
            running_app.toml(HEALTH)
            running_app.write({name: GOOD.get(name) for name in files or {}})
        with running_app.keeps_running():
            assert not running_app.build()["built"]
            assert "built in" not in running_app("up", "-d").err
        return json.loads(r.out)["error"]
    return check


# ---- builders

def config(change):
    return lambda c: change(c["config"])


def metadata(change):
    def edit(c):
        label = json.loads(c["Labels"]["io.buildpacks.builder.metadata"])
        change(label)
        c["Labels"]["io.buildpacks.builder.metadata"] = json.dumps(label)
    return config(edit)


def env(**variables):
    return config(lambda c: c.update(Env=[e for e in c["Env"] if e.split("=")[0] not in variables] + [f"{k}={v}" for k, v in variables.items() if v is not None]))


def label(name, text):
    return config(lambda c: c["Labels"].pop(name) if text is None else c["Labels"].update({name: text}))


META = "io.buildpacks.builder.metadata"
# name -> (what is changed in the image, files of one layer more, words of the message)
BUILDERS = {
    "no label": (label(META, None), None, ["is not a builder: it has no label io.buildpacks.builder.metadata", "hint: a builder is an image made by `pack builder create`"]),
    "no JSON": (label(META, "{]"), None, ["is not a builder: its label io.buildpacks.builder.metadata is damaged", "hint: a builder is"]),
    "a number": (label(META, "7"), None, ["is not a builder: its label io.buildpacks.builder.metadata does not say which Platform API"]),
    "nested deep": (label(META, "[" * 100_000), None, ["is not a builder: its label io.buildpacks.builder.metadata is damaged"]),
    "no user": (env(CNB_USER_ID=None), None, ["is not a builder: CNB_USER_ID is not in its environment"]),
    "no number": (env(CNB_GROUP_ID="cnb"), None, ['is not a builder: CNB_GROUP_ID is "cnb", which is not an id']),
    "a huge user": (env(CNB_USER_ID="99999999999"), None, ['CNB_USER_ID is "99999999999", which is not an id']),
    "root": (env(CNB_USER_ID="0"), None, ["is not a builder: its build user is root"]),
    "no Platform API": (metadata(lambda m: m["lifecycle"]["apis"].pop("platform")), None, ["does not say which Platform API"]),
    "an old Platform API": (metadata(lambda m: m["lifecycle"]["apis"].update(platform={"deprecated": ["0.3"], "supported": ["0.4"]})), None,
                            ["has lifecycle 0.21.17 with Platform API 0.3, 0.4; locald speaks 0.12 to 0.15", "hint: take a newer builder"]),
    "another architecture": (lambda c: c.update(architecture="s390x"), None, ["builder: ", "the image is linux/s390x, this host is linux/", "hint: choose a tag that is built for"]),
    "another system": (lambda c: c.update(os="windows"), None, ["the image is windows/", "this host is linux/"]),
    "an extension": (label("io.buildpacks.buildpack.order-extensions", '[{"group":[{"id":"a/b","version":"1"}]}]'), None,
                     ["uses image extensions, which locald does not support", "hint: take a builder without extensions"]),
    "no lifecycle": (None, {"cnb/.wh.lifecycle": ""}, ["hint: is the image a whole builder, with /cnb/lifecycle/detector in it?"]),
    "a lifecycle that is text": (None, {"cnb/lifecycle/detector": "words"}, ["detect", "/cnb/lifecycle/detector"]),
    "a Platform API that it has not": (metadata(lambda m: m["lifecycle"]["apis"].update(platform={"deprecated": [], "supported": ["0.15"]})), None,
                                       ["the builder's lifecycle does not speak the Platform API asked for (detect ended with code 11)", "hint: the builder's label promises it"]),
    "a Buildpack API to come": (None, {f"{BUILDPACK}/buildpack.toml": 'api = "0.99"\n[buildpack]\nid = "test/script"\nversion = "1.0.0"\n'},
                                ["the builder's lifecycle does not speak the Buildpack API of one of its buildpacks (detect ended with code 12)", "test/script", "0.99", "hint: pull the builder again"]),
    "an order that is no TOML": (None, {"cnb/order.toml": "[[order"}, ["detect ended with code", "order"]),
    "an order without groups": (None, {"cnb/order.toml": ""}, ["detect ended with code"]),
    "an order of what is not there": (None, {"cnb/order.toml": '[[order]]\n[[order.group]]\nid = "test/none"\nversion = "1"\n'}, ["detect ended with code", "test_none/1/buildpack.toml"]),
    "a buildpack without build": (None, {f"{BUILDPACK}/bin/.wh.build": ""}, ["test/script@1.0.0", "bin/build", "build ended with code"]),
    "a buildpack that cannot be run": (None, {f"{BUILDPACK}/bin/build": "#!/no/such/shell\n"}, ["test/script@1.0.0", "bin/build", "build ended with code"]),
}


@pytest.fixture(scope="session")
def builders(cnb, script_builder, scratch):
    """NAME -> oci:… of one of BUILDERS."""
    made = {}

    def make(name):
        if name not in made:
            change, files, _ = BUILDERS[name]
            base = cnb.builder_old if name == "a Platform API that it has not" else script_builder
            made[name] = derive(Image.of(base), scratch / ("builder-" + name.replace(" ", "-")), change, files)
        return made[name]
    return make


@pytest.mark.parametrize("case", BUILDERS)
def test_a_builder_that_is_none(wrong, builders, case):
    said = wrong(*BUILDERS[case][2], builder=builders(case))
    assert said["hint"], said


def test_a_builder_that_is_not_there(wrong, cnb, busybox, app_home):
    wrong("builder: ", "/nowhere", builder="oci:/nowhere:1")
    wrong("builder: ", "other", builder=cnb.builder.rpartition(":")[0] + ":other")
    wrong("builder: ", "127.0.0.1:1", builder="127.0.0.1:1/no/builder:1")
    wrong("builder: ", builder="UPPER/case:1")
    wrong("is not a builder", "hint: a builder is an image made by", builder=busybox)
    wrong("is not a builder", builder=cnb.run)
    wrong("uses image extensions", builder=cnb.builder_with_extension)
    wrong("run image: ", "another one can be named: run_image", run_image="oci:/nowhere:1")
    wrong("run image: ", "locald.test/cnb/run:1", "hint: check the name, ", "another one can be named: run_image", run_image="")


def test_a_builder_whose_files_are_damaged(wrong, cnb, script_builder, scratch, identity):
    """Blobs that are cut, of other content, or away; an index that is none. They are new to this home, so that they must be read."""
    def copy(name, damage):
        folder = scratch / f"damaged-{name}-{identity}"
        made = derive(Image.of(script_builder), folder, files={"cnb/damaged": f"{name} {identity}"})
        image = Image.of(made)
        top = image.blob(image.manifest["layers"][-1]["digest"])
        damage(folder, top, image)
        return made

    def other(path, data):
        path.unlink()
        path.write_bytes(data)
    wrong("builder: ", builder=copy("cut", lambda f, top, i: other(top, top.read_bytes()[:-10])))
    wrong("builder: ", "the bytes are not what their name promises", builder=copy("changed", lambda f, top, i: other(top, bytes(len(top.read_bytes())))))
    wrong("builder: ", builder=copy("away", lambda f, top, i: top.unlink()))
    wrong("builder: ", builder=copy("no-config", lambda f, top, i: i.blob(i.manifest["config"]["digest"]).unlink()))
    wrong("builder: ", "index.json", builder=copy("no-index", lambda f, top, i: other(f / "index.json", b"{")))
    wrong("builder: ", builder=copy("empty-index", lambda f, top, i: other(f / "index.json", b'{"schemaVersion":2,"manifests":[]}')))


# ---- buildpacks

@single
def test_no_group_fits(wrong):
    said = wrong("no group of buildpacks fits this app (detect ended with code 20)", "test/script@1.0.0", "fail", "not mine, says it",
                 "hint: the table shows what each buildpack said", "locald logs --build", files={"detect.sh": "echo not mine, says it; exit 100\n"})
    build = said["build"]
    assert build["phase"] == "detect" and build["exit_code"] == 20
    assert [(d["buildpack"], d["result"], d["output"].strip()) for d in build["detect"]] == [("test/script@1.0.0", "fail", "not mine, says it")]


@single
def test_a_buildpack_fails_in_detection(wrong):
    said = wrong("no group of buildpacks fits this app, and at least one buildpack failed (detect ended with code 21)", "test/script@1.0.0", "it broke", "hint: the table shows which",
                 files={"detect.sh": "echo it broke >&2; exit 7\n"})
    assert said["build"]["exit_code"] == 21 and "it broke" in said["build"]["detect"][0]["output"]


@single
def test_a_buildpack_fails_to_build(wrong, running_app):
    lines = "".join(f"echo line {i}\n" for i in range(500))
    said = wrong("a buildpack failed to build the app (build ended with code 51)", "the last words of test/script@1.0.0:", "line 499", "exit status 3", "locald logs --build",
                 files={"build.sh": lines + "exit 3\n"})
    build = said["build"]
    assert build["phase"] == "build" and build["exit_code"] == 51 and build["buildpack"] == "test/script@1.0.0" and "line 499" in build["tail"]
    assert 5 <= len(build["tail"]) <= 100 and pathlib.Path(build["log"]).is_dir()


ENDS = {
    "a signal": ("kill -9 $$", ["51", "signal: killed"]),
    "no end of line": ("printf 'no end'; exit 1", ["no end"]),
    "bytes and escapes": (r"printf '\033[31mred\033[0m \xff\xfe\000\nwas \r now\n'; exit 1", ["red", " now"]),
    "a line of a megabyte": ("head -c 1000000 /dev/zero | tr '\\0' x; echo; echo the end; exit 1", ["the end"]),
    "launch.toml that is none": ('echo "[[processes" >"$CNB_LAYERS_DIR/launch.toml"', ["the build failed (build ended with code 52)", "test/script@1.0.0", "failed to decode layer metadata file: toml: line 2"]),
    "a layer's toml that is none": ('mkdir "$CNB_LAYERS_DIR/x"; echo "[types" >"$CNB_LAYERS_DIR/x.toml"', ["the build failed (build ended with code 52)", "test/script@1.0.0", "failed to decode layer metadata file: toml: line 2"]),
    "launch.toml that is a folder": ('mkdir "$CNB_LAYERS_DIR/launch.toml"', ["launch.toml"]),
    "two defaults": ('for i in a b; do printf \'[[processes]]\\ntype = "%s"\\ncommand = ["x"]\\ndefault = true\\n\' $i; done >"$CNB_LAYERS_DIR/launch.toml"', ["default process"]),
    "a label that is none": ('echo "labels = 3" >"$CNB_LAYERS_DIR/launch.toml"', ["test/script@1.0.0", 'toml: line 1 (last key "labels")']),
}


@pytest.mark.parametrize("case", ENDS)
def test_ends_of_buildpacks(wrong, case):
    script, words = ENDS[case]
    said = wrong(*words, files={"build.sh": script + "\n"})
    assert said["hint"] and "\x1b" not in json.dumps(said) and len(said["message"]) < 20_000


def test_a_process_type_that_there_is_not(running_app, app_home):
    """At a first start: test_cnb_services.py."""
    for more, words in (('process = "wev"', ['the app has no process type "wev"', "hint: set `process` to one of: web"]),
                        ('[services.web.processes.worker]\nprocess = "work"', ['the app has no process type "work"'])):
        with running_app.keeps_running():
            running_app.toml(HEALTH + "\n" + more)
            up = running_app("up", "-d", check=False)
            assert up.rc == 1, up
            for word in words:
                assert word in up.err
    running_app.toml(HEALTH)
    with running_app.keeps_running():
        running_app("up", "-d")


def test_a_mistake_in_project_toml(wrong):
    """Each kind: test_cnb_project.py."""
    head = '[_]\nschema-version = "0.2"\n'
    wrong("project.toml:2:1: not TOML", files={"project.toml": '[_]\n= "0.2"\n'})
    wrong("project.toml:3:1: ", "there is no buildpack test/none", files={"project.toml": head + '[[io.buildpacks.group]]\nid = "test/none"\n'})
    wrong("project.toml:2:18: ", files={"project.toml": '[_]\nschema-version = "9.9"\n'})
    wrong("project.toml:1:1: ", files={"project.toml": b"\xff\xfe\0"})
    wrong("project.toml:1:", files={"project.toml": "a = " + "[" * 100_000})


# ---- sources

@single
def test_what_is_no_file_is_left_out_and_said(app_home, identity, scratch):
    outside = app_home.locald.home / "user/secret"
    outside.write_text("secret")
    app = app_home.app("odd", build="""
echo "seen: $(find . | LC_ALL=C sort | tr '\\n' ' ')"
for link in out up dir loop self none; do echo "$link: $(readlink $link) $(cat $link 2>&1)"; done""")
    os.mkfifo(app.folder / "a-fifo")
    with socket.socket(socket.AF_UNIX) as s, contextlib.chdir(app.folder):
        s.bind("a-socket")
    for name, target in (("out", outside), ("up", "../../secret"), ("dir", "/"), ("loop", "loop"), ("self", "."), ("none", "no/such")):
        (app.folder / name).symlink_to(target)
    identity.own(app.folder)
    built = app.build()
    assert built["built"] and len(built["notices"]) == 1 and "a-fifo and 1 more was not sent to the build" in built["notices"][0]
    said = app.said()
    assert f"out: {outside} " in said and "up: ../../secret " in said and "loop: loop " in said and "none: no/such" in said, said
    assert "secret\n" not in said.replace("../../secret ", "").replace(f"{outside} ", "") and "a-fifo" not in said and "a-socket" not in said
    assert not app.build()["built"]
    app.runs()


@single
@pytest.mark.parametrize("what", ["file", "folder", "write-only"])
def test_what_nobody_may_read(app_home, identity, what):
    app = app_home.app("closed", toml=HEALTH)
    app("up", "--wait")
    bad = app.folder / "sub/bad"
    bad.parent.mkdir()
    bad.mkdir() if what == "folder" else bad.write_text("x")
    identity.own(app.folder)
    bad.chmod(0o200 if what == "write-only" else 0)
    with app.keeps_running():
        r = app.fails("sub/bad is not readable for its owner", "chmod u+rX", "exclude")
        assert "sub/bad" in app("up", "-d", check=False).err
    # As the hint says.
    app.write({"project.toml": '[_]\nschema-version = "0.2"\n[io.buildpacks]\nexclude = ["sub/bad"]\n'})
    assert app.build()["built"], r
    bad.chmod(0o700)
    app("down")


def test_a_folder_that_is_none(app_home, wrong, running_app, tmp_path):
    wrong("the app's folder", "No such file", "correct `path`", path="/nowhere")
    wrong("is not a folder", path=str(running_app.dir / "locald.toml"))
    wrong("/data is where locald keeps its own files", "take another folder", path=str(app_home.locald.home / "data"))
    wrong("where locald keeps its own files", "take a folder further down instead", path=str(app_home.locald.home))
    wrong("locald", path="/")


def test_names_of_every_kind(app_home, identity):
    app = app_home.app("names", build=r"""echo "seen: $(find names -type f -printf x | wc -c)"; cat names/*/*/*/* >/dev/null""")
    odd = [b"new\nline", b"\xff\xfe", b" ", b"-rf", b"x" * 255, b"\xe2\x80\xae", b"a\\b", b"\x1b[31m", b"*?[", b"$(touch x)"]
    top = os.fsencode(app.folder) + b"/names/\xff/\n/ "
    os.makedirs(top)
    for name in odd:
        open(top + b"/" + name, "w").close()
    deep = os.fsencode(app.folder) + b"/deep"
    os.mkdir(deep)
    fd = os.open(deep, os.O_RDONLY)
    for _ in range(1500):
        os.mkdir(b"d", dir_fd=fd)
        inner = os.open(b"d", os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = inner
    os.close(fd)
    if not identity.root:
        subprocess.run(["chown", "-R", f"{identity.uid}:{identity.gid}", app.folder], check=True)
    r = app("build", "--json", check=False)
    if r.rc:  # what is that deep may be refused, if that is said
        assert "deep" in r.err, r
        subprocess.run(["rm", "-rf", deep], check=True)
        r = app("build", "--json")
    assert f"seen: {len(odd)}" in app.said()
    app.write({"text": "anew\n"})
    assert app.build()["reason"] == "text changed"
    app.runs("anew\n")
    subprocess.run(["rm", "-rf", app.folder], check=True)


@pytest.mark.long
def test_a_hundred_thousand_files(app_home, identity, capsys):
    if os.geteuid() == 0 and not identity.root:
        pytest.skip("the run as root does this case")
    app = app_home.app("many", build="echo seen: $(find many -type f | wc -l)")
    times = {}

    def timed(name, work):
        started = time.monotonic()
        result = work()
        times[name] = round(time.monotonic() - started, 2)
        return result
    for i in range(1000):
        folder = app.folder / f"many/{i // 100}/{i}"
        folder.mkdir(parents=True)
        fd = os.open(folder, os.O_RDONLY)
        for j in range(100):
            os.close(os.open(f"file-{j}", os.O_WRONLY | os.O_CREAT, 0o644, dir_fd=fd))
        os.close(fd)
    identity.own(app.folder)
    assert timed("first", app.build)["built"] and "seen: 100000" in app.said()
    app.write({"text": "anew\n"})
    timed("spare copies", app_home.assert_nothing_left)
    assert timed("one file changed", app.build)["reason"] == "text changed"
    timed("spare copies again", app_home.assert_nothing_left)
    assert not timed("no change", app.build)["built"]
    # Called off while the copy is made.
    with open(app.folder / "many/1/100/file-1", "w") as f:
        f.write("x")
    p = app.popen("build", "--again")
    wait_until(lambda: (app.data / "build").is_dir(), "the build has begun", step=0.001)
    p.send_signal(signal.SIGINT)
    assert timed("called off", lambda: p.wait(timeout=20)) in STOPPED
    app_home.assert_nothing_left()
    shutil.rmtree(app.folder)
    assert app.app_home.locald("cache", "prune").out.strip()
    with capsys.disabled():
        print(f"\n100 000 files, {identity}: {times}")


# ---- timeouts, and builds that are called off

# Ends of itself in no reasonable time; neither do its children, in the group and out of it.
STUBBORN = """
trap '' TERM INT HUP
setsid sh -c "trap '' TERM INT HUP; while :; do sleep 4241; done" &
(while :; do sleep 4242; done) &
while :; do sleep 4243; done
"""


def at_work(app_home):
    return wait_until(lambda: {"4241", "4242", "4243"} <= {c.split()[-1] for c in app_home.locald.processes().values() if "sleep" in c}, "the script runs", 20)


@pytest.mark.long
@single
@pytest.mark.parametrize("phase", ["detect", "build"])
@pytest.mark.parametrize("how", ["hybrid", "strict"])
def test_a_build_that_takes_too_long(app_home, running_app, phase, how):
    limit = 4 if (how, phase) == ("strict", "build") else 1  # the phases before have to be over by then, on a busy machine too
    app = app_home.app("long", {phase + ".sh": STUBBORN}, toml=f'build = {{ timeout = "{limit}s" }}')
    r = app.fails(f"{phase}: not done when the build's limit of {limit} s was over", "hint: give the build more time: build = { timeout", args=["--strict"] * (how == "strict"))
    assert r.failure["phase"] == phase and r.seconds < limit + 6, r
    app_home.assert_nothing_left()
    app.write({"detect.sh": None, **GOOD})
    app.toml('build = { timeout = "1h" }')
    assert app.build("--again")["built"]


def test_a_build_that_writes_faster_than_anybody_reads(app_home):
    app = app_home.app("flood", build="exec yes", toml='build = { timeout = "2s" }')
    r = app.fails("build: not done when the build's limit of 2 s was over")
    assert r.seconds < 20, r
    app.toml('build = { timeout = "1h" }')
    p = app.popen("build")
    wait_until(lambda: "yes" in app_home.locald.processes().values(), "it writes", 20)
    p.send_signal(signal.SIGINT)
    p.communicate(timeout=20)
    wait_until(lambda: "yes" not in app_home.locald.processes().values(), "it has ended", 20)
    app_home.assert_nothing_left()


def test_a_source_without_a_file_is_a_source(app_home):
    app = app_home.app("empty", {"build.sh": None, "text": None})
    assert app.fails("test/script").failure["phase"] == "build"
    app.write(GOOD)
    assert app.build()["built"]


CALLED_OFF = {
    "Ctrl-C": lambda app, p: p.send_signal(signal.SIGINT),
    "Ctrl-C twice": lambda app, p: [p.send_signal(signal.SIGINT), p.send_signal(signal.SIGINT)],
    "SIGTERM": lambda app, p: p.terminate(),
    "kill -9": lambda app, p: p.kill(),
}


@single
@pytest.mark.parametrize("phase", ["detect", "build"])
@pytest.mark.parametrize("how", CALLED_OFF)
def test_a_build_that_is_called_off(app_home, running_app, phase, how):
    with running_app.keeps_running():
        running_app.write({phase + ".sh": STUBBORN})
        p = running_app.popen("build", *["--strict"] * (how == "SIGTERM"))
        at_work(app_home)
        CALLED_OFF[how](running_app, p)
        started = time.monotonic()
        p.communicate(timeout=20)
        assert p.returncode in (*STOPPED, -signal.SIGTERM, 143, -signal.SIGKILL)
        app_home.assert_nothing_left()  # the processes, before all
        assert time.monotonic() - started < 6
        running_app.write({"detect.sh": None, **GOOD})
        assert not running_app.build()["built"]


@single
@pytest.mark.parametrize("phase", ["detect", "build"])
def test_a_project_that_goes_down_in_a_build(app_home, identity, phase):
    app = app_home.app("down", toml=HEALTH)
    app("up", "--wait")
    app.write({phase + ".sh": STUBBORN})
    up = app.popen("up", "-d")
    at_work(app_home)
    assert app.service["state"] == "running"
    app("down", timeout=20)
    out, err = up.communicate(timeout=20)
    assert up.returncode == 1 and (b"brought down" in err or b"stopped" in err), err
    app_home.assert_nothing_left()
    app.write({"detect.sh": None} if phase == "detect" else GOOD)
    app("up", "--wait")
    assert app.service["app"]["generation"] == 1
    app("down")


def test_two_builds_at_once_and_one_is_called_off(app_home):
    app = app_home.app("two", build="echo from $$; [[ -e go-on ]] || { sleep 4241 & sleep 4242 & sleep 4243; }")
    first, second = app.popen("build"), None
    at_work(app_home)
    second = app.popen("build", "--json")
    wait_until(lambda: second.poll() is not None or "another build" in os.read(second.stderr.fileno(), 65536).decode(), "the second waits")
    first.send_signal(signal.SIGINT)
    first.communicate(timeout=20)
    at_work(app_home)
    second.send_signal(signal.SIGINT)
    second.communicate(timeout=20)
    app_home.assert_nothing_left()
    app.write({"go-on": ""})
    both = [app.popen("build", "--json") for _ in range(4)]
    said = [json.loads(p.communicate(timeout=30)[0])["apps"][0] for p in both]
    assert sorted(s["built"] for s in said) == [False, False, False, True] and {s["generation"] for s in said} == {1}


def test_a_source_that_changes_all_the_time(app_home):
    """What was copied is what the generation is of."""
    app = app_home.app("restless", build='[[ $(cat one) == "$(cat two)" ]]')
    stop = False

    def write():
        for name in ("one", "two"):
            (app.folder / name).write_text("x" * 100)
    write()
    app_home.identity.own(app.folder)

    def restless():
        i = 0
        while not stop:
            i += 1
            (app.folder / "moving").write_text("y" * (i % 5000))
    thread = threading.Thread(target=restless)
    thread.start()
    try:
        r = app("build", "--json", check=False)
        assert r.rc == 0 or ("the source keeps changing while it is copied: moving" in r.err and "exclude" in r.err), r
    finally:
        stop = True
        thread.join()
    app.build()
    assert not app.build()["built"]


def test_a_build_that_waited_is_of_what_it_says(app_home):
    """Whatever others scan while it waits."""
    app = app_home.app("waited", {"slow": ""}, build="[[ ! -e slow ]] || sleep 2")

    def begin(word, *args):
        p = app.popen("build", *args)
        wait_until(lambda: word in os.read(p.stderr.fileno(), 65536).decode(), f"the build says {word!r}")
        return p
    first = begin("building")
    app.write({"text": "two\n"})
    second = begin("another build")
    app.write({"text": "three\n"})
    third = begin("another build")
    third.send_signal(signal.SIGINT)
    third.communicate(timeout=20)
    assert first.communicate(timeout=20) and first.returncode == 0
    wait_until(lambda: "building" in os.read(second.stderr.fileno(), 65536).decode(), "the second builds")
    app.write({"text": "two\n"})
    assert second.communicate(timeout=20) and second.returncode == 0
    app.runs("two\n")


# ---- caches that are damaged

LAYER = """
deps=$CNB_LAYERS_DIR/deps
if [[ -e $CNB_LAYERS_DIR/deps.toml && $(cat $deps/data) == whole ]]; then echo deps reused; else echo deps made; rm -rf $deps; mkdir $deps; echo whole >$deps/data; fi
printf '[types]\\nlaunch = true\\ncache = true\\n[metadata]\\nx = "y"\\n' >$deps.toml
""" + WEB.replace("cat /workspace/text", "cat /workspace/text /layers/test_script/deps/data")


def write(data):
    def change(path):
        mode = os.lstat(path)
        path.unlink()
        path.write_bytes(data(path) if callable(data) else data)
        os.chown(path, mode.st_uid, mode.st_gid)
        path.chmod(mode.st_mode & 0o7777)
    return change


def cut(path):
    data = path.read_bytes()
    write(data[:len(data) // 2])(path)


def remove(path):
    shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def link_to(target):
    def change(path):
        remove(path)
        path.symlink_to(target)
    return change


def empty(path):
    for inner in path.iterdir():
        remove(inner)


def folder(path):
    if os.path.lexists(path):
        remove(path)
    path.mkdir()
    owner = os.lstat(path.parent)
    os.chown(path, owner.st_uid, owner.st_gid)


def edit(**values):
    def change(path):
        json_ = json.loads(path.read_text())
        write(json.dumps({**json_, **values}).encode())(path)
    return change


NOISE = bytes(range(256)) * 20
DEEP = b'{"format":1,"a":' + b"[" * 200_000
RECORD = "g/1/generation.json"
# name -> (what of the app's folder, what happens to it)
DAMAGE = {
    **{f"{file.rpartition('/')[2]} {how}": (file, change) for file in (RECORD, "source.index", "app.json", "g/1/facts", "spare/workspace.index")
       for how, change in (("cut", cut), ("empty", write(b"")), ("noise", write(NOISE)), ("away", remove), ("a folder", folder), ("a link", link_to("/etc/passwd")))
       if file == RECORD or how not in ("empty", "away")},
    **{f"generation.json with {what}": (RECORD, change) for what, change in {
        "another format": edit(format=99), "no format": edit(format=None), "another number": edit(number=77), "a negative number": edit(number=-1), "no root": edit(root=0), "another root": edit(root=99),
        "text for numbers": edit(uid="x", root="y"), "no buildpacks": edit(buildpacks=None), "no configuration": edit(base_config=None), "a list for configuration": edit(base_config=[1, 2]),
        "trees that lead out": lambda p: write(p.read_text().replace('"tree":"', '"tree":"../../').encode())(p), "a huge number": edit(number=2**63), "another boot, not synced": edit(boot_id="x"), "another id map": edit(map_id="x"), "no processes": edit(processes=None),
        "layers that lead out": lambda p: write(p.read_text().replace('"name":"deps"', '"name":"../../../../../user"').encode())(p), "nesting": write(DEEP)}.items()},
    "trees away": ("t", remove), "trees emptied": ("t", empty), "trees a file": ("t", lambda p: (remove(p), p.write_text("x"))), "trees a link": ("t", link_to("/etc")),
    "layer away": ("t/*", empty), "root away": ("g/1/root", remove), "root a link": ("g/1/root", link_to("/")), "launcher away": ("g/1/root/cnb/lifecycle/launcher", remove), "launcher a folder": ("g/1/root/cnb/lifecycle/launcher", folder),
    "workspace away": ("g/1/root/workspace", remove), "metadata away": ("g/1/root/layers/config/metadata.toml", remove),
    "generations a file": ("g", lambda p: (remove(p), p.write_text("x"))), "generations away": ("g", remove),
    "spare away": ("spare", remove), "spare a file": ("spare", lambda p: (remove(p), p.write_text("x"))), "spare a link": ("spare", link_to("/etc")), "spare workspace away": ("spare/workspace", remove),
    "spare workspace a link": ("spare/workspace", link_to("/etc")), "spare file cut": ("spare/workspace/build.sh", cut), "spare file away": ("spare/workspace/build.sh", remove), "spare file a link": ("spare/workspace/build.sh", link_to("/etc/passwd")),
    "spare file more": ("spare/workspace", lambda p: (p / "more").write_text("x")), "spare file more below": ("spare/workspace/sub", lambda p: (p / "more").write_text("x")), "spare layer emptied": ("spare/t/*", empty), "spare layer a link": ("spare/t/*", link_to("/etc")),
    "spare of another boot": ("spare/boot", write(b"0-0")), "spare boot noise": ("spare/boot", write(NOISE)), "failed a folder": ("failed", folder), "strict a file": ("strict", lambda p: p.write_text("x")), "build a file": ("build", lambda p: p.write_text("x")), "build a folder": ("build", lambda p: (folder(p), folder(p / "layers"), folder(p / "layers/x"))),
    "all emptied": ("", empty), "a file instead": ("", lambda p: (remove(p), p.write_text("x"))), "a link instead": ("", link_to("/etc")),
}


def at(app, case):
    what = DAMAGE[case][0]
    return sorted(app.data.glob(what)) if "*" in what else [app.data / what]


def copy_of(source, target):
    subprocess.run(["rm", "-rf", target], check=True)
    subprocess.run(["cp", "-a", source, target], check=True)


@pytest.mark.long
def test_what_is_kept_is_damaged(app_home, identity):
    """The next build ends well, and what runs then is right."""
    if os.geteuid() != 0:
        pytest.skip("what belongs to subordinate ids only root may change")
    app = app_home.app("cached", {"build.sh": LAYER, "sub/x": "x"}, toml=HEALTH)
    assert app.build()["generation"] == 1
    app.runs()
    app_home.assert_nothing_left()
    data, whole = app.data, app_home.locald.home / "user/whole"
    assert (data / "spare/workspace.index").is_file()
    copy_of(data, whole)
    failures = {}
    for case in DAMAGE if identity.root else list(DAMAGE)[::7]:
        paths = at(app, case)
        assert paths, case
        try:
            for path in paths:
                DAMAGE[case][1](path)
            app("up", "--wait", timeout=20)
            wait_until(lambda: "it runs\nwhole\n" in app("logs", "web").out, "the right service runs", 5)
            with app.keeps_running():
                app.write({"text": case + "\n"})
                built = app.build()
                assert built["built"], built
                top = data / "g" / str(built["generation"])
                seen = sorted(str(p.relative_to(top / "root/workspace")) for p in (top / "root/workspace").rglob("*"))
                assert seen == ["build.sh", "sub", "sub/x", "text"], seen
                assert json.loads((top / "generation.json").read_text())["number"] == built["generation"]
                assert (top / "root/workspace/text").read_text() == case + "\n"
        except AssertionError as e:
            failures[case] = str(e)
        app("down", check=False)
        app_home.locald.at_rest()
        app.write({"text": GOOD["text"]})
        copy_of(whole, data)
    assert not failures, "\n\n".join(f"== {case}: {why}" for case, why in failures.items())


# name -> (what of the app's folder, what happens to it); the first of several
STRICT = {
    "cache away": ("strict/cache", remove), "cache a file": ("strict/cache", lambda p: (remove(p), p.write_text("x"))), "cache a link": ("strict/cache", link_to("/etc")), "cache emptied": ("strict/cache", empty),
    "committed away": ("strict/cache/committed", remove), "metadata noise": ("strict/cache/committed/io.buildpacks.lifecycle.cache.metadata", write(NOISE)),
    "metadata cut": ("strict/cache/committed/io.buildpacks.lifecycle.cache.metadata", cut), "metadata that leads out": ("strict/cache/committed/io.buildpacks.lifecycle.cache.metadata", lambda p: write(p.read_text().replace("sha256:", "sha256:../../").encode())(p)),
    "cached layer cut": ("strict/cache/committed/*.tar", cut), "cached layer noise": ("strict/cache/committed/*.tar", write(NOISE)), "cached layer away": ("strict/cache/committed/*.tar", remove),
    "layout a link": ("strict/layout", link_to("/etc")), "layout emptied": ("strict/layout", empty),
    "index noise": ("strict/layout/locald.local/app/latest/index.json", write(NOISE)), "index away": ("strict/layout/locald.local/app/latest/index.json", remove),
    "a blob cut": ("strict/layout/locald.local/app/latest/blobs/sha256/*", cut), "blobs away": ("strict/layout/locald.local/app/latest/blobs", remove), "app image a file": ("strict/layout/locald.local/app/latest", lambda p: (remove(p), p.write_text("x"))),
    "run image damaged": ("strict/layout/locald.local/run/latest/index.json", write(NOISE)), "strict a file": ("strict", lambda p: (remove(p), p.write_text("x"))),
}


@pytest.mark.long
def test_what_the_real_exporter_keeps_is_damaged(app_home, identity):
    """The next strict build ends well, or says how it can; the one before it still runs."""
    if os.geteuid() != 0:
        pytest.skip("what belongs to subordinate ids only root may change")
    app = app_home.app("strict", {"build.sh": LAYER}, toml=HEALTH)
    app.build("--strict")
    app.runs()
    app_home.assert_nothing_left()
    data, whole = app.data, app_home.locald.home / "user/whole-strict"
    copy_of(data, whole)
    failures, helped = {}, []
    for case in STRICT if identity.root else list(STRICT)[::7]:
        what, change = STRICT[case]
        paths = sorted(data.glob(what))
        assert paths, case
        try:
            for path in paths:
                change(path)
            app.write({"text": case + "\n"})
            r = app("build", "--strict", "--json", check=False)
            if r.rc:
                helped.append(case)
                assert "hint: if it keeps failing, remove the app's cache and build again: locald cache ls, locald cache rm" in r.err, r
                app.write({"text": GOOD["text"]})
                app.runs()
                app.write({"text": case + "\n"})
                app.app_home.locald("cache", "rm", data.name)
                app.build("--strict")
            app.runs(case + "\nwhole\n")
        except AssertionError as e:
            failures[case] = str(e)
        app_home.assert_nothing_left()
        copy_of(whole, data)
    print("refused, and built after `cache rm`:", helped)
    assert not failures, "\n\n".join(f"== {case}: {why}" for case, why in failures.items())


PACKED = {"noise": write(NOISE), "cut": cut, "empty": write(b""), "away": remove, "a folder": folder, "a link": link_to("/etc/passwd"), "nesting": write(DEEP),
          "other digests": lambda p: write(p.read_text().replace("sha256:", "sha256:00")[:-1].encode() + b"}")(p), "blobs that are not there": lambda p: write(
              json.dumps(json.loads(p.read_text()), indent=1).translate(str.maketrans("abcdef", "fedcba")).encode())(p)}


def test_what_is_known_of_packed_layers_is_damaged(app_home):
    """The export makes the same image again."""
    app = app_home.app("packed", {"build.sh": LAYER})
    out = app_home.locald.home / "user/out"

    def export():
        subprocess.run(["rm", "-rf", out], check=True)
        built = app.build("--output", f"oci:{out}:1")
        assert built["generation"] == 1 and built["notices"] == [], built
        return built["image"]["digest"]
    first = export()
    packed = app.data / "packed.json"
    whole = packed.read_bytes()
    for case, change in PACKED.items():
        change(packed)
        assert export() == first, case
        if not packed.is_file() or packed.is_symlink():
            remove(packed)
        packed.write_bytes(whole)
        app_home.identity.own(packed)
    # The blobs themselves are gone.
    app_home.locald("image", "rm", *[i["name"] for i in app_home.locald("image", "ls", "--json").json()["images"] if i["name"].startswith("locald.local/packed")])
    assert export() == first


# ---- a full disk

@pytest.fixture
def small(identity, dist, scratch, cnb, script_builder):
    """A home whose apps have 24 MB."""
    if not identity.root:
        pytest.skip("mounts a tmpfs: root")
    home = pathlib.Path(tempfile.mkdtemp(prefix="h-", dir=scratch))
    (home / "user").mkdir()
    (home / "data/cnb").mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m,mode=700", "tmpfs", home / "data/cnb"], check=True)
    locald = Locald(dist, identity, home)
    locald.own_mounts = [str(home / "data/cnb")]
    app_home = AppHome(locald, cnb, script_builder)
    try:
        yield app_home
        app_home.assert_nothing_left()
        locald("server", "stop", "--all")
    finally:
        subprocess.run(["umount", "-l", home / "data/cnb"], check=True)
        locald.destroy()


def test_a_full_disk(small):
    room = lambda: shutil.disk_usage(small.data).free  # noqa: E731
    layer = lambda mb: LAYER.replace("echo whole >$deps/data", f"echo whole >$deps/data; head -c {mb}M /dev/urandom >$deps/big")  # noqa: E731
    app = small.app("full", {"build.sh": layer(4)}, toml=HEALTH)
    app("up", "--wait")
    small.assert_nothing_left(running=True)
    free = room()
    words = "No space left on device"
    with app.keeps_running():
        # In the buildpack's hands, and in ours.
        app.write({"build.sh": "head -c 40M /dev/zero >$CNB_LAYERS_DIR/x\n"})
        assert "build ended with code 51" in app.fails(words).err
        small.assert_nothing_left()
        app.write({"build.sh": "head -c 40M /dev/zero >/tmp/x\n"})
        app.fails("build ended with code 51", words)
        small.assert_nothing_left()
        app.write({"build.sh": layer(4), "big": bytes(40 << 20)})
        r = app.fails(words)
        assert "hint: " in r.err and r.failure["phase"] == "stage", r
        small.assert_nothing_left()
        app.write({"big": None})
        assert not app.build()["built"]
        # A layer that fits, but not twice: there is no room for the spare copy, nor for a copy at the next build.
        app.write({"build.sh": layer(9).replace("whole", "Whole")})
        assert app.build()["built"]
        small.assert_nothing_left()
        app.write({"text": "more\n"})
        r = app("build", "--json", check=False)
        assert r.rc == 0 or (words in r.err and "hint: " in r.err), r
        small.assert_nothing_left()
    app.write({"build.sh": layer(1)})
    app("down")
    small.expected = {}
    r = app("up", "--wait", check=False)
    if r.rc:
        assert words in r.err and "locald cache rm" in r.err, r
        small.locald("cache", "rm", app.data.name)
        app("up", "--wait")
    assert room() > free - (6 << 20)
    app("down")
