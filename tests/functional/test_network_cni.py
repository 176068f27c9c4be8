"""[networks.NAME] cni: networks whose links CNI plugins make, in the project's sandbox."""
import json
import os
import signal
import socket
import subprocess

import pytest
from support import alive, free_port, http_get, wait_until
from test_network import ANSWER, ask, heard, host_network

PLUGINS = "/usr/lib/cni"
needs_plugins = pytest.mark.skipif(not os.path.exists(PLUGINS + "/bridge"), reason="needs the package containernetworking-plugins")

SUBNET = "10.100.7.0/24"
BRIDGE = {"type": "bridge", "bridge": "cni0", "mtu": 65520, "capabilities": {"ips": True, "mac": True},
          "ipam": {"type": "static", "routes": [{"dst": "0.0.0.0/0", "gw": "10.100.7.1"}]}}
LEASES = {"type": "host-local", "ranges": [[{"subnet": SUBNET}]], "routes": [{"dst": "0.0.0.0/0"}]}


def conflist(*plugins, version="1.0.0", **more):
    return json.dumps({"cniVersion": version, "name": "back", "plugins": plugins, **more})


def shop(project, busybox, network, plugins=None, name="shop", **files):
    port, host = free_port(), free_port()
    p = project(f"""
        [networks.back]
        {network}
        [services.web]
        type = "container"
        image = "{busybox}"
        networks = ["back"]
        command = "echo hi > /www/index.html; exec httpd -f -p 80 -h /www"
        tmpfs = ["/www"]
        port = {port}
        container_port = 80
        stop_timeout = "0s"
        health = {{ http = "/", interval = "100ms" }}
        [services.db]
        type = "container"
        image = "{busybox}"
        networks = [{{ name = "back", aliases = ["pg"] }}]
        command = {json.dumps(ANSWER.format(port=5432, word="rows"))}
        container_port = 5432
        stop_timeout = "0s"
        [services.api]
        command = "exec python3 -m http.server {host} --bind 127.0.0.1"
        port = {host}
        health = {{ tcp = true, interval = "100ms" }}
        """, name=name, files=files if plugins is None else {"back.conflist": conflist(*plugins), **files})
    p.port, p.host = port, host
    return p


def state(p, service="web"):
    """What the service's namespace has: links, addresses, MACs, routes."""
    out = p("exec", service, "--", "sh", "-c", "ip addr show eth0; ip route; ip -6 addr show scope global dev eth0; cat /sys/class/net/eth0/mtu; cat /etc/resolv.conf; ip link show lo").out
    # Numbers of links and of their other ends are the kernel's choice; what has no queue has no use for its length.
    out = out.replace(" qlen 1000", "").replace(" tentative", "")
    return [line.split(": ", 1)[-1].replace("@" + line.split("@")[1].split(":")[0], "").strip() if "@" in line else line.strip() for line in out.splitlines() if "valid_lft" not in line]


def reaches_everything(p):
    wait_until(lambda: http_get(p.port) == (200, "hi\n"), "web answers at its published port", 10)
    heard(p, "web", "db", 5432, "rows")
    heard(p, "web", "pg", 5432, "rows")
    # By way of the relay, as every connection to the outside.
    get = f"printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 3 api {p.host}"
    wait_until(lambda: p("exec", "db", "--", "sh", "-c", get, check=False).out.startswith("HTTP/1.0 200"), "api answers", 10)
    with socket.socket() as stranger:
        stranger.bind(("127.0.0.1", 0))
        stranger.listen()
        assert ask(p, "db", "api", stranger.getsockname()[1]) == ""


@needs_plugins
def test_bridge_and_static_make_the_same_network_as_the_built_in_code(project, busybox):
    builtin = shop(project, busybox, f'subnet = "{SUBNET}"', name="builtin")
    builtin("up", "-d", "--wait", "--timeout", "30s")
    expected, networks = state(builtin), builtin.service("web")["networks"]
    reaches_everything(builtin)
    builtin("down")
    before = host_network()
    p = shop(project, busybox, f'subnet = "{SUBNET}"\ncni = "back.conflist"', [BRIDGE])
    p("up", "-d", "--wait", "--timeout", "30s")
    assert state(p) == expected
    assert p.service("web")["networks"] == networks == [{"name": "back", "address": expected_address(expected)}]
    reaches_everything(p)
    assert host_network() == before
    p("restart", "web")
    assert state(p) == expected
    p("down")
    p.locald.assert_nothing_left()
    assert host_network() == before and not (p.locald.home / "state/cni/shop").exists()


def expected_address(lines):
    return next(line for line in lines if line.startswith("inet ")).split()[1].split("/")[0]


