"""A newer locald beside what an earlier one has started: services go on, untouched. Needs the programs of an earlier build:

    LOCALD_PREVIOUS=DIR   with bin/ and libexec/, as a build tree has them
"""
import json
import os
import pathlib
import shutil

import pytest
from support import Locald, Project, alive, free_port, http_get, wait_until


@pytest.fixture
def previous(scratch):
    """Copied to where every user may run them."""
    if not os.environ.get("LOCALD_PREVIOUS"):
        pytest.skip("needs LOCALD_PREVIOUS=DIR: bin/ and libexec/ of an earlier build")
    source, target = pathlib.Path(os.environ["LOCALD_PREVIOUS"]), scratch / "previous"
    if not target.exists():
        for folder in ("bin", "libexec"):
            shutil.copytree(source / folder, target / folder, ignore=lambda d, names: [n for n in names if not n.startswith("locald") or n.endswith("_test")])
    return target


def shop_toml(busybox, many):
    web, cache = free_port(), free_port()
    return f"""
        [project]
        name = "shop"
        [services.web]
        command = "i=0; (while :; do echo line $i; i=$((i+1)); sleep 0.05; done) & exec python3 -u -m http.server --bind 127.0.0.1 $PORT"
        port = {web}
        env = {{ CACHE = "${{services.cache.host}}:${{services.cache.port}}", TOKEN = "hunter2" }}
        depends_on = {{ cache = "healthy" }}
        health = {{ http = "/" }}
        restart = "on-failure"
        stop_timeout = "2s"
        [services.cache]
        type = "container"
        image = "{busybox}"
        command = ["sh", "-c", "trap 'exit 0' TERM; i=0; while :; do echo line $i; i=$((i+1)); sleep 0.05; done"]
        container_port = {cache}
        volumes = ["cache:/data"]
        health = {{ exec = ["true"] }}
        [services.done]
        command = "echo migrated"
        """ + "".join(f"""
        [services.s{i}]
        command = "exec sleep 100000"
        """ for i in range(many))


def facts(status):
    return {n: (s["pid"], s["shim_pid"], s["state"], s["restarts"], s["started_at"], s["exit_code"]) for n, s in status.items()}


def numbers(text):
    return [int(line.rsplit("line ", 1)[1]) for line in text.splitlines() if "line " in line]


def assert_stays_on_host(project, up):
    """A project that an earlier build has written down, whose file names no network: it is told so once."""
    if "project" in json.loads((project.locald.home / "state/projects.json").read_text()).get("networks", {}).values():
        return  # that build knew networks of projects by itself
    assert "cache stays on the host's network" in up.err and 'network = "project"' in up.err and 'network = "host"' in up.err, up
    assert project.service("cache")["network"] == "host"
    again = project("up", "-d")
    assert "on the host's network" not in again.text + project("status").text, again
    assert again.text.count(": unchanged") == len(project.status()), again


def test_services_of_the_previous_build_go_on(locald, previous, busybox):
    old = Locald(previous, locald.identity, locald.home)
    assert old("--version").out != locald("--version").out, "both are of one build"
    before = Project(old, locald.home / "user/shop", shop_toml(busybox, 20))
    before("up", "-d", "--wait", "--timeout", "60s")
    was, server = before.status(), old.server_pid()
    old("container", "run", "-d", "--name", "aside", busybox, "sleep", "1000")

    now = Project(locald, before.dir, (before.dir / "locald.toml").read_text())
    r = now("up", "-d")
    assert locald.server_pid() != server and not alive(server), "the server is of the new build"
    assert facts(now.status()) == facts(was), r
    assert r.text.count(": unchanged") == len(was), r
    wait_until(lambda: {s["health"] for n, s in now.status().items() if n in ("web", "cache")} == {"healthy"}, "the new server has probed both")
    for word in (": recreated", ": started", ": starting"):
        assert word not in r.text, r
    assert_stays_on_host(now, r)
    assert http_get(int(was["web"]["port"]))[0] == 200
    for n in ("web", "cache"):
        wait_until(lambda: len(numbers(now.logs(n))) > 20, f"{n} writes on")
        got = numbers(now.logs(n))
        assert got == list(range(len(got))), got[:20]
    assert now("exec", "cache", "--", "echo", "hello").out == "hello\n"
    assert "aside" in locald("container", "ls").out

    # Services of the old build are found under the new rules too: the run folder goes, the records are damaged.
    shutil.rmtree(locald.home / "run")
    wait_until(locald.server_pid, "the server writes its run folder back")
    assert facts(now.status()) == facts(was)
    now("restart", "s1")
    assert now.service("s1")["pid"] != was["s1"]["pid"] and now.service("s0")["pid"] == was["s0"]["pid"]
    locald("container", "rm", "-f", "aside")
    now("down")
    assert not any(alive(s["pid"]) for s in was.values() if s["pid"])
    locald.assert_nothing_left()


