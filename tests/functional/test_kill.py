"""kill -9 of the server and of shims: services live on, or end and are reported; nothing is left."""
import os
import pathlib
import re
import signal
import time

import pytest
from support import alive, tree, wait_until


@pytest.fixture
def pair(project, busybox):
    p = project(f"""
        [project]
        name = "pair"
        [services.host]
        command = "i=0; while :; do echo line $i; i=$((i+1)); sleep 0.02; done"
        stop_timeout = "2s"
        [services.box]
        type = "container"
        image = "{busybox}"
        command = ["sh", "-c", "setsid sleep 4321 & i=0; while :; do echo line $i; i=$((i+1)); sleep 0.05; done"]
        stop_timeout = "1s"
        """)
    p("up", "-d")
    for s in ("host", "box"):
        wait_until(lambda: "line 3" in p.logs(s), f"{s} writes")
    return p


def numbers(text):
    return [int(line.rsplit("line ", 1)[1]) for line in text.splitlines() if "line " in line]


def test_kill_9_of_the_server_services_live_on_and_logs_have_no_gap(pair):
    before, server = pair.status(), pair.locald.server_pid()
    os.kill(server, signal.SIGKILL)
    wait_until(lambda: not alive(server), "the server is dead")
    time.sleep(0.5)
    assert all(alive(s["pid"]) and alive(s["shim_pid"]) for s in before.values())
    after = pair.status()  # the next command starts a server; it answers when it has them all
    assert pair.locald.server_pid() not in (None, server)
    for n in before:
        assert (after[n]["pid"], after[n]["shim_pid"], after[n]["state"], after[n]["restarts"], after[n]["started_at"]) == (
            before[n]["pid"], before[n]["shim_pid"], "running", before[n]["restarts"], before[n]["started_at"]), after[n]
        got = numbers(pair.logs(n))
        assert got == list(range(len(got))) and len(got) > 10, got[:20]
    assert pair("exec", "box", "--", "echo", "still").out == "still\n"
    pair("down")
    assert not any(alive(s["pid"]) for s in before.values())
    pair.locald.assert_nothing_left()


def test_a_service_that_ends_while_no_server_lives_is_reported_exactly(project):
    p = project("""
        [project]
        name = "meanwhile"
        [services.a]
        command = "while ! [ -e go ]; do sleep 0.02; done; exit 23"
        """)
    p("up", "-d")
    pid, server = p.service("a")["pid"], p.locald.server_pid()
    os.kill(server, signal.SIGKILL)
    (p.dir / "go").touch()
    wait_until(lambda: not alive(pid), "the service has ended")
    s = p.service("a")
    assert s["state"] == "exited" and s["exit_code"] == 23, s


def test_kill_9_of_a_shim_ends_its_service_and_nothing_is_left(pair):
    before = pair.status()
    inside = {n: tree(s["shim_pid"]) for n, s in before.items()}
    for n in ("host", "box"):
        os.kill(before[n]["shim_pid"], signal.SIGKILL)
    for n in ("host", "box"):
        s = pair.wait(n, lambda s: s["state"] in ("exited", "failed"), "its end is reported")
        assert s["pid"] is None and s["exit_code"] is None and s["reason"], s  # the status is unknown: none is invented
        wait_until(lambda: not any(alive(p) for p in inside[n]), f"all of {n}'s processes are gone", 3)
    assert pair.locald.runc_state() == [] and not pair.locald.mounts()
    pair("down")
    pair.locald.assert_nothing_left()


def test_kill_9_of_a_shim_with_restart_starts_it_again(project):
    p = project("[project]\nname = 'r'\n[services.a]\ncommand = 'exec sleep 1000'\nrestart = 'always'\n")
    p("up", "-d")
    s = p.service("a")
    os.kill(s["shim_pid"], signal.SIGKILL)
    new = p.wait("a", lambda t: t["state"] == "running" and t["pid"] != s["pid"], "it runs again")
    assert not alive(s["pid"]) and new["restarts"] == 1


def test_server_and_shim_killed_together(pair):
    before, server = pair.status(), pair.locald.server_pid()
    inside = [p for s in before.values() for p in tree(s["shim_pid"])]
    os.kill(server, signal.SIGKILL)
    for s in before.values():
        os.kill(s["shim_pid"], signal.SIGKILL)
    after = pair.status()
    assert all(s["state"] in ("exited", "failed", "stopped") and s["pid"] is None for s in after.values()), after
    wait_until(lambda: not any(alive(p) for p in inside), "all processes are gone", 3)
    pair("down")
    pair.locald.assert_nothing_left()


def test_server_stop_leaves_services_and_says_so(pair):
    before, server = pair.status(), pair.locald.server_pid()
    r = pair("server", "stop")
    assert not alive(server) and "2 services keep running" in r.text, r
    assert all(alive(s["pid"]) for s in before.values())
    assert {n: s["pid"] for n, s in pair.status().items()} == {n: s["pid"] for n, s in before.items()}
    pair("server", "restart")
    assert {n: s["pid"] for n, s in pair.status().items()} == {n: s["pid"] for n, s in before.items()}
    pair("server", "stop", "--all")
    assert not any(alive(s["pid"]) for s in before.values())
    pair.locald.assert_nothing_left(but_server=False)


