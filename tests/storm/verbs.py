"""What each verb of plan.VERBS may end with in which state, when it has done its work, and how many must have done it in a whole storm."""
import json
import re
import signal

from plan import SAID

KILLED = 128 + signal.SIGKILL
RUNS = {"exec", "exec long", "exec with children", "container run", "container run long"}  # end as their process does
# What takes things away from the other verbs of a round.
TAKES = {"down", "down --volumes", "stop", "restart", "start", "up in the foreground", "edit and up"}
OF_SERVER = {"server restart", "server stop", "server stop --all"}

# Why a verb may fail although nothing was struck: what another client does at the same time, and what the project is like.
BECAUSE = re.compile("|".join((
    r"project \S+ is not up", r"project \S+ is going down", r"project \S+ was brought down", r"was started again by another command",
    r"the process's shim (is gone|refused)", r"\(it has ended\)", r"^error: \S+ has ended$", r"no container runs there: it has ended", r"before the command began: the container has ended", r"^error: [^:\n]+: \S+ is being stopped", r"container \S+ was removed", r"there is no service 'late", r"not in time",
    r"^error: [^:\n]+: (stopped|stopping|exited|failed|crash-loop|unhealthy|was stopped|preparing|starting|waiting|completed)",
    r"^error: [^:\n]+ is (stopped|stopping|exited|failed|crash-loop|starting|preparing|waiting|unhealthy)", r"^error: [^:\n]+: exited with code", r"^error: [^:\n]+: .*ended by SIG",
    r"^error: [^:\n]+: (it )?(depends|waits)")), re.M)


def may_end(kind, rc, text, plan, verb, struck):
    """Whether `kind` may end with `rc`; it was not hit itself. @param struck  A blow, or an end of the server, came in this round."""
    kinds = [v.kind for client in plan.clients for v in client]
    if rc == 0:
        return kind not in ("exec long", "exec with children", "container run long", "logs -f") or kind == "exec with children" and struck
    if kind == "exec with children" and rc == 9:
        return True
    if rc == KILLED and kind in RUNS:
        return struck or bool(TAKES & set(kinds)) or "container rm" in kinds
    if kind == "server status" and rc == 1 and "no server is running" in text:
        return True  # it starts none
    own = {1, 125} if kind.startswith("exec") else {125} if kind.startswith("container run") else {1}
    if rc not in own or not re.search(r"^error: \S", text, re.M):  # whoever fails says why
        return False
    if struck:
        return True
    if kind == "container rm":
        return "there is no container" in text
    if kind.startswith("container run"):
        return "container rm" in kinds  # of whichever is there
    if kind.startswith("exec") or kind in ("start", "stop", "restart"):
        return bool(BECAUSE.search(text))
    if kind.startswith("up") or kind == "edit and up":
        sound = plan.projects[verb.project].sound and kind != "up --wait"  # some never become healthy
        return bool(TAKES & set(kinds)) and bool(BECAUSE.search(text)) or not sound
    return False  # down, logs, status, container ls, config check…: nothing else stands in their way


def has_worked(kind, rc, text, plan, verb):
    """Whether the verb has done its work, by what it says and ends with; raises ValueError where it says that it has, and shows nothing."""
    if kind in ("exec long", "container run long"):
        return rc not in (0, 1, 125, 126, 127)  # it ran until it was interrupted
    if kind == "logs -f":
        return '"line"' in text
    if kind == "exec with children":
        return rc == 9
    if rc != 0:
        return False
    shown = {
        "exec": lambda: SAID in text,
        "container run": lambda: SAID in text,
        "container run -d": lambda: re.search(r"^[0-9a-f]{12}$", text, re.M),
        "status": lambda: all(s.name in text for s in plan.projects[verb.project].services),
        "status --all": lambda: "projects" in json.loads(text[text.index("{"):]),
        "container ls": lambda: "IMAGE" in text.upper(),
        "server status": lambda: re.search(r"\b\d+\b", text),
        "config check": lambda: text.strip(),
    }.get(kind)
    if shown is not None and not shown():
        raise ValueError("it ended with 0 and shows nothing of it")
    return True


# In a whole storm, the least share of each verb that has worked, and of each blow that has found something to hit: about a
# half of what it is; those that are not named: a half. Most of `exec` comes to a service that does not run yet.
LEAST = {"exec": 0.2, "exec long": 0.15, "exec with children": 0.2, "up --wait": 0.25, "restart": 0.35, "stop": 0.4, "container rm": 0.3}
LEAST_HITS = {"kill runc": 0.2, "kill netd": 0.25, "kill worker": 0.03, "kill or interrupt a CLI": 0.3, "freeze shim for long": 0.25}
ENOUGH = 20  # a share of fewer says nothing


def shares(worked, struck):
    """@param worked, struck  {name: (how many, how many of them)}. @return what was not reached: a storm in which nothing succeeds tests nothing."""
    problems = []
    for least, seen, what in ((LEAST, worked, "have worked"), (LEAST_HITS, struck, "have hit")):
        for name, (all_, good) in sorted(seen.items()):
            share = least.get(name, 0.5)
            if all_ >= ENOUGH and good < share * all_:
                problems.append(f"{name}: {good} of {all_} {what}, which is under {share:.0%}")
    return problems
