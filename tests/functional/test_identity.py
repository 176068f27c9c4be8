"""What the server believes of services that it did not start: nothing that it cannot talk to, read or find is taken for dead; deleted
folders are written back, damaged records set aside, and nothing is started beside what still runs."""
import json
import os
import resource
import shutil
import signal
import subprocess

import pytest
from support import alive, children, wait_until


@pytest.fixture
def pair(project, busybox):
    p = project(f"""
        [project]
        name = "pair"
        [services.host]
        command = "i=0; while :; do echo line $i; i=$((i+1)); sleep 0.05; done"
        env = {{ TOKEN = "hunter2" }}
        stop_timeout = "1s"
        [services.box]
        type = "container"
        image = "{busybox}"
        command = ["sh", "-c", "trap 'exit 0' TERM; i=0; while :; do echo line $i; i=$((i+1)); sleep 0.05; done"]
        stop_timeout = "1s"
        """)
    p("up", "-d")
    for s in ("host", "box"):
        p.logs_with(s, "line 3")
    return p


def pids(status):
    return {n: (s["pid"], s["shim_pid"]) for n, s in status.items()}


def kill_server(locald):
    pid = locald.server_pid()
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not alive(pid), "the server is dead")


def servers(locald):
    return [p for p, c in locald.processes().items() if "locald-server" in c and " worker" not in c]


def everything_lives(p, before):
    assert all(alive(pid) for both in pids(before).values() for pid in both), p.status()


def secrets_on_disk(locald):
    found = []
    for part in ("run", "state"):
        for folder, _, files in os.walk(locald.home / part):
            for f in files:
                path = os.path.join(folder, f)
                if os.path.isfile(path) and b"hunter2" in open(path, "rb").read():
                    found.append(path)
    return found


def test_a_shim_that_does_not_answer_is_shown_as_unresponsive_and_left_running(pair):
    before = pair.status()
    for s in before.values():
        os.kill(s["shim_pid"], signal.SIGSTOP)
    try:
        pair("server", "restart")
        now = pair.status()
        for n, s in now.items():
            assert s["state"] == "running" and s["reason"].startswith("unresponsive: "), s
            assert s["shim_pid"] == before[n]["shim_pid"]
        everything_lives(pair, before)
    finally:
        for s in before.values():
            os.kill(s["shim_pid"], signal.SIGCONT)
    for n in before:
        pair.wait(n, lambda s: s["reason"] is None and s["pid"] == before[n]["pid"], "it answers again")
    assert pair("exec", "box", "--", "echo", "still").out == "still\n"
    pair("down")
    pair.locald.assert_nothing_left()


def test_a_shim_that_does_not_answer_holds_no_client(pair):
    before = pair.status()
    for s in before.values():
        os.kill(s["shim_pid"], signal.SIGSTOP)
    try:
        r = pair("exec", "box", "--", "true", check=False, timeout=30)
        assert r.rc == 125 and "does not answer" in r.err and "hint: " in r.err and "temporarily" not in r.err, r
        for name in before:
            client = pair.popen("attach", "--no-stdin", name)
            wait_until(lambda: any("signalfd" in os.readlink(f"/proc/{client.pid}/fd/{fd}") for fd in os.listdir(f"/proc/{client.pid}/fd")), "it listens to signals")
            client.send_signal(signal.SIGTERM)
            _, err = client.communicate(timeout=8)
            assert client.returncode == 125 and b"does not answer" in err and b"hint: " in err, err
    finally:
        for s in before.values():
            os.kill(s["shim_pid"], signal.SIGCONT)
    everything_lives(pair, before)


def test_a_service_that_does_not_answer_is_killed_by_the_users_word(pair):
    before = pair.status()
    for s in before.values():
        os.kill(s["shim_pid"], signal.SIGSTOP)
    pair("server", "restart")
    pair("down", timeout=60)
    assert not any(alive(pid) for both in pids(before).values() for pid in both)
    pair.locald.assert_nothing_left()


