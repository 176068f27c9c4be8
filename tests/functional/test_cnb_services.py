"""Apps as services: built at the start, built anew while they run, process types, live source, what status and exec say of them."""
import json
import os
import re
import shutil
import signal
import time

import pytest
from cnb_support import app_of, copy_app
from support import alive, http_get, tree, wait_until

pytestmark = pytest.mark.single_id


@pytest.fixture
def app(project, cnb):
    """app(toml, name, files): a project with that app of tests/cnb/apps beside its locald.toml, in `app`; its table [services.api] has builder and
    run image already."""
    def make(more="", name="node", files=None, before=""):
        p = project(f"""{before}
[services.api]
type = "cnb"
path = "app"
builder = "{cnb.builder}"
run_image = "{cnb.run}"
{more}
""")
        copy_app(name, p.dir / "app", files)
        p.locald.identity.own(p.dir)
        return p
    return make


WEB = """
port = "auto"
health = "/healthz"
"""


def answer(p, service="api"):
    status = p.service(service)
    return http_get(status["port"], "/x")[1]


def built(r, service="api"):
    """How often `up` says that it has built the service's app."""
    return len(re.findall(rf"^{service}: built in ", r.err, re.M))


def test_an_app_is_built_and_answers(app):
    p = app(WEB)
    first = p("up", "--wait")
    assert built(first) == 1 and "test/node@1.0.0" in first.err and "detect" in first.err
    assert answer(p).startswith("left web production 1002:1000 /x")
    status = p.service("api")
    assert status["kind"] == "cnb" and status["url"] == f"http://127.0.0.1:{status['port']}"
    assert status["app"]["generation"] == 1 and status["app"]["live"] == [] and status["app"]["path"] == str(p.dir / "app")
    # Again: nothing is built, nothing restarted.
    again = p("up", "--wait")
    assert built(again) == 0 and p.service("api")["pid"] == status["pid"]
    # From down: no container runs but the service's.
    p("down")
    third = p("up", "--wait")
    assert built(third) == 0 and p.service("api")["app"]["generation"] == 1
    p("down")


def test_a_changed_source_is_built_while_the_service_goes_on(app):
    p = app(WEB)
    p("up", "--wait")
    before = p.service("api")
    server = p.dir / "app/server.js"
    p.write("app/server.js", server.read_text().replace("request.url}", "request.url} anew"))
    r = p("up", "--wait")
    assert "server.js changed" in r.err and "still running; checking whether its build is up to date" in r.err
    now = p.service("api")
    assert now["pid"] != before["pid"] and now["port"] == before["port"] and now["app"]["generation"] == 2
    assert "anew" in answer(p)
    assert "modules reused" in p("logs", "--build", "api").out
    p("down")


def test_a_failed_build_leaves_the_service_as_it_is(app):
    p = app(WEB)
    p("up", "--wait")
    before = p.service("api")
    p.write("app/package.json", "{ this is no JSON")
    r = p("up", "--wait", check=False)
    assert r.rc == 1
    assert "a buildpack failed to build the app (build ended with code 51)" in r.err and "test/node@1.0.0" in r.err
    assert "locald logs --build" in r.err
    now = p.service("api")
    assert now["pid"] == before["pid"] and now["health"] == "healthy" and now["app"]["generation"] == 1
    assert answer(p).startswith("left web")
    # Restarted by hand it is still wanted anew; a crash brings back what ran.
    assert p("restart", "api", check=False).rc == 1
    assert p.service("api")["pid"] == before["pid"]
    p("down")
    # From down there is nothing that could go on.
    r = p("up", "--wait", check=False)
    assert r.rc == 1 and p.service("api")["state"] == "failed" and "code 51" in p.service("api")["reason"]
    p("down")


def test_a_crashed_app_is_started_again_as_it_was_built(app):
    p = app(WEB + 'restart = "always"')
    p("up", "--wait")
    before = p.service("api")
    p.write("app/package.json", "{ this is no JSON")  # would not build
    os.kill(tree(before["pid"])[-1], signal.SIGKILL)
    now = p.wait("api", lambda s: s["restarts"] == 1 and s["health"] == "healthy", "it runs again")
    assert now["app"]["generation"] == 1
    p("down")


