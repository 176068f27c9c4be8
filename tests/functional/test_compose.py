"""Compose files as they are: `locald up` in a folder with a compose.yaml."""
import json
import os

from support import free_port, http_get, port_open, wait_until

WEB = '''
    import http.server, os, socket
    def redis(*words):
        with socket.create_connection((os.environ["REDIS_HOST"], 6379)) as s:
            s.sendall(b"*%d\\r\\n" % len(words) + b"".join(b"$%d\\r\\n%s\\r\\n" % (len(w), w) for w in map(str.encode, words)))
            return s.recv(1000).decode().strip()
    redis("ping")  # would fail where redis does not answer yet
    class H(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200); self.end_headers()
            self.wfile.write(f"{os.environ['GREETING']} {redis('incr', 'visits')}".encode())
        def log_message(self, text, *args):
            print("asked for", self.path, flush=True)
    http.server.HTTPServer(("", 8000), H).serve_forever()
    '''


def shop(compose, registry, port, greeting="${GREETING:-hello}"):
    return compose(f"""
        services:
          web:
            image: {registry}/library/python:3
            command: python -u /app/app.py
            environment:
              - REDIS_HOST=cache
              - GREETING={greeting}
            volumes: [ "./app:/app:ro" ]
            ports: [ "{port}:8000" ]
            depends_on:
              cache: {{ condition: service_healthy }}
            restart: unless-stopped
          cache:
            image: {registry}/library/redis:7
            command: [ redis-server, --appendonly, "yes", --protected-mode, "no" ]
            container_name: shop-cache
            volumes: [ "data:/data" ]
            labels: {{ some.label: x }}
            healthcheck:
              test: [ CMD, redis-cli, ping ]
              interval: 5s
        volumes:
          data:
        """, name="shop", files={"app/app.py": WEB})


def answer(port):
    """Of the web service, which has no check that `up --wait` would wait for."""
    status, text = wait_until(lambda: http_get(port), "it answers")
    assert status == 200
    return text


def test_a_web_service_and_redis_from_up_to_down(compose, registry):
    port = free_port()
    p = shop(compose, registry, port)
    check = p("config", "check")
    assert "project shop, 2 services: cache, web" in check.out, check.out
    assert f"published on this machine alone, unlike in Compose: {port}:8000" in check.err and "`labels`" in check.err, check.err
    up = p("up", "-d", "--wait", "--timeout", "60s")
    assert "unlike in Compose" in up.text, up.text
    assert answer(port) == "hello :1"
    status = p.status()
    assert (status["cache"]["health"], status["web"]["health"]) == ("healthy", "none"), status
    assert status["web"]["ports"] == [{"address": "127.0.0.1", "port": port, "container_port": 8000, "protocol": "tcp"}]
    p.logs_with("web", "asked for /")
    assert p("exec", "cache", "--", "redis-cli", "get", "visits").out == "1\n"
    # By the container's name too.
    assert p("exec", "web", "--", "python", "-c", "import socket; print(socket.gethostbyname('shop-cache'))").out.startswith("10.")
    again = p("up", "-d")
    assert "unchanged" in again.text and "unlike in Compose" not in again.text, again.text
    # The shell of each `up` counts, and only what reads the variable is restarted.
    pids = {name: s["pid"] for name, s in p.status().items()}
    p("up", "-d", "--wait", env={"GREETING": "ahoy"})
    assert answer(port) == "ahoy :2"
    after = {name: s["pid"] for name, s in p.status().items()}
    assert after["cache"] == pids["cache"] and after["web"] != pids["web"]
    # From a folder below, where nothing else is needed.
    assert json.loads(p("status", "--json", cwd=p.dir / "app").out)["project"] == "shop"
    p("down")
    assert not port_open(port)
    p.locald.assert_nothing_left()
    p("up", "-d", "--wait", "--timeout", "60s")
    assert answer(port) == "hello :3"  # the volume stayed
    p("down", "--volumes")
    p("up", "-d", "--wait", "--timeout", "60s")
    assert answer(port) == "hello :1"


