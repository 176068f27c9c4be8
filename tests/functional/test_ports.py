"""Whose port it is: what is checked before a start, what health, `url` and the notice of open ports say of it."""
import contextlib
import socket
import subprocess

import images_by_hand as by_hand
import pytest
from support import free_port, http_get, port_open, wait_until

# Serves HTTP on ADDRESS:PORT.
SERVE = """
import http.server, os, socket, sys
class S(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
S((sys.argv[1], int(sys.argv[2])), http.server.SimpleHTTPRequestHandler).serve_forever()
"""


def has_ipv6():
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET6) as s:
        s.bind(("::1", 0))
        return True
    return False


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="needs IPv6 on loopback (::1)")


@contextlib.contextmanager
def listener(address, port=0, accept=False):
    """A stranger's: (port) it listens on."""
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind((address, port))
        s.listen(16)
        yield s.getsockname()[1]


@needs_ipv6
def test_a_port_that_a_stranger_has_on_ipv6_alone_is_in_use(project):
    with listener("::1") as port:
        p = project(f"""
            [project]
            name = "taken"
            [services.web]
            command = "exec sleep 1000"
            port = {port}
            health = {{ http = "/", interval = "100ms" }}
            """)
        r = p("up", "-d", "--wait", "--timeout", "20s", check=False)
        assert r.rc == 1 and f"port {port} is in use by " in r.text and ("python" in r.text or "a process of user root" in r.text), r
        assert p.service("web")["state"] == "failed"


def test_a_container_that_is_open_to_the_network_is_reported_whichever_user_it_runs_as(project, busybox):
    first, second = free_port(), free_port()
    p = project(f"""
        [project]
        name = "open"
        network = "host"
        [services.root]
        type = "container"
        image = "{busybox}"
        command = ["httpd", "-f", "-p", "0.0.0.0:{first}"]
        [services.other]
        type = "container"
        image = "{busybox}"
        user = "33"
        command = ["httpd", "-f", "-p", "0.0.0.0:{second}"]
        [services.closed]
        type = "container"
        image = "{busybox}"
        user = "33"
        command = ["httpd", "-f", "-p", "127.0.0.1:{free_port()}"]
        """)
    p("up", "-d")
    for name, port in (("root", first), ("other", second)):
        p.wait(name, lambda s: f"listens on 0.0.0.0:{port}" in (s["reason"] or ""), "its open port is reported", 10)
    assert p.service("closed")["reason"] is None


def test_a_port_in_use_is_waited_for_by_a_service_that_is_to_be_restarted(project):
    with listener("127.0.0.1") as port, listener("127.0.0.1") as second:
        p = project(f"""
            [project]
            name = "later"
            [services.web]
            command = ["python3", "serve.py", "127.0.0.1", "{port}"]
            port = {port}
            restart = "always"
            [services.once]
            command = "exec sleep 1000"
            port = {second}
            [services.use]
            command = "exec sleep 1000"
            depends_on = {{ web = "started" }}
            """, files={"serve.py": SERVE})
        r = p("up", "-d", "--wait", "--timeout", "30s", check=False)
        assert r.rc == 1 and f"port {port} is in use by " in r.text and r.seconds < 20, r
        s = p.status()
        assert s["web"]["state"] == "crash-loop" and f"port {port} is in use by " in s["web"]["reason"] and "next try after" in s["web"]["reason"]
        assert s["once"]["state"] == "failed", "restart = \"no\" ends where it failed"
        assert s["use"]["state"] == "waiting" and "waits for web to start" in s["use"]["reason"]
    s = p.wait("web", lambda s: s["state"] == "running", "the port is free, and it starts", 30)
    assert s["restarts"] == 0
    p.wait("use", lambda s: s["state"] == "running", "what waited for it starts")
    wait_until(lambda: (http_get(port) or [0])[0] == 200, "it serves")


def test_a_port_in_time_wait_holds_up_the_next_start_and_ends_nothing(project):
    port = free_port()
    p = project(f"""
        [project]
        name = "lingers"
        [services.s]
        command = ["python3", "once.py", "{port}"]
        port = {port}
        restart = "always"
        """, files={"once.py": """
        import socket, sys
        s = socket.socket(); s.bind(("127.0.0.1", int(sys.argv[1]))); s.listen()
        c, _ = s.accept(); c.close()
        """})
    p("up", "-d")

    def connect():
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1) as c:
            return c.recv(1) == b""
    wait_until(connect, "it has closed a connection")
    s = p.wait("s", lambda s: "(TIME_WAIT)" in (s["reason"] or ""), "the reason says what holds the port")
    assert s["state"] == "crash-loop" and "next try after" in s["reason"], s
    # For a minute: that it comes back is the same code as when another process leaves.


def test_a_registry_that_is_down_holds_up_the_start_and_a_name_it_does_not_know_ends_it(project, busybox_layer):
    port = free_port()
    p = project(f"""
        [project]
        name = "pulls"
        [services.later]
        type = "container"
        image = "127.0.0.1:{port}/test/image:1"
        command = ["sleep", "1000"]
        restart = "on-failure"
        [services.never]
        type = "container"
        image = "oci:nowhere:1"
        restart = "always"
        """)
    p("up", "-d", check=False)
    s = p.wait("later", lambda s: s["state"] == "crash-loop" and "next try after" in s["reason"], "it is to be tried again")
    assert f"nobody answers at 127.0.0.1:{port}" in s["reason"], s
    assert p.service("never")["state"] == "failed", "an image that is not there will not be there by itself"
    registry = by_hand.FakeRegistry(port=port)
    try:
        blobs, manifest = by_hand.image([busybox_layer], {"Cmd": ["/bin/sh"]})
        registry.put(blobs, manifest)
        s = p.wait("later", lambda s: s["state"] == "running", "the registry is there, and so is the image", 30)
        assert s["restarts"] == 0
        registry.answers.clear()
        p("down")
        p.write("locald.toml", f"""
            [project]
            name = "pulls"
            [services.gone]
            type = "container"
            image = "127.0.0.1:{port}/test/other:1"
            restart = "always"
            """)
        r = p("up", "-d", check=False)
        assert r.rc == 1 and "404" in r.text and p.service("gone")["state"] == "failed", r
    finally:
        registry.close()


