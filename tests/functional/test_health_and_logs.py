"""Health over time, probes that hang, and what the log keeps."""
import json
import os
import time

from support import alive, free_port, wait_until

# Healthy while the file `sick` is not there; counts the probes.
SERVE = """
import http.server, os
class H(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(503 if os.path.exists("sick") else 200); self.end_headers()
    def log_message(self, *a): pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), H).serve_forever()
"""


def test_unhealthy_after_the_retries_and_healthy_again(project):
    p = project("""
        [project]
        name = "sick"
        [services.web]
        command = "exec python3 serve.py"
        port = "auto"
        health = { http = "/", interval = "100ms", timeout = "500ms", retries = 3 }
        """, files={"serve.py": SERVE})
    p("up", "-d", "--wait")
    pid = p.service("web")["pid"]
    (p.dir / "sick").touch()
    p.wait("web", lambda s: s["health"] == "unhealthy", "three probes have failed", 5)
    (p.dir / "sick").unlink()
    p.wait("web", lambda s: s["health"] == "healthy", "it is well again", 5)
    assert p.service("web")["pid"] == pid


def test_up_wait_gives_up_with_the_reason(project):
    p = project(f"""
        [project]
        name = "never"
        [services.web]
        command = "exec sleep 1000"
        port = {free_port()}
        health = {{ tcp = true, interval = "100ms" }}
        """)
    r = p("up", "-d", "--wait", "--timeout", "2s", check=False)
    assert r.rc == 1 and "web" in r.text and 1.5 < r.seconds < 6, r
    assert p.service("web")["health"] in ("starting", "unhealthy")


def test_a_service_that_ends_before_it_is_healthy_fails_up_at_once(project):
    p = project("""
        [project]
        name = "dies"
        [services.web]
        command = "echo cannot start: no licence >&2; sleep 0.2; exit 12"
        port = "auto"
        health = "/"
        """)
    r = p("up", "-d", "--wait", "--timeout", "60s", check=False)
    assert r.rc == 1 and "exited with code 12" in r.text and r.seconds < 10, r


def test_an_exec_probe_that_hangs_is_killed_with_all_it_started(project, busybox):
    p = project(f"""
        [project]
        name = "hang"
        [services.host]
        command = "exec sleep 1000"
        health = {{ exec = "echo x >> probes; setsid sleep 5432 & sleep 5432", interval = "200ms", timeout = "300ms", start_period = "1s" }}
        [services.box]
        type = "container"
        image = "{busybox}"
        command = ["sleep", "1000"]
        health = {{ exec = ["sh", "-c", "test -e /ok || sleep 6543"], interval = "200ms", timeout = "300ms", start_period = "1s" }}
        stop_timeout = "300ms"
        """)
    p("up", "-d")
    wait_until(lambda: (p.dir / "probes").exists() and len((p.dir / "probes").read_text().split()) >= 3, "several probes ran")
    time.sleep(0.7)
    sleeping = [c for c in p.locald.processes().values() if c.startswith("sleep 5432")]
    assert len(sleeping) <= 2, sleeping
    p("exec", "box", "touch", "/ok")
    p.wait("box", lambda s: s["health"] == "healthy", "the probe in the container succeeds", 10)
    p("down")
    p.locald.assert_nothing_left()


def test_when_down_has_answered_no_command_of_a_health_check_runs(project):
    p = project("""
        [project]
        name = "called-off"
        [services.slow]
        command = "exec sleep 1000"
        health = { exec = "trap '' TERM; echo $$$$ > new; mv new probe; setsid sleep 7654 & sleep 7654", interval = "200ms", timeout = "60s" }
        """)
    probe = p.dir / "probe"
    for _ in range(5):
        probe.unlink(missing_ok=True)
        p("up", "-d")
        wait_until(probe.exists, "the health check runs")
        p("down")
        assert not alive(int(probe.read_text()))
        assert not [c for c in p.locald.processes().values() if c.startswith("sleep 7654")]


def test_health_waits_for_a_slow_start_without_failing(project):
    p = project("""
        [project]
        name = "slow"
        [services.web]
        command = "sleep 1.5; exec python3 serve.py"
        port = "auto"
        health = { http = "/", interval = "100ms", retries = 1 }
        """, files={"serve.py": SERVE})
    r = p("up", "-d", "--wait", "--timeout", "30s")
    assert r.seconds < 6
    assert p.service("web")["restarts"] == 0


def test_a_line_of_8_mb_and_output_without_an_end_of_line_are_kept(project):
    p = project("""
        [project]
        name = "long"
        [services.a]
        command = "head -c 8000000 /dev/zero | tr '\\\\0' x; echo; printf 'no end of line'; exec sleep 1000"
        """)
    p("up", "-d")
    out = p.logs_with("a", "no end of line")
    assert out.count("x") == 8000000
    assert "drop" not in out


def test_a_fast_writer_loses_nothing(project):
    p = project("""
        [project]
        name = "fast"
        [services.a]
        command = "seq 1 1000000; touch done; exec sleep 1000"
        """)
    p("up", "-d")
    wait_until(lambda: (p.dir / "done").exists(), "all is written", 60)
    out = p.logs_with("a", "1000000")
    numbers = [line.split()[-1] for line in out.splitlines()]
    assert numbers == [str(i) for i in range(1, 1000001)]


def test_logs_of_the_present_run_go_across_restarts_and_all_has_the_earlier_ones(project):
    p = project("[project]\nname = 'runs'\n[services.a]\ncommand = 'echo run $(cat n); exec sleep 1000'\n", files={"n": "1\n"})
    p("up", "-d")
    wait_until(lambda: "run 1" in p.logs("a"), "the first run has written")
    p.write("n", "2\n")
    p("restart", "a")
    wait_until(lambda: "run 2" in p.logs("a"), "the second run has written")
    assert "run 1" in p.logs("a")
    p("down")
    p.write("n", "3\n")
    p("up", "-d")
    wait_until(lambda: "run 3" in p.logs("a"), "the third run has written")
    assert "run 1" not in p.logs("a")
    assert "run 1" in p.logs("--all", "a")


def test_doctor_names_every_piece(locald):
    r = locald("doctor", check=False)
    checks = {c["name"]: c for c in json.loads(locald("doctor", "--json", check=False).out)["checks"]}
    assert set(checks) >= {"runtime", "user-namespaces", "overlay", "store", "ports"}, checks
    assert all(c["status"] in ("ok", "warn") for c in checks.values()), checks  # this machine runs everything
    assert r.rc == 0 and all(f"{c['status']}" in r.text and n in r.text for n, c in checks.items()), r
    assert "runc" in checks["runtime"]["message"], checks["runtime"]
    if own := os.environ.get("LOCALD_TEST_RUNC"):
        assert checks["runtime"]["message"].startswith(f"{locald.dist}/libexec/locald/runc "), (own, checks["runtime"])
    if not locald.identity.root:
        assert str(locald.identity.subuid()) in json.dumps(checks), checks


def test_config_check_prints_no_secret(project):
    p = project("[project]\nname = 'cfg'\n[services.a]\ncommand = 'exec sleep 1000'\nenv = { TOKEN = '${SECRET}' }\n")
    r = p("config", "check", env={"SECRET": "hunter2"})
    assert "hunter2" not in r.text
