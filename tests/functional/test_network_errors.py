"""Networks where something is missing: subordinate ids, nf_tables; and what a file cannot mean, at its place."""
import ctypes
import json
import os
import platform
import struct

import pytest
from support import free_port, http_get, wait_until
from test_network import ANSWER, heard

SHOP = """
    [project]
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
    command = {answer}
    container_port = 5432
    """


def shop(project, busybox):
    port = free_port()
    p = project(SHOP.format(busybox=busybox, port=port, answer=json.dumps(ANSWER.format(port=5432, word="rows"))), name="shop")
    p.port = port
    return p


@pytest.mark.single_id(only=True)
def test_a_single_id_is_enough_for_networks(project, busybox):
    p = shop(project, busybox)
    p("up", "-d", "--wait", "--timeout", "30s")
    assert http_get(p.port) == (200, "hi\n")
    heard(p, "web", "db", 5432, "rows")
    checks = {c["name"]: c["status"] for c in json.loads(p.locald("doctor", "--json", check=False).out)["checks"]}
    assert checks["networks"] == checks["netd"] == "ok", checks
    p("down")
    p.locald.assert_nothing_left()


def without_nf_tables():
    """From here on, sockets to netfilter do not exist: as on a kernel without nf_tables."""
    libc = ctypes.CDLL(None, use_errno=True)
    socket_call = {"x86_64": 41, "aarch64": 198}[platform.machine()]

    def ins(code, true, false, k):
        return struct.pack("HBBI", code, true, false, k)
    program = b"".join([
        ins(0x20, 0, 0, 0), ins(0x15, 0, 5, socket_call),  # the call's number
        ins(0x20, 0, 0, 16), ins(0x15, 0, 3, 16),  # its first argument: AF_NETLINK
        ins(0x20, 0, 0, 32), ins(0x15, 0, 1, 12),  # its third: NETLINK_NETFILTER
        ins(0x06, 0, 0, 0x00050000 | 93),  # EPROTONOSUPPORT
        ins(0x06, 0, 0, 0x7FFF0000)])
    text = ctypes.create_string_buffer(program)
    filters = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(text)))
    if os.geteuid() != 0:
        libc.prctl(38, 1, 0, 0, 0)
    if libc.prctl(22, 2, filters, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "seccomp")


@pytest.mark.single_id
def test_without_nf_tables_the_error_names_the_next_step(project, busybox):
    p = shop(project, busybox)
    # The server that this starts has the filter, and so has all that it starts.
    started = p.popen("status", preexec_fn=without_nf_tables)
    said = started.communicate(timeout=30)
    assert started.returncode == 0 and p.locald.server_pid() is not None, said
    r = p("up", "-d", check=False)
    assert r.rc == 1 and "this kernel's nf_tables cannot do what the networks of a project need" in r.text, r
    assert "modprobe" in r.text and 'write network = "host"' in r.text, r
    checks = {c["name"]: c for c in json.loads(p.locald("doctor", "--json", check=False).out)["checks"]}
    assert checks["networks"]["status"] == "fail" and "nf_tables" in checks["networks"]["message"] and "modprobe" in checks["networks"]["hint"], checks
    assert "netd" not in checks
    # Nothing half-made: no netd, no namespace that somebody holds, no container.
    wait_until(lambda: not any("locald-netd" in c or "locald-shim" in c for c in p.locald.processes().values()), "nothing runs")
    assert not os.path.exists(p.locald.home / "run/net") or os.listdir(p.locald.home / "run/net") == []
    server = p.locald.server_pid()
    own = os.readlink("/proc/self/ns/net")
    held = [os.readlink(f"/proc/{server}/fd/{fd}") for fd in os.listdir(f"/proc/{server}/fd") if os.path.islink(f"/proc/{server}/fd/{fd}")]
    assert [t for t in held if t.startswith("net:[") and t != own] == [], held
    # What needs none of it runs, on the same server.
    p.write("locald.toml", f"""
        [services.box]
        type = "container"
        image = "{busybox}"
        network = "none"
        command = "sleep 1000"
        stop_timeout = "0s"
        """)
    p("up", "-d")
    assert p.service("box")["state"] == "running"
    p("down")
    p.locald.assert_nothing_left()


PLACES = [
    ('[networks.back]\nsubnet = "127.0.0.0/8"', "", "locald.toml:2:10: invalid subnet 127.0.0.0/8"),
    ('[networks.back]\nallow = ["10.0.0.0/8"]', "", "locald.toml:2:10: `allow` of 10.0.0.0/8"),
    ('[networks.back]\nsubnet = "10.64.0.0/10"', 'networks = ["back"]', "locald.toml:2:10: network back: "),
    ("", 'networks = ["default", { name = "default" }]', "names default twice"),
    ("", "networks = []", "`networks` names no network"),
    ("", "ports = [\"127.0.0.1:80\"]\nnetwork = \"project\"", "a port of 127.0.0.1 is missing"),
]


@pytest.mark.parametrize("table, lines, said", PLACES, ids=[p[2][:40] for p in PLACES])
def test_what_cannot_be_is_said_at_its_key(project, busybox, table, lines, said):
    p = project(f"{table}\n[services.box]\ntype = \"container\"\nimage = \"{busybox}\"\n{lines}\n")
    for verb in (["config", "check"], ["up", "-d"]):
        r = p(*verb, check=False)
        assert r.rc != 0 and said in r.text, r


def test_an_unused_network_is_noticed(project, busybox):
    p = project(f'[networks.back]\n[services.box]\ntype = "container"\nimage = "{busybox}"\nnetwork = "project"\ncommand = "sleep 1000"\n')
    for verb in (["config", "check"], ["up", "-d"]):
        r = p(*verb)
        assert "network back (line 1): no service is in it" in r.text, r