@needs_ipv6
def test_a_service_on_ipv6_alone_is_reached_there_by_everybody(project):
    port = free_port()
    p = project(f"""
        [project]
        name = "six"
        [services.web]
        command = ["python3", "serve.py", "::1", "{port}"]
        port = {port}
        health = {{ http = "/", interval = "200ms" }}
        [services.use]
        command = ["python3", "-c", "import os, time; print('url=' + os.environ['URL'], 'at=' + os.environ['AT'], flush=True); time.sleep(1000)"]
        env = {{ URL = "${{services.web.url}}", AT = "${{services.web.host}}:${{services.web.port}}" }}
        depends_on = {{ web = "healthy" }}
        [services.unchecked]
        command = ["python3", "serve.py", "::1", "{(other := free_port())}"]
        port = {other}
        """, files={"serve.py": SERVE})
    p("up", "-d", "--wait", "--timeout", "20s")
    assert p.service("web")["url"] == f"http://[::1]:{port}"
    p.logs_with("use", f"url=http://[::1]:{port} at=[::1]:{port}")
    p.wait("unchecked", lambda s: s["url"] == f"http://[::1]:{other}", "without a health check it is found too", 10)
    pids = {n: s["pid"] for n, s in p.status().items()}
    p("server", "stop")
    p("up", "-d")
    assert {n: s["pid"] for n, s in p.status().items()} == pids, "nothing has changed"
    p.wait("web", lambda s: s["url"] == f"http://[::1]:{port}", "the next server finds it too", 10)
    p("restart", "use")
    p.logs_with("use", f"url=http://[::1]:{port}")


def test_a_strangers_port_makes_no_service_healthy(project):
    port = free_port()
    p = project(f"""
        [project]
        name = "stranger"
        [services.web]
        command = "exec sleep 1000"
        port = {port}
        health = {{ tcp = true, interval = "100ms", start_period = "300ms", retries = 2 }}
        """)
    p("up", "-d")
    with listener("127.0.0.1", port):
        s = p.wait("web", lambda s: s["health"] == "unhealthy", "whoever answers, it is not the service", 10)
        assert f"port {port} belongs to " in s["reason"] and "not to this service" in s["reason"], s
    s = p.wait("web", lambda s: f"nothing listens on port {port}" in s["reason"], "the stranger is gone")
    assert s["health"] == "unhealthy"


def test_a_strangers_port_makes_no_service_healthy_whose_processes_are_hidden(project):
    """Where a process of a service may not be looked into (ssh-agent, sudo), its user's listeners could be its own: but not one that somebody
    else is seen to hold."""
    port = free_port()
    p = project(f"""
        [project]
        name = "stranger"
        [services.web]
        command = "python3 hide.py & exec sleep 1000"
        port = {port}
        health = {{ tcp = true, interval = "100ms", start_period = "300ms", retries = 2 }}
        """, "p", {"hide.py": "import ctypes, time\nctypes.CDLL(None).prctl(4, 0)\nprint('hidden', flush=True)\ntime.sleep(1000)\n"})
    p("up", "-d")
    p.logs_with("web", "hidden")
    serve = subprocess.Popen(["python3", "-m", "http.server", "--bind", "127.0.0.1", str(port)], cwd="/", stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL, **p.locald.identity.popen_args())
    try:
        wait_until(lambda: port_open(port), "the stranger listens")
        # Before the stranger listened it may have been unhealthy for another reason.
        p.wait("web", lambda s: s["health"] == "unhealthy" and "not to this service" in s["reason"], "the stranger's port is not the service's", 10)
    finally:
        serve.kill()
        serve.wait()


def test_a_listener_that_is_handed_to_a_child_is_the_services(project, busybox):
    port, inner = free_port(), free_port()
    p = project(f"""
        [project]
        name = "handed"
        network = "host"
        [services.web]
        command = ["python3", "hand.py", "{port}"]
        port = {port}
        health = {{ http = "/", interval = "100ms" }}
        [services.box]
        type = "container"
        image = "{busybox}"
        user = "33"
        command = ["httpd", "-f", "-p", "127.0.0.1:{inner}"]
        container_port = {inner}
        health = {{ tcp = true, interval = "100ms" }}
        """, files={"hand.py": """
            import http.server, os, socket, subprocess, sys
            if len(sys.argv) == 2:  # the parent: it listens, and a process of its own session serves
                s = socket.create_server(("127.0.0.1", int(sys.argv[1])))
                subprocess.Popen([sys.executable, sys.argv[0], "serve", str(s.fileno())], pass_fds=[s.fileno()], start_new_session=True)
                s.close()
                import time; time.sleep(1000)
            h = http.server.HTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler, bind_and_activate=False)
            h.socket = socket.socket(fileno=int(sys.argv[2]))
            h.serve_forever()
            """})
    p("up", "-d", "--wait", "--timeout", "20s")
    assert p.service("web")["health"] == "healthy" and p.service("box")["health"] == "healthy"
    assert p.service("web")["url"] == f"http://127.0.0.1:{port}"
