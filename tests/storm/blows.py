"""The blows of a storm: what kills, stops, floods, fills and damages while verbs run."""
import contextlib
import json
import os
import random
import shutil
import signal
import socket
import struct
import time

from support import alive, children

# What is off, and why: verbs (plan.VERBS), blows and promises (promises.py) by their name. Each run says them.
OFF = {}
ON = "LOCALD_STORM_ON"  # names, by commas: what `--on` has switched on again, for the processes of the driver
for _name in os.environ.get(ON, "").split(","):
    OFF.pop(_name, None)


def signal_process(pid, number):
    """By pidfd. @return whether it was there."""
    try:
        fd = os.pidfd_open(pid)
    except OSError:
        return False
    try:
        signal.pidfd_send_signal(fd, number)
        return True
    except OSError:
        return False
    finally:
        os.close(fd)


@contextlib.contextmanager
def as_user(identity):
    """Effective ids of who runs locald: the server looks at its peer's. This process has one thread."""
    if not identity.switch:
        yield
        return
    os.setegid(identity.gid)
    os.seteuid(identity.uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)


def connect(path):
    """To a socket whose path may be too long for its name; None where nobody listens."""
    s = socket.socket(socket.AF_UNIX)
    s.setblocking(False)
    try:
        folder = os.open(path.parent, os.O_PATH)
        try:
            s.connect(f"/proc/self/fd/{folder}/{path.name}")
        finally:
            os.close(folder)
        return s
    except OSError:
        s.close()
        return None


def instances(home):
    """The records of all shims that can be read."""
    found = []
    for path in sorted(home.glob("run/svc/*/instance.json")):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            found.append(json.loads(path.read_bytes()))
    return [r for r in found if isinstance(r, dict) and isinstance(r.get("shim_pid"), int)]


# Each: (storm, rng) -> what was hit, or None. `storm.later(seconds, do)` undoes; all that is open is undone at the round's end.


def kill_server(storm, rng):
    pid = storm.locald.server_pid()
    if pid and signal_process(pid, signal.SIGKILL):
        storm.server_may_end = True
        return pid


def kill_shim(storm, rng):
    records = instances(storm.locald.home)
    if records:
        r = rng.choice(records)
        storm.killed_shims = True
        storm.dying.append(r["shim_pid"])
        return signal_process(r["shim_pid"], signal.SIGKILL) and r["id"]


def kill_all(storm, rng):
    """Server and every shim at once."""
    records, pid = instances(storm.locald.home), storm.locald.server_pid()
    storm.server_may_end = storm.killed_shims = True
    storm.dying += [r["shim_pid"] for r in records]
    for p in [r["shim_pid"] for r in records] + [pid] * (pid is not None):
        signal_process(p, signal.SIGKILL)
    return len(records)


LATER = object()  # nothing to hit yet: the blow says so itself when it has hit, or has given up
PATIENCE = 0.9  # seconds


def kill_passing(storm, kind, is_it, of_shims, server=None, end=None):
    """One that the server has started, or also a shim, and that lives for some milliseconds: it is waited for. @param is_it  of its command line"""
    end = end or time.monotonic() + PATIENCE
    server = server if server and alive(server) else storm.locald.server_pid()
    for first in children(server) if server else ():
        for pid in (first, *(children(first) if of_shims else ())):
            with contextlib.suppress(OSError):
                if is_it(open(f"/proc/{pid}/cmdline", "rb").read().split(b"\0")) and signal_process(pid, signal.SIGKILL):
                    return pid
    if time.monotonic() > end:
        return None
    storm.later(0.004, lambda: storm.struck(kind, kill_passing(storm, kind, is_it, of_shims, server, end)))
    return LATER


def kill_runc(storm, rng):
    return kill_passing(storm, "kill runc", lambda words: words[0].endswith(b"runc"), of_shims=True)


def kill_worker(storm, rng):
    for path in storm.locald.home.glob("data/facts/*"):  # kept so that a start needs no worker: made again by one
        if not path.is_dir():  # which another blow has put there
            path.unlink(missing_ok=True)
    return kill_passing(storm, "kill worker", lambda words: b"worker" in words, of_shims=False)