def test_a_file_is_named_from_any_folder_and_missing_folders_are_everybodys(compose, busybox):
    p = compose(f"""
        services:
          web:
            image: {busybox}
            user: "1000"
            command: sleep 1000
            volumes: [ "./made/in:/in" ]
            stop_grace_period: 0s
        """, name="named")
    (p.dir / "sub").mkdir()
    os.chmod(p.dir / "sub", 0o755)
    for folder, file in ((p.dir, "./compose.yaml"), (p.dir / "sub", "../compose.yaml"), (p.dir, "sub/../compose.yaml")):
        r = p.locald("-f", file, "config", "check", cwd=folder)
        assert "named" in r.text, r
    r = p.locald("-f", "../compose.yaml", "up", "-d", cwd=p.dir / "sub")
    assert f"created the folder {p.dir}/made/in" in r.text, r
    assert [(p.dir / f).stat().st_mode & 0o777 for f in ("made", "made/in")] == [0o755, 0o755]
    assert f"chmod o+rwx {p.dir}/made/in" in r.text, r
    p("down")


def test_all_refusals_are_told_at_once_and_nothing_starts(compose, busybox):
    p = compose(f"""
        services:
          agent:
            image: {busybox}
            command: sleep 1000
            privileged: true
            volumes: [ "/var/run/docker.sock:/var/run/docker.sock", "data:/data" ]
          other:
            image: {busybox}
            command: sleep 1000
            devices: [ /dev/kvm ]
            pid: host
        volumes: {{ data: }}
        """, name="agents")
    for verb in (["config", "check"], ["up", "-d"]):
        r = p(*verb, check=False)
        assert r.rc == 1, r
        for line, key in ((5, "agent.privileged"), (6, "agent.volumes"), (10, "other.devices"), (11, "other.pid")):
            assert f"compose.yaml:{line}:" in r.err and f"`services.{key}` is not supported" in r.err, (key, r.err)
    assert json.loads(p.locald("status", "--all", "--json").out)["projects"] == []
    assert p("up", "-d", "--allow-unsupported=privileged,docker.sock,devices", check=False).err.count("is not supported") == 1
    r = p("up", "-d", "--allow-unsupported", "privileged,docker.sock,devices,pid")
    assert "left out, as --allow-unsupported says: services.agent.privileged" in r.text, r.text
    assert p("exec", "agent", "--", "sh", "-c", "ls /data; test -e /var/run/docker.sock || echo none").out == "none\n"
    assert p("up", "-d", "--allow-unsupported=nonsense", check=False).rc == 1


def test_files_variables_and_profiles_as_compose_has_them(compose, busybox):
    p = compose(f"""
        services:
          a:
            image: {busybox}
            command: [ sh, -c, 'echo "$$A $$B $$C"; exec sleep 1000' ]
            environment: {{ A: "${{A:?needed}}", C: '$$HOME ${{NOTHING}}' }}
            env_file: [ more.env ]
          dev: {{ image: "{busybox}", command: sleep 1000, profiles: [ dev ] }}
        """, name="My App.2", files={
        ".env": "A=from-dotenv\n", "more.env": "B=\"two words\"\nA=lost\n",
        "compose.override.yaml": "services:\n  a:\n    stop_signal: KILL\n"})
    up = p("up", "-d")
    assert "the variable NOTHING is not set" in up.text, up.text
    p.logs_with("a", "from-dotenv two words $HOME")
    status = json.loads(p("status", "--json").out)
    assert status["project"] == "myapp2" and [s["name"] for s in status["services"]] == ["a"], status
    # The profile adds its service, and without it that stays.
    p("up", "-d", "--profile", "dev")
    pid = p.service("dev")["pid"]
    p("up", "-d", env={"A": "from-the-shell"})
    p.logs_with("a", "from-the-shell two words")
    assert p.service("dev")["pid"] == pid
    p("stop", "a")
    assert p.service("a")["signal"] == "SIGKILL", p.service("a")
    # What `up` was told counts until `down`, for what else reads the file too.
    assert "project myapp2, 2 services: a, dev" in p("config", "check", env={"A": "1"}).out
    p("down")
    assert "project myapp2, 1 service: a" in p("config", "check", env={"A": "1"}).out
    p.locald.assert_nothing_left()
    # A service that is named enables its profile.
    p("up", "-d", "dev")
    assert p.service("dev")["state"] == "running"
    p("down")
    # What `up` needs of the shell other verbs do not; what the shell has they read too.
    (p.dir / ".env").unlink()
    r = p("up", "-d", check=False)
    assert r.rc == 1 and "needed" in r.err and "compose.yaml:5:" in r.err, r
    p("up", "-d", env={"A": "1"})
    assert p.status()["a"]["state"] == "running"
    p("down")
    assert p("status", env={"A": "1"}).rc == 0
    p("down", "--volumes")