def test_a_run_folder_that_is_deleted_under_the_server_is_written_back(pair):
    before, server = pair.status(), pair.locald.server_pid()
    run = pair.locald.home / "run"
    shutil.rmtree(run)
    wait_until(lambda: (run / "server.sock").exists(), "the run folder is written back")
    assert pair.locald.server_pid() == server
    assert pids(pair.status()) == pids(before)
    pair("up", "-d")
    assert pids(pair.status()) == pids(before) and servers(pair.locald) == [server]
    assert (run / "projects/pair.json").stat().st_mode & 0o777 == 0o600
    # The shims listen there again, and the next server finds them.
    for s in before:
        assert pair("exec", "host", "--", "echo", "hello").out == "hello\n"
    kill_server(pair.locald)
    now = pair.status()
    assert pids(now) == pids(before) and all(s["reason"] is None for s in now.values()), now
    pair("down")
    pair.locald.assert_nothing_left()


def test_what_ends_after_its_run_folder_was_deleted_is_known_exactly(project):
    p = project("[project]\nname = 'end'\n[services.a]\ncommand = 'while ! [ -e go ]; do sleep 0.02; done; exit 23'\n")
    p("up", "-d")
    pid, run = p.service("a")["pid"], p.locald.home / "run"
    shutil.rmtree(run)
    wait_until(lambda: (run / "server.sock").exists(), "the run folder is written back")
    wait_until(lambda: list(run.glob("svc/*/ctl.sock")), "the shim listens again")
    kill_server(p.locald)
    (p.dir / "go").touch()
    wait_until(lambda: not alive(pid), "it has ended")
    assert (p.service("a")["state"], p.service("a")["exit_code"]) == ("exited", 23)


def test_a_run_folder_that_is_deleted_while_no_server_lives(pair):
    before = pair.status()
    kill_server(pair.locald)
    shutil.rmtree(pair.locald.home / "run")
    now = pair.status()
    for n, s in now.items():
        assert s["state"] == "running" and s["shim_pid"] == before[n]["shim_pid"], s
        assert "not managed" in s["reason"] and "down" in s["reason"], s
    r = pair("up", "-d", check=False)
    assert r.rc == 1 and "locald -p pair down" in r.text and "box, host" in r.text, r
    assert pair("restart", "host", check=False).rc == 1 and pair("start", "host", check=False).rc == 1
    everything_lives(pair, before)
    assert "line 3" in pair.logs("host") and "line 3" in pair("logs", "box").out
    assert "pair" in pair("status", "--all").out
    pair("stop", "host")
    assert not alive(before["host"]["pid"]) and alive(before["box"]["pid"])
    pair("down")
    assert not any(alive(pid) for both in pids(before).values() for pid in both)
    pair.locald.assert_nothing_left()
    pair("up", "-d")
    assert all(s["state"] == "running" for s in pair.status().values())
    pair("down")


def test_two_servers_never_run_for_one_home(pair):
    """Also while the run folder, with the lock that older versions know, is deleted again and again."""
    before, server = pair.status(), pair.locald.server_pid()
    for _ in range(5):
        shutil.rmtree(pair.locald.home / "run", ignore_errors=True)
        assert pids(pair.status()) == pids(before)
        wait_until(lambda: servers(pair.locald) == [server], "there is one server")
    pair("down")


def test_a_state_folder_that_is_deleted_under_the_server(pair):
    before, state = pair.status(), pair.locald.home / "state"
    shutil.rmtree(state)
    wait_until(lambda: (state / "projects.json").exists() and len(list(state.glob("instances/*.json"))) == 2, "the state folder is written back")
    pair("restart", "host")
    assert pair.service("box")["pid"] == before["box"]["pid"]
    pair("server", "restart")
    assert pair.service("box")["pid"] == before["box"]["pid"]
    pair("down")
    pair.locald.assert_nothing_left()


