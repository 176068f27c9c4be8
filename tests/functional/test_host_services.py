"""Host processes from a locald.toml: up, status, logs, health, order, restart, environment, idempotence."""
import signal
import time

from support import alive, http_get, wait_until

SERVE = """
import http.server, os, sys, time
time.sleep(float(os.environ.get("DELAY", "0")))
print("listening", flush=True)
http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), http.server.SimpleHTTPRequestHandler).serve_forever()
"""


def test_up_wait_status_logs_down(project):
    p = project("""
        [project]
        name = "basic"
        [services.web]
        command = "python3 -u serve.py"
        port = "auto"
        health = "/"
        [services.tick]
        command = "echo out; echo err >&2; exec sleep 1000"
        """, files={"serve.py": SERVE})
    p("up", "-d", "--wait")
    status = p.status()
    web, tick = status["web"], status["tick"]
    assert (web["state"], web["health"], web["kind"]) == ("running", "healthy", "exec"), web
    assert (tick["state"], tick["health"]) == ("running", "none"), tick
    assert http_get(web["port"])[0] == 200
    assert web["url"].rstrip("/").endswith(f":{web['port']}")
    for field in ("name", "kind", "state", "health", "pid", "shim_pid", "port", "url", "exit_code", "signal", "restarts", "started_at", "reason"):
        assert field in web and field in tick, f"{field} is missing from status --json"
    assert tick["port"] is None and tick["exit_code"] is None
    assert alive(web["pid"]) and alive(web["shim_pid"])
    logs = p.logs_with("tick", "out", "err")
    assert "out" in logs and "err" in logs
    p("down")
    assert not alive(web["pid"]) and not alive(tick["pid"])
    p.locald.assert_nothing_left()


def test_up_again_changes_nothing_and_a_changed_service_alone_is_restarted(project):
    toml = """
        [project]
        name = "again"
        [services.a]
        command = "exec sleep 1000"
        [services.b]
        command = "exec sleep %s"
        """
    p = project(toml % 1000)
    p("up", "-d")
    before = p.status()
    p("up", "-d")
    assert {n: s["pid"] for n, s in p.status().items()} == {n: s["pid"] for n, s in before.items()}
    p.write("locald.toml", toml % 2000)
    p("up", "-d")
    after = p.status()
    assert after["a"]["pid"] == before["a"]["pid"]
    assert after["b"]["pid"] != before["b"]["pid"] and not alive(before["b"]["pid"])
    p.write("locald.toml", "[project]\nname = 'again'\n[services.a]\ncommand = 'exec sleep 1000'\n")
    p("up", "-d")
    assert set(p.status()) == {"a"} and p.service("a")["pid"] == before["a"]["pid"]
    assert not alive(after["b"]["pid"])


def test_an_invalid_file_changes_nothing(project):
    p = project("[project]\nname = 'inv'\n[services.a]\ncommand = 'exec sleep 1000'\n")
    p("up", "-d")
    pid = p.service("a")["pid"]
    p.write("locald.toml", "[project]\nname = 'inv'\n[services.a]\ncomand = 'exec sleep 1'\n")
    assert p("up", "-d", check=False).rc == 1
    assert alive(pid)


def test_dependencies_are_met_in_order(project):
    p = project("""
        [project]
        name = "deps"
        [services.setup]
        command = "sleep 0.3; date +%s%N > setup.done"
        [services.db]
        command = "python3 -u serve.py"
        port = "auto"
        env = { DELAY = "0.4" }
        health = "/"
        depends_on = { setup = "completed" }
        [services.web]
        command = "test -e setup.done || exit 9; exec python3 -c 'import os,urllib.request as u,time; print(u.urlopen(os.environ[\\"DB\\"]).status, flush=True); time.sleep(1000)'"
        env = { DB = "http://${services.db.host}:${services.db.port}/" }
        depends_on = ["db"]
        """, files={"serve.py": SERVE})
    p("up", "-d", "--wait")
    s = p.status()
    assert s["setup"]["state"] == "exited" and s["setup"]["exit_code"] == 0
    assert s["web"]["state"] == "running"
    wait_until(lambda: "200" in p.logs("web"), "web has reached db")