def test_compose_file_and_project_name_of_the_shell(compose, busybox):
    p = compose(f"services: {{ a: {{ image: '{busybox}', command: sleep 1000 }} }}\n", name="one",
                files={"sub/other.yml": f"services: {{ b: {{ image: '{busybox}', command: sleep 1000 }} }}\n"})
    env = {"COMPOSE_FILE": "sub/other.yml", "COMPOSE_PROJECT_NAME": "chosen"}
    p("up", "-d", env=env)
    status = json.loads(p("status", "--json", env=env).out)
    assert (status["project"], [s["name"] for s in status["services"]]) == ("chosen", ["b"]), status
    assert json.loads(p("status", "--json").out)["project"] == "one"
    p("-f", "sub/other.yml", "-p", "chosen", "down")
    p.locald.assert_nothing_left()
    # The second -f is merged over the first, whichever that is.
    p.write("over.yml", "services: { a: { labels: { x: y } }, b: { image: z } }\n")
    r = p("-f", "compose.yaml", "-f", "over.yml", "config", "check")
    assert "2 services: a, b" in r.out and "`labels`" in r.err, r
    p.write("locald.toml", '[services.h]\ncommand = "x"\n')
    r = p("-f", "locald.toml", "-f", "over.yml", "config", "check", check=False)
    assert r.rc == 1 and "nothing is merged over it" in r.err, r
    (p.dir / "locald.toml").unlink()
    (p.dir / "compose.yaml").unlink()
    (p.dir / "compose.yaml").symlink_to("gone.yaml")
    r = p("config", "check", check=False)
    assert r.rc == 1 and "the symlink leads to nothing" in r.err, r


def test_locald_toml_wins_and_a_notice_says_so(compose, busybox):
    p = compose(f"services: {{ a: {{ image: '{busybox}', command: sleep 1000 }} }}\n", name="both",
                files={"locald.toml": '[services.h]\ncommand = "exec sleep 1000"\n'})
    assert "compose.yaml; that one is for `locald -f" in p("config", "check").err
    p("up", "-d")
    assert list(p.status()) == ["h"]
    p("down")
    assert "1 service: a" in p("-f", "compose.yaml", "config", "check").out


def test_an_images_health_check_counts(compose, make_image):
    image = make_image(config={"Cmd": ["sh", "-c", "sleep 1; touch /ready; exec sleep 1000"],
                               "Healthcheck": {"Test": ["CMD-SHELL", "test -e /ready"], "Interval": 10_000_000_000, "Retries": 2}})
    p = compose(f"""
        services:
          db: {{ image: "{image}" }}
          web:
            image: "{image}"
            healthcheck: {{ disable: true }}
            depends_on: {{ db: {{ condition: service_healthy }} }}
        """, name="checked")
    p("up", "-d", "--wait", "--timeout", "30s")
    status = p.status()
    assert (status["db"]["health"], status["web"]["health"]) == ("healthy", "none"), status
    assert status["db"]["started_at"] < status["web"]["started_at"]
    p("down")
    # Without one nobody waits for ever.
    p.write("compose.yaml", f"""
        services:
          db: {{ image: "{image}", healthcheck: {{ disable: true }} }}
          web: {{ image: "{image}", depends_on: {{ db: {{ condition: service_healthy }} }} }}
        """)
    r = p("up", "-d", check=False)
    assert r.rc == 1 and "compose.yaml:3:" in r.err and "web waits for db to be healthy, but db has no" in r.err, r


