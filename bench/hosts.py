"""Host processes: services up and down, logs, health, status, memory. Every supervisor runs the same helpers/svc.c."""
import contextlib
import os
import re
import select
import signal
import time

import supervisors
from common import MS, Locald, Skip, Timed, alternate, compare, cpu_ms, figure, goal, install, median, now, percentile, pss_kib, say, table, wait_until, wake_ups

LINES = 1_250_000
LINE = re.compile(rb"(\d{10}) x{20}")


class Marks:
    """The folder where services write when they started; from it their pids and pidfds."""

    def __init__(self, bench, name):
        self.bench, self.dir = bench, bench.folder("marks-" + name)
        self.clear()

    def clear(self):
        for f in self.dir.iterdir():
            f.unlink()

    def wait(self, count, suffix="", deadline=60):
        """{pid: [numbers]} when `count` services have written theirs."""
        def names():
            return [n for n in os.listdir(self.dir) if (n.isdigit() if not suffix else n.endswith(suffix))]
        wait_until(lambda: len(names()) >= count, f"{count} services started ({len(names())} did)", deadline)
        return {int(n.removesuffix(suffix)): [int(x) for x in (self.dir / n).read_text().split()] for n in names()}


class Watch:
    """pidfds of services: when has the last one ended?"""

    def __init__(self, pids):
        self.fds = {os.pidfd_open(p): p for p in pids}

    def all_gone(self, deadline=60):
        poll, left, last = select.poll(), set(self.fds), 0
        for fd in left:
            poll.register(fd, select.POLLIN)
        end = time.monotonic() + deadline
        while left:
            ready = poll.poll(max(0, (end - time.monotonic()) * 1000))
            last = now()
            if not ready:
                raise Skip(f"{len(left)} services are alive {deadline} s after down")
            for fd, _ in ready:
                poll.unregister(fd)
                left.discard(fd)
        return last

    def close(self):
        for fd in self.fds:
            os.close(fd)


def write_project(bench, folder, services, extra=""):
    """A project of host services: {name: argv}. Returns its folder."""
    path = bench.folder(folder)
    text = f'[project]\nname = "{folder}"\n'
    for name, argv in services.items():
        text += f"\n[services.{name}]\ncommand = [{', '.join(chr(34) + str(a) + chr(34) for a in argv)}]\n{extra}"
    (path / "locald.toml").write_text(text)
    return path


def names(count):
    return [f"s{i:03}" for i in range(count)]


@contextlib.contextmanager
def peer(bench, cls, folder, services, env):
    """A peer that is gone afterwards, whatever happens."""
    p = None
    try:
        p = cls(bench, folder, services, env)
        yield p
    finally:
        if p and p.process and p.process.poll() is None:
            with contextlib.suppress(OSError, Skip):
                p.down()
                p.wait_gone()
        bench.end_processes()
        bench.remove(bench.dir / folder)


@contextlib.contextmanager
def project(bench, home, folder, services, env, extra=""):
    """locald with a project's folder; all gone afterwards. Yields (locald, path, env)."""
    locald = Locald(bench, home)
    try:
        yield locald, write_project(bench, folder, services, extra), env
    finally:
        locald.close()
        bench.end_processes()
        bench.remove(bench.dir / folder)


# -- services ----------------------------------------------------------------------------------------------------------

def up_down_peer(bench, cls, count, marks, results):
    marks.clear()
    env = {"SVC_MARKS": str(marks.dir)}
    with peer(bench, cls, "peer", {n: [bench.helper("svc")] for n in names(count)}, env) as p:
        start = now()
        p.up()
        started = marks.wait(count)
        results["up"].append((max(v[0] for v in started.values()) - start) / MS)
        watch = Watch(started)
        start = now()
        p.down()
        results["down"].append((watch.all_gone() - start) / MS)
        watch.close()
        p.wait_gone()
        results["down, command"].append((now() - start) / MS)


def up_down_locald(bench, count, marks, results):
    """One round: cold (the server starts as well) and warm."""
    services = {n: [bench.helper("svc")] for n in names(count)}
    with project(bench, "home-services", "services", services, {"SVC_MARKS": str(marks.dir)}) as (locald, path, env):
        for kind in ("cold", "warm"):
            marks.clear()
            start = now()
            locald("up", "-d", cwd=path, env=env)
            returned = now()
            started = marks.wait(count)
            results["up" if kind == "warm" else "up, cold"].append((max(v[0] for v in started.values()) - start) / MS)
            if kind == "warm":
                results["up, command"].append((returned - start) / MS)
            watch = Watch(started)
            start = now()
            p = bench.popen([locald.binary, "down"], {**locald.env, **env}, path)
            gone = watch.all_gone()
            if p.wait(60):
                raise Skip(f"locald down: exit {p.returncode}")
            if kind == "warm":
                results["down"].append((gone - start) / MS)
                results["down, command"].append((now() - start) / MS)
            watch.close()