def test_a_data_folder_that_is_deleted_under_the_server(pair):
    pair.locald("image", "ls")
    data = pair.locald.home / "data"
    pair.locald.as_user("unshare", "--user", "--map-root-user", "--map-auto", "rm", "-rf", data) if not pair.locald.identity.root else shutil.rmtree(data, ignore_errors=True)
    pair("restart", "box")
    assert pair.service("box")["state"] == "running"
    pair("down")
    pair.locald.assert_nothing_left()


def test_a_damaged_record_of_a_project_ends_nothing(pair):
    before = pair.status()
    record = pair.locald.home / "run/projects/pair.json"
    kill_server(pair.locald)
    record.write_bytes(record.read_bytes()[:-40])
    now = pair.status()
    everything_lives(pair, before)
    for n, s in now.items():
        assert s["state"] == "running" and "not managed" in s["reason"] and "pair.json.unreadable" in s["reason"], s
        assert s["pid"] == before[n]["pid"]
    assert pair("up", "-d", check=False).rc == 1
    pair("down")
    assert not any(alive(pid) for both in pids(before).values() for pid in both)
    assert not secrets_on_disk(pair.locald) and os.listdir(record.parent) == []
    pair.locald.assert_nothing_left()


def test_a_record_that_was_set_aside_goes_with_the_project(project):
    p = project("[project]\nname = 'aside'\n[services.a]\ncommand = 'exec sleep 1000'\nenv = { TOKEN = 'hunter2' }\n")
    p("up", "-d")
    pid = p.service("a")["pid"]
    p("server", "stop")
    record = p.locald.home / "run/projects/aside.json"
    record.write_text("{" + record.read_text())
    assert "not managed" in p.service("a")["reason"] and secrets_on_disk(p.locald)
    p("stop", "a")
    assert not alive(pid)
    p("up", "-d")  # nothing runs any more: the project is what its file says
    assert p.service("a")["state"] == "running"
    p("down")
    assert not secrets_on_disk(p.locald)


@pytest.mark.parametrize("copy", ["kept", "damaged", "gone"])
def test_a_damaged_record_of_an_instance_starts_no_second_one(pair, copy):
    before = pair.status()
    kill_server(pair.locald)
    for path in (pair.locald.home / "run/svc").glob("*/instance.json"):
        path.write_text("\x7f")
    for path in (pair.locald.home / "state/instances").glob("*.json"):
        if copy == "gone":
            path.unlink()
        elif copy == "damaged":
            path.write_text("{}")
    now = pair.status()
    assert pids(now) == pids(before) and all(s["state"] == "running" and s["reason"] is None for s in now.values()), now
    pair("up", "-d")
    assert pids(pair.status()) == pids(before)
    assert len(pair.locald.instances()) == 2
    pair("down")
    pair.locald.assert_nothing_left()


def test_a_damaged_registry_of_projects_is_set_aside_and_filled_again(pair, project):
    kill_server(pair.locald)
    (pair.locald.home / "state/projects.json").write_text("{]")
    before = pair.status()
    assert json.loads((pair.locald.home / "state/projects.json").read_text())["projects"] == {"pair": str(pair.dir)}
    other = project("[project]\nname = 'pair'\n[services.x]\ncommand = 'true'\n", "other")
    r = other("up", "-d", check=False)
    assert r.rc == 1 and str(pair.dir) in r.text, r
    assert pids(pair.status()) == pids(before)
    pair("down")


def test_a_damaged_list_of_containers_forgets_none(locald, busybox):
    locald("container", "run", "-d", "--name", "lives", busybox, "sleep", "1000")
    locald("container", "run", "--name", "over", busybox, "sh", "-c", "echo x > /file")
    ids = {c["name"]: c["id"] for c in json.loads(locald("container", "ls", "--json").out)["containers"]}
    locald.at_rest()  # else the next server finds how it ended
    kill_server(locald)
    (locald.home / "state/containers.json").write_bytes(b"\0" * 100)
    now = {c["id"]: c for c in json.loads(locald("container", "ls", "--json").out)["containers"]}
    assert now[ids["lives"]]["state"] == "running" and now[ids["lives"]]["name"] == "lives", now
    assert now[ids["over"]]["state"] == "exited" and "record" in now[ids["over"]]["reason"], now
    locald("container", "rm", "-f", "lives")
    locald("container", "rm", ids["over"])
    assert not (locald.home / "data/containers" / ids["over"]).exists()