@needs_plugins
@pytest.mark.parametrize("plugin", [{"type": "ptp", "ipam": LEASES}, {"type": "bridge", "bridge": "cni0", "isGateway": True, "ipMasq": False, "ipam": LEASES}], ids=["ptp", "bridge"])
def test_plugins_that_choose_the_addresses(project, busybox, plugin):
    p = shop(project, busybox, 'cni = "back.conflist"', [plugin])
    before = host_network()
    p("up", "-d", "--wait", "--timeout", "30s")
    for service in ("web", "db"):
        address = p.service(service)["networks"][0]["address"]
        assert address.startswith("10.100.7.") and f"inet {address}/" in p("exec", service, "--", "ip", "addr").out
    reaches_everything(p)
    assert "10.100.7.1" in p("exec", "web", "--", "ip", "route").out
    # Their CHECK finds all as they made it.
    p("restart", "db", "web")
    reaches_everything(p)
    assert "connected again" not in (p.locald.home / "state/server.log").read_text()
    assert host_network() == before
    p("down")
    p.locald.assert_nothing_left()
    assert host_network() == before


@needs_plugins
def test_a_network_of_plugins_is_apart_from_the_others_even_where_plugins_forward(project, busybox):
    p = shop(project, busybox, 'cni = "back.conflist"', [{"type": "ptp", "ipam": LEASES}])
    p.write("locald.toml", (p.dir / "locald.toml").read_text() + f"""
[networks.closed]
internal = true
[services.other]
type = "container"
image = "{busybox}"
networks = ["default"]
command = {json.dumps(ANSWER.format(port=8000, word="other"))}
[services.inner]
type = "container"
image = "{busybox}"
networks = ["closed"]
command = {json.dumps(ANSWER.format(port=8000, word="inner"))}
""")
    p("up", "-d", "--wait", "--timeout", "30s")
    reaches_everything(p)
    address = {s: p.service(s)["networks"][0]["address"] for s in ("web", "other", "inner")}
    for one, to, port in [("web", "other", 8000), ("web", "inner", 8000), ("other", "web", 80), ("other", "inner", 8000), ("inner", "web", 80), ("inner", "other", 8000)]:
        assert ask(p, one, address[to], port) == "", f"{one} reaches {to}"


