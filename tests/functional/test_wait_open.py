"""`wait`, `open`, and which lines `logs` shows."""
import os
import signal
import time

import pytest

from support import free_port


def test_wait_until_healthy(project):
    p = project("""
        [services.slow]
        command = "until test -e ready; do sleep 0.05; done; exec sleep 100000"
        health = { exec = "test -e ready", interval = "100ms", start_period = "1m" }
        [services.plain]
        command = "exec sleep 100000"
        """, "p")
    r = p("wait", "slow", check=False)
    assert r.rc == 125 and "project p is not up" in r.err, r
    p("up", "-d")
    p("wait", "plain")
    r = p("wait", "slow", "plain", "--timeout", "300ms", check=False)
    assert r.rc == 1 and "slow" in r.err and "plain" not in r.err, r
    waiting = p.popen("wait", "slow", "plain")
    time.sleep(0.2)
    assert waiting.poll() is None
    p.write("ready", "")
    waiting.communicate(timeout=20)
    assert waiting.returncode == 0 and p.service("slow")["health"] == "healthy"
    p("stop", "slow")
    r = p("wait", "slow", check=False)
    assert r.rc == 1 and "slow" in r.err, r
    r = p("wait", "sloe", check=False)
    assert r.rc == 125 and "did you mean" in r.err, r


def test_wait_until_exited(project):
    p = project("""
        [services.three]
        command = "until test -e go; do sleep 0.05; done; exit 3"
        [services.zero]
        command = "true"
        [services.on]
        command = "exec sleep 100000"
        [services.again]
        command = "exec sh -c 'sleep 0.2; exit 1'"
        restart = "always"
        [services.nothing]
        command = "exec ./not-there"
        """, "p")
    p("up", "-d", check=False)
    assert p("wait", "zero", "--exited").rc == 0
    r = p("wait", "three", "--exited", "--timeout", "200ms", check=False)
    assert r.rc == 125 and "three: not in time" in r.err, r
    waiting = p.popen("wait", "zero", "three", "--exited")
    p.write("go", "")
    _, err = waiting.communicate(timeout=20)
    assert waiting.returncode == 3 and b"three: exited" in err, err
    # One that is restarted by itself has not ended.
    assert p("wait", "again", "--exited", "--timeout", "1s", check=False).rc == 125
    assert p("wait", "nothing", "--exited", check=False).rc in (125, 127)
    waiting = p.popen("wait", "on", "--exited")
    p("exec", "on", "--", "sh", "-c", f"kill -KILL {p.service('on')['pid']}")
    waiting.communicate(timeout=20)
    assert waiting.returncode == 128 + signal.SIGKILL
    # The end of the project is an end.
    p("start", "on")
    waiting = p.popen("wait", "on", "--exited")
    time.sleep(0.3)
    p("down")
    waiting.communicate(timeout=20)
    assert waiting.returncode == 128 + signal.SIGTERM
    r = p("wait", "on", "--exited", "--healthy", check=False)
    assert r.rc == 2, r


def test_a_wait_outlives_the_server(project):
    p = project("""
        [services.slow]
        command = "until test -e ready; do sleep 0.05; done; exec sleep 100000"
        health = { exec = "test -e ready", interval = "100ms", start_period = "1m" }
        [services.three]
        command = "until test -e go; do sleep 0.05; done; exit 3"
        """, "p")
    p("up", "-d")
    healthy, ended = p.popen("wait", "slow"), p.popen("wait", "three", "--exited", "--timeout", "1m")
    late = p.popen("wait", "three", "--exited", "--timeout", "4s")
    time.sleep(0.3)
    p("server", "restart")
    time.sleep(0.3)
    os.kill(p.locald.server_pid(), signal.SIGKILL)
    _, err = late.communicate(timeout=30)
    assert late.returncode == 125 and err == b"error: three: not in time (running)\n", err
    assert healthy.poll() is None and ended.poll() is None
    p.write("ready", "")
    p.write("go", "")
    assert healthy.communicate(timeout=20) == (b"", b"") and healthy.returncode == 0
    assert b"three: exited" in ended.communicate(timeout=20)[1] and ended.returncode == 3


def test_what_a_wait_says_in_the_end_is_of_what_it_waited_for(project):
    p = project("""
        [services.web]
        command = "exec python3 -m http.server $PORT"
        port = "auto"
        health = { http = "/not-there", interval = "100ms", start_period = "1m" }
        """, "p")
    p("up", "-d")
    p.wait("web", lambda s: "404" in (s["reason"] or ""), "it is asked")
    r = p("wait", "web", "--timeout", "100ms", check=False)
    assert r.rc == 1 and "404" in r.err and "every host" not in r.err, r
    r = p("wait", "web", "--exited", "--timeout", "100ms", check=False)
    assert r.rc == 125 and r.err == "error: web: not in time (running)\n", r