def limited(n):
    return lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (n, n))


def test_a_server_with_few_descriptors_takes_nothing_for_dead(project):
    p = project("[project]\nname = 'many'\n" + "".join(f"[services.s{i}]\ncommand = 'exec sleep 1000'\n" for i in range(100)))
    p("up", "-d")
    before = pids(p.status())
    p("server", "stop")
    started = p.popen("server", "start", preexec_fn=limited(256))
    out, err = started.communicate(timeout=60)
    assert started.returncode == 0, (out, err)
    now = p.status()
    assert all(s["state"] == "running" for s in now.values()), [s for s in now.values() if s["state"] != "running"][:2]
    unreached = [s for s in now.values() if s["reason"]]
    assert unreached and all("oo many open files" in s["reason"] for s in unreached), now
    assert all(alive(pid) for pid, _ in before.values())
    p("server", "restart")  # by a command without that limit
    assert pids(p.status()) == before
    p("down")
    p.locald.assert_nothing_left()


def test_the_server_is_not_stopped_before_its_successor_is_found(pair, scratch, tmp_path_factory):
    server = pair.locald.server_pid()
    alone = scratch / "alone" / pair.locald.identity.name
    (alone / "bin").mkdir(parents=True, exist_ok=True)
    shutil.copy2(pair.locald.binary, alone / "bin/locald")
    r = subprocess.run([alone / "bin/locald", "server", "restart"], env=pair.locald._environ(None), cwd=pair.dir, timeout=60, stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT, text=True, **pair.locald.identity.popen_args())
    assert r.returncode == 1 and "locald-server" in r.stdout, r
    assert pair.locald.server_pid() == server
    # Found, and of no use: its settings are invalid.
    (pair.locald.home / "config.toml").write_text("runtime = 3\n")
    r = pair("server", "restart", check=False)
    assert r.rc == 1 and "config.toml" in r.text, r
    (pair.locald.home / "config.toml").unlink()
    assert pair.locald.server_pid() == server
    assert children(server)


def test_a_readiness_socket_goes_with_its_instance_whoever_was_killed(project):
    p = project("[project]\nname = 'notify'\n[services.a]\ncommand = 'exec sleep 1000'\nhealth = { notify = true }\n")
    for kill_shim in (True, False):
        p("up", "-d")
        shim = p.service("a")["shim_pid"]
        kill_server(p.locald)
        if kill_shim:
            os.kill(shim, signal.SIGKILL)
        # Made by a server that was killed before the shim's start.
        (p.locald.home / "run/notify/0123456789ab").touch()
        p.status()
        p("down")
        assert os.listdir(p.locald.home / "run/notify") == []


def test_a_readiness_that_was_said_is_known_after_the_run_folder_was_deleted(project):
    say = "import os, socket, time; s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.sendto(b'READY=1', os.environ['NOTIFY_SOCKET']); time.sleep(1000)"
    p = project(f"[project]\nname = 'said'\n[services.a]\ncommand = ['python3', '-c', \"{say}\"]\nhealth = {{ notify = true }}\n")
    p("up", "-d", "--wait")
    run = p.locald.home / "run"
    for _ in range(2):  # under the server that heard it, and under one that found it written down
        kill_server(p.locald)
        p.wait("a", lambda s: s["health"] == "healthy", "it is known how it is")
        shutil.rmtree(run)
        wait_until(lambda: (run / "server.sock").exists(), "the run folder is written back")
    kill_server(p.locald)
    p.wait("a", lambda s: s["health"] == "healthy", "it is known how it is")
    p("down")
    assert os.listdir(run / "notify") == []