def portmap_works():
    """Rules as portmap makes them, in a namespace of its own."""
    rules = "iptables -t nat -N X && iptables -t nat -A X -m comment --comment x -m multiport -p tcp --destination-ports 80 -j MARK --set-xmark 0x2000/0x2000 && " \
            "iptables -t nat -A X -p tcp --dport 80 -j DNAT --to-destination 10.0.0.1:80 && iptables -t nat -A PREROUTING -m addrtype --dst-type LOCAL -j X && " \
            "iptables -t nat -A POSTROUTING -m mark --mark 0x2000/0x2000 -j MASQUERADE"
    command = ["unshare", "--net", "sh", "-c", rules] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", "--net", "sh", "-c", rules]
    try:
        return subprocess.run(command, env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    except FileNotFoundError as e:
        return subprocess.CompletedProcess(command, 1, str(e))


@needs_plugins
def test_portmap_maps_published_ports_inside_the_sandbox(project, busybox):
    tried = portmap_works()
    if tried.returncode != 0:
        pytest.skip(f"needs iptables with the modules that portmap uses: {tried.stdout.strip()}")
    p = shop(project, busybox, 'cni = "back.conflist"', [{"type": "bridge", "bridge": "cni0", "isGateway": True, "hairpinMode": True, "ipam": LEASES},
                                                          {"type": "portmap", "capabilities": {"portMappings": True}, "snat": True}])
    before = host_network()
    p("up", "-d", "--wait", "--timeout", "30s")
    reaches_everything(p)
    # At the gateway's address, from another service and from itself.
    get = f"printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 3 10.100.7.1 {p.port}"
    for service in ("db", "web"):
        assert "200 OK" in p("exec", service, "--", "sh", "-c", get, check=False).out, service
    assert host_network() == before
    p("down")
    p.locald.assert_nothing_left()
    assert host_network() == before


class Own:
    """A plugin of the test's: passes on to Debian's `bridge`, and writes down how it is called."""

    def __init__(self, p, body=""):
        self.folder = p.dir / "plugins"
        p.write("plugins/own", f"""
            #!/bin/sh
            config=$(cat)
            echo "$CNI_COMMAND $CNI_CONTAINERID $CNI_IFNAME" >> {self.folder}/calls
            {body}
            printf %s "$config" | {PLUGINS}/bridge
            """, mode=0o755)
        p.write("plugins/calls", "", mode=0o666)
        settings = p.locald.home / "config.toml"
        settings.write_text(f'cni_path = ["{self.folder}", "{PLUGINS}"]\ncni_timeout = "2s"\n')
        p.locald.identity.own(settings)
        p.locald.identity.own(self.folder)

    def calls(self):
        return [line.split() for line in (self.folder / "calls").read_text().splitlines()]


OWN = {**BRIDGE, "type": "own"}
NETWORK = f'subnet = "{SUBNET}"\ncni = "back.conflist"'


@needs_plugins
def test_each_attachment_is_made_once_checked_at_a_restart_and_deleted(project, busybox):
    p = shop(project, busybox, NETWORK, [OWN])
    own = Own(p, body=f'if [ "$CNI_COMMAND" = CHECK ] && [ -e {p.dir}/broken ]; then echo \'{{"code": 9, "msg": "it is broken"}}\'; exit 1; fi')
    p("up", "-d", "--wait", "--timeout", "30s")
    assert sorted(c[0] for c in own.calls()) == ["ADD", "ADD"]
    web = next(c[1] for c in own.calls() if ".web." in c[1])
    p("restart", "web")
    assert own.calls()[2:] == [["CHECK", web, "eth0"]]
    # Without a server nothing changes, and the next one knows what is there.
    server = p.locald.server_pid()
    os.kill(server, signal.SIGKILL)
    wait_until(lambda: not alive(server), "it is dead")
    p("status")
    reaches_everything(p)
    assert len(own.calls()) == 3
    p.write("broken", "")
    p("restart", "web")
    assert [c[0] for c in own.calls()[3:]] == ["CHECK", "DEL", "ADD"], own.calls()
    (p.dir / "broken").unlink()
    reaches_everything(p)
    p("down")
    assert [c[0] for c in own.calls()[6:]] == ["DEL", "DEL"], own.calls()
    added = [c[1] for c in own.calls() if c[0] == "ADD"]
    assert len(set(added)) == 3 and sorted(added) == sorted(c[1] for c in own.calls() if c[0] == "DEL")
    p.locald.assert_nothing_left()


@needs_plugins
def test_what_an_earlier_server_left_is_deleted(project, busybox):
    p = shop(project, busybox, NETWORK, [OWN])
    own = Own(p)
    p("up", "-d", "--wait", "--timeout", "30s")
    relay = json.loads((p.locald.home / "run/net/shop/netd.json").read_text())["pid"]
    for pid in [p.locald.server_pid(), relay, *(s["shim_pid"] for s in p.status().values())]:
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda pid=pid: not alive(pid), "it is dead")
    p("up", "-d", "--wait", "--timeout", "30s")
    reaches_everything(p)
    assert sorted(c[0] for c in own.calls()) == ["ADD"] * 4 + ["DEL"] * 2, own.calls()
    p("down")
    p.locald.assert_nothing_left()
    assert not (p.locald.home / "state/cni/shop").exists()


@needs_plugins
@pytest.mark.parametrize("damage", ["{", '{"format": 1, "places": {"x": {"service": 7}}}', '{"format": 99, "places": {}}', ""], ids=["cut", "another type", "of a newer locald", "empty"])
def test_a_damaged_record_of_attachments_ends_nothing(project, busybox, damage):
    """Services run on; what was made is made again with their next start, and all goes with `down`."""
    p = shop(project, busybox, NETWORK, [OWN])
    own = Own(p)
    p("up", "-d", "--wait", "--timeout", "30s")
    pids = {name: s["pid"] for name, s in p.status().items()}
    server = p.locald.server_pid()
    os.kill(server, signal.SIGKILL)
    wait_until(lambda: not alive(server), "it is dead")
    (p.locald.home / "state/cni/shop/places.json").write_text(damage)
    assert {name: s["pid"] for name, s in p.status().items()} == pids
    wait_until(lambda: "network of shop: " in (p.locald.home / "state/server.log").read_text(), "the new server has said so")
    p("restart", "web", "db")
    reaches_everything(p)
    p("down")
    assert len([c for c in own.calls() if c[0] == "DEL"]) >= 2, own.calls()
    p.locald.assert_nothing_left()
    assert not (p.locald.home / "state/cni/shop").exists()


