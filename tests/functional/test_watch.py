"""`watch`: a change of files restarts a service."""
import os
import signal

from support import wait_until

APP = """
    [services.web]
    command = "cat app.py >> ../ran; exec sleep 100000"
    workdir = "web"
    watch = ["*.py", "!test_*.py"]
    [services.other]
    command = "exec sleep 100000"
    """


def ran(p):
    path = p.dir / "ran"
    return path.read_text().split() if path.exists() else []


def comes_to(p, *words):
    wait_until(lambda: ran(p) == [*words], f"it has run with {words}, not {ran(p)}")
    p.wait("web", lambda s: s["state"] == "running", "it runs again")


def test_a_change_restarts_and_nothing_else_does(project):
    p = project(APP, "p", {"web/app.py": "one\n"})
    p("up", "--wait")
    other = p.service("other")["pid"]
    comes_to(p, "one")
    p.replace("web/app.py", "two\n")
    comes_to(p, "one", "two")
    p.write("web/test_app.py", "x\n")
    p.write("web/notes.txt", "x\n")
    p.write("outside.py", "x\n")
    p.write("web/lib/deep.py", "x\n")
    comes_to(p, "one", "two", "two")
    assert p.service("other")["pid"] == other
    assert p.service("web")["restarts"] == 0, "it was asked for"
    # What is stopped stays so; after its start it is watched again.
    p("stop", "web")
    p.replace("web/app.py", "three\n")
    p("start", "web")
    comes_to(p, "one", "two", "two", "three")
    p.replace("web/app.py", "four\n")
    comes_to(p, "one", "two", "two", "three", "four")


def test_a_crash_is_corrected_by_a_change(project):
    p = project("[services.web]\ncommand = 'cat app.py >> ran; exec sh app.py'\nwatch = ['*.py']\n", "p", {"app.py": "exit 3\n"})
    p("up", "-d", check=False)
    p.wait("web", lambda s: s["state"] == "exited", "it has crashed")
    p.replace("app.py", "exec sleep 100000\n")
    p.wait("web", lambda s: s["state"] == "running", "the change has started it")


def test_a_container_and_what_up_and_a_new_server_make_of_it(project, busybox):
    p = project(f"""
        [services.web]
        image = "{busybox}"
        command = "cat /conf/a.conf; exec sleep 100000"
        volumes = ["./conf:/conf:ro"]
        stop_timeout = "0s"
        """, "p", {"conf/a.conf": "one\n"})
    p("up", "--wait")
    p.logs_with("web", "one")
    pid = p.service("web")["pid"]
    p.write("locald.toml", (p.dir / "locald.toml").read_text() + 'watch = [{ paths = ["conf/"], ignore = ["*.bak"] }]\n')
    r = p("up", "--wait")
    assert "web: unchanged" in r.err and p.service("web")["pid"] == pid, "that it is watched is no reason to restart it"
    p.write("conf/a.conf", "two\n")
    p.logs_with("web", "two")
    os.kill(p.locald.server_pid(), signal.SIGKILL)
    p("up", "--wait")
    p.write("conf/b.bak", "x\n")
    p.write("conf/a.conf", "three\n")
    p.logs_with("web", "three")
    assert p.logs("web").split() == ["one", "two", "three"]
    p("down")
    p.locald.assert_nothing_left()


def test_up_says_what_has_changed(project):
    p = project(APP, "p", {"web/app.py": "one\n"})
    up = p.popen("up")
    wait_until(lambda: ran(p) == ["one"], "it runs")
    p.wait("web", lambda s: s["state"] == "running", "its files are watched")
    p.replace("web/app.py", "two\n")
    comes_to(p, "one", "two")
    up.send_signal(signal.SIGINT)
    out, err = up.communicate(timeout=30)
    assert up.returncode == 0 and b"app.py changed: restarting" in out + err, (out, err)


def test_a_service_that_writes_what_it_watches_is_left_alone_in_the_end(project):
    p = project("""
        [services.web]
        command = "date > built.txt; echo start >> ../ran; exec sleep 100000"
        workdir = "web"
        watch = ["*.txt"]
        """, "p", {"web/a.txt": ""})
    up = p.popen("up")
    s = p.wait("web", lambda s: "is paused" in (s["reason"] or ""), "it restarts itself", deadline=30)
    assert s["state"] == "running" and "built.txt has changed right after each of the last 5 starts" in s["reason"], s
    times = len(ran(p))
    assert 5 <= times <= 7, times
    p.write("web/a.txt", "x")
    p.write("locald.toml", (p.dir / "locald.toml").read_text().replace('["*.txt"]', '["*.txt", "!built.txt"]'))
    r = p("up", "-d")
    assert "web: unchanged" in r.err and len(ran(p)) == times, r
    assert p.service("web")["reason"] is None
    p.write("web/a.txt", "y")
    wait_until(lambda: len(ran(p)) == times + 1, "it is watched again")
    up.send_signal(signal.SIGINT)
    out, err = up.communicate(timeout=30)
    assert b"`watch` is paused: built.txt" in out + err, (out, err)


def test_patterns_that_match_nothing_are_refused(project):
    p = project("[services.a]\ncommand = 'x'\nwatch = ['[', '*.py',\n  '../x']\n", "p")
    r = p("config", "check", check=False)
    assert r.rc == 1 and "locald.toml:3:" in r.err and '"[" is not closed' in r.err, r
    assert "locald.toml:4:" in r.err and "do not lead out of it" in r.err, r
