"""`container run` and networks: one of its own, none, the host's, one of a project's; published ports."""
import os
import signal

from support import alive, free_port, http_get, wait_until

SERVE = "mkdir -p /tmp/www; echo hi > /tmp/www/index.html; exec httpd -f -p 80 -h /tmp/www"


def fetch(name):
    """Looked up by DNS, which /etc/hosts would hide, and because wget of a busybox that is linked statically crashes where it has to."""
    return ["sh", "-c", f"at=$(nslookup {name} | awk '/^Name/ {{ n = 1 }} n && /^Address/ {{ print $2; exit }}'); test -n \"$at\" && wget -q -O - http://$at"]


def listed(locald, name):
    return next(c for c in locald("container", "ls", "--json").json()["containers"] if c["name"] == name)


def test_each_has_a_network_of_its_own_unless_told_otherwise(locald, busybox):
    run = ["container", "run", "--rm"]
    own = locald(*run, busybox, "ip", "-o", "link").out
    assert "eth0" in own and len(own.splitlines()) == 2, own
    assert "eth0" not in locald(*run, "--network", "none", busybox, "ip", "-o", "link").out
    host = open("/proc/net/dev").read().count(":")
    assert len(locald(*run, "--network", "host", busybox, "ip", "-o", "link").out.splitlines()) == host
    assert locald(*run, "--name", "me", busybox, "sh", "-c", "ping -c 1 -w 2 me | head -1; cat /etc/resolv.conf").out.count("127.0.0.11") == 1
    # The first that it does is to ask: netd may not be there yet, and the question waits for it.
    for _ in range(5):
        assert "10." in locald(*run, "--name", "me", busybox, "nslookup", "me").out.rsplit("Name:", 1)[-1]
    assert "container." not in (locald.home / "state/networks.json").read_text() if (locald.home / "state/networks.json").exists() else True
    locald.assert_nothing_left()


def test_its_ports_are_published_and_outlive_the_server(locald, busybox):
    port = free_port()
    locald("container", "run", "-d", "--name", "web", "-p", f"{port}:80", "-p", "127.0.0.1::81", busybox, "sh", "-c", SERVE)
    wait_until(lambda: http_get(port), "the published port leads to it")
    ports = listed(locald, "web")["ports"]
    assert ports[0] == {"address": "127.0.0.1", "port": port, "container_port": 80, "protocol": "tcp"}
    assert ports[1]["container_port"] == 81 and ports[1]["port"] > 1023, ports
    assert f"127.0.0.1:{port}" in locald("ports").out and any(p["service"] == "web" for p in locald("ports", "--json").json()["ports"])
    r = locald("container", "run", "--rm", "-p", f"{port}:80", busybox, "true", check=False)
    assert r.rc == 125 and f"port {port}" in r.err and "in use" in r.err, r
    server = locald.server_pid()
    os.kill(server, signal.SIGKILL)
    wait_until(lambda: not alive(server), "it is dead")
    assert http_get(port)[0] == 200  # nobody is needed for that
    assert listed(locald, "web")["ports"] == ports
    assert http_get(port)[0] == 200
    locald("container", "rm", "-f", "web")
    assert http_get(port) is None
    locald.assert_nothing_left()


def test_one_joins_a_project_and_is_found_there_by_name(project, busybox):
    p = project(f"""
        [project]
        name = "shop"
        [services.web]
        type = "container"
        image = "{busybox}"
        command = {["sh", "-c", SERVE]}
        networks = ["front"]
        [services.aside]
        type = "container"
        image = "{busybox}"
        command = ["sleep", "1000"]
        [networks.front]
        """)
    p("up", "-d")
    run = ["container", "run", "--rm", "--network"]
    wait_until(lambda: p(*run, "shop/front", busybox, *fetch("web"), check=False).out == "hi\n", "it finds a service by name")
    assert p(*run, "shop", busybox, *fetch("web"), check=False).out == "", "web is in no network with it"
    p("container", "run", "-d", "--name", "guest", "--network", "shop/front", busybox, "sh", "-c", SERVE)
    wait_until(lambda: p("exec", "web", "--", *fetch("guest"), check=False).out == "hi\n", "a service finds it by name")
    server = p.locald.server_pid()
    os.kill(server, signal.SIGKILL)
    wait_until(lambda: not alive(server), "it is dead")
    p("restart", "web")
    wait_until(lambda: p("exec", "web", "--", *fetch("guest"), check=False).out == "hi\n", "the next server has it in its plan")
    for network, said in (("shop/back", "no network back"), ("none-such", "not up")):
        r = p(*run, network, busybox, "true", check=False)
        assert r.rc == 125 and said in r.err and "hint: " in r.err, r
    r = p(*run, "shop", "--name", "web", busybox, "true", check=False)
    assert r.rc == 125 and "web is taken" in r.err, r
    r = p(*run, "host", "-p", "80:80", busybox, "true", check=False)
    assert r.rc == 125 and "-p 80:80" in r.err, r
    server = p.locald.server_pid()
    p("container", "run", "--name", "over", "--network", "shop/front", busybox, "true")
    p.locald.at_rest()
    p("container", "rm", "over")
    assert p.locald.server_pid() == server, "one that has ended is removed once, and the server lives on"
    p("container", "rm", "-f", "guest")
    p("down")
    p.locald.assert_nothing_left()
