"""network = "project": services in a network of their own, by name, by published ports, and what it outlives."""
import fcntl
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess

import pytest
from support import PATH, alive, free_port, http_get, port_open, wait_until

# Answers each connection with `word` and the client's address.
ANSWER = 'while :; do nc -l -p {port} -e sh -c "echo {word}"; done'


def netd(p):
    """netd.json of the project."""
    return json.loads((p.locald.home / "run/net" / p.name / "netd.json").read_text())


def say(port, host="127.0.0.1", timeout=5):
    """What is heard at a port; None: refused, "" : closed or reset at once."""
    with socket.socket() as s:
        s.settimeout(timeout)
        try:
            s.connect((host, port))
        except ConnectionRefusedError:
            return None
        except ConnectionResetError:
            return ""
        heard = b""
        try:
            while piece := s.recv(4096):
                heard += piece
        except ConnectionResetError:
            pass
        return heard.decode()


def ask(p, service, host, port):
    """What `service` hears from there; "" where it hears nothing."""
    return p("exec", service, "--", "sh", "-c", f"nc -w 3 {host} {port} < /dev/null 2>/dev/null", check=False).out.strip()


def heard(p, service, host, port, word, deadline=10):
    """`service` hears `word` there: busybox's nc takes one connection at a time, and between two it listens to none."""
    wait_until(lambda: ask(p, service, host, port) == word, f"{service} hears {word} at {host}:{port}", deadline)


def shop(project, busybox, more="", **files):
    port, host = free_port(), free_port()
    p = project(f"""
        [project]
        name = "shop"
        network = "project"
        [services.web]
        type = "container"
        image = "{busybox}"
        command = "echo hi > /www/index.html; exec httpd -f -p 80 -h /www"
        tmpfs = ["/www"]
        port = {port}
        container_port = 80
        health = {{ http = "/", interval = "100ms" }}
        [services.db]
        type = "container"
        image = "{busybox}"
        command = {json.dumps(ANSWER.format(port=5432, word="rows"))}
        container_port = 5432
        [services.api]
        command = "exec python3 -m http.server {host} --bind 127.0.0.1"
        port = {host}
        health = {{ tcp = true, interval = "100ms" }}
        env = {{ DB = "${{services.db.host}}:${{services.db.port}}", WEB = "${{services.web.url}}" }}
        {more}
        """, name="shop", files=files)
    p.name, p.port, p.host = "shop", port, host
    return p


def test_services_reach_each_other_by_name_and_the_host_reaches_what_is_published(project, busybox):
    p = shop(project, busybox)
    before = host_network()
    p("up", "-d", "--wait", "--timeout", "30s")
    status = p.status()
    assert (status["web"]["port"], status["web"]["network"], status["web"]["url"]) == (p.port, "project", f"http://127.0.0.1:{p.port}"), status
    assert status["web"]["ports"] == [{"address": "127.0.0.1", "port": p.port, "container_port": 80, "protocol": "tcp"}], status["web"]
    assert [n["name"] for n in status["web"]["networks"]] == ["default"] and status["web"]["container_port"] == 80
    assert status["api"]["network"] == "host" and status["api"]["container_port"] is None
    assert http_get(p.port) == (200, "hi\n")
    heard(p, "web", "db", 5432, "rows")
    # The container's own address, and loopback of its own alone.
    addresses = p("exec", "web", "--", "ip", "-4", "-o", "addr").out
    assert "lo " in addresses and "eth0" in addresses and "10." in addresses, addresses
    assert ask(p, "web", "127.0.0.1", p.port) == ""
    # A host service by its name, at its own port alone.
    get = f"printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 3 api {p.host}"
    wait_until(lambda: p("exec", "db", "--", "sh", "-c", get, check=False).out.startswith("HTTP/1.0 200"), "api answers", 10)
    with socket.socket() as stranger:
        stranger.bind(("127.0.0.1", 0))
        stranger.listen()
        assert ask(p, "db", "api", stranger.getsockname()[1]) == ""
    # A host service that refers to a container has a port for it.
    env = pathlib.Path(f"/proc/{p.service('api')['pid']}/environ").read_bytes().decode()
    db = next(v.removeprefix("DB=") for v in env.split("\0") if v.startswith("DB="))
    assert db == f"127.0.0.1:{status['db']['port']}" and wait_until(lambda: say(status["db"]["port"]), "db answers") == "rows\n", db
    # Nothing of the host's has changed, and all that listens does so on loopback.
    assert host_network() == before
    p("down")
    assert not port_open(p.port)
    p.locald.assert_nothing_left()
    # The port that was chosen stays the service's.
    p("up", "-d")
    assert p.service("db")["port"] == status["db"]["port"]
    # A service less, and what the network was for is gone: it goes with the project all the same.
    p.write("locald.toml", '[project]\nname = "shop"\n[services.api]\ncommand = "exec sleep 1000"\n')
    p("up", "-d")
    p("down")
    p.locald.assert_nothing_left()