def test_a_dependency_that_cannot_be_met_is_named(project):
    p = project("""
        [project]
        name = "cannot"
        [services.setup]
        command = "exit 3"
        [services.web]
        command = "exec sleep 1000"
        depends_on = { setup = "completed" }
        """)
    r = p("up", "-d", "--timeout", "20s", check=False)
    assert r.rc == 1 and "setup did not complete: exited with code 3" in r.text, r
    web = p.service("web")
    assert web["pid"] is None and "setup" in (web["reason"] or "")


def test_restart_on_failure_with_backoff_and_exact_exit_codes(project):
    p = project("""
        [project]
        name = "again"
        [services.twice]
        command = "echo run >> runs; test $(wc -l < runs) -ge 3 && exec sleep 1000; exit 7"
        restart = "on-failure"
        [services.code]
        command = "exit 42"
        [services.killed]
        command = "kill -SEGV $$$$"
        """)
    p("up", "-d", check=False)
    s = p.wait("twice", lambda s: s["state"] == "running" and s["restarts"] == 2, "it runs after two restarts")
    assert s["exit_code"] is None or s["exit_code"] == 7
    assert p.wait("code", lambda s: s["state"] == "exited", "it has exited")["exit_code"] == 42
    k = p.wait("killed", lambda s: s["state"] == "exited", "it was killed")
    assert k["signal"] in ("SIGSEGV", signal.SIGSEGV) and k["exit_code"] is None


def test_environment_is_that_of_up_and_nobody_elses(project):
    p = project("""
        [project]
        name = "env"
        [services.e]
        command = "env | sort; umask; exec sleep 1000"
        env = { OWN = "${WHO:-nobody}", SHELLED = "a$$b" }
        env_file = [".env"]
        """, files={".env": "# comment\nFROM_FILE=yes\n"})
    p("up", "-d", env={"WHO": "me", "PASSED": "on"})
    log = p.logs_with("e", "PASSED", "0022")
    for line in ("OWN=me", "PASSED=on", "FROM_FILE=yes", "SHELLED=a$b", "LOCALD_INSTANCE="):
        assert line in log, log
    # The environment is in no reply.
    assert "PASSED" not in p("status", "--json").out


def test_stop_start_restart_one_service(project):
    p = project("[project]\nname = 'ssr'\n[services.a]\ncommand = 'exec sleep 1000'\n[services.b]\ncommand = 'exec sleep 1000'\n")
    p("up", "-d")
    a, b = p.service("a")["pid"], p.service("b")["pid"]
    p("stop", "a")
    assert not alive(a) and alive(b)
    assert p.service("a")["state"] in ("stopped", "exited") and p.service("a")["pid"] is None
    p("start", "a")
    a2 = p.service("a")["pid"]
    assert alive(a2) and a2 != a
    p("restart", "b")
    assert not alive(b) and alive(p.service("b")["pid"]) and p.service("a")["pid"] == a2


def test_foreground_up_streams_and_ctrl_c_stops_in_reverse_order(project):
    p = project("""
        [project]
        name = "fg"
        [services.first]
        command = "trap 'echo bye first $(date +%s%N) >> ends; exit 0' TERM; echo hello first; while :; do sleep 0.05; done"
        [services.second]
        command = "trap 'sleep 0.3; echo bye second $(date +%s%N) >> ends; exit 0' TERM; echo hello second; while :; do sleep 0.05; done"
        depends_on = ["first"]
        """)
    t = p.pty("up")
    t.expect_all(r"first[^\n]*hello first", r"second[^\n]*hello second")
    t.send("\x03")
    code = t.wait(20)
    t.close()
    assert code in (0, 130), t.seen
    ends = (p.dir / "ends").read_text().split("\n")
    assert ends[0].startswith("bye second") and ends[1].startswith("bye first"), ends
    p.locald.assert_nothing_left()


