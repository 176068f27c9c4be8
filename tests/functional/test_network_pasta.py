"""[networks.NAME] outbound: UDP and ICMP by pasta, and networks that nothing leaves."""
import ctypes
import json
import os
import pathlib
import shutil
import signal
import subprocess

import pytest
from support import PATH, alive, http_get, wait_until
from test_network import ANSWER, ask, heard, shop

# Answers each question for a name with 198.51.100.7, by UDP.
NAMES = """
import socket, struct
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("{address}", 53))
while True:
    q, who = s.recvfrom(4096)
    end = q.index(b"\\0", 12) + 5
    a = b"\\xc0\\x0c" + struct.pack(">HHIH4s", 1, 1, 1, 4, bytes([198, 51, 100, 7])) if q[end - 3] == 1 else b""
    s.sendto(q[:2] + b"\\x81\\x80\\0\\1" + struct.pack(">H", bool(a)) + b"\\0\\0\\0\\0" + q[12:end] + a, who)
"""
FAR = "203.0.113.1"


def run(*argv):
    subprocess.run(argv, check=True, env={"PATH": PATH + ":/usr/sbin:/sbin"})


def enter(namespace):
    if ctypes.CDLL(None, use_errno=True).setns(namespace, 0x40000000) != 0:
        raise OSError(ctypes.get_errno(), "setns")


@pytest.fixture
def far():
    """From here on the test, and all that it starts, stand in a network namespace of their own, with a way to FAR and nowhere else."""
    if os.geteuid() != 0:
        pytest.skip("needs root: it makes a host's network of its own")
    if not shutil.which("pasta", path=PATH):
        pytest.skip("needs the package passt")
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    made = [subprocess.Popen(["unshare", "--net", "sleep", "1000"]) for _ in range(2)]
    servers = []
    try:
        here = os.readlink("/proc/thread-self/ns/net")
        for each in made:
            wait_until(lambda each=each: os.readlink(f"/proc/{each.pid}/ns/net") != here, "it has a namespace of its own")
        host, away = (m.pid for m in made)
        inside = lambda pid, *argv: run("nsenter", "-t", str(pid), "-n", *argv)  # noqa: E731
        inside(host, "ip", "link", "add", "lan0", "type", "veth", "peer", "name", "eth0", "netns", str(away))
        for pid, link, address in [(host, "lan0", "203.0.113.2/24"), (away, "eth0", FAR + "/24")]:
            inside(pid, "ip", "addr", "add", address, "dev", link)
            inside(pid, "ip", "link", "set", link, "up")
            inside(pid, "ip", "link", "set", "lo", "up")
        inside(host, "ip", "route", "add", "default", "via", FAR)
        inside(host, "sysctl", "-qw", "net.ipv4.ping_group_range=0 2147483647")
        servers += [subprocess.Popen(["nsenter", "-t", str(pid), "-n", "python3", "-c", NAMES.format(address=address)]) for pid, address in [(away, FAR), (host, "127.0.0.1")]]
        there = os.open(f"/proc/{host}/ns/net", os.O_RDONLY)
        enter(there)
        os.close(there)
        yield host
    finally:
        enter(home)
        os.close(home)
        for each in servers + made:
            each.kill()
            each.wait()


def needs_tun(locald):
    if locald.as_user("sh", "-c", "exec 3<>/dev/net/tun").returncode != 0:
        pytest.skip("needs a /dev/net/tun that its user may open")


def looks_up(p, service, server=FAR):
    """Whether UDP goes from the service to `server`, and back."""
    return "198.51.100.7" in p("exec", service, "--", "timeout", "3", "nslookup", "name.test", server, check=False).out


def pasta(p):
    """The pid of the project's; None: it has none right now."""
    try:
        return json.loads((p.locald.home / f"state/networks/{p.name}.pasta").read_text())["pid"]
    except FileNotFoundError:
        return None


def box(busybox, name, networks, port):
    return f"""
        [services.{name}]
        type = "container"
        image = "{busybox}"
        networks = {json.dumps(networks)}
        command = {json.dumps(ANSWER.format(port=port, word=name))}
        stop_timeout = "0s"
        """