def host_network():
    def run(*argv):
        return subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
    sysctls = ["net.ipv4.ip_forward", "net.ipv4.conf.all.forwarding", "net.ipv6.conf.all.forwarding", "net.ipv4.conf.all.route_localnet"]
    rules = run("nft", "list", "ruleset") if shutil.which("nft", path=PATH) else None
    return run("ip", "route", "show", "table", "all"), run("ip", "-o", "link"), rules, run("sysctl", *sysctls)


def test_two_projects_have_the_same_ports_and_do_not_reach_each_other(project, busybox, locald):
    toml = f"""
        [project]
        network = "project"
        [services.db]
        type = "container"
        image = "{busybox}"
        command = {json.dumps(ANSWER.format(port=6379, word="$(hostname -i)"))}
        container_port = 6379
        port = "auto"
        """
    one, two = project(toml, name="one"), project(toml, name="two")
    for p in (one, two):
        p("up", "-d")
    first = wait_until(lambda: say(one.service("db")["port"]), "one answers").strip()
    second = wait_until(lambda: say(two.service("db")["port"]), "two answers").strip()
    assert first and second and first != second
    assert ask(one, "db", second, 6379) == ""
    # By the other's published port neither: the host's loopback is not theirs.
    assert ask(one, "db", "127.0.0.1", two.service("db")["port"]) == ""


@pytest.mark.parametrize("victim", ["server", "netd", "both"])
def test_kill_9_takes_no_connection_for_long_and_restarts_nothing(project, busybox, victim):
    p = shop(project, busybox)
    p("up", "-d", "--wait", "--timeout", "30s")
    before = p.status()
    server, relay = p.locald.server_pid(), netd(p)["pid"]
    for pid in {"server": [server], "netd": [relay], "both": [server, relay]}[victim]:
        os.kill(pid, signal.SIGKILL)
    for pid in {"server": [server], "netd": [relay], "both": [server, relay]}[victim]:
        wait_until(lambda pid=pid: not alive(pid), "it is dead")
    if victim == "server":
        assert http_get(p.port) is not None  # nobody is needed for that
    p("status")  # where there is no server, this starts one
    wait_until(lambda: http_get(p.port), "the published port leads to the service again", 5)
    wait_until(lambda: p("exec", "web", "--", "nslookup", "db", check=False).out.count("Address") == 2, "DNS answers", 5)
    assert wait_until(lambda: ask(p, "web", "db", 5432), "names are answered", 5) == "rows"
    after = p.status()
    for name in before:
        assert (after[name]["pid"], after[name]["restarts"]) == (before[name]["pid"], before[name]["restarts"]), after[name]
    assert (netd(p)["pid"] == relay) == (victim == "server")
    p("restart", "db")
    assert wait_until(lambda: ask(p, "web", "db", 5432), "the restarted one answers", 5) == "rows"
    p("down")
    p.locald.assert_nothing_left()


def test_when_shims_and_server_are_killed_up_makes_a_network_where_it_can_work(project, busybox):
    """The one that netd still holds may be of a user namespace that ended with the shims, for all that a new server can do."""
    p = shop(project, busybox)
    p("up", "-d", "--wait", "--timeout", "30s")
    relay, before = netd(p)["pid"], p.status()
    for pid in [p.locald.server_pid(), *(s["shim_pid"] for s in before.values())]:
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda pid=pid: not alive(pid), "it is dead")
    assert alive(relay)
    p("up", "-d", "--wait", "--timeout", "30s")
    assert wait_until(lambda: ask(p, "web", "db", 5432), "names are answered", 5) == "rows"
    assert http_get(p.port)[0] == 200
    p("down")
    p.locald.assert_nothing_left()