def services(bench):
    """1, 20, 200 host services: up = command to the last service's own mark, down = command to the last service's end."""
    install(*(x for c in supervisors.ALL for x in c.packages))
    marks = Marks(bench, "services")
    columns = ["up", "up, cold", "up, command", "down", "down, command"]
    for count, rounds in ((1, 3), (20, 2), (200, 1)) if bench.quick else ((1, 7), (20, 5), (200, 3)):
        results = {c.name: {k: [] for k in columns} for c in supervisors.ALL}
        results["locald"] = {k: [] for k in columns}
        broken = set()
        for _ in range(rounds):
            for name, once in [("locald", lambda: up_down_locald(bench, count, marks, results["locald"])),
                               *((c.name, lambda c=c: up_down_peer(bench, c, count, marks, results[c.name])) for c in supervisors.ALL)]:
                if name in broken:
                    continue
                try:
                    once()
                except Skip as e:
                    say(f"  {name}, {count} services: {e}")
                    broken.add(name)
        medians = {n: {k: median(v) for k, v in r.items() if v} for n, r in results.items() if n not in broken}
        say(f"  {count} service{'s' if count > 1 else ''}, ms, medians of {rounds}")
        table([["", *columns], *([n, *(figure(m[k]) if k in m else "-" for k in columns)] for n, m in medians.items())])
        if "locald" in medians:
            for k in ("up", "down"):
                compare(f"{k} {count}", medians["locald"][k], {n: m[k] for n, m in medians.items() if n != "locald"})
            limits = {1: (10,), 20: (25,), 200: (200, 20)}[count]
            goal(f"up {count}", medians["locald"]["up"], limits[0], "ms")
            if len(limits) > 1:
                goal(f"down {count}", medians["locald"]["down"], limits[1], "ms")


# -- logs --------------------------------------------------------------------------------------------------------------

def watch_flood(marks, pid, tail, tool_pids):
    """Sends the signal that starts the flood and waits until its last line is in the log.
    `tail()` gives the last bytes that a reader of the log would see. Returns figures in ms."""
    last = f"{LINES - 1:010} x".encode()
    before = cpu_ms(tool_pids)
    done = marks.dir / f"{pid}.done"
    os.kill(pid, signal.SIGUSR1)
    deadline = time.monotonic() + 120
    while last not in tail():
        if time.monotonic() > deadline:
            raise Skip("the last line is not in the log after 120 s")
        time.sleep(0.001)
    complete = now()
    wait_until(done.exists, "the service's own mark")
    first, end = map(int, done.read_text().split())
    time.sleep(0.3)
    return {"last write": (end - first) / MS, "complete": (complete - first) / MS, "CPU": cpu_ms(tool_pids) - before, "PSS MiB": sum(map(pss_kib, tool_pids)) / 1024}


def tail_of(path, size=512):
    try:
        with open(path, "rb") as f:
            f.seek(max(0, os.fstat(f.fileno()).st_size - size))
            return f.read()
    except OSError:
        return b""


def lost(files):
    """Lines of the flood that are in no file, or not in order: each exactly once is 0."""
    expected, wrong = 0, 0
    for path in files:
        rest = b""
        with open(path, "rb") as f:
            while block := f.read(8 << 20):
                block = rest + block
                cut = block.rfind(b"\n") + 1
                rest = block[cut:]
                for m in LINE.findall(block[:cut]):
                    n = int(m)
                    wrong += abs(n - expected)
                    expected = n + 1
    return wrong + abs(LINES - expected)


def flood_peer(bench, cls, marks):
    marks.clear()
    with peer(bench, cls, "peer", {"flood": [bench.helper("svc"), "flood", str(LINES)]}, {"SVC_MARKS": str(marks.dir)}) as p:
        p.up()
        (pid,) = marks.wait(1)
        wait_until(lambda: p.log("flood").exists(), "the log")
        tools = [x for x in bench.processes() if x != pid]
        found = watch_flood(marks, pid, lambda: tail_of(p.log("flood")), tools)
        found["lost"] = lost([p.log("flood")])
        return found


