"""A netd of another version, which a newer locald finds: another one takes its place, and no port closes."""
import os
import shutil
import signal
import socket
import subprocess
import threading

import pytest
from support import Locald, Project, alive, free_port, wait_until
from test_network import netd


@pytest.fixture
def older(dist, locald):
    """The same programs, but for a netd that says that it is of an earlier version."""
    if not (dist / "bin/locald-netd-older").exists():
        pytest.skip("needs bin/locald-netd-older: a build with tests makes it")
    folder = locald.home / "older"
    shutil.copytree(dist, folder)
    shutil.copy2(folder / "bin/locald-netd-older", folder / "libexec/locald/locald-netd")
    locald.identity.own(folder)
    return Locald(folder, locald.identity, locald.home)


def shop(locald, busybox, other=None):
    """`web` answers with a page, `echo` says what it hears for as long as it is asked. @param other  of another locald: the same project"""
    p = Project(locald, locald.home / "user/shop", (other.dir / "locald.toml").read_text() if other else f"""
        [project]
        name = "shop"
        [services.web]
        type = "container"
        image = "{busybox}"
        command = "mkdir /www; echo hi > /www/index.html; exec httpd -f -p 80 -h /www"
        port = {free_port()}
        container_port = 80
        [services.echo]
        type = "container"
        image = "{busybox}"
        command = "while :; do nc -l -p 7 -e cat; done"
        ports = ["{free_port()}:7"]
        """)
    p.name = "shop"
    return p


def page(port):
    """What is at http://127.0.0.1:PORT/; None: refused, "": closed or reset."""
    with socket.socket() as s:
        s.settimeout(10)
        try:
            s.connect(("127.0.0.1", port))
            s.sendall(b"GET / HTTP/1.0\r\n\r\n")
            heard = b""
            while piece := s.recv(4096):
                heard += piece
            return heard.decode()
        except ConnectionRefusedError:
            return None
        except ConnectionError:
            return ""


def connected(port):
    """A connection to the service `echo`, once it listens."""
    def attempt():
        s = socket.create_connection(("127.0.0.1", port), timeout=10)
        try:
            s.sendall(b"one\n")
            if s.recv(100) == b"one\n":
                return s
        except ConnectionError:
            pass
        s.close()
        return None
    return wait_until(attempt, "it is connected")


class Knocking(threading.Thread):
    """Connects to a port again and again: what was refused is counted."""

    def __init__(self, port):
        super().__init__()
        self.port, self.refused, self.taken, self.done = port, 0, 0, threading.Event()
        self.start()

    def run(self):
        while not self.done.is_set():
            heard = page(self.port)
            if heard is None:
                self.refused += 1
            elif "hi" in heard:
                self.taken += 1

    def end(self):
        self.done.set()
        self.join()


def test_a_network_comes_once_there_is_room_on_the_disk(locald, busybox):
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    records = locald.home / "state/networks"
    locald("status", "--all")  # a server makes its own folders
    records.mkdir(exist_ok=True)
    locald.identity.own(records)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size=4k,mode=700,uid={locald.identity.uid},gid={locald.identity.gid}", "tmpfs", records], check=True)
    locald.own_mounts.append(str(records))
    try:
        (records / "filler").write_bytes(b"x" * 4096)
        p = shop(locald, busybox)
        p("up", "-d")
        log = locald.home / "state/server.log"
        wait_until(lambda: "network of shop: " in log.read_text() and "No space left on device" in log.read_text(), "its netd cannot be noted")
        assert all(s["state"] == "running" for s in p.status().values())
        (records / "filler").unlink()
        wait_until(lambda: "hi" in (page(p.service("web")["port"]) or ""), "what waited in the sockets is carried", 20)
        assert log.read_text().count("network of shop: ") == 1, "once, however often it is tried"
        p("down")
    finally:
        subprocess.run(["umount", "--lazy", records], check=True)


@pytest.mark.parametrize("then", ["its last connection ends", "the project goes down", "the server is killed"])
def test_another_netd_takes_the_sockets_of_one_of_another_version(locald, older, busybox, then):
    before = shop(older, busybox)
    before("up", "-d")
    first = netd(before)["pid"]
    p = shop(locald, busybox, before)
    echo, web = (p.service(name)["port"] for name in ("echo", "web"))
    status = {n: s["shim_pid"] for n, s in p.status().items()}

    def says(line):
        s.sendall(line)
        return s.recv(100)

    with connected(echo) as s:
        knocking = Knocking(web)
        try:
            older("server", "stop")
            p("status")  # starts a server
            wait_until(lambda: netd(p)["pid"] != first, "another netd has taken its place")
            assert says(b"two\n") == b"two\n", "the connection of before"
            assert "hi" in p("exec", "echo", "--", "wget", "-q", "-O", "-", "http://web/").out
            wait_until(lambda: knocking.taken > 50, "connections after it")
        finally:
            knocking.end()
        assert knocking.refused == 0
        assert {n: s["shim_pid"] for n, s in p.status().items()} == status
        assert alive(first) and says(b"three\n") == b"three\n"
        assert [one["pid"] for one in netd(p)["retiring"]] == [first]
        second = netd(p)["pid"]
        if then == "the server is killed":
            os.kill(locald.server_pid(), signal.SIGKILL)
            wait_until(lambda: locald.server_pid() is None, "it is dead")
            wait_until(lambda: p("status", check=False).rc == 0, "a server runs")
            assert netd(p)["pid"] == second and says(b"four\n") == b"four\n"
        if then == "the project goes down":
            p("down")
            assert not alive(first) and not alive(second)
            assert s.recv(100) == b""
    if then != "the project goes down":
        wait_until(lambda: not alive(first), "it has ended with its last connection")
        assert "hi" in page(web) and alive(second)
        p("down")
    locald.assert_nothing_left()