def test_many_kills_of_the_server_in_a_row(pair):
    pids = {n: s["pid"] for n, s in pair.status().items()}
    for _ in range(5):
        os.kill(pair.locald.server_pid(), signal.SIGKILL)
        assert {n: s["pid"] for n, s in pair.status().items()} == pids
    got = numbers(pair.logs("host"))
    assert got == list(range(len(got)))


def test_a_server_killed_while_it_starts_services_leaves_a_clean_state(project):
    p = project("[project]\nname = 'mid'\n" + "".join(f"[services.s{i}]\ncommand = 'exec sleep 1000'\n" for i in range(20)))
    for delay in (0.005, 0.02, 0.05):
        f = p.popen("up", "-d")
        server = wait_until(p.locald.server_pid, "a server", 5, 0.002)
        time.sleep(delay)
        try:
            os.kill(server, signal.SIGKILL)
        except ProcessLookupError:
            pass
        f.communicate(timeout=60)
        p("up", "-d")
        s = p.status()
        assert len(s) == 20 and all(x["state"] == "running" and alive(x["pid"]) for x in s.values()), s
        p("down")
        p.locald.assert_nothing_left()


@pytest.mark.parametrize("alone", [True, False], ids=["server", "server-and-service"])
@pytest.mark.parametrize("verb", ["up", "restart"])
def test_a_restart_that_the_servers_end_cut_short_is_finished(project, verb, alone):
    """The old process ignores the stop; the next server goes on from there, also where that process has ended by then."""
    text = """
        [project]
        name = "cut"
        [services.a]
        command = "trap '' TERM; echo WORD $$$$; while :; do sleep 0.05; done"
        stop_timeout = "1h"
        """
    p = project(text.replace("WORD", "one"))
    p("up", "-d")
    p.logs_with("a", "one")
    before = p.status()["a"]
    if verb == "up":
        p.write("locald.toml", text.replace("WORD", "two"))
    asked = p.popen(*(["up", "-d"] if verb == "up" else ["restart", "a"]))
    p.wait("a", lambda s: s["state"] == "stopping", "it is asked to end")
    server = p.locald.server_pid()
    os.kill(server, signal.SIGKILL)
    wait_until(lambda: not alive(server), "the server is dead")
    asked.communicate(timeout=20)
    if not alone:
        os.kill(before["pid"], signal.SIGKILL)
        wait_until(lambda: not alive(before["shim_pid"]), "it has ended while no server lives")
    elif (now := p.status()["a"])["pid"] == before["pid"]:
        assert now["state"] == "stopping", now
        os.kill(before["pid"], signal.SIGKILL)
    after = p.wait("a", lambda s: s["state"] == "running" and s["pid"] != before["pid"], "the new one runs")
    p.logs_with("a", f"{'two' if verb == 'up' else 'one'} {after['pid']}")
    assert "unchanged" in p("up", "-d").text
    os.kill(p.status()["a"]["pid"], signal.SIGKILL)  # or its stop takes an hour


def test_every_thread_of_the_server_leaves_signals_to_its_loop(pair):
    """A thread made before they are blocked would take SIGCHLD and ignore it; what has ended below the server is then never reaped."""
    wanted = sum(1 << (s - 1) for s in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD))
    tasks = pathlib.Path(f"/proc/{pair.locald.server_pid()}/task")
    masks = {}
    for task in tasks.iterdir():
        text = (task / "status").read_text()
        masks[(task / "comm").read_text().strip()] = int(re.search(r"SigBlk:\s*(\w+)", text)[1], 16)
    assert len(masks) > 1, masks
    assert {name for name, mask in masks.items() if mask & wanted != wanted} == set(), masks


def test_no_thread_of_the_server_takes_a_signal_from_its_loop(project, busybox):
    """A lost SIGCHLD leaves a killed shim waiting for a process that nobody reaps; SIGTERM would end the server at once."""
    p = project(f"""
        [project]
        name = "signals"
        [services.box]
        type = "container"
        image = "{busybox}"
        command = ["sleep", "1000"]
        stop_timeout = "200ms"
        health = {{ exec = ["true"], interval = "50ms" }}
        """)
    p("up", "-d", "--wait")
    p("server", "restart")
    p.wait("box", lambda s: s["health"] == "healthy", "it is probed again")
    wanted = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD}
    server = p.locald.server_pid()
    for thread in os.listdir(f"/proc/{server}/task"):
        status = dict(line.split(":", 1) for line in open(f"/proc/{server}/task/{thread}/status").read().splitlines() if ":" in line)
        blocked = {s for s in wanted if int(status["SigBlk"], 16) >> (s - 1) & 1}
        assert blocked == wanted, (status["Name"], blocked)
    for _ in range(20):
        s = p.service("box")
        os.kill(s["shim_pid"], signal.SIGKILL)
        p.wait("box", lambda t: t["state"] == "exited", "its end is noticed", 5)
        p("up", "-d")