def test_missing_folders_are_created_and_files_are_not(compose, busybox):
    p = compose(f"""
        services:
          a:
            image: {busybox}
            command: [ sh, -c, 'echo made > /d/file; exec sleep 1000' ]
            volumes: [ "./data/deep:/d" ]
        """, name="folders")
    p("config", "check")
    assert not (p.dir / "data").exists()
    assert "created the folder" in p("up", "-d").text
    wait_until(lambda: (p.dir / "data/deep/file").exists(), "the container writes there")
    assert (p.dir / "data").stat().st_uid == p.locald.identity.uid
    p("down")
    p.write("compose.yaml", f"""
        services:
          a: {{ image: "{busybox}", command: sleep 1000, volumes: [ "./nginx.conf:/etc/nginx.conf" ] }}
        """)
    r = p("up", "-d", check=False)
    assert r.rc == 1 and "compose.yaml:2:" in r.err and "looks like a file" in r.err and not (p.dir / "nginx.conf").exists(), r


def test_what_sets_a_container_off(compose, busybox):
    p = compose(f"""
        services:
          a:
            image: {busybox}
            command: sleep 1000
            hostname: h1.example
            read_only: true
            tmpfs: [ "/run:size=1m,mode=1777" ]
            shm_size: 16m
            cap_drop: [ ALL ]
            cap_add: [ KILL ]
            ulimits: {{ nofile: {{ soft: 100, hard: 200 }} }}
            environment: [ PATH, GONE ]
            secrets: [ token ]
            configs: [ {{ source: conf, target: /etc/conf }} ]
            working_dir: /tmp
            user: "0:0"
        secrets: {{ token: {{ file: ./token.txt }} }}
        configs: {{ conf: {{ file: ./conf.txt }} }}
        """, name="apart", files={"token.txt": "secret\n", "conf.txt": "conf\n"})
    p("up", "-d")

    def inside(command):
        return p("exec", "a", "--", "/bin/sh", "-c", command, check=False).out.strip()
    assert inside("/bin/busybox hostname") == "h1.example"
    assert inside("touch /x 2>/dev/null || echo refused; touch /run/x && echo written") == "refused\nwritten"
    assert inside("df -k /dev/shm | tail -n 1").split()[1] == "16384"
    assert inside("grep CapBnd /proc/1/status").split()[1] == f"{1 << 5:016x}"
    assert inside("grep 'open files' /proc/1/limits").split()[3:5] == ["100", "200"]
    assert inside("cat /run/secrets/token /etc/conf") == "secret\nconf"
    assert inside("pwd") == "/tmp"
    assert p.service("a")["state"] == "running"


def test_services_of_the_hosts_network_and_of_none(compose, busybox):
    port = free_port()
    p = compose(f"""
        services:
          host:
            image: {busybox}
            command: [ sh, -c, 'mkdir -p /tmp/w; echo host > /tmp/w/index.html; exec httpd -f -p 127.0.0.1:{port} -h /tmp/w' ]
            network_mode: host
            ports: [ "80:80" ]
          lone: {{ image: "{busybox}", command: sleep 1000, network_mode: none }}
          side: {{ image: "{busybox}", command: sleep 1000, network_mode: "service:lone2" }}
          lone2: {{ image: "{busybox}", command: sleep 1000 }}
          My.Name_1: {{ image: "{busybox}", command: sleep 1000 }}
        """, name="nets")
    assert "ports of host" in p("up", "-d").text
    assert wait_until(lambda: http_get(port), "it answers on the host") == (200, "host\n")
    assert p.service("lone")["network"] == "none" and p.service("side")["network"] == "service:lone2"
    addresses = [p("exec", name, "--", "ip", "-4", "-o", "addr", "show", "eth0").out.split()[3] for name in ("side", "lone2")]
    assert addresses[0] == addresses[1]
    assert p("exec", "lone2", "--", "ping", "-c", "1", "My.Name_1").rc == 0
    assert p("exec", "My.Name_1", "--", "hostname").out == "My.Name_1\n"
    p("restart", "My.Name_1")
    assert p.service("My.Name_1")["state"] == "running"