@pytest.mark.parametrize("server", ["alive", "killed"])
def test_down_ends_netd_whose_run_folder_was_deleted(project, busybox, server):
    p = shop(project, busybox)
    p("up", "-d", "--wait", "--timeout", "30s")
    relay = netd(p)["pid"]
    if server == "killed":
        pid = p.locald.server_pid()
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not alive(pid), "it is dead")
    shutil.rmtree(p.locald.home / "run")
    if server == "alive":
        wait_until(p.locald.server_pid, "the server writes its run folder back")
        assert http_get(p.port)[0] == 200
    p("down")
    assert not alive(relay)
    p.locald.assert_nothing_left()


@pytest.mark.parametrize("damage", ["", "{", '{"pid": "x"}'], ids=["empty", "cut", "another type"])
def test_down_ends_netd_whose_records_are_both_gone(project, busybox, damage):
    """By what it was started with: the run folder is deleted, and the record in the state folder damaged."""
    p = shop(project, busybox)
    p("up", "-d", "--wait", "--timeout", "30s")
    relay, server = netd(p)["pid"], p.locald.server_pid()
    os.kill(server, signal.SIGKILL)
    wait_until(lambda: not alive(server), "it is dead")
    shutil.rmtree(p.locald.home / "run")
    (p.locald.home / "state/networks/shop.json").write_text(damage)
    p("down")
    assert not alive(relay)
    p.locald.assert_nothing_left()


def test_etc_hosts_of_what_runs_follows_the_names(project, busybox):
    p = shop(project, busybox)
    p("up", "-d", "--wait", "--timeout", "30s")
    text, before = (p.dir / "locald.toml").read_text(), p.service("web")["shim_pid"]

    def hosts():
        return p("exec", "web", "--", "cat", "/etc/hosts").out
    first = hosts()
    assert "\tdb\n" in first and "late" not in first
    p.replace("locald.toml", text.replace("services.db", "services.late"))
    p("up", "-d")
    wait_until(lambda: "\tlate\n" in hosts() and "\tdb\n" not in hosts(), "the new names are there")
    p.replace("locald.toml", text)
    p("up", "-d")
    wait_until(lambda: hosts() == first, "those of before are back")
    assert p.service("web")["shim_pid"] == before
    p("down")


def test_names_are_in_a_volume_that_covers_etc_too(project, busybox):
    """Which hides the image's /etc/hosts and /etc/resolv.conf."""
    p = shop(project, busybox)
    text = (p.dir / "locald.toml").read_text()
    p.replace("locald.toml", text.replace("container_port = 5432", 'container_port = 5432\nvolumes = ["etc:/etc"]'))
    p("up", "-d", "--wait", "--timeout", "30s")
    r = p("exec", "db", "--", "sh", "-c", "wget -q -O - http://web/; cat /etc/resolv.conf")
    assert r.out == "hi\nnameserver 127.0.0.11\n", r
    # And in one that has been used before.
    p("restart", "db")
    assert p("exec", "db", "--", "wget", "-q", "-O", "-", "http://web/").out == "hi\n"
    p("down", "--volumes")


def test_a_port_is_closed_while_its_service_is_stopped_and_reset_while_it_is_about_to_run(project, busybox):
    port = free_port()
    p = project(f"""
        [services.first]
        command = "while ! [ -e go ]; do sleep 0.05; done"
        [services.web]
        type = "container"
        image = "{busybox}"
        network = "project"
        command = {json.dumps(ANSWER.format(port=80, word="hello"))}
        ports = ["127.0.0.1:{port}:80"]
        depends_on = {{ first = "completed" }}
        stop_timeout = "0s"
        """)
    up = p.popen("up", "-d")
    try:
        wait_until(lambda: p.status().get("web", {}).get("state") == "waiting", "it waits")
        wait_until(lambda: say(port) == "", "connections are taken and reset", 5)
        p.write("go", "")
        assert up.wait(30) == 0
    finally:
        up.kill()
        up.communicate()
    wait_until(lambda: say(port) == "hello\n", "it is carried", 10)
    p("stop", "web")
    wait_until(lambda: say(port) is None, "it is closed", 5)
    p("start", "web")
    wait_until(lambda: say(port) == "hello\n", "it is carried again", 10)


