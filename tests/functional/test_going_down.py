"""What is asked of a thing that is just going: `down`, `container rm`, `server stop --all` take a while, and others come in between.
What runs afterwards belongs to something that says so, and every request has had exactly one end."""
import json
import os
import re
import signal
import socket
import subprocess
import threading

import pytest
from support import alive, wait_until

# Ignores TERM: its end takes stop_timeout.
DEAF = """
    [services.deaf]
    command = "trap '' TERM; echo up; while :; do sleep 0.1; done"
    stop_timeout = "{}"
    """

# Sends requests to the server's socket and prints the whole replies, as whoever runs locald: arguments are the socket and pairs NAME BODY.
ASK = """
import os, socket, sys, threading
out = {}
def ask(i, name, body):
    s = socket.socket(socket.AF_UNIX)
    s.connect(sys.argv[1])
    s.sendall(f"POST /v1/{name} HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\nContent-Length: {len(body)}\\r\\n\\r\\n{body}".encode())
    os.write(1, b"asked\\n")  # in one piece: there are others
    data = b""
    while True:
        try:
            more = s.recv(65536)
        except ConnectionResetError:
            more = b""
        if not more:
            break
        data += more
    out[i] = data.decode(errors="replace")
pairs = list(zip(sys.argv[2::2], sys.argv[3::2]))
threads = [threading.Thread(target=ask, args=(i, *p)) for i, p in enumerate(pairs)]
for t in threads: t.start()
for t in threads: t.join()
import json
print(json.dumps([out[i] for i in range(len(pairs))]))
"""