def test_process_types_are_services_and_what_runs_once_comes_first(app):
    scripts = {"start": "node server.js", "worker": "node worker.js", "release": "node server.js --release"}
    worker = "console.log('worker', process.argv.slice(2), process.env.WHO, process.env.PORT); setInterval(() => {}, 1000)"
    p = app(files={"package.json": json.dumps({"scripts": scripts}), "worker.js": worker}, more=WEB + """
env = { WHO = "app" }
[services.api.processes.worker]
args = ["one", "two"]
env = { WHO = "worker" }
[services.api.processes.migrate]
process = "release"
once = true
""")
    r = p("up", "--wait")
    assert len(re.findall("built in", r.err)) == 1  # one app, one build
    status = p.status()
    assert status["api/migrate"]["state"] == "exited" and status["api/migrate"]["exit_code"] == 0
    assert "released" in p.logs("api/migrate")
    # The launcher's environment has the port of a buildpack's default: it was given none.
    p.logs_with("api/worker", "worker [ 'one', 'two' ] worker 8080")
    assert status["api/worker"]["app"]["process"] == "worker" and status["api/worker"]["port"] is None
    assert status["api"]["pid"] and answer(p).startswith("left web")
    # In the hosts file there are no slashes.
    assert "api.worker" in p("exec", "api", "--", "cat", "/etc/hosts").out
    p("stop", "api/worker")
    assert p.service("api/worker")["state"] == "stopped" and p.service("api")["state"] == "running"
    # What runs once does so for each build, and not without one.
    def times():
        return p.logs("api/migrate").count("released")
    p("up", "--wait")
    assert times() == 1
    (p.dir / "app/more").write_text("x")
    p("up", "--wait")
    wait_until(lambda: times() == 2, "it has run for the new build", 20)
    assert p.service("api/migrate")["exit_code"] == 0 and answer(p).startswith("left web")
    p("down")


def test_exec_and_probes_have_the_launchers_environment(app):
    p = app(WEB + """
[services.api.processes.worker]
command = ["node", "-e", "console.log(require('left')('direct')); setInterval(() => {}, 1000)"]
health = { exec = ["node", "-e", "require('left'); process.exit(process.env.NODE_ENV === 'production' ? 0 : 1)"] }
[services.api.processes.shell]
process = "worker"
command = "echo shell $NODE_ENV; exec sleep 1000"
""")
    p("up", "--wait")
    assert p("exec", "api", "--", "node", "-p", "require('left')('exec') + ' ' + process.env.NODE_ENV").out == "left exec production\n"
    assert p("exec", "api", "--", "pwd").out == "/workspace\n"
    assert p("exec", "api", "--", "sh", "-c", "exit 7", check=False).rc == 7
    assert p.service("api/worker")["health"] == "healthy"
    p.logs_with("api/worker", "left direct")
    p.logs_with("api/shell", "shell production")
    p("down")


def test_an_unknown_process_type_names_those_that_there_are(app):
    p = app('process = "wev"')
    r = p("up", "-d", check=False)
    assert r.rc == 1 and 'the app has no process type "wev"' in r.err and "web, worker, release" in r.err.replace("release, web, worker", "web, worker, release")
    p("down")


def test_live_source_needs_no_build_and_the_status_says_so(app):
    js = "require('http').createServer((q, r) => r.end(require('fs').readFileSync('public/page', 'utf8'))).listen(process.env.PORT)\n"
    p = app(WEB + 'dev = { sync = ["public/**"] }', files={"server.js": js, "public/page": "one"})
    p("up", "--wait")
    before = p.service("api")
    assert before["app"]["live"] == ["public"] and answer(p) == "one"
    p.write("app/public/page", "two")
    assert answer(p) == "two"
    assert built(p("up", "--wait")) == 0 and p.service("api")["pid"] == before["pid"]
    # The app's own processes cannot write into the source.
    assert p("exec", "api", "--", "sh", "-c", "echo three > public/page", check=False).rc != 0
    # Anything else is built.
    p.write("app/other", "x")
    assert "other changed" in p("up", "--wait").err and p.service("api")["pid"] != before["pid"]
    p("down")
    p.write("locald.toml", (p.dir / "locald.toml").read_text().replace("public/**", "server.js"))
    r = p("up", "-d", check=False)
    assert r.rc == 1 and "is not a folder" in r.err and "name a folder" in r.err


def test_what_live_source_hides_is_told(app):
    scripts = {"start": "node server.js", "build": "echo bundle > public/bundle.js; echo other > other.js"}
    p = app(WEB + 'dev = { sync = ["public/**"] }', files={"package.json": json.dumps({"scripts": scripts})})
    assert "buildpacks wrote public/bundle.js, which the live source hides" in p("up", "--wait").err
    assert p("exec", "api", "--", "ls", "public", "other.js").out.split() == ["other.js", "public:", "style.css"]
    p("down")


