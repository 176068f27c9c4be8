"""redis, postgres, nginx and python from a real registry answer real clients."""
import re
import shutil
import subprocess

from support import PATH, free_port, http_get, port_open, wait_until


def client(*argv, env=None):
    tool = shutil.which(argv[0], path=PATH)
    assert tool, f"{argv[0]} is missing: scripts/deps --test"
    return subprocess.run([tool, *map(str, argv[1:])], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=30, env={"PATH": PATH, **(env or {})})


def owner(pid):
    return int(re.search(r"^Uid:\s+(\d+)", open(f"/proc/{pid}/status").read(), re.M)[1])


def test_redis(project, registry):
    port = free_port()
    p = project(f"""
        [project]
        name = "r"
        [services.redis]
        type = "container"
        image = "{registry}/library/redis:7"
        command = ["redis-server", "--appendonly", "yes"]
        container_port = 6379
        port = {port}
        volumes = ["data:/data"]
        health = {{ exec = ["redis-cli", "ping"] }}
        """)
    p("up", "-d", "--wait")
    assert client("redis-cli", "-p", port, "set", "k", "v").stdout == "OK\n"
    s = p.service("redis")
    # The entry point, started as root, has gone on as redis (999 inside).
    assert owner(s["pid"]) == p.locald.identity.outside(999)
    p("down")
    assert not port_open(port)
    p("up", "-d", "--wait")
    assert client("redis-cli", "-p", port, "get", "k").stdout == "v\n"
    p("down", "--volumes")
    p("up", "-d", "--wait")
    assert client("redis-cli", "-p", port, "get", "k").stdout == "\n"


def test_postgres_through_its_own_entry_point(project, registry):
    port = free_port()
    p = project(f"""
        [project]
        name = "pg"
        [services.db]
        type = "container"
        image = "{registry}/library/postgres:15"
        container_port = 5432
        port = {port}
        env = {{ POSTGRES_PASSWORD = "it's secret", POSTGRES_DB = "shop" }}
        volumes = ["data:/var/lib/postgresql/data"]
        health = {{ exec = ["pg_isready", "-h", "127.0.0.1"] }}
        stop_timeout = "20s"
        """)
    p("up", "-d", "--wait", "--timeout", "60s")

    def psql(sql, password="it's secret"):
        return client("psql", "-h", "127.0.0.1", "-p", port, "-U", "postgres", "-d", "shop", "-Atc", sql, env={"PGPASSWORD": password})
    assert psql("create table t (n int); insert into t values (42); select n from t").stdout.splitlines()[-1] == "42"
    assert psql("select 1", "wrong").returncode != 0
    s = p.service("db")
    assert owner(s["pid"]) == p.locald.identity.outside(999)
    assert p("exec", "-u", "postgres", "db", "--", "id", "-un").out == "postgres\n"
    p("down")
    p("up", "-d", "--wait", "--timeout", "60s")
    assert psql("select n from t").stdout == "42\n"
    logs = p.logs("db")
    assert "database system is ready to accept connections" in logs
    assert "not properly shut down" not in logs, "it was stopped with its own signal and given the time"


def test_nginx(project, registry):
    port = free_port()
    p = project(f"""
        [project]
        name = "ng"
        [services.nginx]
        type = "container"
        image = "{registry}/library/nginx:1"
        container_port = 80
        port = {port}
        volumes = ["./site.conf:/etc/nginx/conf.d/default.conf:ro", "./html:/usr/share/nginx/html:ro"]
        health = "/"
        """, files={"site.conf": "server { listen 80; location / { root /usr/share/nginx/html; } }\n", "html/index.html": "from the host\n"})
    p("up", "-d", "--wait")
    r = client("curl", "-s", f"http://127.0.0.1:{port}/")
    assert r.stdout == "from the host\n"
    wait_until(lambda: "GET / HTTP/1.1" in p.logs("nginx"), "its access log (/dev/stdout) is in ours")
    p("stop", "nginx")  # SIGQUIT, the image's own stop signal
    assert p.service("nginx")["exit_code"] == 0, p.service("nginx")


def test_python_with_a_mounted_program(project, registry):
    port = free_port()
    p = project(f"""
        [project]
        name = "py"
        [services.app]
        type = "container"
        image = "{registry}/library/python:3"
        command = ["python", "-u", "/app/app.py"]
        user = "nobody"
        env = {{ PORT = "8000" }}
        container_port = 8000
        port = {port}
        volumes = ["./app:/app:ro"]
        health = "/"
        """, files={"app/app.py": """
            import http.server, os
            class H(http.server.BaseHTTPRequestHandler):
                def do_GET(self):
                    self.send_response(200); self.end_headers(); self.wfile.write(f"uid {os.getuid()}".encode())
            http.server.HTTPServer(("", int(os.environ["PORT"])), H).serve_forever()
            """})
    p("up", "-d", "--wait")
    assert http_get(port) == (200, "uid 65534")


def test_containers_reach_each_other_by_name(project, registry):
    p = project(f"""
        [project]
        name = "names"
        [services.cache]
        type = "container"
        image = "{registry}/library/redis:7"
        container_port = 6379
        health = {{ tcp = true }}
        [services.ask]
        type = "container"
        image = "{registry}/library/redis:7"
        command = ["sh", "-c", "redis-cli -h cache incr n; redis-cli -u redis://${{services.cache.host}}:${{services.cache.port}} incr n"]
        depends_on = ["cache"]
        """)
    p("up", "-d", "--wait")
    wait_until(lambda: p.logs("ask").count("\n") >= 2, "it has asked twice")
    assert [line[-1] for line in p.logs("ask").splitlines()[:2]] == ["1", "2"]