def kill_cli(storm, rng):
    if storm.running:
        verb = rng.choice(storm.running)
        verb.hit = True
        return signal_process(verb.process.pid, rng.choice((signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT))) and verb.kind


def freeze(storm, rng, pid, seconds):
    if not pid or not signal_process(pid, signal.SIGSTOP):
        return None
    storm.later(seconds, lambda: signal_process(pid, signal.SIGCONT), always=True)
    return pid


def freeze_shim(storm, rng):
    records = instances(storm.locald.home)
    return records and freeze(storm, rng, rng.choice(records)["shim_pid"], rng.uniform(0.05, 0.6))


def freeze_shim_long(storm, rng):
    """Longer than a server's patience with a shim."""
    records = instances(storm.locald.home)
    return records and freeze(storm, rng, rng.choice(records)["shim_pid"], rng.uniform(1.5, 3))


def freeze_server(storm, rng):
    return freeze(storm, rng, storm.locald.server_pid(), rng.uniform(0.05, 0.7))


def freeze_cli(storm, rng):
    return storm.running and freeze(storm, rng, rng.choice(storm.running).process.pid, rng.uniform(0.1, 0.8))


def netds(storm):
    """Each of the processes that carry a project's connections: the one that holds them, and those that it connects through."""
    return sorted(p for p, c in storm.locald.processes().items() if "/locald-netd run" in c)


def kill_netd(storm, rng):
    found = netds(storm)
    return found and signal_process(pid := rng.choice(found), signal.SIGKILL) and pid


def kill_netds(storm, rng):
    """All of them, and half of the time the server too."""
    found = netds(storm)
    if rng.random() < 0.5:
        kill_server(storm, rng)
    return sum(signal_process(pid, signal.SIGKILL) for pid in found)


def freeze_netd(storm, rng):
    found = netds(storm)
    return found and freeze(storm, rng, rng.choice(found), rng.uniform(0.05, 0.7))


def fill(storm, rng):
    """Every byte of the home's file system is taken for a while."""
    if not storm.locald.own_mounts:
        return None
    path = storm.locald.home / "user/filler"
    with contextlib.suppress(OSError), open(path, "wb") as f:
        for step in (1 << 20, 1 << 16, 1 << 12):
            with contextlib.suppress(OSError):
                while True:
                    os.posix_fallocate(f.fileno(), os.fstat(f.fileno()).st_size, step)
    storm.filled = True
    storm.later(rng.uniform(0.1, 0.8), lambda: path.unlink(missing_ok=True), always=True)
    return "full"


GARBAGE = [
    b"\0" * 64, b"GET / HTTP/1.1\r\n\r\n", b"POST /v1/up HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n",
    b"POST /v1/status HTTP/1.1\r\nContent-Length: 4\r\n\r\n[[[[", b"POST /v1/status HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}",
    b'POST /v1/down HTTP/1.1\r\nContent-Length: 14\r\n\r\n{"project": 7}', b'POST /v1/exec HTTP/1.1\r\nContent-Length: 40\r\n\r\n{"project": {"dir": "/"}, "argv": [1, 2]}',
    b"POST /v1/container/run HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}", b"POST /v1/container/rm HTTP/1.1\r\nContent-Length: 12\r\n\r\n{\"ids\":[{}]}",
    b"POST /v1/watch HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffffff\r\n", b"POST /v1/" + b"x" * 9000, b'POST /v1/logs HTTP/1.1\r\nContent-Length: 600\r\n\r\n{',
]


def throw_garbage(storm, path, rng, pieces):
    with as_user(storm.locald.identity):
        for _ in range(rng.randint(3, 12)):
            s = connect(path)
            if s is None:
                return None
            with contextlib.suppress(OSError):
                s.send(pieces())
            if rng.random() < 0.5:
                s.close()
            else:  # half a request, and silence
                storm.later(0.5, s.close, always=True)
    return str(path)


def garbage_server(storm, rng):
    return throw_garbage(storm, storm.locald.home / "run/server.sock", rng,
                         lambda: rng.choice(GARBAGE) if rng.random() < 0.7 else rng.randbytes(rng.randint(1, 3000)))


