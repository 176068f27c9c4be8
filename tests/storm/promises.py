"""What must hold after each round, whatever happened in it."""
import contextlib
import http.client
import json
import os
import re
import signal
import time
import urllib.request

from blows import OFF, signal_process
from plan import MARK

LINE = re.compile(r"^n (\d+) \.$")
OF_EXEC = ("sh -c setsid sleep 98", "setsid sleep 98", "sleep 98", "echo ")  # what VERBS of plan.py run in services


def counted(text, torn=False):
    """What counters wrote, of `logs --json`. `torn`: ends in the middle of a line where reader or shim were killed.
    @return ({service: {instance: its numbers}}, instances with a note of what was dropped, problems)"""
    lines, told, problems = {}, set(), []
    for raw in text.splitlines():
        try:
            line = json.loads(raw)
            service, instance, stream, words = line["service"], line["instance"], line["stream"], line["line"].rstrip("\r")
        except (ValueError, KeyError, TypeError):
            if raw.startswith("{") and not torn:
                problems.append(f"a line of `logs --json` is not JSON: {raw[:300]}")
            continue
        if stream == "locald":
            if "dropped" in words:
                told.add((service, instance))
        elif m := LINE.match(words):
            lines.setdefault(service, {}).setdefault(instance, []).append(int(m[1]))
    return lines, told, problems


def check_counters(text, plan, torn, first=False):
    """Lines of counters have no gap within one start of a service, unless a note says what was dropped.
    @param first  The text begins with the first line of each start."""
    lines, told, problems = counted(text, torn)
    for s in [s for p in plan.projects for s in p.services if s.counts]:
        for instance, seen in lines.get(s.name, {}).items():
            if (s.name, instance) in told:
                continue
            if first and seen[0] != 0:
                problems.append(f"the log of {s.name} (instance {instance}) begins with {seen[0]}")
            for before, n in zip(seen, seen[1:]):
                if n != before + 1:
                    problems.append(f"the log of {s.name} (instance {instance}) goes from {before} to {n} without a word")
    return problems[:5]


def check_ends(text, project, running):
    """The logs hold the last line too, of what runs and of what has ended by itself.
    @param project  of the plan, of which `up` has just succeeded. @param running  what runs_of() found."""
    lines, told, problems = counted(text)
    for s in project.services:
        if not s.counts or not s.stays:
            continue
        starts = lines.get(s.name, {})
        if any((s.name, instance) in told for instance in starts):
            continue
        last = [seen[-1] for seen in starts.values()]
        if s.once:  # it is not started again once it has completed
            if s.counts - 1 not in last:
                problems.append(f"{s.name} has completed, and its log ends with {last} in place of {s.counts - 1}")
        elif not last:
            problems.append(f"{s.name} runs, and its log has no line")
        elif s.counts > 0 and any(c.startswith("sleep ") for c in running.get(s.name, {}).values()) and last[-1] != s.counts - 1:
            problems.append(f"{s.name} has counted to {s.counts - 1}, and its log ends with {last[-1]}")
    return problems


def runs_of(project):
    """{service: {pid: command}}: the processes that have the mark of a service in their environment; those of `exec` left out.
    The kernel's word, not locald's."""
    marks, found = {f"{MARK}={s.mark}".encode(): s.name for s in project.services}, {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            environment = open(f"/proc/{pid}/environ", "rb").read().split(b"\0")
            service = next((marks[v] for v in environment if v in marks), None)
            command = service and open(f"/proc/{pid}/cmdline").read().replace("\0", " ").strip()
            if command and not command.startswith(OF_EXEC):
                found.setdefault(service, {})[int(pid)] = command
    return found


def roots(processes):
    """Those of {pid: command} whose parent is not among them: one for each start of a service."""
    found = []
    for pid in processes:
        with contextlib.suppress(OSError):
            if int(open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[1]) not in processes:
                found.append(pid)
    return found


def check_running(project, cgroups_made, deadline=5.0):
    """Each service that stays runs, once. @param cgroups_made  As root each container has a cgroup. @return (problems, runs_of())"""
    end = time.monotonic() + deadline
    while True:
        running, problems = runs_of(project), []
        for s in project.services:
            if not s.stays or s.once:
                continue
            first = roots(running.get(s.name, {}))
            if len(first) != 1:
                problems.append(f"`up` has succeeded, and {s.name} runs {len(first)} times: {running.get(s.name)}")
            elif s.box and cgroups_made and not of_cgroups(first[0]):
                problems.append(f"{s.name} (process {first[0]}) is in no cgroup of locald")
        if not problems or time.monotonic() > end:
            return problems, running
        time.sleep(0.05)


def fetch(port):
    """What is at http://127.0.0.1:PORT/; what went wrong, where it is nothing."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=3) as answer:
            return answer.read().decode(errors="replace").strip()
    except (OSError, ValueError, http.client.HTTPException) as e:
        return f"({e})"


def check_reached(project, places, say, deadline=10.0):
    """What `up` brought up is reached: at its published port, and by its name from the others of its network.
    @param places  () -> {service: its published port}. @param say  (service, words) -> what `exec` of them says; None where it can run none."""
    webs = [s for s in project.services if s.web]
    problems, end = [], time.monotonic() + deadline
    for s in webs:
        while (page := fetch(port := places().get(s.name))) != s.mark and time.monotonic() < end:
            time.sleep(0.05)
        if page != s.mark:
            problems.append(f"{s.name} runs, and port {port} that it is published at says {page}")
    for other in [s for s in project.services if webs and s.box and s.stays and not s.once][:1]:
        words = ["sh", "-c", f"printf 'GET / HTTP/1.0\r\n\r\n' | nc -w 3 {webs[-1].name} 80"]
        while (said := say(other.name, words)) is not None and webs[-1].mark not in said and time.monotonic() < end:
            time.sleep(0.05)
        if said is not None and webs[-1].mark not in said:
            problems.append(f"{other.name} asks {webs[-1].name} for its page, and hears {said}")
    return problems


def of_cgroups(pid):
    """The instances whose cgroups a process is in."""
    with contextlib.suppress(OSError):
        return set(re.findall(r"/locald-([0-9a-z]+)$", open(f"/proc/{pid}/cgroup").read(), re.M))
    return set()


def names(path):
    with contextlib.suppress(OSError):
        return sorted(os.listdir(path))
    return []


def cgroups(instances):
    """Of these instances, in all hierarchies of both versions."""
    found = []
    for root in ("/sys/fs/cgroup", *(f"/sys/fs/cgroup/{n}" for n in names("/sys/fs/cgroup"))):
        found += [f"{root}/{n}" for n in names(root) if n.startswith("locald-") and n[7:] in instances]
    return found


def left_behind(locald, instances, orphans_may_live, deadline=4.0):
    """Problems: what is still there of the home's services. `instances`: whose cgroups are looked for. `orphans_may_live`: server and
    shims were killed, so that what has cleared its environment and left its parents is found by nobody (SECURITY.md): the round ends it."""
    end = time.monotonic() + deadline
    while True:
        run, data = locald.home / "run", locald.home / "data"
        what = {"runc": names(run / "runc"), "instances": names(run / "svc"), "bundles": names(run / "bundles"), "notify": names(run / "notify"),
                "records": names(run / "projects"), "networks": names(run / "net"), "copies of networks": names(locald.home / "state/networks"), "copies": names(locald.home / "state/instances"), "writable layers": names(data / "containers"), "mounts": locald.mounts(),
                "cgroups": cgroups(instances)}
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