def locald_tail(folder):
    """The end of what the newest segment's index covers (src/base/log/log_format.h): what a reader believes."""
    try:
        index = max(n for n in os.listdir(folder) if n.endswith(".idx"))
        with open(folder / index, "rb") as f:
            size = os.fstat(f.fileno()).st_size
            if size < 64 + 32:
                return b""
            f.seek(64 + (size - 64) // 32 * 32 - 32)
            record = f.read(32)
        end = int.from_bytes(record[16:24], "little") + int.from_bytes(record[24:28], "little")
        with open(folder / index.replace(".idx", ".log"), "rb") as f:
            f.seek(max(0, end - 512))
            return f.read(min(end, 512))
    except (OSError, ValueError):
        return b""


def flood_locald(bench, marks):
    marks.clear()
    services = {"flood": [bench.helper("svc"), "flood", str(LINES)]}
    with project(bench, "home-logs", "logs", services, {"SVC_MARKS": str(marks.dir)}) as (locald, path, env):
        locald("up", "-d", cwd=path, env=env)
        (pid,) = marks.wait(1)
        folder = locald.home / "state/services/logs/flood/log"
        found = watch_flood(marks, pid, lambda: locald_tail(folder), [*locald.shims(), *locald.servers()])
        found["lost"] = lost(sorted(folder.glob("*.log")))
        start = now()
        text = locald("logs", "--tail", "1", cwd=path)
        found["logs --tail 1"] = (now() - start) / MS
        if f"{LINES - 1:010}" not in text:
            raise Skip(f"`locald logs --tail 1` does not show the last line: {text[-200:]!r}")
        return found


def plain_file(bench, marks):
    """The floor: the service's stdout is a file."""
    marks.clear()
    with open(bench.dir / "plain", "wb") as f:
        p = bench.popen([bench.helper("svc"), "flood", LINES], {"SVC_MARKS": str(marks.dir)}, stdout=f)
    try:
        (pid,) = marks.wait(1)
        return watch_flood(marks, pid, lambda: tail_of(bench.dir / "plain"), []) | {"lost": lost([bench.dir / "plain"])}
    finally:
        p.kill()
        p.wait()
        (bench.dir / "plain").unlink()


def logs(bench):
    """1.25 M lines of 80 bytes (100 MB) as fast as they are taken; ms since the first write."""
    install(*(x for c in supervisors.ALL for x in c.packages))
    marks = Marks(bench, "logs")
    competitors = [("plain file", lambda: plain_file(bench, marks)), ("locald", lambda: flood_locald(bench, marks)),
                   *((c.name, lambda c=c: flood_peer(bench, c, marks)) for c in supervisors.ALL)]
    results = {}
    for _ in range(1 if bench.quick else 3):
        for name, once in list(competitors):
            try:
                results.setdefault(name, []).append(once())
            except Skip as e:
                say(f"  {name}: {e}")
                competitors = [c for c in competitors if c[0] != name]
                results.pop(name, None)
    columns = ["last write", "complete", "CPU", "PSS MiB", "lost", "logs --tail 1"]
    medians = {n: {k: (max if k == "lost" else median)([r[k] for r in rs]) for k in columns if k in rs[0]} for n, rs in results.items()}
    table([["", *columns], *([n, *("-" if k not in m else str(m[k]) if k == "lost" else figure(m[k]) for k in columns)] for n, m in medians.items())])
    if "locald" in medians:
        compare("log complete", medians["locald"]["complete"], {n: m["complete"] for n, m in medians.items() if n != "locald"})
        goal("log complete", medians["locald"]["complete"], 200, "ms")


# -- health ------------------------------------------------------------------------------------------------------------

def health(bench):
    """Three http services that listen 200 ms after their start: how long until `up -d --wait` says healthy."""
    marks = Marks(bench, "health")
    services = {n: [bench.helper("svc"), "web", "200"] for n in ("a", "b", "c")}
    lags, totals = [], []
    with project(bench, "home-health", "health", services, {"SVC_MARKS": str(marks.dir)}, 'port = "auto"\nhealth = "/"\n') as (locald, path, env):
        locald("server", "start")
        for _ in range(3 if bench.quick else 10):
            marks.clear()
            start = now()
            locald("up", "-d", "--wait", cwd=path, env=env)
            healthy = now()
            listening = max(v[0] for v in marks.wait(3, ".done").values())
            if healthy < listening:
                raise Skip("said to be healthy before it listened")
            totals.append((healthy - start) / MS)
            lags.append((healthy - listening) / MS)
            locald("down", cwd=path, env=env)
    say(f"  up -d --wait: {figure(median(totals))} ms; after the last one listened: median {figure(median(lags))} ms, worst {figure(max(lags))} ms")
    goal("healthy after listening", median(lags), 15, "ms")


# -- status ------------------------------------------------------------------------------------------------------------

def status(bench):
    """`status` with 200 services, ms, median and 99th percentile."""
    install(*(x for c in supervisors.ALL for x in c.packages))
    marks, count, rounds = Marks(bench, "status"), 200, 50 if bench.quick else 200
    env, services = {"SVC_MARKS": str(marks.dir)}, {n: [bench.helper("svc")] for n in names(200)}
    rows, medians = [["", "median", "p99"]], {}

    def measure(name, timer, times):
        if alternate([timer], times):
            medians[name] = timer.median
            rows.append([name, f"{timer.median:.2f}", f"{percentile(timer.times, 99):.2f}"])

    try:
        with project(bench, "home-status", "status", services, env) as (locald, path, env_):
            locald("up", "-d", cwd=path, env=env_)
            marks.wait(count)
            if len(locald.status(path)) != count:
                raise Skip("status does not list 200 services")
            measure("locald", locald.timed("locald status", "status", "--json", cwd=path), rounds)
    except Skip as e:
        say(f"  locald: {e}")
    for c in supervisors.ALL:
        marks.clear()
        try:
            with peer(bench, c, "peer", services, env) as p:
                p.up()
                marks.wait(count)
                time.sleep(1.2)  # supervisord calls a service RUNNING after one second
                measure(c.name, Timed(bench, c.name, p.status_argv()), max(10, rounds // 10))
        except Skip as e:
            say(f"  {c.name}: {e}")
    table(rows)
    if "locald" in medians:
        compare("status of 200", medians["locald"], {n: v for n, v in medians.items() if n != "locald"})
        goal("status of 200", medians["locald"], 2, "ms")


# -- memory ------------------------------------------------------------------------------------------------------------

def memory(bench):
    """PSS of what stands beside 20 and 200 services, of the idle server, and its wake-ups."""
    install(*(x for c in supervisors.ALL for x in c.packages))
    marks, window = Marks(bench, "memory"), 3 if bench.quick else 10
    goals, rows = [], [["", "services", "per service KiB", "server MiB", "all MiB", f"wake-ups in {window} s"]]
    for count in (20, 200):
        services, env = {n: [bench.helper("svc")] for n in names(count)}, {"SVC_MARKS": str(marks.dir)}
        marks.clear()
        try:
            with project(bench, "home-memory", "memory", services, env) as (locald, path, env_):
                locald("up", "-d", cwd=path, env=env_)
                marks.wait(count)
                time.sleep(3)
                server, shims = locald.servers(), locald.shims()
                if len(server) != 1 or len(shims) < count:
                    raise Skip(f"{len(server)} servers and {len(shims)} shims found, 1 and {count} expected")
                before = wake_ups(server + shims)
                time.sleep(window)
                woken = wake_ups(server + shims) - before
                per, own = [pss_kib(p) for p in shims], pss_kib(server[0])
                rows.append(["locald", count, f"{median(per):.0f}", figure(own / 1024), figure((own + sum(per)) / 1024), woken])
                locald("down", cwd=path, env=env_)
                time.sleep(3)
                before = wake_ups(server)
                time.sleep(window)
                rows.append(["locald, after down", 0, "-", figure(pss_kib(server[0]) / 1024), figure(pss_kib(server[0]) / 1024), wake_ups(server) - before])
                goals += [(f"shim beside {count} services", median(per) / 1024, 0.5 if count == 20 else 0.15, "MiB"), ("server", own / 1024, 10, "MiB")]
        except Skip as e:
            say(f"  locald: {e}")
        for c in supervisors.ALL:
            marks.clear()
            try:
                with peer(bench, c, "peer", services, env) as p:
                    p.up()
                    pids = marks.wait(count)
                    time.sleep(3)
                    tools = {x: pss_kib(x) for x in bench.processes() if x not in pids}
                    before = wake_ups(tools)
                    time.sleep(window)
                    own = tools[p.process.pid]
                    rows.append([c.name, count, f"{(sum(tools.values()) - own) / count:.0f}", figure(own / 1024), figure(sum(tools.values()) / 1024), wake_ups(tools) - before])
            except Skip as e:
                say(f"  {c.name}: {e}")
    table(rows)
    for g in goals:
        goal(*g)