def test_udp_and_icmp_leave_by_pasta_and_networks_stay_apart(far, project, busybox):
    p = shop(project, busybox, f"""
        [networks.default]
        outbound = "pasta"
        [networks.tcp]
        [networks.closed]
        internal = true
        {box(busybox, "plain", ["tcp"], 8000)}
        {box(busybox, "inner", ["closed"], 8001)}
        {box(busybox, "both", ["closed", "default"], 8002)}
        """)
    needs_tun(p.locald)
    ruleset = subprocess.run(["nft", "list", "ruleset"], stdout=subprocess.PIPE, env={"PATH": PATH + ":/usr/sbin"}).stdout
    p("up", "-d", "--wait", "--timeout", "30s")
    assert http_get(p.port) == (200, "hi\n")
    heard(p, "web", "db", 5432, "rows")
    wait_until(lambda: looks_up(p, "db"), "UDP comes back", 10)
    assert p("exec", "db", "--", "ping", "-c", "1", "-W", "3", FAR, check=False).rc == 0
    # Nothing of the host's loopback, by none of the names that pasta has for it.
    for address in ("127.0.0.1", "203.0.113.2", "10.0.2.2"):
        assert not looks_up(p, "db", address), address
    # Neither from networks without it, nor between networks; one that is in both has the way out of the one.
    assert not looks_up(p, "plain") and not looks_up(p, "inner")
    address = {s: p.service(s)["networks"][0]["address"] for s in ("web", "plain", "inner")}
    for one, to, port in [("db", "plain", 8000), ("db", "inner", 8001), ("plain", "web", 80), ("plain", "inner", 8001), ("inner", "web", 80), ("inner", "plain", 8000)]:
        assert ask(p, one, address[to], port) == "", f"{one} reaches {to}"
    assert p("exec", "inner", "--", "ping", "-c", "1", "-W", "1", FAR, check=False).rc != 0
    # It is nobody's child: a new server continues with it.
    before = pasta(p)
    server = p.locald.server_pid()
    os.kill(server, signal.SIGKILL)
    wait_until(lambda: not alive(server), "it is dead")
    p("status")
    assert pasta(p) == before and looks_up(p, "db")
    # One that ends is followed by another.
    os.kill(before, signal.SIGKILL)
    wait_until(lambda: pasta(p) not in (None, before) and looks_up(p, "db"), "UDP comes back after its end", 10)
    assert http_get(p.port) == (200, "hi\n")
    p("down")
    p.locald.assert_nothing_left()
    assert not list((p.locald.home / "state/networks").glob("*.pasta*"))
    assert subprocess.run(["nft", "list", "ruleset"], stdout=subprocess.PIPE, env={"PATH": PATH + ":/usr/sbin"}).stdout == ruleset
    assert pathlib.Path("/proc/sys/net/ipv4/ip_forward").read_text() == "0\n"


def test_without_pasta_it_is_refused_before_anything_starts(project, busybox):
    p = shop(project, busybox, '[networks.default]\noutbound = "pasta"')
    if os.path.exists("/usr/bin/pasta"):
        if not hide(p.locald):
            pytest.skip("needs a machine without the package passt, or root")
    for verb in (["config", "check"], ["up", "-d"]):
        r = p(*verb, check=False)
        assert r.rc == 1 and "the program pasta is not in " in r.text and "apt-get install passt" in r.text and "locald.toml:" in r.text, r
    p.locald.assert_nothing_left()
    assert not (p.locald.home / "run/net/shop").exists()


def hide(locald):
    locald.hidden.append("/usr/bin/pasta")
    return os.geteuid() == 0


def test_outbound_none_leaves_the_projects_own_host_processes(project, busybox):
    """An internal network reaches nothing outside itself; this one reaches what of the host is the project's."""
    p = shop(project, busybox, '[networks.default]\noutbound = "none"')
    p("up", "-d", "--wait", "--timeout", "30s")
    assert http_get(p.port) == (200, "hi\n")
    heard(p, "web", "db", 5432, "rows")
    get = f"printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 3 api {p.host}"
    wait_until(lambda: p("exec", "db", "--", "sh", "-c", get, check=False).out.startswith("HTTP/1.0 200"), "api answers", 10)
    # Refused at once, not after a while.
    r = p("exec", "db", "--", "sh", "-c", "nc -w 30 198.51.100.1 80 < /dev/null", check=False)
    assert r.rc != 0 and "refused" in r.text and r.seconds < 10, r


def test_what_outbound_cannot_be(project, busybox):
    def told(more):
        p = shop(project, busybox, "[networks.default]\n" + more)
        r = p("config", "check", check=False)
        assert r.rc == 1, r
        return r.text
    assert 'is none of relay, pasta, none' in told('outbound = "nat"')
    assert "nothing leaves an internal network" in told('internal = true\noutbound = "pasta"')
    assert "`allow`" in told('outbound = "none"\nallow = ["169.254.0.0/16"]')
