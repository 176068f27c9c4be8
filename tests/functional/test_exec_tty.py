"""`exec` and `container run` under a real terminal: size, resize, Ctrl-C, exit codes."""
import time

import pytest
from support import wait_until


@pytest.fixture
def service(project, busybox):
    p = project(f"""
        [project]
        name = "tty"
        [services.c]
        type = "container"
        image = "{busybox}"
        command = ["sh", "-c", "echo up; exec sleep 1000"]
        env = {{ OWN = "value" }}
        stop_timeout = "1s"
        """)
    p("up", "-d")
    return p


def test_exec_it_size_resize_ctrl_c_exit_code(service):
    t = service.pty("exec", "-it", "c", "--", "sh", rows=31, columns=97)
    t.expect(r"[#$] ")
    t.send("stty size; test -t 0 && test -t 1 && echo a $((1+1))terminal\n")
    t.expect(r"31 97\r\n")
    t.expect("a 2terminal\r\n")
    t.resize(44, 120)
    t.send("sleep 0.2; stty size\n")
    t.expect(r"44 120\r\n")
    t.send("echo $((1+1))go; sleep 1000\n")
    t.expect("2go\r\n")
    time.sleep(0.2)  # until the shell has made sleep the foreground
    t.send("\x03")
    t.expect(r"[#$] ", 5)
    t.send("echo code $?\n")
    t.expect("code 130")
    t.send("exit 42\n")
    assert t.wait() == 42
    t.close()


def test_the_terminal_is_put_back_as_it_was(service):
    t = service.pty("exec", "-it", "c", "--", "sh", "-c", "stty raw -echo; exit 3")
    assert t.wait() == 3
    import termios
    flags = termios.tcgetattr(t.master)[3]
    assert flags & termios.ECHO and flags & termios.ICANON
    t.close()


def test_exec_without_a_terminal(service):
    r = service("exec", "c", "--", "sh", "-c", "echo out; echo err >&2; echo \"$OWN $X\"; id -u; exit 9", check=False)
    assert (r.rc, r.out, r.err) == (9, "out\nvalue \n0\n", "err\n"), r
    r = service("exec", "-e", "X=1", "-u", "daemon", "c", "sh", "-c", "echo $X; id -u")
    assert r.out == "1\n1\n"
    text = "x" * 300000 + "\n"
    assert service("exec", "-i", "c", "cat", input=text).out == text
    assert service("exec", "c", "cat").out == ""


def test_a_command_that_ends_at_once_loses_no_output(service):
    """It may write and end between the shim's look at its pipes and its look at its children."""
    for n in range(60):
        assert service("exec", "c", "sh", "-c", "echo out; echo err >&2").out == "out\n", f"run {n}"


def test_exec_codes_125_126_127_and_signals(service):
    r = service("exec", "c", "--", "no-such-command", check=False)
    assert r.rc == 127 and r.err == "error: no-such-command: command not found in PATH\n", r
    assert service("exec", "c", "--", "/etc/passwd", check=False).rc == 126
    assert service("exec", "c", "--", "sh", "-c", "kill -TERM $$", check=False).rc == 143
    r = service("exec", "no-such-service", "--", "true", check=False)
    assert r.rc == 125 and "no-such-service" in r.err
    service("stop", "c")
    r = service("exec", "c", "--", "true", check=False)
    assert r.rc == 125 and "c is stopped" in r.err and "locald start c" in r.err, r


def test_exec_in_a_host_service(project):
    p = project("[project]\nname = 'h'\n[services.a]\ncommand = 'exec sleep 1000'\nenv = { OWN = 'v' }\n")
    p("up", "-d")
    r = p("exec", "a", "--", "sh", "-c", "echo $OWN; pwd; exit 4", check=False)
    assert (r.rc, r.out) == (4, f"v\n{p.dir}\n"), r


def test_down_ends_what_people_run_in_the_services(project):
    p = project("[project]\nname = 'h'\n[services.a]\ncommand = 'exec sleep 1000'\n")
    p("up", "-d")
    t = p.pty("exec", "-it", "a", "--", "sh", "-c", "echo here; exec sleep 5432")
    t.expect("here")
    p("down")
    p.locald.assert_nothing_left()


def test_container_run_it(locald, busybox):
    t = locald.pty("container", "run", "--rm", "-it", busybox, "sh", rows=20, columns=66)
    t.expect(r"[#$] ")
    t.send("stty size\n")
    t.expect(r"20 66\r\n")
    t.send("exit 5\n")
    assert t.wait() == 5
    t.close()
    locald.assert_nothing_left()


def test_attach_shows_what_comes_and_sends_what_is_typed(project, busybox):
    p = project(f"""
        [project]
        name = "att"
        [services.c]
        type = "container"
        image = "{busybox}"
        command = ["sh"]
        tty = true
        stop_timeout = "1s"
        """)
    p("up", "-d")
    t = p.pty("attach", "c")
    t.send("echo $((40+2))\n")
    t.expect(r"\b42\r\n")
    t.close()
    assert p.service("c")["state"] == "running"


def test_an_exec_that_nobody_reads_from_does_not_stop_the_service(project):
    """A follower that is stopped blocks nobody: promise 4."""
    import os
    import signal
    p = project("[project]\nname = 'slow'\n[services.a]\ncommand = 'i=0; while [ $i -lt 300000 ]; do echo a line of some length number $i; i=$((i+1)); done; touch done; exec sleep 1000'\n")
    p("up", "-d")
    f = p.popen("logs", "-f", "a")
    os.kill(f.pid, signal.SIGSTOP)
    try:
        wait_until(lambda: (p.dir / "done").exists(), "the service has written all although its reader stands still", 60)
    finally:
        f.kill()
        f.communicate()
