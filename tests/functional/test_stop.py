"""Stop leaves nothing: no descendant alive, no port held. Host processes and containers alike."""
import os
import signal

from support import alive, free_port, port_open, wait_until

# Double-forks, calls setsid, clears its environment, ignores every polite signal, holds a port; its child does the same.
DAEMON = """
import os, signal, socket, sys, time
for s in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
    signal.signal(s, signal.SIG_IGN)
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind(("127.0.0.1", int(sys.argv[1]))); s.listen()
        open(sys.argv[2], "w").write(str(os.getpid()))
        if os.fork() == 0:
            os.setsid()
            os.execve("/bin/sh", ["sh", "-c", "trap '' TERM INT HUP; while :; do sleep 1; done"], {})
        while True: time.sleep(100)
    os._exit(0)
print("ready", flush=True)
while True: time.sleep(100)
"""


def test_a_host_service_that_daemonises_and_ignores_term(project):
    port = free_port()
    p = project(f"""
        [project]
        name = "deaf"
        [services.d]
        command = "exec python3 -u daemon.py {port} pidfile"
        stop_timeout = "300ms"
        """, files={"daemon.py": DAEMON})
    p("up", "-d")
    wait_until(lambda: port_open(port) and (p.dir / "pidfile").exists(), "the daemon listens")
    grandchild = int((p.dir / "pidfile").read_text())
    r = p("stop", "d")
    assert not alive(grandchild) and not port_open(port)
    assert p.service("d")["pid"] is None
    assert r.seconds < 3, r
    p("start", "d")
    wait_until(lambda: port_open(port), "it runs again on the same port")
    p("down")
    assert not port_open(port)
    p.locald.assert_nothing_left()


def test_a_container_that_daemonises_and_ignores_term(project, registry):
    port = free_port()
    p = project(f"""
        [project]
        name = "deafbox"
        network = "host"
        [services.d]
        type = "container"
        image = "{registry}/library/python:3"
        command = ["python3", "-u", "/src/daemon.py", "{port}", "/tmp/pidfile"]
        volumes = ["./daemon.py:/src/daemon.py:ro"]
        stop_timeout = "300ms"
        """, files={"daemon.py": DAEMON})
    p("up", "-d")
    wait_until(lambda: port_open(port), "the daemon listens")
    p("down")
    assert not port_open(port)
    p.locald.assert_nothing_left()


def test_two_hundred_setsid_term_ignorers(project):
    p = project("""
        [project]
        name = "many"
        [services.m]
        command = "i=0; while [ $i -lt 200 ]; do setsid sh -c \\"trap '' TERM; while :; do sleep 1; done\\" & i=$((i+1)); done; touch started; wait"
        stop_timeout = "200ms"
        """)
    p("up", "-d")
    wait_until(lambda: (p.dir / "started").exists(), "200 are started")
    p("down")
    p.locald.assert_nothing_left()


def test_a_service_that_ends_by_itself_takes_its_children_along(project):
    p = project("""
        [project]
        name = "parent"
        [services.a]
        command = "setsid sleep 7654 & echo $! > child; exit 0"
        """)
    p("up", "-d", check=False)
    p.wait("a", lambda s: s["state"] == "exited", "it has ended")
    child = int((p.dir / "child").read_text())
    wait_until(lambda: not alive(child), "the child it left is gone", 5)


def test_the_stop_signal_is_the_services_own(project):
    p = project("""
        [project]
        name = "sig"
        [services.a]
        command = "trap 'echo got usr1 > got; exit 0' USR1; trap 'echo got term > got; exit 0' TERM; while :; do sleep 0.05; done"
        stop_signal = "SIGUSR1"
        """)
    p("up", "-d")
    import time
    time.sleep(0.3)
    p("stop", "a")
    assert (p.dir / "got").read_text() == "got usr1\n"


def test_an_exec_session_ends_with_its_service(project, busybox):
    p = project(f"""
        [project]
        name = "ex"
        [services.c]
        type = "container"
        image = "{busybox}"
        command = ["sleep", "1000"]
        stop_timeout = "500ms"
        """)
    p("up", "-d")
    f = p.popen("exec", "c", "--", "sh", "-c", "echo in; setsid sleep 999 & sleep 999")
    assert f.stdout.readline() == b"in\n"
    p("down")
    f.communicate(timeout=10)
    p.locald.assert_nothing_left()


def test_a_stopped_shim_does_not_hold_up_stop(project):
    """SIGSTOP to the shim: the server ends it some seconds after the stop was due."""
    p = project("[project]\nname = 'held'\n[services.a]\ncommand = 'exec sleep 1000'\nstop_timeout = '1s'\n")
    p("up", "-d")
    a = p.status()["a"]
    os.kill(a["shim_pid"], signal.SIGSTOP)
    p("stop", "a", timeout=40)
    wait_until(lambda: not alive(a["pid"]) and not alive(a["shim_pid"]), "both are gone")
    p("down")
    p.locald.assert_nothing_left()


def test_a_container_whose_first_process_hears_no_signal_is_not_waited_for(project, busybox):
    """PID 1 of a pid namespace gets no signal that it has no handler for: those below it are asked, and it has no time of its own."""
    p = project(f"""
        [project]
        name = "deaf"
        [services.alone]
        type = "container"
        image = "{busybox}"
        command = ["sleep", "100000"]
        stop_timeout = "1h"
        [services.shell]
        type = "container"
        image = "{busybox}"
        command = ["sh", "-c", "sh -c 'trap \\"echo asked; exit 0\\" TERM; echo up; while :; do sleep 0.1; done'; echo over"]
        stop_timeout = "1h"
        [services.loop]
        type = "container"
        image = "{busybox}"
        command = ["sh", "-c", "echo up; while :; do sleep 100000; done"]
        stop_timeout = "1h"
        [services.told]
        type = "container"
        image = "{busybox}"
        command = ["sh", "-c", "trap '' TERM; echo up; while :; do sleep 0.1; done"]
        stop_timeout = "1h"
        """)
    p("up", "-d")
    for name in ("shell", "loop", "told"):
        p.logs_with(name, "up")
    p("stop", "alone", "shell", "loop", timeout=60)
    assert {s["state"] for name, s in p.status().items() if name != "told"} == {"stopped"}, p.status()
    assert p.logs_with("shell", "over").count("asked") == 1
    # One that ignores the signal on purpose has its time.
    refused = p("stop", "--timeout", "1s", "told", check=False)
    assert refused.rc != 0 and alive(p.status()["told"]["pid"]), refused
    os.kill(p.status()["told"]["pid"], signal.SIGKILL)