@pytest.mark.parametrize("network", ["none", "host"])
def test_other_networks_are_as_their_names_say(project, busybox, network):
    p = project(f"""
        [services.box]
        type = "container"
        image = "{busybox}"
        network = "{network}"
        command = "sleep 1000"
        """)
    p("up", "-d")
    links = p("exec", "box", "--", "ls", "/sys/class/net").out.split()
    assert (links == ["lo"]) == (network == "none"), links
    assert p.service("box")["network"] == network


def test_a_service_in_anothers_network_keeps_it_over_restarts(project, busybox):
    p = project(f"""
        [project]
        network = "project"
        [services.base]
        type = "container"
        image = "{busybox}"
        command = "sleep 1000"
        stop_timeout = "0s"
        [services.side]
        type = "container"
        image = "{busybox}"
        network = "service:base"
        command = {json.dumps(ANSWER.format(port=8000, word="side"))}
        stop_timeout = "0s"
        """)
    p("up", "-d")
    assert wait_until(lambda: ask(p, "base", "127.0.0.1", 8000), "base reaches side on its loopback") == "side"
    heard(p, "base", "side", 8000, "side")
    p("restart", "base")
    assert wait_until(lambda: ask(p, "base", "127.0.0.1", 8000), "base reaches side after its restart") == "side"


def test_networks_of_a_project_are_apart(project, busybox):
    p = project(f"""
        [networks.back]
        internal = true
        [services.front]
        type = "container"
        image = "{busybox}"
        network = "project"
        command = "sleep 1000"
        [services.middle]
        type = "container"
        image = "{busybox}"
        networks = ["default", {{ name = "back", aliases = ["pg"] }}]
        command = {json.dumps(ANSWER.format(port=8000, word="middle"))}
        [services.store]
        type = "container"
        image = "{busybox}"
        networks = ["back"]
        command = {json.dumps(ANSWER.format(port=8000, word="store"))}
        """)
    p("up", "-d")
    assert wait_until(lambda: ask(p, "front", "middle", 8000), "front reaches middle") == "middle"
    assert wait_until(lambda: ask(p, "middle", "store", 8000), "middle reaches store") == "store"
    heard(p, "store", "pg", 8000, "middle")
    assert ask(p, "front", "store", 8000) == ""
    address = p("exec", "store", "--", "hostname", "-i").out.split()[0]
    assert ask(p, "front", address, 8000) == ""


def test_a_changed_network_takes_effect_while_the_project_is_up(project, busybox):
    p = shop(project, busybox, '[networks.default]\nsubnet = "10.100.7.0/24"')
    p("up", "-d", "--wait", "--timeout", "30s")
    toml, get = (p.dir / "locald.toml").read_text(), f"printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 3 api {p.host}"
    for change in [("10.100.7.0/24", "10.100.8.0/24"), ("10.100.7.0/24", "10.100.8.0/23"), ("[networks.default]", "[networks.more]\n[networks.default]\ninternal = true"),
                   ("[networks.default]", "[networks.default]\nipv6 = true")]:
        p.write("locald.toml", toml.replace(*change))
        p("up", "-d", "--wait", "--timeout", "30s")
        assert http_get(p.port) == (200, "hi\n"), change
        heard(p, "web", "db", 5432, "rows")
        if "internal" not in change[1]:
            wait_until(lambda: p("exec", "db", "--", "sh", "-c", get, check=False).out.startswith("HTTP/1.0 200"), "api answers", 10)


def test_a_port_in_use_names_its_holder(project, busybox):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        p = project(f"""
            [services.web]
            type = "container"
            image = "{busybox}"
            network = "project"
            command = "sleep 1000"
            ports = ["{s.getsockname()[1]}:80"]
            """)
        r = p("up", "-d", check=False)
        assert r.rc == 1 and f"port {s.getsockname()[1]} is in use by " in r.text, r
    p("down")
    p.locald.assert_nothing_left()