def test_open(project):
    port = free_port()
    p = project(f"""
        [services.web]
        command = "python3 -m http.server --bind 127.0.0.1 $PORT"
        port = {port}
        health = {{ tcp = true }}
        [services.admin]
        command = "python3 -m http.server --bind 127.0.0.1 $PORT"
        port = "auto"
        health = {{ tcp = true }}
        [services.job]
        command = "exec sleep 100000"
        """, "p", {"browser": "#!/bin/sh\necho \"$1\" > opened\n"})
    (p.dir / "browser").chmod(0o755)
    browser = {"BROWSER": str(p.dir / "browser")}
    r = p("open", check=False, env=browser)
    assert r.rc == 1 and "is not running" in r.err, r
    p("up", "--wait")
    r = p("open", env=browser)
    assert (p.dir / "opened").read_text() == f"http://127.0.0.1:{port}\n" and "web: http://" in r.err, r
    url = p.service("admin")["url"]
    p("open", "admin", env=browser)
    assert (p.dir / "opened").read_text() == url + "\n"
    assert p("open", "--print", "admin").out == url + "\n"
    r = p("open", "job", check=False)
    assert r.rc == 1 and "job has no URL" in r.err, r
    r = p("open", "admim", check=False)
    assert r.rc == 1 and "did you mean 'admin'?" in r.err, r
    r = p("open", check=False, env={"BROWSER": "", "PATH": "/nowhere"})
    assert r.rc == 1 and "--print" in r.err, r


LINES = "for i in 1 2 3 4 5; do echo request $i GET /cart; echo error $i; done; exec sleep 100000"


@pytest.fixture
def written(project):
    p = project(f"[services.a]\ncommand = {LINES!r}\n[services.b]\ncommand = 'echo ERROR of b; exec sleep 100000'\n", "p")
    p("up", "-d")
    p.logs_with("a", "error 5")
    p.logs_with("b", "ERROR of b")
    return p


def test_logs_with_a_pattern(written):
    p = written
    assert p.logs("a", "--grep", "^error [24]").split("\n") == ["error 2", "error 4", ""]
    assert p.logs("a", "-g", "GET|POST", "-n", "2").split("\n") == ["request 4 GET /cart", "request 5 GET /cart", ""]
    assert p.logs("a", "--grep", "ERROR") == "" and p.logs("a", "--grep", "ERROR 3", "-i") == "error 3\n"
    both = p.logs("--grep", "error", "-i", "-n", "1")
    assert sorted(line.split("|")[1].strip() for line in both.splitlines()) == ["ERROR of b", "error 5"]
    assert p("logs", "--json", "--grep", "error 1", "a").json()["line"] == "error 1"
    r = p("logs", "--grep", "(", check=False)
    assert r.rc == 2 and "invalid pattern" in r.err and "grep -E" in r.err, r
    assert p("logs", "-i", check=False).rc == 2


def test_logs_follow_with_a_pattern(project):
    p = project("[services.a]\ncommand = 'i=0; while test $i -lt 300; do i=$((i+1)); echo line $i; sleep 0.02; done'\n", "p")
    p("up", "-d")
    follow = p.popen("logs", "-f", "--grep", "line [0-9]*0$", "a")
    lines = [follow.stdout.readline().decode() for _ in range(3)]
    follow.terminate()
    follow.communicate()
    assert lines == ["line 10\n", "line 20\n", "line 30\n"]


def test_logs_until(project):
    p = project("[services.a]\ncommand = 'echo first; sleep 0.3; echo second; exec sleep 100000'\n", "p")
    p("up", "-d")
    p.logs_with("a", "second")
    second = p.logs("a", "--timestamps").splitlines()[1].split()[0]
    assert p.logs("a", "--until", second) == "first\n"
    assert p.logs("a", "--until", second, "-n", "1") == "first\n", "the last one until then"
    assert p.logs("a", "--since", second) == "second\n"
    assert p.logs("a", "--since", "00:00", "--until", "23:59:59") in ("", "first\nsecond\n"), "a clock time is one of today"
    assert p.logs("a", "--until", "10m") == "" and p.logs("a", "--until", "0s") == "first\nsecond\n"
    started = time.monotonic()
    soon = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 2))
    assert p.logs("a", "-f", "--until", soon) == "first\nsecond\n"
    assert time.monotonic() - started < 30, "it ends by itself"
    r = p("logs", "--until", "yesterday", check=False)
    assert r.rc == 2 and "--until" in r.err, r
