"""Published ports of a project's own network: changed while their services run, taken by others, shown, kept."""
import contextlib
import json
import os
import signal
import socket

import pytest
from support import free_port, wait_until
from test_network import ANSWER, netd, say


def web(busybox, lines, word="hello", port=80):
    return f"""
        [project]
        name = "shop"
        network = "project"
        [services.web]
        type = "container"
        image = "{busybox}"
        command = {json.dumps(ANSWER.format(port=port, word=word))}
        stop_timeout = "0s"
        {lines}
        """


def shop(project, busybox, lines, **more):
    p = project(web(busybox, lines, **more), name="shop")
    p.name = "shop"
    return p


def hears(port, word="hello\n", host="127.0.0.1"):
    wait_until(lambda: say(port, host) == word, f"{word!r} is heard at {host}:{port}", 10)


def this_process(p):
    """As a server names it: another user's process has no pid for it."""
    return f"pid {os.getpid()} " if p.locald.identity.root or os.geteuid() != 0 else "a process of user root"


def port_open(port, host="127.0.0.1"):
    return say(port, host) is not None


def server_log(p):
    return (p.locald.home / "state/server.log").read_text()


def test_published_ports_change_while_their_service_runs(project, busybox):
    one, two = free_port(), free_port()
    p = shop(project, busybox, f'ports = ["{one}:80"]')
    p("up", "-d")
    hears(one)
    before = p.service("web")
    p.write("locald.toml", web(busybox, f'ports = ["{two}:80", "127.0.0.2:{one}:80"]'))
    r = p("up", "-d")
    assert f"web: ports changed (now 127.0.0.1:{two}->80, 127.0.0.2:{one}->80)" in r.text, r
    # With the answer they are there, and the old one is not.
    assert say(two) is not None and not port_open(one)
    hears(two)
    hears(one, host="127.0.0.2")
    after = p.service("web")
    assert (after["pid"], after["restarts"]) == (before["pid"], before["restarts"]), after
    assert after["port"] == two and [f'{s["address"]}:{s["port"]}' for s in after["ports"]] == [f"127.0.0.1:{two}", f"127.0.0.2:{one}"], after
    assert p("up", "-d").text.count("web: unchanged") == 1
    # To where it leads may change too, and all of them may go.
    p.write("locald.toml", web(busybox, f'ports = ["{two}:81"]'))
    assert f"now 127.0.0.1:{two}->81" in p("up", "-d").text
    wait_until(lambda: say(two) != "hello\n", "it leads elsewhere")
    p.write("locald.toml", web(busybox, ""))
    assert "web: ports changed (now none)" in p("up", "-d").text
    assert not port_open(two)
    assert p.service("web")["pid"] == before["pid"] and p.service("web")["port"] is None


@pytest.mark.parametrize("old, new", [("0.0.0.0", "127.0.0.1"), ("127.0.0.1", "0.0.0.0"), ("127.0.0.1", "127.0.0.3")])
def test_the_address_of_a_port_changes_while_its_service_runs(project, busybox, old, new):
    port = free_port()
    p = shop(project, busybox, f'ports = ["{old}:{port}:80"]')
    p("up", "-d")
    hears(port)
    pid = p.service("web")["pid"]
    p.write("locald.toml", web(busybox, f'ports = ["{new}:{port}:80"]'))
    assert f"now {new}:{port}->80" in p("up", "-d").text
    hears(port, host=new if new != "0.0.0.0" else "127.0.0.1")
    assert port_open(port, host="127.0.0.2") == (new == "0.0.0.0")
    assert p.service("web")["pid"] == pid