def test_what_listens_on_loopback_alone_is_told_so(project, busybox):
    p = project(f"""
        [services.web]
        type = "container"
        image = "{busybox}"
        network = "project"
        command = ["httpd", "-f", "-p", "127.0.0.1:80"]
        container_port = 80
        health = {{ tcp = true, interval = "100ms", start_period = "1s" }}
        """)
    r = p("up", "-d", "--wait", "--timeout", "10s", check=False)
    assert r.rc == 1 and "listens on port 80 of 127.0.0.1 alone, inside its container" in r.text, r


WRONG = [
    ('network = "projekt"', "`network` = \"projekt\" is unknown"),
    ('network = "host"\nports = ["8080:80"]', "publishes `ports`, but is in the host's network"),
    ('network = "none"\nport = 8080', 'publishes a port, with network = "none"'),
    ('network = "host"\nnetworks = ["default"]', 'has `networks` beside network = "host"'),
    ('networks = ["back"]', "there is no network 'back'"),
    ('network = "service:nobody"', "there is no service 'nobody'"),
    ('network = "service:box"', "box cannot share its own network"),
    ('network = "project"\nports = ["80:80:80:80"]', "invalid port"),
    ('network = "project"\nports = ["8000-8002:80-81"]', "3 ports of the host for 2 ports of the service"),
    ('networks = [{ name = "default", address = "10.1.2.3" }]', "network default has no `subnet` that it could be in"),
    ('network = "project"\nport = 8080\nports = ["8080:80"]', "publishes port 8080 twice"),
]


@pytest.mark.parametrize("lines, said", WRONG, ids=[w[0].replace("\n", ", ") for w in WRONG])
def test_what_cannot_be_is_said_before_anything_starts(project, busybox, lines, said):
    p = project(f"[services.box]\ntype = \"container\"\nimage = \"{busybox}\"\n{lines}\n")
    for verb in (["config", "check"], ["up", "-d"]):
        r = p(*verb, check=False)
        assert r.rc != 0 and said in r.text, r
    assert not (p.locald.home / "run/net").exists() or not os.listdir(p.locald.home / "run/net")


@pytest.mark.parametrize("server", ["killed before it heard", "killed before it told a plan"])
def test_a_netd_that_nobody_knows_ends_by_itself(dist, scratch, locald, server):
    """As the server starts it (src/net/netd_start.h), with nobody there afterwards."""
    if not locald.identity.root:
        pytest.skip("making a network namespace needs root; the run as root does this case")
    folder = locald.home / "netd"
    folder.mkdir()
    controls = []
    for name in ("netd.sock", "outside.sock"):
        controls.append(socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET))
        controls[-1].bind(str(folder / name))
        controls[-1].listen()
    sleeper = subprocess.Popen(["unshare", "--net", "sleep", "60"])
    try:
        wait_until(lambda: os.readlink(f"/proc/{sleeper.pid}/ns/net") != os.readlink("/proc/self/ns/net"), "the namespace is there")
        read, write = os.pipe()
        if server == "killed before it heard":
            os.close(read)
        # From 3 on: the two controls, the sandbox, the pipe. First above all of these, so that none is overwritten.
        high = [fcntl.fcntl(fd, fcntl.F_DUPFD, 100) for fd in
                (controls[0].fileno(), controls[1].fileno(), os.open(f"/proc/{sleeper.pid}/ns/net", os.O_RDONLY), write)]
        os.close(write)
        start = "; ".join(f"os.dup2({fd}, {3 + n}); os.close({fd})" for n, fd in enumerate(high))
        program = f"import os; {start}; os.execve({str(dist / 'libexec/locald/locald-netd')!r}, ['locald-netd', 'run-root', 'lost'], {{'LOCALD_NETWORK': {str(folder)!r}}})"
        subprocess.run(["/usr/bin/python3", "-c", program], pass_fds=high, check=True, timeout=20)
        for fd in high:
            os.close(fd)
        if server != "killed before it heard":
            assert os.read(read, 100).startswith(b"ready ")
            assert any("locald-netd" in c for c in locald.processes().values())
            os.close(read)
        wait_until(lambda: not any("locald-netd" in c for c in locald.processes().values()), "it has ended", 5)
    finally:
        sleeper.kill()
        sleeper.wait()
        for control in controls:
            control.close()