@pytest.mark.parametrize("killed", [False, True])
def test_the_down_of_a_project_whose_record_is_lost_leaves_nothing(project, busybox, killed):
    p = project(f"""
        [project]
        name = "lost"
        [services.n]
        command = "exec sleep 1000"
        health = {{ notify = true }}
        [services.box]
        type = "container"
        image = "{busybox}"
        command = ["sleep", "1000"]
        stop_timeout = "1s"
        """)
    p("up", "-d")
    session = p.popen("exec", "n", "--", "sleep", "987654")
    wait_until(lambda: "sleep 987654" in p.locald.processes().values(), "the session runs")
    shims = [s["shim_pid"] for s in p.status().values()]
    kill_server(p.locald)
    if killed:
        for shim in shims:
            os.kill(shim, signal.SIGKILL)
        shutil.rmtree(p.locald.home / "run/projects")
    else:
        shutil.rmtree(p.locald.home / "run")
    p("down", timeout=60)
    session.communicate(timeout=20)
    p.locald.assert_nothing_left()
    home = p.locald.home
    for folder in ("run/notify", "run/projects", "data/containers", "state/instances"):
        assert not (home / folder).exists() or os.listdir(home / folder) == [], folder


def test_what_a_container_run_had_prepared_when_its_server_was_killed_is_removed(locald, busybox):
    locald("container", "run", "-d", "--name", "lives", busybox, "sleep", "1000")
    locald("container", "run", "-d", "--rm", "--name", "rm", busybox, "sleep", "1000")
    locald("container", "run", "--name", "over", busybox, "true")
    ids = {c["name"]: c["id"] for c in json.loads(locald("container", "ls", "--json").out)["containers"]}
    layers, home = locald.home / "data/containers", locald.home
    kill_server(locald)
    # As far as it had come: before the bundle was there, and after that; and a removal that was cut short.
    for rest, also in (("0123456789ab", None), ("123456789abc", home / "run/bundles/123456789abc"), ("23456789abcd", home / "run/svc/23456789abcd")):
        made = [layers / rest / "upper/file", layers / rest / "work/x", home / f"data/volumes/container/_{rest}_0123456789ab/file"]
        for f in made + ([also / "x"] if also else []):
            f.parent.mkdir(parents=True)
            f.touch()
            for folder in f.relative_to(home).parents:
                locald.identity.own(home / folder)
    locald("container", "ls")
    wait_until(lambda: sorted(os.listdir(layers)) == sorted(ids.values()), "the rests are gone")
    wait_until(lambda: not os.listdir(home / "run/bundles" ) or sorted(os.listdir(home / "run/bundles")) == sorted([ids["lives"], ids["rm"]]), "their bundles are gone")
    assert list((home / "data/volumes").glob("*/*")) == []
    now = {c["name"]: c["state"] for c in json.loads(locald("container", "ls", "--json").out)["containers"]}
    assert now == {"lives": "running", "rm": "running", "over": "exited"}
    # Without the list that would be a guess: all that is there is listed.
    kill_server(locald)
    (home / "state/containers.json").unlink()
    now = {c["id"]: c for c in json.loads(locald("container", "ls", "--json").out)["containers"]}
    assert sorted(now) == sorted(ids.values()) and "record" in now[ids["over"]]["reason"], now
    locald("container", "rm", "-f", *ids.values())
    assert os.listdir(layers) == []
    locald.assert_nothing_left()


def test_what_a_killed_server_was_just_writing_is_removed(pair):
    home = pair.locald.home
    kill_server(pair.locald)
    for path in ("run/projects/.pair.json.0a1b2c3d", "run/notify/.0123456789ab.ready.0a1b2c3d", "state/.projects.json.0a1b2c3d", "state/instances/.0123456789ab.json.0a1b2c3d", "state/instances/.0123456789ab.json.new"):
        (home / path).parent.mkdir(exist_ok=True)
        (home / path).write_text("TOKEN=hunter2")
        pair.locald.identity.own((home / path).parent)
        pair.locald.identity.own(home / path)
    pair.status()
    assert [f for f in secrets_on_disk(pair.locald) if "/." in f] == []
    pair("down")