def test_the_previous_server_finds_what_the_new_one_has_started(locald, previous, busybox):
    """As far as nothing new is used: who goes back one build loses no service."""
    now = Project(locald, locald.home / "user/shop", shop_toml(busybox, 3))
    now("up", "-d", "--wait", "--timeout", "60s")
    was = facts(now.status())
    locald("server", "stop")
    old = Locald(previous, locald.identity, locald.home)
    before = Project(old, now.dir, (now.dir / "locald.toml").read_text())
    assert facts(before.status()) == was
    old("server", "stop")
    assert facts(now.status()) == was
    now("down")
    locald.assert_nothing_left()


def test_a_newer_command_without_its_server_leaves_the_old_one_running(locald, previous, project, scratch):
    old = Locald(previous, locald.identity, locald.home)
    before = Project(old, locald.home / "user/p", "[project]\nname = 'p'\n[services.a]\ncommand = 'exec sleep 1000'\n")
    before("up", "-d")
    server, pid = old.server_pid(), before.service("a")["pid"]
    alone = scratch / f"newer-{locald.identity.name}"
    (alone / "bin").mkdir(parents=True)
    shutil.copy2(locald.binary, alone / "bin/locald")
    newer = Locald(alone, locald.identity, locald.home)
    r = newer("status", cwd=before.dir)
    assert old.server_pid() == server and alive(pid), r
    assert "stays" in r.err and "libexec/locald/locald-server" in r.err, r
    before("down")


def test_networks_of_the_previous_build_go_on(locald, previous, busybox):
    port, other = free_port(), free_port()

    def toml(port):
        return f"""
            [project]
            name = "shop"
            network = "project"
            [services.web]
            type = "container"
            image = "{busybox}"
            command = "echo hi > /www/index.html; exec httpd -f -p 80 -h /www"
            tmpfs = ["/www"]
            ports = ["{port}:80"]
            health = {{ http = "/", interval = "100ms" }}
            [services.db]
            type = "container"
            image = "{busybox}"
            command = "exec httpd -f -p 5432 -h /etc"
            container_port = 5432
            stop_timeout = "0s"
            """
    old = Locald(previous, locald.identity, locald.home)
    before = Project(old, locald.home / "user/shop", toml(port))
    if before("config", "check", check=False).rc != 0:
        pytest.skip("needs LOCALD_PREVIOUS of a build that knows networks of a project")
    before("up", "-d", "--wait", "--timeout", "60s")
    was = before.status()
    now = Project(locald, before.dir, toml(port))
    r = now("up", "-d")
    assert facts(now.status()) == facts(was) and r.text.count(": unchanged") == len(was), r
    assert http_get(port) == (200, "hi\n")
    now.write("locald.toml", toml(other))
    assert "web: ports changed" in now("up", "-d").text
    assert facts(now.status()) == facts(was)
    wait_until(lambda: http_get(other) == (200, "hi\n"), "the new port leads there")
    now("restart", "db")
    wait_until(lambda: now("exec", "web", "--", "wget", "-q", "-O-", "http://db:5432/hosts", check=False).rc == 0, "db is reached by name", 10)
