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


# -- one server, whatever is deleted ---------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("layout", ["home", "xdg"])
@pytest.mark.parametrize("folders", ["run state", "run state data"])
def test_folders_that_are_deleted_together_bring_no_second_server(project, make_locald, identity, layout, folders):
    """At once, before the server that lives has seen it."""
    p = project(TOML)
    locald = p.locald
    where = {name: locald.home / name for name in ("run", "state", "data")}
    if layout == "xdg":
        base = locald.home / "user/x"
        for name in where:
            where[name] = base / name / "locald"
            where[name].parent.mkdir(parents=True)
        identity.own(base)
        if identity.root:
            pytest.skip("for root the folders are the system's own, which no test touches; the run as an unprivileged user does this case")
        locald.env.pop("LOCALD_HOME")
        locald.env |= {"XDG_RUNTIME_DIR": str(base / "run"), "XDG_STATE_HOME": str(base / "state"), "XDG_DATA_HOME": str(base / "data")}
    try:
        p("up", "-d")
        pids = sorted(s["pid"] for s in p.status().values())
        server = servers(locald)
        assert len(server) == 1
        for _ in range(4):
            for name in folders.split():
                gone = where[name].with_name("gone-" + name)
                where[name].rename(gone)
            for name in folders.split():  # together: a removal of much may take long
                shutil.rmtree(where[name].with_name("gone-" + name), ignore_errors=True)
            several = [p.popen("up", "-d"), p.popen("status"), p.popen("status", "--json")]
            said = [(c.communicate(timeout=60), c.returncode) for c in several]
            assert all(code == 0 for _, code in said), said
            assert wait_until(lambda: servers(locald) == server, "the server that was there is the only one"), said
            assert sorted(s["pid"] for s in p.status().values()) == pids == sorted(services(locald))
            log = where["state"] / "server.log"
            wait_until(lambda: log.exists() and os.path.samefile(f"/proc/{server[0]}/fd/2", log), "the log has its name again")
    finally:
        p("server", "stop", "--all", check=False)
    wait_until(lambda: not locald.processes(), "nothing is left")


def test_another_run_folder_is_not_waited_for(locald, identity):
    """Its server lives, and has lost nothing."""
    if identity.root:
        pytest.skip("for root the folders are the system's own, which no test touches; the run as an unprivileged user does this case")
    base = locald.home / "user/x"
    for name in ("one", "two"):
        (base / name).mkdir(parents=True)
    identity.own(base)
    env = {"LOCALD_HOME": None, "XDG_STATE_HOME": str(base / "state"), "XDG_DATA_HOME": str(base / "data")}
    one, two = (env | {"XDG_RUNTIME_DIR": str(base / name)} for name in ("one", "two"))
    locald("server", "start", env=one)
    try:
        r = locald("server", "status", env=two, check=False)
        assert r.rc == 1 and r.seconds < 2 and "no server is running" in r.err, r
        r = locald("server", "start", env=two, check=False)
        assert r.rc == 1 and "set XDG_RUNTIME_DIR as it was" in r.err and f"{base}/one/locald" in r.err, r
    finally:
        locald("server", "stop", env=one)


def test_a_lock_of_somebody_else_on_the_home_locks_nobody_out(locald):
    """flock(1) on a folder is what scripts do."""
    fd = os.open(locald.home, os.O_RDONLY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        r = locald("server", "start")
        assert locald.server_pid() and r.seconds < 2.5, r
        locald("server", "restart")
    finally:
        os.close(fd)
    locald("server", "stop")


def test_a_server_that_cannot_write_its_folders_back_is_named(life):
    """It does not run: stopped. Nothing is started beside it."""
    locald, server = life.locald, life.locald.server_pid()
    os.kill(server, signal.SIGSTOP)
    try:
        shutil.rmtree(locald.home / "run")
        shutil.rmtree(locald.home / "state")
        r = life("up", "-d", check=False)
        assert r.rc == 1 and f"process {server}" in r.err and f"kill -CONT {server}" in r.err, r
        assert "locald server status" not in r.err, r
        assert servers(locald) == [server] and len(services(locald)) == 2
    finally:
        os.kill(server, signal.SIGCONT)
    wait_until(lambda: locald.server_pid() == server, "the folders are written back")
    life("up", "-d")
    assert servers(locald) == [server] and len(services(locald)) == 2


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


# -- what to do next ----------------------------------------------------------------------------------------------------------------------------------

def test_a_server_that_is_silent_is_named_with_the_way_out(life):
    server = life.locald.server_pid()
    os.kill(server, signal.SIGSTOP)
    try:
        asked = [life.popen(*verb) for verb in (["server", "status"], ["status"])]
        for process in asked:
            err = process.communicate(timeout=60)[1].decode()
            assert process.returncode == 1 and f"process {server}" in err, err
            assert "locald server status" not in err and f"kill -CONT {server}" in err, err
    finally:
        os.kill(server, signal.SIGCONT)
    life("status")


def test_the_home_of_another_user_is_named_with_the_way_out(locald, identity, make_locald):
    if identity.root:
        pytest.skip("nothing is closed to root; the run as an unprivileged user does this case")
    home = locald.home / "user/closed"
    home.mkdir()
    for name in ("run", "state", "data"):
        (home / name).mkdir(mode=0o700)
        os.chown(home / name, identity.uid + 1 if os.geteuid() == 0 else identity.uid, -1)
        (home / name).chmod(0o700 if os.geteuid() == 0 else 0o000)
    try:
        for verb in (["status", "--all"], ["server", "stop"], ["server", "status"]):
            r = locald(*verb, env={"LOCALD_HOME": str(home)}, check=False)
            assert r.rc == 1 and "hint: " in r.err and "LOCALD_HOME" in r.err, r
    finally:
        for name in ("run", "state", "data"):
            (home / name).chmod(0o700)


def test_a_reply_that_ends_in_the_middle_is_told_with_the_way_out(project):
    p = project("""
        [project]
        name = "cut"
        [services.deaf]
        command = "trap '' TERM; while :; do sleep 0.1; done"
        stop_timeout = "60s"
        """)
    p("up", "-d")
    stop = p.popen("stop", "deaf")
    p.wait("deaf", lambda s: s["state"] == "stopping", "it is being stopped")
    kill_server(p.locald)
    err = stop.communicate(timeout=30)[1].decode()
    assert stop.returncode == 1 and "hung up" in err and "hint: " in err and "locald status" in err, err
    os.killpg(p.service("deaf")["pid"], signal.SIGKILL)
    p("down")


@pytest.mark.parametrize("script, words", [("exit 0", "said nothing"), ("exit 3", "exit code 3"), ("kill -9 $$", "SIGKILL"), ("echo other 1", "other 1")])
def test_a_server_program_that_says_nothing_is_told(life, scratch, script, words):
    server = life.locald.server_pid()
    other = scratch / f"mute-{life.locald.identity.name}-{abs(hash(script))}"
    shutil.copytree(life.locald.dist, other)
    program = other / "libexec/locald/locald-server"
    program.unlink()
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    r = Locald(other, life.locald.identity, life.locald.home)("server", "restart", check=False)
    lines = r.err.splitlines()
    assert r.rc == 1 and words in r.err and any(x.startswith("hint: ") for x in lines), r
    assert " is ," not in r.err and not any(x.rstrip().endswith(":") for x in lines), r
    assert life.locald.server_pid() == server


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