def test_service_bindings_are_mounted_and_named(app):
    p = app(WEB + 'bindings = { mail = "mail" }', files=None)
    p.write("mail/type", "smtp")
    p.write("mail/host", "localhost:25")
    p("up", "--wait")
    assert p("exec", "api", "--", "sh", "-c", "cat $SERVICE_BINDING_ROOT/mail/host").out.strip() == "localhost:25"
    p("down")


def test_a_reaper_is_there_unless_it_is_not_wanted(app):
    p = app(WEB)
    p("up", "--wait")
    assert p("exec", "api", "--", "sh", "-c", "tr '\\0' ' ' < /proc/1/cmdline").out.startswith("/dev/init ")
    p("down")
    p.write("locald.toml", (p.dir / "locald.toml").read_text() + "init = false\n")
    p("up", "--wait")
    assert "node" in p("exec", "api", "--", "sh", "-c", "tr '\\0' ' ' < /proc/1/cmdline").out
    p("down")


def test_a_build_is_called_off_with_the_project(app):
    p = app("", name=None)
    shutil.rmtree(p.dir / "app", ignore_errors=True)
    app_of(p.dir / "app", slow="build\n60\nstubborn\n")
    p.locald.identity.own(p.dir)
    up = p.popen("up", "-d")
    wait_until(lambda: p.service("api")["state"] == "preparing" and "waiting" in p("logs", "--build", "api", check=False).out, "the buildpack runs", 30)
    p("down", timeout=20)
    assert up.wait(timeout=20) == 1
    p.locald.assert_nothing_left()
    assert not any("/cnb/" in c for c in p.locald.processes().values())


def test_a_server_that_dies_in_a_build_leaves_nothing_of_it(app):
    p = app("", name=None)
    app_of(p.dir / "app", slow="build\n60\nstubborn\n")
    p.locald.identity.own(p.dir)
    up = p.popen("up", "-d")
    wait_until(lambda: "waiting" in p("logs", "--build", "api", check=False).out, "the buildpack runs", 30)
    os.kill(p.locald.server_pid(), signal.SIGKILL)
    up.wait(timeout=20)
    p("down", timeout=30)
    p.locald.assert_nothing_left()


def test_build_without_a_project_and_caches(locald, cnb):
    folder = locald.home / "user/node"
    copy_app("node", folder)
    locald.identity.own(folder)
    args = ("-B", cnb.builder, "--run-image", cnb.run)
    r = locald("build", "./node", *args)
    assert "built in" in r.out and "first build" in r.out and re.search(r"processes +release +node server.js --release", r.out)
    assert re.search(r"buildpacks +test/node +1.0.0 +\d", r.out) and "lifecycle 0.21.17" in r.out
    assert "nothing has changed since" in locald("build", "./node", *args).out
    reply = locald("build", "./node", *args, "--again", "--json").json()["apps"][0]
    assert reply["built"] and reply["reason"] == "asked for" and reply["generation"] == 2
    assert {t["name"] for t in reply["times"]["phases"]} == {"stage", "detect", "restore", "build", "commit"}
    assert reply["times"]["buildpacks"][0]["name"] == "test/node@1.0.0"
    strict = locald("build", "./node", *args, "--strict", "--json").json()["apps"][0]
    assert strict["built"] and strict["strict"]
    assert [t["name"] for t in strict["times"]["phases"]][:-1] == ["stage", "analyze", "detect", "restore", "build", "export"]
    caches = locald("cache", "ls", "--json").json()["caches"]
    assert len(caches) == 1 and caches[0]["path"] == str(folder) and caches[0]["bytes"] > 100_000 and not caches[0]["in_use"]
    assert caches[0]["app"] in locald("cache", "ls").out
    assert locald("cache", "prune").out == ""  # used today, and its folder is there
    assert locald("cache", "rm", "no-such", check=False).rc == 1
    shutil.rmtree(folder)
    assert locald("cache", "prune").out.strip() == caches[0]["app"]
    assert locald("cache", "ls", "--json").json()["caches"] == []


def test_a_failed_build_says_all_for_people_and_programs(locald, cnb):
    folder = locald.home / "user/bad"
    app_of(folder, "fail-detect", node="x")
    locald.identity.own(folder)
    r = locald("build", "./bad", "-B", cnb.builder, "--run-image", cnb.run, "--json", check=False)
    assert r.rc == 1
    build = json.loads(r.out)["error"]["build"]
    assert build["phase"] == "detect" and build["exit_code"] == 20
    assert {d["buildpack"].split("@")[0] for d in build["detect"]} >= {"test/fail-detect", "test/node"}
    assert "test/fail-detect" in r.err and "fail" in r.err
    assert "test/fail-detect" in locald("logs", "--build", "./bad").out