def python(locald, code, *arguments):
    """A Python program that runs as whoever runs locald."""
    return subprocess.Popen(["/usr/bin/python3", "-c", code, *map(str, arguments)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd="/",
                            **locald.identity.popen_args())


def ends(reply):
    """The results and errors in a reply as it came over the socket; chunks' sizes are lines of their own."""
    return [line for line in reply.replace("\r", "").split("\n") if line.startswith(('{"result"', '{"error"'))]


def error_of(reply):
    found = ends(reply)
    assert len(found) == 1, reply
    return json.loads(found[0]).get("error", {}).get("message", "")


@pytest.fixture
def silent_registry():
    """HOST:PORT where connections are taken and nothing is ever answered."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen(64)
        yield f"127.0.0.1:{s.getsockname()[1]}"


def going_down(p, name="deaf"):
    p.wait(name, lambda s: s["state"] == "stopping", "it is being stopped")


def test_what_is_asked_of_a_project_that_is_going_down(project):
    p = project('[project]\nname = "leaving"\n[services.web]\ncommand = "exec sleep 1000"\n' + DEAF.format("4s"))
    p("up", "-d")
    p.logs_with("deaf", "up")
    first = p.popen("down")
    going_down(p)
    for verb in (("start", "web"), ("restart", "web"), ("restart", "deaf"), ("exec", "deaf", "--", "true")):
        r = p(*verb, check=False)
        assert r.rc == 1 and "project leaving is going down" in r.err, r
    r = p.locald("project", "forget", "leaving", check=False)
    assert r.rc == 1 and "is going down" in r.err, r
    stop, second = p.popen("stop", "web"), p.popen("down")
    assert first.poll() is None and stop.poll() is None and second.poll() is None
    for what in (first, stop, second):
        out, err = what.communicate(timeout=20)
        assert what.returncode == 0, (what.args, out, err)
    p.locald.assert_nothing_left()


def test_up_waits_for_a_project_that_is_going_down(project):
    p = project('[project]\nname = "leaving"\n' + DEAF.format("1s"))
    p("up", "-d")
    p.logs_with("deaf", "up")
    pid, down = p.service("deaf")["pid"], p.popen("down")
    going_down(p)
    r = p("up", "-d", timeout=20)
    assert "project leaving is going down" in r.err, r
    assert down.wait(10) == 0
    deaf = p.service("deaf")
    assert deaf["state"] == "running" and deaf["pid"] != pid


def test_the_last_word_counts(project):
    """down, up, down: the second `down` takes the waiting `up` along."""
    p = project('[project]\nname = "leaving"\n' + DEAF.format("2s"))
    p("up", "-d")
    p.logs_with("deaf", "up")
    first = p.popen("down")
    going_down(p)
    up = p.popen("up", "-d")
    assert b"is going down" in up.stderr.readline()
    second = p("down")
    assert second.rc == 0 and first.wait(10) == 0
    err = up.communicate(timeout=10)[1]
    assert up.returncode == 1 and b"project leaving was brought down" in err, err
    p.locald.assert_nothing_left()


def test_up_that_waits_ends_when_the_project_goes(project):
    p = project("""
        [project]
        name = "leaving"
        [services.never]
        command = "exec sleep 1000"
        health = { exec = ["false"], start_period = "100s" }
        """)
    up = p.popen("up", "--wait")
    p.wait("never", lambda s: s["state"] == "running", "it runs")
    p("down")
    err = up.communicate(timeout=10)[1]
    assert up.returncode == 1 and b"project leaving was brought down" in err, err


@pytest.mark.parametrize("verb", [("start", "h1"), ("restart", "h1"), ("start", "box"), ("exec", "h1", "--", "sleep", "300")], ids=" ".join)
def test_nothing_starts_while_the_data_of_containers_is_removed(project, busybox, verb):
    p = project(f"""
        [project]
        name = "race"
        [services.h1]
        command = "exec sleep 1000"
        [services.box]
        type = "container"
        image = "{busybox}"
        command = ["sh", "-c", "mkdir /x; i=0; while [ $i -lt 20 ]; do mkdir /x/$i; j=0; while [ $j -lt 100 ]; do : > /x/$i/$j; j=$((j+1)); done; i=$((i+1)); done; echo filled; trap 'exit 0' TERM; while :; do sleep 0.1; done"]
        """)
    p("up", "-d")
    p.logs_with("box", "filled", deadline=90)
    down, asked = p.popen("down"), []
    more = [p.popen(*verb) for _ in range(3)]  # some meet it before, some while it goes
    while down.poll() is None:
        asked.append(p(*verb, check=False, timeout=20))
    for r in asked:
        if verb[0] != "exec":
            assert r.rc == 0 or "is going down" in r.err or "was brought down" in r.err or "is not up" in r.err, r
        assert "no answer" not in r.err and "let go" not in r.err, r
    for m in more:
        m.communicate(timeout=20)
    assert down.returncode == 0, down.communicate()
    p.locald.assert_nothing_left()
    p("up", "-d", timeout=30)
    assert p.service("h1")["state"] == "running"


def test_volumes_that_a_second_down_wants_gone_are_gone(project, busybox):
    p = project(f"""
        [project]
        name = "vol"
        [services.c]
        type = "container"
        image = "{busybox}"
        command = ["sh", "-c", "trap 'exit 0' TERM; echo x >> /data/x; wc -l < /data/x; while :; do sleep 0.1; done"]
        volumes = ["data:/data"]
        """ + DEAF.format("1s"))
    p("up", "-d")
    p.logs_with("deaf", "up")
    p.logs_with("c", "1")
    first = p.popen("down")
    going_down(p)
    p("down", "--volumes")
    assert first.wait(10) == 0
    p("up", "-d")
    assert p.logs_with("c", "1").strip().endswith("1")


def test_a_container_that_is_being_started_can_be_called_off(locald, silent_registry):
    image = f"{silent_registry}/nothing:1"
    for options in ((), ("-d",)):
        run = locald.popen("container", "run", "--name", "slow", *options, image, "true")
        wait_until(lambda: "slow" in locald("container", "ls", "--json").out, "it is listed")
        r = locald("container", "run", "--name", "slow", image, check=False)
        assert r.rc == 125 and "there is a container slow already" in r.err, r
        r = locald("container", "rm", "slow", check=False)
        assert r.rc == 1 and "container slow is being started" in r.err and "rm -f slow" in r.err, r
        locald("container", "rm", "-f", "slow", "slow")
        err = run.communicate(timeout=20)[1]
        assert run.returncode == 125 and b"container slow was removed" in err, err
        assert "slow" not in locald("container", "ls", "--json").out
    locald.assert_nothing_left()


def test_containers_of_one_name_come_and_go(locald, busybox):
    """run and rm of the same name, from several sides at once: each gets an answer, nothing stays."""
    said = []

    def side():
        for _ in range(8):
            for words in (("run", "-d", "--name", "same", busybox, "sleep", "1000"), ("rm", "-f", "same")):
                said.append(locald("container", *words, check=False, timeout=30))

    locald("container", "ls")
    sides = [threading.Thread(target=side) for _ in range(4)]
    for s in sides:
        s.start()
    for s in sides:
        s.join()
    assert len(said) == 64
    for r in said:
        assert r.rc == 0 or re.search("already|there is no container|was removed|stopped before it had started", r.err), r
    locald("container", "rm", "-f", "same", check=False)
    assert "same" not in locald("container", "ls", "--json").out
    locald.assert_nothing_left()


def waits_for_the_server(client):
    """It is connected, and sleeps until there is an answer."""
    try:
        links = [os.readlink(f"/proc/{client}/fd/{fd}") for fd in os.listdir(f"/proc/{client}/fd")]
        return any(link.startswith("socket:") for link in links) and open(f"/proc/{client}/stat").read().rpartition(")")[2].split()[0] == "S"
    except FileNotFoundError:
        return False


def test_a_name_is_free_once_its_container_is_being_removed(locald, busybox):
    """A container that takes its time to end: what comes by its name after `rm -f` waits for that."""
    first = locald("container", "run", "-d", "--name", "same", busybox, "sleep", "1000").out.strip()
    pid = next(c["pid"] for c in locald("container", "ls", "--json").json()["containers"] if c["id"] == first)
    os.kill(int(open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[1]), signal.SIGSTOP)  # its shim
    removal = locald.popen("container", "rm", "-f", "same")
    wait_until(lambda: waits_for_the_server(removal.pid), "the server has heard of the removal")
    again = locald.popen("container", "rm", "same")
    second = locald("container", "run", "-d", "--name", "same", busybox, "sleep", "1000", timeout=60).out.strip()
    assert removal.wait(timeout=30) == 0 and again.wait(timeout=30) == 0 and second != first
    locald("container", "rm", "-f", "same")
    locald.assert_nothing_left()


def test_server_stop_all_takes_along_what_is_just_coming(project, silent_registry):
    p = project('[project]\nname = "leaving"\n' + DEAF.format("2s"))
    locald = p.locald
    p("up", "-d")
    p.logs_with("deaf", "up")
    pid = p.service("deaf")["pid"]
    down = p.popen("down")
    going_down(p)
    up = p.popen("up", "-d")
    assert b"is going down" in up.stderr.readline()
    run = locald.popen("container", "run", "--name", "slow", f"{silent_registry}/nothing:1", "true")
    wait_until(lambda: "slow" in locald("container", "ls", "--json").out, "it is listed")
    stops = [locald.popen("server", "stop", "--all") for _ in range(2)]
    for what, rc, words in ((down, 0, b""), (up, 1, b"project leaving was brought down"), (run, 125, b"the server is stopping"), (stops[0], 0, b""), (stops[1], 0, b"")):
        err = what.communicate(timeout=20)[1]
        assert what.returncode == rc and words in err, (what.args, what.returncode, err)
    assert not alive(pid) and locald.server_pid() is None
    locald.assert_nothing_left(but_server=False)


def test_every_request_ends_when_the_server_does(project, silent_registry):
    p = project("""
        [project]
        name = "waits"
        [services.never]
        command = "exec sleep 1000"
        health = { exec = ["false"], start_period = "100s" }
        """)
    p("up", "-d")
    which = json.dumps({"dir": str(p.dir), "file": None, "name": None})
    image = f"{silent_registry}/nothing:1"
    requests = [
        ("up", f'{{"project": {which}, "env": {{}}, "umask": 18, "rlimits": {{}}, "services": [], "wait": true, "timeout_ms": null}}'),
        ("watch", f'{{"project": {which}}}'),
        ("image/pull", f'{{"image": "{image}"}}'),
        ("container/run", f'{{"image": "{image}", "argv": ["true"], "rm": true, "detach": true}}'),
    ]
    asking = python(p.locald, ASK, p.locald.home / "run/server.sock", *(word for pair in requests for word in pair))
    for _ in requests:
        assert asking.stdout.readline() == "asked\n"
    p.locald("server", "status")  # the requests before it have been read
    p.locald("server", "stop")
    for (name, _), reply in zip(requests, json.loads(asking.communicate(timeout=20)[0])):
        assert error_of(reply) == "the server was stopped before this was done", (name, reply)
    assert p.service("never")["state"] == "running"
    p("down")


def test_a_down_that_is_cut_short_is_told_so(project):
    p = project('[project]\nname = "leaving"\n' + DEAF.format("2s"))
    p("up", "-d")
    p.logs_with("deaf", "up")
    down = p.popen("down")
    going_down(p)
    p.locald("server", "stop")
    err = down.communicate(timeout=10)[1]
    assert down.returncode == 1 and b"the server was stopped before this was done" in err, err
    p("down")  # the next server goes on with it
    p.locald.assert_nothing_left()


def test_an_image_that_is_removed_while_it_is_started(locald, registry):
    """Either the start or the removal comes first; nothing runs on layers that are gone."""
    ref = f"{registry}/library/busybox:1"
    for _ in range(8):
        locald("image", "pull", ref)
        run = locald.popen("container", "run", "--rm", "--pull", "missing", ref, "sh", "-c", "cat /etc/passwd && ls /bin | wc -l")
        removed = locald("image", "rm", ref, check=False)
        out, err = run.communicate(timeout=60)
        assert removed.rc == 0 or "is used by " in removed.err, removed
        if run.returncode == 0:
            assert b"root" in out and int(out.split()[-1]) > 1, out
        else:
            assert run.returncode == 125 and re.search(b"removed while it started|is not in the store", err), err
    locald.assert_nothing_left()


IDLE = """
import resource, socket, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
held = []
for _ in range(int(sys.argv[2])):
    s = socket.socket(socket.AF_UNIX)
    s.connect(sys.argv[1])
    held.append(s)
print("connected", flush=True)
sys.stdin.readline()
closed = 0
for s in held:
    s.setblocking(False)
    try:
        closed += s.recv(1) == b""
    except BlockingIOError:
        pass
print(closed, flush=True)
"""


def test_six_hundred_idle_connections_lock_nobody_out(project):
    p = project("[project]\nname = 'busy'\n[services.a]\ncommand = 'exec sleep 1000'\n")
    p.locald("server", "start", check=False)
    p.locald("server", "status")
    idle = python(p.locald, IDLE, p.locald.home / "run/server.sock", 600)
    assert idle.stdout.readline() == "connected\n"
    assert p("up", "-d", timeout=20).rc == 0
    assert p.service("a")["state"] == "running"
    assert p("down").rc == 0
    out = idle.communicate("\n", timeout=10)[0]
    assert int(out) >= 88, "the longest silent made room"


def test_idle_connections_to_a_service_lock_out_no_server(project):
    """A server that takes over reaches the shim, and so does an attach, however many connections say nothing."""
    p = project("[project]\nname = 'busy'\n[services.a]\ncommand = 'exec sleep 1000'\n")
    p("up", "-d")
    pid = p.service("a")["pid"]
    [instance] = p.locald.instances()
    p.locald("server", "stop")
    idle = python(p.locald, IDLE, p.locald.home / "run/svc" / instance / "ctl.sock", 40)
    assert idle.stdout.readline() == "connected\n"
    a = p.service("a")
    assert a["state"] == "running" and a["pid"] == pid and alive(pid)
    idle.communicate("\n", timeout=10)
    p("down")
    p.locald.assert_nothing_left()
