"""A project's own network beside the host's: what it costs a start, a restart and twenty services; memory and wake-ups of netd."""
import time

from common import Locald, alternate, compare, figure, goal, install, pss_kib, say, table, wait_until, wake_ups
from containers import small_image

NETWORKS = ("host", "project")


def write(bench, name, network, count, layout):
    folder = bench.folder(name)
    text = f'[project]\nname = "{name}"\nnetwork = "{network}"\n'
    for n in range(count):
        text += f'[services.s{n:02}]\ntype = "container"\nimage = "oci:{layout}:1"\ncommand = "exec sleep 100000"\nstop_signal = "KILL"\n'
    (folder / "locald.toml").write_text(text)
    return folder


def net(bench):
    """Containers in a network of their project's own beside the host's network: up, restart, 20 services; netd idle."""
    install("busybox-static")
    layout = small_image(bench)
    locald = Locald(bench, "home-net")
    rounds = 6 if bench.quick else 25
    try:
        for count in (1, 20):
            timers = {}
            for network in NETWORKS:
                folder = write(bench, f"{network}{count}", network, count, layout)
                locald("up", "-d", cwd=folder)  # layers are there, names and addresses chosen
                if count == 1:
                    timers["restart", network] = locald.timed(f"restart 1, {network}", "restart", "s00", cwd=folder)
                locald("down", cwd=folder)
                timers["up", network] = locald.timed(f"up {count}, {network}", "up", "-d", cwd=folder)
                timers["down", network] = locald.timed(f"down {count}, {network}", "down", cwd=folder)
            order = [timers[what, network] for network in NETWORKS for what in ("up", "restart", "down") if (what, network) in timers]
            left = alternate(order, rounds if count == 1 else max(3, rounds // 3), 1)
            table([["", "median ms", "fastest", "slowest"], *([t.name, figure(t.median), figure(min(t.times)), figure(max(t.times))] for t in left)])
            for what in ("up", "restart"):
                if (what, "host") in timers:
                    compare(f"{what} {count} in a project's network", timers[what, "project"].median, {"the host's network": timers[what, "host"].median},
                            ("the host's network", 1.15) if count == 20 else None)
                    if count == 1:
                        goal(f"{what} 1, more than with the host's network", timers[what, "project"].median - timers[what, "host"].median, 3, "ms")
        folder = bench.dir / "project20"
        locald("up", "-d", cwd=folder)
        netds = wait_until(lambda: locald._named("locald-netd", "locald-netd"), "netd runs")
        time.sleep(2)  # what a start leaves to be done
        before = wake_ups(netds)
        time.sleep(3)
        say(f"  netd of 20 services, idle: {len(netds)} processes, PSS {sum(map(pss_kib, netds))} KiB, {wake_ups(netds) - before} wake-ups in 3 s")
        locald("down", cwd=folder)
    finally:
        locald.close()