def test_usage(locald):
    for words, text in (
        (("build", "api", "-B", "x"), "--builder is for a folder"),
        (("build", "./a", "./b"), "one folder at a time"),
        (("cache", "prune", "--unused", "soon"), "--unused"),
    ):
        r = locald(*words, check=False)
        assert r.rc == 2 and text in r.err, r
    assert alive(1)


def test_services_that_build_one_folder_otherwise_do_not_undo_each_other(app_home):
    app = app_home.app("apart", build="cat /platform/env/V > text")
    services = "".join(f"""
[services.{name}]
type = "cnb"
path = "app"
builder = "{app_home.builder}"
run_image = "{app_home.cnb.run}"
build = {{ env = {{ V = "for {value}" }} }}
restart = "always"
stop_timeout = "100ms"
""" for name, value in (("one", "one"), ("same", "one"), ("two", "two")))
    (app.dir / "locald.toml").write_text('[project]\nname = "apart"\n' + services)

    def said(name, value, times=1):
        wait_until(lambda: app("logs", name).out.count(f"for {value}") == times, f"{name} has said its own value {times} times", 10)

    def pids():
        return {s["name"]: s["pid"] for s in app("status", "--json").json()["services"]}
    app("up", "-d")
    for name, value in (("one", "one"), ("same", "one"), ("two", "two")):
        said(name, value)
    before = pids()
    again = app("up", "-d")
    assert "built in" not in again.err and pids() == before
    assert len([c for c in app_home.locald("cache", "ls", "--json").json()["caches"] if c["project"] == "apart"]) == 2
    assert [(a["services"], a["built"]) for a in app("build", "--json").json()["apps"]] == [(["one", "same"], False), (["two"], False)]
    os.kill(tree(before["two"])[-1], signal.SIGKILL)
    said("two", "two", 2)  # with its own build
    app("down")


def test_a_removal_that_is_called_off_removes_nothing(app_home):
    app = app_home.app("spared", build="sleep 2; echo been here > text")
    build = app.popen("build", "--json")
    wait_until(lambda: "building" in os.read(build.stderr.fileno(), 65536).decode(), "it is being built", 10)
    removals = [app_home.locald.popen("cache", *words) for words in (("rm", app.data.name), ("prune", "--unused", "0s"))]
    time.sleep(0.3)
    for removal in removals:
        assert removal.poll() is None
        removal.send_signal(signal.SIGINT)
        removal.communicate(timeout=10)
    out, err = build.communicate(timeout=20)
    assert build.returncode == 0, err
    app_home.assert_nothing_left()
    assert app.generations() == [1]
    app.runs("been here")


def test_starts_and_caches_do_not_wait_for_builds(app_home):
    types = [f"p{i}" for i in range(6)]
    processes = "".join(f'[[processes]]\ntype = "{t}"\ncommand = ["sleep", "1000"]\n' for t in types)
    app = app_home.app("queue", build=f"sleep 4\ncat >\"$CNB_LAYERS_DIR/launch.toml\" <<'END'\n{processes}END\nexit 0")
    toml = '[project]\nname = "queue"\n'
    for i in range(5):  # and the first one has more process types
        shutil.copytree(app.folder, app.dir / f"app{i}")
        toml += f"""
[services.s{i}]
type = "cnb"
path = "app{i}"
process = "p0"
{f"processes = {json.dumps(types[1:])}" if i == 0 else ""}
builder = "{app_home.builder}"
run_image = "{app_home.cnb.run}"
stop_timeout = "100ms"
"""
    (app.dir / "locald.toml").write_text(toml + f"""
[services.zdb]
type = "container"
image = "{app_home.cnb.run}"
command = ["sleep", "1000"]
stop_timeout = "100ms"
""")
    app_home.identity.own(app.dir)

    def states():
        return {s["name"]: s["state"] for s in app("status", "--json").json()["services"]}
    up = app.popen("up", "-d")
    try:
        wait_until(lambda: states().get("zdb") == "running", "the other service runs", 15)
        app_home.locald("cache", "ls")
        now = states()
        assert now.pop("zdb") == "running" and set(now.values()) == {"preparing"}, now  # none of the builds has ended
        out, err = up.communicate(timeout=60)
        assert up.returncode == 0 and b"waiting for builds of other apps" in err, err
        assert set(states().values()) == {"running"}
    finally:
        up.kill()
        app("down")