@contextlib.contextmanager
def taken_port():
    """One that this process listens on."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        yield s.getsockname()[1]


@pytest.mark.parametrize("also", ["", 'env = { A = "changed" }'])
def test_a_changed_port_in_use_is_refused_and_changes_nothing(project, busybox, also):
    port = free_port()
    p = shop(project, busybox, f"port = {port}\ncontainer_port = 80")
    p("up", "-d")
    hears(port)
    pid = p.service("web")["pid"]
    with taken_port() as taken:
        for address in ("127.0.0.1", "0.0.0.0"):
            p.write("locald.toml", web(busybox, f'ports = ["{address}:{taken}:80"]\n{also}'))
            r = p("up", "-d", check=False)
            assert r.rc == 1 and f"port {taken} is in use by {this_process(p)}" in r.text, r
        assert p.service("web")["pid"] == pid and p.service("web")["port"] == port
        assert say(port) == "hello\n"
        # An address of its own beside another's port is free.
        p.write("locald.toml", web(busybox, f'ports = ["127.0.0.2:{taken}:80"]'))
        p("up", "-d")
        hears(taken, host="127.0.0.2")


@pytest.mark.parametrize("others", ["", '[services.db]\ntype = "container"\nimage = "{image}"\nnetwork = "project"\ncommand = "sleep 1000"'], ids=["alone", "beside another"])
def test_a_service_leaves_the_hosts_network_where_its_ports_are_free(project, busybox, others):
    """Its own port stays its own; one that somebody else has leaves it running as it is."""
    port, others = free_port(), others.format(image=busybox)

    def host(port):
        return web(busybox, f"port = {port}\n{others}", port=port).replace('network = "project"', 'network = "host"', 1)
    p = project(host(port), name="shop")
    p("up", "-d")
    hears(port)
    pid = p.service("web")["pid"]
    with taken_port() as taken:
        for text in (web(busybox, f'ports = ["{taken}:80"]\n{others}'), host(taken)):
            p.write("locald.toml", text)
            r = p("up", "-d", check=False)
            assert r.rc == 1 and f"port {taken} is in use by {this_process(p)}" in r.text, r
            assert p.service("web")["pid"] == pid
            hears(port)
    p.write("locald.toml", web(busybox, f'ports = ["{port}:80"]\n{others}'))
    p("up", "-d")
    hears(port)
    assert p.service("web")["pid"] != pid and p.service("web").get("networks"), p.service("web")
    # And back, to the port that is published for it now.
    p.write("locald.toml", host(port))
    p("up", "-d")
    hears(port)
    assert not p.service("web").get("networks"), p.service("web")


def test_a_port_of_another_project_is_named_by_its_service(project, busybox, locald):
    port = free_port()
    first = shop(project, busybox, f'ports = ["{port}:80"]')
    first("up", "-d")
    hears(port)
    for kind, said in ((f'type = "container"\nimage = "{busybox}"\nnetwork = "project"\ncommand = "sleep 1000"\nports = ["0.0.0.0:{port}:80"]', "container"),
                       (f'command = "exec python3 -m http.server {port} --bind 127.0.0.1"\nport = {port}', "host")):
        other = project(f'[project]\nname = "other"\n[services.box]\n{kind}\n', name="other")
        r = other("up", "-d", check=False)
        assert r.rc == 1 and f"port {port} is in use: it is published by service web of project shop" in r.text, (said, r)
        assert "locald -p shop stop web" in r.text and "locald-netd" not in r.text, r
        other("down")
    first("stop", "web")
    wait_until(lambda: not port_open(port), "it is free")
    other("up", "-d")


def test_a_udp_port_in_use_names_its_holder(project, busybox):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))
        p = shop(project, busybox, f'ports = ["{s.getsockname()[1]}:53/udp"]')
        r = p("up", "-d", check=False)
        assert r.rc == 1 and f"port {s.getsockname()[1]}/udp is in use by {this_process(p)}" in r.text, r


def test_an_address_of_another_host_is_said_to_be_that(project, busybox):
    p = shop(project, busybox, f'ports = ["198.51.100.7:{free_port()}:80"]')
    r = p("up", "-d", check=False)
    assert r.rc == 1 and "at 198.51.100.7: that is not an address of this host" in r.text, r
    assert "use 0.0.0.0 for all; it has 127.0.0.1" in r.text, r


def test_two_services_with_one_port_are_refused_before_anything_starts(project, busybox):
    port = free_port()
    p = project(f"""
        [project]
        network = "project"
        [services.a]
        type = "container"
        image = "{busybox}"
        command = "sleep 1000"
        port = {port}
        container_port = 80
        [services.b]
        type = "container"
        image = "{busybox}"
        command = "sleep 1000"
        ports = ["0.0.0.0:{port}:80"]
        """)
    for verb in (["config", "check"], ["up", "-d"]):
        r = p(*verb, check=False)
        assert r.rc != 0 and f"port {port} is wanted by two services, a (line " in r.text and "locald-server" not in r.text, r
    # As it was not brought up, it is what its file says.
    assert [s["network"] for s in json.loads(p("status", "--json").out)["services"]] == ["project", "project"]


def test_status_shows_where_services_are_reached(project, busybox):
    one, two, three = free_port(), free_port(), free_port()
    p = shop(project, busybox, f"""
        ports = ["{one}:80", "0.0.0.0:{two}:81", "{three}:53/udp"]
        [services.alone]
        type = "container"
        image = "{busybox}"
        network = "none"
        container_port = 80
        command = "sleep 1000"
        stop_timeout = "0s"
        """)
    p("up", "-d")
    table = p("status").out
    assert f"{one}->80, 0.0.0.0:{two}->81, {three}->53/udp" in table, table
    # A narrow terminal has room for one of them.
    t = p.pty("status", columns=62)
    t.expect(rf"{one}->80 \+2")
    alone = next(line for line in table.splitlines() if line.startswith("alone")).split()
    assert alone[4] == "-" and p.service("alone")["port"] is None, table


def test_the_end_of_netd_and_ports_that_are_lost_by_it_are_in_the_log(project, busybox):
    port = free_port()
    p = shop(project, busybox, f'ports = ["{port}:80"]')
    p("up", "-d")
    hears(port)
    pid, server = netd(p)["pid"], p.locald.server_pid()
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        os.kill(server, signal.SIGSTOP)
        try:
            os.kill(pid, signal.SIGKILL)
            wait_until(lambda: not port_open(port), "netd has let go of it")
            s.bind(("127.0.0.1", port))
            s.listen()
        finally:
            os.kill(server, signal.SIGCONT)
        wait_until(lambda: "is not published for web" in server_log(p), "it is logged")
        log = server_log(p)
        assert f"its locald-netd (pid {pid}) has ended" in log, log
        assert f"port {port} is in use by {this_process(p)}" in log, log
        assert f"its port {port} is not published: port {port} is in use by {this_process(p)}" in p.service("web")["reason"]
        assert p.service("web")["state"] == "running"
    # `up` tries it again.
    p("up", "-d")
    hears(port)
    wait_until(lambda: "is published again" in server_log(p), "that is logged too")
    assert p.service("web")["reason"] is None
    # What is brought down has no log of that.
    p("down")
    assert server_log(p).count("has ended; another") == 1


def test_doctor_tries_a_network(project, locald):
    checks = {c["name"]: c for c in json.loads(locald("doctor", "--json", check=False).out)["checks"]}
    assert checks.get("networks", {}).get("status") == "ok", checks
    assert checks["netd"]["status"] == "ok", checks["netd"]
    assert {"tun", "cni"} <= set(checks)
    # What netd has started ends with it, a moment later.
    wait_until(lambda: not any("locald-netd" in c for c in locald.processes().values()), "its netd has ended")
    folder = locald.home / "run/net"
    assert not folder.exists() or not os.listdir(folder)


def test_a_port_that_needs_privileges_is_refused_or_moved(project, locald, busybox):
    if locald.identity.root:
        pytest.skip("root may listen on each port; the run as an unprivileged user does this case")
    port = free_port()
    lines = 'ports = ["80:80"]'
    p = shop(project, busybox, lines)
    for verb in (["up", "-d"], ["config", "check"]):
        r = p(*verb, check=False)
        assert r.rc == 1 and "locald.toml:9:" in r.err and "port 80 needs privileges" in r.err, r
        for way in ('ports = ["8080:80"]', "locald up --low-ports=+8000", "net.ipv4.ip_unprivileged_port_start=80"):
            assert way in r.err, r
    assert p.service("web")["state"] == "stopped"
    r = p("up", "-d", f"--low-ports=+{port - 80}")
    assert f"web: port 80 needs privileges: it is published at {port} instead" in r.text, r
    hears(port)
    assert f"127.0.0.1:{port} " in p("ports").out
    before = p.service("web")
    # What the file says counts where the command says nothing: the same port, unchanged.
    p.write("locald.toml", web(busybox, lines).replace("network =", f'low_ports = "+{port - 80}"\nnetwork ='))
    assert "unchanged" in p("up", "-d").text
    assert p.service("web")["shim_pid"] == before["shim_pid"] and p.service("web")["port"] == port
    r = p("up", "-d", "--low-ports=8000", check=False)
    assert r.rc == 1 and 'invalid low_ports "8000"' in r.err, r