def test_what_up_was_told_counts_until_down(compose, busybox):
    port = free_port()
    p = compose(f"""
        services:
          web:
            image: {busybox}
            command: [ sh, -c, "mkdir -p /w; echo page > /w/index.html; exec httpd -f -p 80 -h /w" ]
            privileged: true
            ports: [ "{port}:80" ]
            volumes: [ /data ]
            stop_grace_period: 0s
            networks: {{ default: {{ aliases: [ Www.Shop.Test ] }} }}
            depends_on: {{ job: {{ condition: service_completed_successfully }} }}
          job:
            image: {busybox}
            command: [ sh, -c, "echo ran" ]
        """, name="told")
    up = p("up", "-d", "--remove-orphans", "--build", "--allow-unsupported=privileged", "--publish-address", "0.0.0.0")
    assert "left out, as --allow-unsupported says: services.web.privileged" in up.text, up
    assert p.service("web")["ports"][0]["address"] == "0.0.0.0"
    pid = p.service("web")["pid"]
    # Others who read the file need not be told again; nor `up`, which leaves all as it is.
    run = p("run", "--rm", "web", "--", "sh", "-c", "wget -q -O - http://www.shop.test/")
    assert run.out == "page\n", run
    assert p("exec", "-T", "web", "--", "cat", input="typed\n").out == "typed\n"
    again = p("up", "-d")
    assert "web: unchanged" in again.text and p.service("web")["pid"] == pid, again
    assert p.service("web")["ports"][0]["address"] == "0.0.0.0"
    # What has ended is started, as Compose does it.
    assert "job: started" in again.text, again
    wait_until(lambda: p.logs("job").count("ran") == 2, "it has run twice")
    # A published port is a page, where nothing else is.
    assert p("open", "--print").out == f"http://localhost:{port}\n"
    # Volumes without a name stay, as Compose's do, and are found again; with --volumes they go.
    p("exec", "web", "--", "sh", "-c", "echo kept > /data/file")
    p("down", "--remove-orphans")
    r = p("up", "-d", check=False)
    assert r.rc == 1 and "`services.web.privileged` is not supported" in r.err, r
    p("up", "-d", "--allow-unsupported=privileged")
    assert p.service("web")["ports"][0]["address"] == "127.0.0.1"
    assert p("exec", "web", "--", "cat", "/data/file").out == "kept\n"
    p("down", "--volumes")
    assert not list((p.locald.home / "state/volumes").glob("told/*")), "a volume is left"


def test_limits_and_what_is_wrong_are_told_at_their_keys(compose, busybox):
    p = compose(f"""
        services:
          a:
            image: {busybox}
            command: sleep 1000
            stop_grace_period: 0s
            mem_limit: 64m
            user: nobody.at.all
            ports: [ "80:80" ]
        """, name="limits")
    r = p("config", "check", check=False)
    if p.locald.identity.uid == 0:
        p.write("compose.yaml", (p.dir / "compose.yaml").read_text().replace("64m", "1"))
        r = p("config", "check", check=False)
        assert r.rc == 1 and "compose.yaml:6:" in r.err and "mem_limit: at least 6m" in r.err, r
        p.write("compose.yaml", (p.dir / "compose.yaml").read_text().replace("mem_limit: 1\n", "mem_limit: 64m\n"))
    else:
        assert r.rc == 1 and "compose.yaml:6:" in r.err and "--allow-unsupported=mem_limit" in r.err, r
        r = p("config", "check", "--allow-unsupported=mem_limit", check=False)
        assert "compose.yaml:8:" in r.err and "--low-ports=+8000" in r.err and "[project]" not in r.err and "low_ports" not in r.err, r
    r = p("up", "-d", "--low-ports=+8000", "--allow-unsupported=mem_limit", check=False)
    assert r.rc == 1 and "not in the image's /etc/passwd" in r.err and "user = " not in r.err, r
    assert "user = " not in p("status").text
    p("down")