def test_second_ctrl_c_kills(project):
    p = project("""
        [project]
        name = "fg2"
        [services.deaf]
        command = "trap '' TERM INT; echo up; while :; do sleep 0.1; done"
        stop_timeout = "60s"
        """)
    t = p.pty("up")
    t.expect("deaf[^\n]*up")
    pid = p.service("deaf")["pid"]
    t.send("\x03")
    time.sleep(0.5)
    assert alive(pid)
    t.send("\x03")
    t.wait(10)
    t.close()
    wait_until(lambda: not alive(pid), "the deaf service is gone", 5)
    p("down")


def test_kill_9_of_the_cli_leaves_services_running(project):
    p = project("[project]\nname = 'k9'\n[services.a]\ncommand = 'echo here; exec sleep 1000'\n")
    t = p.pty("up")
    t.expect("here")
    pid = p.service("a")["pid"]
    t.process.kill()
    t.wait()
    t.close()
    time.sleep(0.2)
    assert alive(pid)
    p("down")
    assert not alive(pid)


def test_logs_tail_follow_and_every_line(project):
    p = project("""
        [project]
        name = "logs"
        [services.count]
        command = "i=0; while [ $i -lt 5000 ]; do echo line $i; i=$((i+1)); done; while ! [ -e go ]; do sleep 0.05; done; echo the end; exec sleep 1000"
        """)
    p("up", "-d")
    wait_until(lambda: "line 4999" in p.logs("--tail", "1", "count"), "the last line is readable")
    lines = [line.split("line ")[1] for line in p.logs("count").splitlines() if "line " in line]
    assert lines == [str(i) for i in range(5000)]
    assert len(p.logs("--tail", "10", "count").splitlines()) == 10
    t = p.pty("logs", "-f", "--tail", "1", "count")
    t.expect("line 4999")
    (p.dir / "go").touch()
    t.expect("the end", 5)
    t.send("\x03")
    t.wait()
    t.close()


def test_one_project_name_from_two_folders_is_refused_with_both_ways_out(project):
    toml = "[project]\nname = 'same'\n[services.a]\ncommand = 'exec sleep 1000'\n"
    one, two = project(toml, "one"), project(toml, "two")
    one("up", "-d")
    r = two("up", "-d", check=False)
    assert r.rc == 1 and "project forget" in r.text and ("-p" in r.text or "LOCALD_PROJECT" in r.text), r
    two("up", "-d", env={"LOCALD_PROJECT": "other"})
    assert alive(one.service("a")["pid"])


def test_locald_toml_is_found_upward(project):
    p = project("[project]\nname = 'upward'\n[services.a]\ncommand = 'pwd; exec sleep 1000'\n", files={"deep/er/file": "x"})
    p("up", "-d", cwd=p.dir / "deep/er")
    wait_until(lambda: str(p.dir) in p.logs("a"), "the service runs in the project's folder")


def test_sockets_and_folders_answer_their_owner_alone(locald):
    locald("server", "start")
    run = locald.home / "run"
    assert run.stat().st_mode & 0o777 == 0o700
    assert (run / "server.sock").stat().st_mode & 0o777 == 0o600


def test_version_needs_no_server(locald):
    r = locald("version")
    assert r.out.strip() and r.rc == 0


def test_usage_errors_are_2(locald):
    assert locald("no-such-verb", check=False).rc == 2
    assert locald("up", "--no-such-option", check=False).rc == 2


def test_wait_fails_for_a_service_that_has_failed_meanwhile(project):
    p = project("""
        [project]
        name = "later"
        [services.once]
        command = "exit 3"
        [services.web]
        command = "sleep 0.4; touch up; exec sleep 1000"
        health = { exec = "test -e up" }
        """)
    r = p("up", "-d", "--wait", check=False)
    assert r.rc == 1 and "once" in r.err and "exited with code 3" in r.err, r


def test_a_problem_of_the_file_is_said_once(project):
    p = project("[project]\nname = 'x'\n[services.a]\ncommand = 'true'\nhelth = '/'\n")
    r = p("config", "check", check=False)
    assert r.rc == 1 and r.err.count("helth") == 1, r
