"""Bytes, connections and names through a project's network, beside podman's; what a network of its own costs `run`."""
import contextlib
import ctypes
import json
import os
import pathlib
import socket
import subprocess

from common import Locald, Skip, Timed, alternate, compare, figure, install, say, table, wait_until
from containers import PEERS, Podman, small_image

CLONE_NEWNET = 0x40000000
PORT = 7000  # of the server in its container
OUTSIDE = "10.213.77.2"  # of the one beyond the host


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Asked:
    """A server as one kind of client reaches it."""

    def __init__(self, name, run, address, port):
        self.name, self.address, self.port = name, address, port
        self.run = run  # (words of `net`) -> what it prints

    def measure(self, ms, mib):
        def ask(*words):
            return [float(w) for w in self.run([words[0], self.address, str(self.port), *map(str, words[1:])]).split()]
        one, kept, opened = ask("ask", 1, ms), ask("ask", 16, ms), ask("open", 16, ms)
        return {"latency us": one[1], "requests/s": kept[0], "connections/s": opened[0], "MiB/s from": ask("get", 1, mib)[0], "MiB/s to": ask("put", 1, mib)[0],
                "MiB/s from, 8": ask("get", 8, mib)[0]}


def show(found):
    """@param found  [(name, {what: figure})]; the first is what the others are held against."""
    kinds = list(found[0][1])
    table([["", *kinds], *([name, *(f"{figure(v[k])} ({v[k] / found[0][1][k]:.2f})" for k in kinds)] for name, v in found)])


def peers(bench):
    """podman, with the network that it makes where nothing is said, and its way to publish."""
    if bench.rootless:
        return [("podman, slirp4netns", "slirp4netns")]
    return [("podman, bridge and DNAT", "bridge")]


@contextlib.contextmanager
def open_tun(bench):
    """/dev/net/tun, which slirp4netns needs, for the unprivileged user too, for as long as this takes."""
    device = pathlib.Path("/dev/net/tun")
    before = device.stat().st_mode & 0o7777 if device.exists() else None
    change = bench.rootless and before is not None and os.geteuid() == 0
    if change:
        device.chmod(0o666)
    try:
        yield
    finally:
        if change:
            device.chmod(before)


@contextlib.contextmanager
def own_network():
    """As root: a network in place of the host's, since podman leaves rules, a bridge and sysctls in its own."""
    if os.geteuid() != 0:
        yield
        return
    libc = ctypes.CDLL(None, use_errno=True)
    before = os.open("/proc/self/ns/net", os.O_RDONLY)
    try:
        if libc.unshare(CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "unshare")
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        yield
    finally:
        libc.setns(before, CLONE_NEWNET)
        os.close(before)


@contextlib.contextmanager
def outside(bench, server):
    """A host beyond this one: a network namespace with a server in it."""
    holder = subprocess.Popen(["unshare", "--net", "sh", "-c", f"until ip addr add {OUTSIDE}/30 dev lbench1 2>/dev/null; do sleep 0.05; done; "
                               f"ip link set lbench1 up; ip link set lo up; exec {server} serve {PORT}"])
    try:
        wait_until(lambda: os.readlink(f"/proc/{holder.pid}/ns/net") != os.readlink("/proc/self/ns/net"), "a network namespace")
        subprocess.run(["ip", "link", "add", "lbench0", "type", "veth", "peer", "name", "lbench1", "netns", str(holder.pid)], check=True)
        subprocess.run(["ip", "addr", "add", "10.213.77.1/30", "dev", "lbench0"], check=True)
        subprocess.run(["ip", "link", "set", "lbench0", "up"], check=True)
        wait_until(lambda: reached(OUTSIDE, PORT), "the server beyond the host")
        yield
    finally:
        holder.kill()
        holder.wait()
        subprocess.run(["ip", "link", "del", "lbench0"], stderr=subprocess.DEVNULL)


def reached(address, port):
    try:
        socket.create_connection((address, port), 1).close()
        return True
    except OSError:
        return False


