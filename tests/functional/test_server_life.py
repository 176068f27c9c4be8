"""The server's own life: ended while services run, its folders deleted under it, something else in the place of its files, silent; and what is then said."""
import fcntl
import os
import shutil
import signal
import stat

import pytest
from support import Locald, alive, wait_until

TOML = """
    [project]
    name = "life"
    [services.a]
    command = "exec sleep 100000"
    [services.b]
    command = "exec sleep 100000"
    """


@pytest.fixture
def life(project):
    p = project(TOML)
    p("up", "-d")
    return p


def kill_server(locald):
    pid = locald.server_pid()
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not alive(pid), "the server is dead")
    return pid


def servers(locald):
    return [p for p, c in locald.processes().items() if "locald-server" in c and " worker" not in c and " --check" not in c]


def services(locald):
    return [p for p, c in locald.processes().items() if c == "sleep 100000"]


# -- all is to end, and the server has ended before it ---------------------------------------------------------------------------------------------

def test_stop_all_after_the_server_was_killed(life):
    pids = [s["pid"] for s in life.status().values()]
    kill_server(life.locald)
    r = life("server", "stop", "--all")
    assert not any(alive(pid) for pid in pids), r
    assert "no server is running" not in r.text and "the server has stopped" in r.text, r
    life.locald.assert_nothing_left(but_server=False)


def test_restart_all_after_the_server_was_killed(life):
    pids = [s["pid"] for s in life.status().values()]
    kill_server(life.locald)
    r = life("server", "restart", "--all")
    assert not any(alive(pid) for pid in pids), r
    assert life.locald.server_pid()


def test_stop_all_where_the_run_folder_went_with_the_server(life):
    pids = [s["pid"] for s in life.status().values()]
    kill_server(life.locald)
    shutil.rmtree(life.locald.home / "run")
    life("server", "stop", "--all")
    assert not any(alive(pid) for pid in pids)
    life.locald.assert_nothing_left(but_server=False)


def test_stop_all_says_so_where_no_server_can_be_started(life):
    pids = [s["pid"] for s in life.status().values()]
    kill_server(life.locald)
    settings = life.locald.home / "config.toml"
    settings.write_text("runtime = 3\n")
    r = life("server", "stop", "--all", check=False)
    assert r.rc == 1 and "services of an earlier server may still run" in r.err and "config.toml" in r.err, r
    assert all(alive(pid) for pid in pids)
    settings.unlink()
    life("server", "stop", "--all")


def test_stop_all_where_nothing_runs_starts_no_server(locald):
    r = locald("server", "stop", "--all")
    assert "no server is running" in r.text and not (locald.home / "state").exists(), r
    locald("server", "start")
    kill_server(locald)
    log = (locald.home / "state/server.log").read_text()
    r = locald("server", "stop", "--all")
    assert "no server is running" in r.text and (locald.home / "state/server.log").read_text() == log, r


# -- something else in the place of a file that is opened at start ------------------------------------------------------------------------------------

PLACES = ["state/server.log", "state/server.lock", "run/server.lock", "run/server.sock", "run/.server.sock.new", "state/projects.json", "state/containers.json"]


@pytest.mark.parametrize("how", ["folder", "fifo", "link"])
@pytest.mark.parametrize("place", PLACES)
def test_something_else_in_the_place_of_a_file_locks_nobody_out(project, place, how):
    p = project(TOML)
    path, home = p.locald.home / place, p.locald.home
    for name in ("run", "state"):
        (home / name).mkdir(mode=0o700)
    if how == "folder":
        path.mkdir()
        (path / "kept").write_text("of a person")
    elif how == "fifo":
        os.mkfifo(path)
    else:
        path.symlink_to("/no/such/file")
    for f in [home / "run", home / "state", path]:
        os.lchown(f, p.locald.identity.uid, p.locald.identity.gid)
    r = p("up", "-d", timeout=15)
    assert all(s["state"] == "running" for s in p.status().values()), r
    if how == "folder":
        assert [f.read_text() for f in path.parent.glob(path.name + ".corrupt-*/kept")] == ["of a person"]
    if place == "state/server.log":
        assert "server.log" in r.err and ".corrupt-" in r.err, r
        assert stat.S_ISREG(path.lstat().st_mode) and "starts, pid" in path.read_text()
        assert ".corrupt-" in path.read_text()
    kill_server(p.locald)
    p("down", timeout=15)


# -- services that nobody manages -----------------------------------------------------------------------------------------------------------------------

@pytest.fixture
def lost(project):
    """Their project's record is gone."""
    p = project("""
        [project]
        name = "lost"
        [services.a]
        command = "exec sleep 100000"
        [services.deaf]
        command = "trap '' TERM; while :; do sleep 0.1; done"
        """)
    p("up", "-d")
    kill_server(p.locald)
    (p.locald.home / "run/projects/lost.json").unlink()
    assert all("not managed" in s["reason"] for s in p.status().values())
    return p


def test_the_stop_of_what_is_not_managed_says_what_it_does(lost):
    pid = lost.service("a")["pid"]
    r = lost("stop", "a")
    assert not alive(pid) and "a: stop" in r.err, r
    lost("down", timeout=60)


def test_the_stop_of_what_is_not_managed_gives_up_in_time(lost):
    pid = lost.service("deaf")["pid"]
    r = lost("stop", "--timeout", "300ms", "deaf", check=False)
    assert r.seconds < 5 and r.rc == 1, r
    assert "deaf: stopping" in r.err and "deaf: not in time (stopping)" in r.err, r
    lost("down", timeout=60)
    assert not alive(pid)


def test_a_service_that_is_not_there_names_the_others_once(lost):
    r = lost("stop", "nosuch", check=False)
    assert r.rc == 1 and "there are: a, deaf\n" in r.err, r
    lost("server", "stop", "--all", timeout=60)