def garbage_shim(storm, rng):
    if records := instances(storm.locald.home):
        r = rng.choice(records)

        def frame():
            hello = struct.pack("<IB3xII32s", 40, 1, rng.choice((0, 1, 1, 99)), rng.choice((1, 2, 7)), str(r.get("nonce", "")).encode() if rng.random() < 0.3 else rng.randbytes(32))
            return rng.choice((hello, hello[:rng.randint(1, 47)], struct.pack("<IB3x", 0xffffffff, rng.randrange(256)), rng.randbytes(rng.randint(1, 500))))
        return throw_garbage(storm, storm.locald.home / "run/svc" / r["id"] / "ctl.sock", rng, frame)


def idle_connections(storm, rng):
    """Some hundred that say nothing."""
    held = []
    with as_user(storm.locald.identity):
        for _ in range(rng.choice((50, 300, 700))):
            s = connect(storm.locald.home / "run/server.sock")
            if s is None:
                break
            held.append(s)
    storm.later(rng.uniform(0.1, 0.8), lambda: [s.close() for s in held], always=True)
    return len(held)


RECORDS = ["run/projects/*.json", "run/net/*/netd.json", "state/networks/*.json", "state/networks.json", "run/svc/*/instance.json", "run/svc/*/exit.json", "run/bundles/*/config.json", "run/runc/*/state.json", "state/projects.json",
           "data/images/index.json", "data/images/oci-layout", "data/images/blobs/sha256/*", "data/facts/*"]


def damage(storm, rng):
    """One record: cut, flipped, other bytes, empty, or a folder in its place."""
    kinds = [found for pattern in RECORDS if (found := sorted(storm.locald.home.glob(pattern)))]
    if not kinds:
        return None
    path = rng.choice(rng.choice(kinds))
    storm.forgotten = True
    how = rng.choice(("cut", "flip", "garbage", "empty", "folder", "gone"))
    if rng.random() < 0.5:
        kill_server(storm, rng)
    with contextlib.suppress(OSError):
        data, stat = path.read_bytes(), path.stat()
        at = rng.randrange(len(data) or 1)
        new = {"cut": data[:len(data) // 2], "flip": data[:at] + bytes([data[at] ^ 0x55]) + data[at + 1:] if data else b"", "garbage": rng.randbytes(300), "empty": b""}
        path.unlink()
        if how == "folder":
            path.mkdir()
        elif how != "gone":
            path.write_bytes(new[how])
            path.chmod(stat.st_mode & 0o7777)
        if how != "gone":
            os.chown(path, stat.st_uid, stat.st_gid)
        storm.damaged.append(path)
    return f"{how} {path.relative_to(storm.locald.home)}"


def wipe(storm, rng):
    """The run folder, or a part of it, as the end of a login session does."""
    part = rng.choice(("", "", "", "svc", "net", "projects", "bundles", "notify", "server.sock", "server.lock"))
    if rng.random() < 0.4:
        kill_server(storm, rng)
    path = storm.locald.home / "run" / part
    storm.server_may_end = storm.killed_shims = storm.forgotten = True
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
    return part or "all of the run folder"


# name: weight, what it does
BLOWS = {
    "kill server": (6, kill_server),
    "kill shim": (6, kill_shim),
    "kill server and shims": (2, kill_all),
    "kill runc": (3, kill_runc),
    "kill worker": (1, kill_worker),
    "kill or interrupt a CLI": (4, kill_cli),
    "kill netd": (3, kill_netd),
    "kill all of netd": (1, kill_netds),
    "freeze netd": (1, freeze_netd),
    "freeze shim": (3, freeze_shim),
    "freeze shim for long": (1, freeze_shim_long),
    "freeze server": (2, freeze_server),
    "freeze CLI": (1, freeze_cli),
    "fill the disk": (2, fill),
    "garbage to the server": (2, garbage_server),
    "garbage to a shim": (2, garbage_shim),
    "idle connections": (1, idle_connections),
    "damage a record": (2, damage),
    "wipe the run folder": (2, wipe),
}


def strike(storm, blow):
    return BLOWS[blow.kind][1](storm, random.Random(blow.seed))