def write(bench, name, network, layout, ports):
    """`host` is a process of the host, `box` and `other` are containers."""
    folder = bench.folder(name)
    text = f'[project]\nname = "{name}"\nnetwork = "{network}"\n[services.host]\ncommand = ["{bench.helper("net")}", "serve", "{ports["host"]}"]\n'
    for box in ("box", "other"):
        text += f'[services.{box}]\ntype = "container"\nimage = "oci:{layout}:1"\ncommand = ["/bin/net", "serve", "{PORT}"]\nports = ["{ports[box]}:{PORT}"]\nstop_signal = "KILL"\n'
    (folder / "locald.toml").write_text(text)
    return folder


def traffic(bench):
    """Published ports, the way out, service to service, names; `run` with a network. Beside the host's network and podman's."""
    with open_tun(bench), own_network():
        measure(bench)


def measure(bench):
    install(*PEERS, "slirp4netns", "containernetworking-plugins", "iproute2")
    helper = bench.helper("net")
    layout = small_image(bench, "traffic", [helper])
    ms, mib = (300, 128) if bench.quick else (2000, 1024)
    ports = {name: free_port() for name in ("host", "box", "other", "podman")}

    def here(words):
        return bench.run([helper, *words])
    locald, podman = Locald(bench, "home-traffic"), Podman(bench, "podman-traffic")
    image = f"oci:{layout}:1"
    try:
        folder = write(bench, "traffic", "project", layout, ports)
        locald("up", "-d", cwd=folder)
        wait_until(lambda: all(reached("127.0.0.1", ports[name]) for name in ("host", "box")), "the servers listen")
        services = {s["name"]: s for s in locald.status(folder)}
        other = services["other"]["networks"][0]["address"]

        def inside(words):
            return locald("exec", "box", "--", "/bin/net", *words, cwd=folder)
        published = [Asked("loopback, no network", here, "127.0.0.1", ports["host"]), Asked("locald, published", here, "127.0.0.1", ports["box"])]
        way_out, between = [Asked("the host itself", here, OUTSIDE, PORT), Asked("locald", inside, OUTSIDE, PORT)], [Asked("locald", inside, other, PORT)]
        name = None
        for name, network in peers(bench):
            try:
                box = podman("pull", "-q", image).split()[-1]
                podman("run", "-d", "--name", "box", f"--network={network}", "-p", f"127.0.0.1:{ports['podman']}:{PORT}", box, "/bin/net", "serve", str(PORT))
                wait_until(lambda: reached("127.0.0.1", ports["podman"]), "podman's server listens")
            except Skip as e:
                say(f"  {name}: {e}")
                continue

            def in_podman(words):
                return podman("exec", "box", "/bin/net", *words)
            published.append(Asked(name, here, "127.0.0.1", ports["podman"]))
            way_out.append(Asked(name, in_podman, OUTSIDE, PORT))
            if network == "bridge":
                podman("run", "-d", "--name", "other", f"--network={network}", box, "/bin/net", "serve", str(PORT))
                address = json.loads(podman("inspect", "other"))[0]["NetworkSettings"]["IPAddress"]
                between.append(Asked(name, in_podman, address, PORT))
        say("  a published port, from the host:")
        show([(each.name, each.measure(ms, mib)) for each in published])
        say("  from one container to another:")
        show([(each.name, each.measure(ms, mib)) for each in between])
        rate, median, slow = inside(["name", "127.0.0.11", "other", str(ms)]).split()
        say(f"  names of services: {rate} questions/s, median {median} us, 99 % within {slow} us")
        if os.geteuid() == 0:
            with outside(bench, helper):
                say("  the way out, to a host beyond this one:")
                show([(each.name, each.measure(ms, mib)) for each in way_out])
        else:
            say("  the way out: not measured: making a host beyond this one needs root (then --user NAME)")
        timers = [locald.timed("locald, own network", "container", "run", "--rm", image, "true"), locald.timed("locald, host network", "container", "run", "--rm", "--network", "host", image, "true")]
        for name, network in peers(bench):
            timers.append(Timed(bench, name, [*podman.command, "run", "--rm", f"--network={network}", box, "true"], podman.env))
        left = alternate(timers, 5 if bench.quick else 20)
        table([["", "median ms", "fastest", "slowest"], *([t.name, figure(t.median), figure(min(t.times)), figure(max(t.times))] for t in left)])
        medians = {t.name: t.median for t in left}
        compare("container run with a network of its own", medians.pop("locald, own network"), medians)
    finally:
        podman("rm", "--all", "--force", "--time", "0", check=False)
        podman.close()
        locald.close()
