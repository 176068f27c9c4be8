"""What must hold after each round, whatever happened in it."""
import contextlib
import json
import os
import re
import signal
import time

from blows import OFF, signal_process

LINE = re.compile(r"^n (\d+) \.$")


def check_counters(text, plan, torn):
    """Lines of counters (`logs --json`) have no gap within one start of a service, unless a note says what was dropped.
    `torn`: ends in the middle of a line where reader or shim were killed."""
    last, told, problems = {}, set(), []
    counting = {s.name for p in plan.projects for s in p.services if s.counts}
    for raw in text.splitlines():
        try:
            line = json.loads(raw)
            service, instance, stream, words = line["service"], line["instance"], line["stream"], line["line"].rstrip("\r")
        except (ValueError, KeyError, TypeError):
            if raw.startswith("{") and not torn:
                problems.append(f"a line of `logs --json` is not JSON: {raw[:300]}")
            continue
        key = (service, instance)
        if stream == "locald":
            if "dropped" in words:
                told.add(key)
            continue
        if service not in counting or not (m := LINE.match(words)):
            continue
        n = int(m[1])
        if key in last and n != last[key] + 1 and key not in told:
            problems.append(f"the log of {service} (instance {instance}) goes from {last[key]} to {n} without a word")
        last[key] = n
    return problems[:5]


def names(path):
    with contextlib.suppress(OSError):
        return sorted(os.listdir(path))
    return []


def cgroups(home_instances):
    found = []
    for root in ("/sys/fs/cgroup", *(f"/sys/fs/cgroup/{n}" for n in names("/sys/fs/cgroup"))):
        found += [f"{root}/{n}" for n in names(root) if n.startswith("locald-") and n[7:] in home_instances]
    return found


def left_behind(locald, orphans_may_live, deadline=4.0):
    """Problems: what is still there of the home's services. `orphans_may_live`: server and shims were killed, so that what has
    cleared its environment and left its parents is found by nobody (SECURITY.md): the round ends it."""
    end = time.monotonic() + deadline
    while True:
        run, data = locald.home / "run", locald.home / "data"
        what = {"runc": names(run / "runc"), "instances": names(run / "svc"), "bundles": names(run / "bundles"), "notify": names(run / "notify"),
                "records": names(run / "projects"), "copies": names(locald.home / "state/instances"), "writable layers": names(data / "containers"), "mounts": locald.mounts()}
        if not any(v for k, v in what.items() if f"promise: {k}" not in OFF):
            server = locald.server_pid()
            what["processes"] = {p: c for p, c in locald.processes(holders=True).items() if p != server}
            for p, c in list(what["processes"].items()):
                if orphans_may_live and c in ("sleep 994", "sleep 995"):
                    signal_process(p, signal.SIGKILL)
                    del what["processes"][p]
        what = {k: v for k, v in what.items() if v and f"promise: {k}" not in OFF}
        if not what:
            return []
        if time.monotonic() > end:
            what.setdefault("processes", {p: c[:200] for p, c in locald.processes(holders=True).items()})
            return ["left behind: " + json.dumps(what, indent=1)[:6000]]
        time.sleep(0.05)


def hung(locald, pid, what, said):
    """A report of a verb that did not end: stacks of the verb, the server and the shims, and the server's log."""
    lines = [what, f"it said: {said[-1500:]}"]
    for p, command in {**({pid: "the verb"} if pid else {}), **locald.processes()}.items():
        if pid is None or p == pid or "locald" in command or "runc" in command:
            lines.append(f"process {p}: {command[:200]}")
            for task in names(f"/proc/{p}/task"):
                text = {}
                for name in ("comm", "wchan", "syscall", "stack"):
                    with contextlib.suppress(OSError):
                        text[name] = open(f"/proc/{p}/task/{task}/{name}").read().strip()
                state = ""
                with contextlib.suppress(OSError):
                    state = open(f"/proc/{p}/task/{task}/stat").read().rpartition(")")[2].split()[0]
                lines.append(f"  {task} {text.get('comm')} {state} in {text.get('wchan')} (system call {(text.get('syscall') or '?').split()[0]})")
                lines += ["    " + s for s in text.get("stack", "").splitlines()[:8]]
    with contextlib.suppress(OSError):
        lines.append("server.log: " + (locald.home / "state/server.log").read_bytes()[-3000:].decode(errors="replace"))
    return "\n".join(lines)