@needs_plugins
@pytest.mark.parametrize("how", ["fails", "hangs", "lies"])
def test_a_plugin_that_does_not_do_its_work(project, busybox, how):
    """It is named, with what it says; nothing half-made is left, and other networks are not in the way."""
    body = {"fails": '[ $CNI_COMMAND = DEL ] || { echo \'{"cniVersion": "1.0.0", "code": 11, "msg": "no lease", "details": "the server is away"}\'; exit 1; }',
            "hangs": "[ $CNI_COMMAND = DEL ] || sleep 600",
            "lies": '[ $CNI_COMMAND = DEL ] || { echo \'{"cniVersion": "1.0.0", "ips": [{"address": "here"}]}\'; exit 0; }'}[how]
    says = {"fails": "CNI plugin own, ADD: no lease: the server is away", "hangs": "CNI plugin own, ADD: no answer within 2000 ms; it was ended", "lies": "ips: "}[how]
    p = shop(project, busybox, NETWORK, [OWN])
    p.write("locald.toml", (p.dir / "locald.toml").read_text() + f"""
[services.other]
type = "container"
image = "{busybox}"
network = "project"
command = "sleep 1000"
""")
    own = Own(p, body=body)
    r = p("up", "-d", "--wait", "--timeout", "60s", check=False, timeout=120)
    assert r.rc == 1 and "network back" in r.text and says in r.text, r
    assert p.service("other")["state"] == "running"
    links = p("exec", "other", "--", "ip", "-o", "link").out
    assert "eth0" in links
    assert {c[0] for c in own.calls()} == {"ADD", "DEL"} and json.loads((p.locald.home / "state/cni/shop/places.json").read_text())["places"] == {}
    # With the plugin repaired it comes up.
    Own(p)
    p("up", "-d", "--wait", "--timeout", "60s")
    reaches_everything(p)
    p("down")
    p.locald.assert_nothing_left()


@needs_plugins
def test_a_changed_list_is_another_network(project, busybox):
    p = shop(project, busybox, NETWORK, [OWN])
    Own(p)
    p("up", "-d", "--wait", "--timeout", "30s")
    before = {name: s["pid"] for name, s in p.status().items()}
    p("up", "-d", "--wait", "--timeout", "30s")
    assert {name: s["pid"] for name, s in p.status().items()} == before
    p.write("back.conflist", conflist({**OWN, "bridge": "cni1", "mtu": 9000}))
    p("up", "-d", "--wait", "--timeout", "30s")
    assert p("exec", "web", "--", "cat", "/sys/class/net/eth0/mtu").out == "9000\n"
    assert p.service("api")["pid"] == before["api"] and p.service("web")["pid"] != before["web"]
    reaches_everything(p)


@needs_plugins
def test_a_network_becomes_one_of_plugins_and_back_while_the_project_is_up(project, busybox):
    p = shop(project, busybox, f'subnet = "{SUBNET}"', [BRIDGE])
    builtin = (p.dir / "locald.toml").read_text()
    p("up", "-d", "--wait", "--timeout", "30s")
    expected, api = state(p), p.service("api")["pid"]
    for text in (builtin.replace("subnet =", 'cni = "back.conflist"\nsubnet ='), builtin):
        p.write("locald.toml", text)
        p("up", "-d", "--wait", "--timeout", "30s")
        assert state(p) == expected and p.service("api")["pid"] == api
        reaches_everything(p)
    p("down")
    p.locald.assert_nothing_left()


@needs_plugins
def test_a_container_joins_a_network_of_plugins(project, busybox):
    p = shop(project, busybox, NETWORK, [BRIDGE])
    p("up", "-d", "--wait", "--timeout", "30s")
    wait_until(lambda: p.locald("container", "run", "--rm", "--network", "shop/back", busybox, "sh", "-c", "nc -w 3 db 5432 < /dev/null", check=False).out == "rows\n", "it hears db", 10)


def test_what_a_file_cannot_mean(project, locald, busybox):
    def told(network, text=None):
        p = project(f"""
            [networks.back]
            {network}
            [services.web]
            type = "container"
            image = "{busybox}"
            networks = ["back"]
            command = "sleep 1000"
            """, name="bad", files={} if text is None else {"back.conflist": text})
        heard = [p(*verb, check=False) for verb in (["config", "check"], ["up", "-d"])]
        for r in heard:
            assert r.rc == 1 and "locald.toml:2:" in r.text, r
        p.locald.assert_nothing_left()
        return heard[1].text
    locald_toml = 'cni = "back.conflist"'
    settings = locald.home / "config.toml"
    settings.write_text('cni_path = ["/nowhere", "/not/here"]\n')
    locald.identity.own(settings)
    text = told('cni = "missing.conflist"')
    assert "missing.conflist" in text and "No such file" in text, text
    assert "cniVersion 1.1.0 is newer than what locald speaks, 1.0.0" in told(locald_toml, conflist(BRIDGE, version="1.1.0"))
    assert "back.conflist: " in told(locald_toml, "{")
    assert "plugins: there is none" in told(locald_toml, conflist())
    text = told(locald_toml, conflist(BRIDGE))
    assert "the CNI plugin bridge is not in /nowhere or /not/here" in text and "containernetworking-plugins" in text, text
