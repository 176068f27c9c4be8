"""One round: runs what plan.py drew against one home, then calms down and looks whether every promise was kept."""
import collections
import contextlib
import errno
import json
import os
import re
import selectors
import shutil
import signal
import subprocess
import time

from blows import LATER, OFF, signal_process, strike
from plan import SAID
from promises import check_counters, check_ends, check_reached, check_running, hung, left_behind, names, of_cgroups, runs_of
from support import alive
from verbs import OF_SERVER, has_worked, may_end

DEADLINE = 40.0  # seconds for any verb, however many others run; what hears no signal has 10 to end, twice where it is asked twice
CALM_DEADLINE = 30.0  # for those that clear up after the storm
LOG_DEADLINE = 3.0  # within which the last line that a service wrote is in its log
UNANSWERED = re.compile(r"gave no answer; this is a bug|bug in locald")
REFUSED = re.compile(r"^error: \S+locald\.toml:\d+", re.M)
CUT = re.compile(r"ended its reply without a result")


class Running:
    def __init__(self, verb, argv, process, output, now):
        self.verb, self.kind, self.argv, self.process, self.output = verb, verb.kind, argv, process, output
        self.started, self.deadline, self.hit = now, now + DEADLINE, False

    def text(self):
        return self.output.read_bytes().decode(errors="replace")


class Storm:
    """@param project  makes a support.Project of (name, toml); @param folder  for the verbs' output: outside the home, which may be full."""

    def __init__(self, locald, plan, project, folder):
        self.locald, self.plan, self.folder = locald, plan, folder
        self.projects = [project(p.name, p.toml) for p in plan.projects]
        for p in self.projects:
            (p.dir / "src").mkdir(exist_ok=True)
            locald.identity.own(p.dir)
        self.problems, self.running, self.timers, self.damaged, self.log = [], [], [], [], []
        self.stops_cut = False  # a `server stop` was interrupted: nobody knows when it ends
        self.server_may_end = self.killed_shims = self.filled = self.forgotten = False
        self.count = 0
        self.verbs, self.blows = collections.Counter(), collections.Counter()  # (name, whether it has worked, or hit): how often
        self.dying = []  # shims that were killed
        self.instances = set()  # all whose folders were seen
        self.selector = selectors.DefaultSelector()
        self.begun = time.monotonic()

    # -- time ----------------------------------------------------------------------------------------------------------

    def later(self, seconds, do, always=False):
        """`always`: it undoes something, and is done at the round's end if its time has not come."""
        self.timers.append((time.monotonic() + seconds, do, always))

    def note(self, text):
        self.log.append(f"{time.monotonic() - self.begun:7.3f}  {text}")

    def turn(self, most=0.5):
        """Waits for a verb's end or a timer, and sees to it."""
        now = time.monotonic()
        next_at = min([t for t, _, _ in self.timers] + [r.deadline for r in self.running] + [now + most])
        for key, _ in self.selector.select(max(0.0, next_at - now)):
            self.ended(*key.data)
        now = time.monotonic()
        for timer in [t for t in self.timers if t[0] <= now]:
            self.timers.remove(timer)
            timer[1]()
        for running in [r for r in self.running if r.deadline <= now]:
            self.problems.append(hung(self.locald, running.process.pid, f"`{' '.join(running.argv)}` has not ended within {now - running.started:.0f} s", running.text()))
            running.hit, running.deadline = True, now + 60
            running.process.kill()

    # -- verbs ---------------------------------------------------------------------------------------------------------

    def begin(self, client, n):
        verb = self.plan.clients[client][n]
        project, argv = self.projects[verb.project], list(verb.argv)
        if argv[0] == "EDIT":
            argv.pop(0)
            plan = self.plan.projects[verb.project]
            try:
                project.replace("locald.toml", plan.toml + f'[services.late{self.count}]\ncommand = "exec sleep 1000"\n')
            except OSError as e:
                if e.errno != errno.ENOSPC:  # the round's own full disk: the file stays as it was
                    raise
        if "ANY" in argv:
            argv[argv.index("ANY")] = next(iter(self.containers()), "none")
        if verb.kind.startswith("server "):
            self.server_may_end = True
        self.count += 1
        output = self.folder / f"{self.plan.number}.{client}.{n}"
        with open(output, "wb") as f:
            process = project.popen(*argv, stdout=f, stderr=f)
        running = Running(verb, argv, process, output, time.monotonic())
        self.note(f"client {client}: {' '.join(argv)}")
        self.running.append(running)
        fd = os.pidfd_open(process.pid)
        self.selector.register(fd, selectors.EVENT_READ, (running, client, n, fd))
        if verb.signal_after is not None:
            def interrupt(number):
                if running not in self.running:
                    return
                running.hit, running.deadline = True, time.monotonic() + DEADLINE
                signal_process(process.pid, number)
            self.later(verb.signal_after, lambda: interrupt(signal.SIGINT), always=True)
            if verb.kind not in ("up in the foreground", "logs -f"):  # a PID 1 without a handler hears neither
                self.later(verb.signal_after + 0.3, lambda: interrupt(signal.SIGTERM), always=True)
                self.later(verb.signal_after + 0.6, lambda: interrupt(signal.SIGKILL), always=True)

    def ended(self, running, client, n, fd):
        self.selector.unregister(fd)
        os.close(fd)
        self.running.remove(running)
        rc = running.process.wait()
        self.note(f"client {client}: {' '.join(running.argv[:3])} ended with {rc} after {time.monotonic() - running.started:.2f} s")
        self.instances.update(names(self.locald.home / "run/svc"))
        text = running.text()
        self.look_at(running.argv, text)
        self.judge(running, rc, text)
        self.stops_cut = self.stops_cut or running.hit and running.kind in OF_SERVER
        if n + 1 < len(self.plan.clients[client]):
            self.later(self.plan.clients[client][n + 1].delay, lambda: self.begin(client, n + 1))

    def judge(self, running, rc, text):
        """Whether the verb may end so, and whether it has worked."""
        verb, why = running.verb, None
        if rc < 0 and not running.hit or not running.hit and not may_end(running.kind, rc, text, self.plan, verb, self.disturbed()):
            why = f"ended with {rc}{'' if self.disturbed() else ', although nothing was struck'}"
        try:
            worked = has_worked(running.kind, rc, text, self.plan, verb)
        except ValueError as e:
            worked, why = False, why or (None if running.hit else str(e))
        if why:
            self.problems.append(f"`{' '.join(running.argv)}` {why}: {text[-1500:]}")
        self.verbs[running.kind, worked] += 1

    def disturbed(self):
        return self.server_may_end or any(hit for _, hit in self.blows)

    def look_at(self, argv, text):
        """What no verb may say."""
        said = text[-1500:]
        if UNANSWERED.search(text) and "promise: answered" not in OFF:
            self.problems.append(f"`{' '.join(argv)}` was not answered: {said}")
        elif REFUSED.search(text):
            self.problems.append(f"the driver wrote a file that is refused: {said}")
        elif CUT.search(text) and not self.server_may_end:
            self.problems.append(f"`{' '.join(argv)}`: the reply was cut though the server lived: {said}")
        if argv[:2] == ["logs", "-f"]:
            self.problems += check_counters(text, self.plan, torn=True)

    def ask(self, where, *argv, expect=None, why=""):
        """A verb in the calm; `expect`: the exit code it must have."""
        try:
            r = where(*argv, check=False, timeout=CALM_DEADLINE)
        except AssertionError as e:
            self.problems.append(hung(self.locald, None, f"{why}`{' '.join(argv)}` did not end", str(e)))
            return None
        self.note(f"calm: {' '.join(argv)} ended with {r.rc} after {r.seconds:.2f} s")
        self.look_at(list(argv), r.text)
        if expect is not None and r.rc != expect:
            self.problems.append(f"{why}{r!r}")
        return r

    def containers(self):
        with contextlib.suppress(OSError, ValueError, KeyError, AssertionError):
            r = self.locald("container", "ls", "--json", check=False, timeout=CALM_DEADLINE)
            return [c["id"] for c in r.json()["containers"]] if r.rc == 0 else []
        return []

    # -- the round -----------------------------------------------------------------------------------------------------

    def run(self):
        """@return what was not kept; empty: all was."""
        server = self.watch_server()
        for client in range(len(self.plan.clients)):
            self.later(self.plan.clients[client][0].delay, lambda c=client: self.begin(c, 0))
        for blow in self.plan.blows:
            self.later(blow.at, lambda b=blow: self.strike(b))
        while self.running or self.timers:
            self.turn()
            if not self.running and not any(not always for _, _, always in self.timers):
                for _, do, _ in self.timers:
                    do()
                self.timers.clear()
        if server is not None:
            if not self.server_may_end and selectors_ready(server):
                self.problems.append("the server ended by itself: " + tail(self.locald.home / "state/server.log"))
            os.close(server)
        if not self.problems:
            self.calm()
        self.selector.close()
        return self.problems

    def strike(self, blow):
        self.struck(blow.kind, strike(self, blow))

    def struck(self, kind, hit):
        if hit is LATER:
            return
        self.blows[kind, bool(hit)] += 1
        self.note(f"blow: {kind}: {hit}")

    def watch_server(self):
        pid = self.locald.server_pid()
        with contextlib.suppress(OSError):
            return pid and os.pidfd_open(pid)
        return None

    def calm(self):
        self.wait_for_stop()
        self.wait_for_dying()
        for plan, project in zip(self.plan.projects, self.projects):
            up = None
            if self.plan.up_again:
                project.replace("locald.toml", plan.toml)
                up = self.up_again(plan, project)
            running = {}
            if up and up.rc == 0 and plan.sound and not self.damaged:
                problems, running = check_running(plan, self.locald.identity.root)
                self.problems += problems
                for pid in [pid for processes in running.values() for pid in processes]:
                    self.instances |= of_cgroups(pid)
            self.look_at_logs(plan, project, running)
            if running and not self.problems:
                self.problems += self.look_at_networks(plan, project)
            if running and not self.problems:
                self.verbs_in_the_calm(plan, project)
        self.instances.update(names(self.locald.home / "run/svc"))
        for project in self.projects:
            self.ask(project, "down", expect=0, why="after the storm ")
        for plan in self.plan.projects:
            if rest := {s: p for s, p in runs_of(plan).items() if not (self.killed_shims and self.server_may_end)}:
                self.problems.append(f"`down` has succeeded, and there still run {rest}")
        for container in self.containers():
            r = self.ask(self.locald, "container", "rm", "--force", container)
            if r and r.rc != 0 and "there is no container" not in r.text:  # one with --rm may have gone just now
                self.problems.append(f"after the storm {r!r}")
        if rest := self.containers():
            self.problems.append(f"after `container rm` there are still {rest}")
        self.problems += left_behind(self.locald, self.instances, self.killed_shims and self.server_may_end)
        for path in self.damaged:
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)

    def wait_for_stop(self):
        """A `server stop` that was interrupted goes on, as long as what it ends needs (a PID 1 that hears no signal: 10 s): who comes
        meanwhile is refused, which is not what is looked at here."""
        if not self.stops_cut or (server := self.watch_server()) is None:
            return
        r = self.ask(self.projects[0], "config", "check")
        if r and "the server is stopping" in r.err:
            with selectors.DefaultSelector() as s:
                s.register(server, selectors.EVENT_READ)
                if not s.select(DEADLINE):
                    self.problems.append(hung(self.locald, None, f"the server was told to stop, and has not ended within {DEADLINE:.0f} s", r.err))
        os.close(server)

    def wait_for_dying(self):
        """A shim that was killed ends when PID 1 has reaped what its containers left: as long as it is there, nobody may call it dead."""
        end = time.monotonic() + 5.0
        # And until the server has heard of it: an `up` a moment earlier finds its service running, and does nothing.
        while (any(alive(p) for p in self.dying) or not self.shims_told().isdisjoint(self.dying)) and time.monotonic() < end:
            time.sleep(0.02)

    def shims_told(self):
        """The shims of all services, as `status` has them."""
        if not self.dying:
            return set()
        told = set()
        for project in self.projects:
            with contextlib.suppress(ValueError, KeyError, AssertionError):
                r = project("status", "--json", check=False, timeout=CALM_DEADLINE)
                told |= {s["shim_pid"] for s in r.json()["services"]} if r.rc == 0 else set()
        return told

    def look_at_logs(self, plan, project, running):
        """@param running  What `up` was seen to have brought up; empty: it was not called, or nothing is promised of it."""
        end = time.monotonic() + LOG_DEADLINE
        whole = running and not self.filled and not self.killed_shims and not self.forgotten
        while r := self.ask(project, "logs", "--json", expect=None if self.damaged else 0, why="after the storm "):
            if r.rc != 0:
                return
            if not whole or not (problems := check_ends(r.out, plan, running)):
                self.problems += check_counters(r.out, self.plan, torn=self.killed_shims, first=not self.filled)
                return
            if time.monotonic() > end:
                self.problems += problems
                return
            running = runs_of(plan)

    def look_at_networks(self, plan, project):
        def places():
            r = self.ask(project, "status", "--json", expect=0, why="after the storm ")
            return {e["name"]: e["port"] for e in r.json()["services"]} if r and r.rc == 0 else {}

        def say(service, words):
            r = project("exec", service, "--", *words, check=False, timeout=CALM_DEADLINE)
            return None if self.forgotten and "its run folder was deleted" in r.err else r.text
        return check_reached(plan, places, say)

    def verbs_in_the_calm(self, plan, project):
        """With nobody else there each verb does what it says: one of them in each round, on a service that stays."""
        staying = [s for s in plan.services if s.stays and not s.once]
        if not staying:
            return
        s = staying[self.plan.number % len(staying)]

        def look(what):
            problems, running = check_running(plan, self.locald.identity.root)
            self.problems += [f"{what}: {p}" for p in problems]
            return set(running.get(s.name, {}))
        before = set(runs_of(plan).get(s.name, {}))
        which = self.plan.number % 4
        if which == 0:
            words = ("exec", s.name, "--", "echo", SAID)
            r = self.ask(project, *words, expect=None if self.forgotten else 0, why="after the storm ")
            # The bundle was deleted, and with it the environment that a command would get: the message says what helps.
            if self.forgotten and r and r.rc == 125 and "its run folder was deleted" in r.err and "locald restart" in r.err:
                self.ask(project, "restart", s.name, expect=0, why="of what lost its bundle ")
                r = self.ask(project, *words, why="after the restart ")
            if r and (r.rc != 0 or SAID not in r.out):
                self.problems.append(f"after the storm {r!r}")
        elif which == 1:
            self.ask(project, "restart", s.name, expect=0, why="after the storm ")
            if same := look("`restart`") & before:
                self.problems.append(f"`restart {s.name}` has succeeded, and of before there still run {same}")
        elif which == 2:
            self.ask(project, "stop", s.name, expect=0, why="after the storm ")
            if rest := runs_of(plan).get(s.name):
                self.problems.append(f"`stop {s.name}` has succeeded, and there still run {rest}")
            self.ask(project, "start", s.name, expect=0, why="after the storm ")
            look("`start`")
        else:
            r = self.ask(project, "status", "--json", expect=0, why="after the storm ")
            said = {e["name"]: e["state"] for e in json.loads(r.out)["services"]} if r and r.rc == 0 else {}
            if wrong := [s.name for s in staying if said.get(s.name) not in ("running", "unhealthy", "starting")]:
                self.problems.append(f"{wrong} run, and `status` says {said}")

    def up_again(self, plan, project):
        """@return the last `up`. `forgotten`: what became unmanaged because its record was deleted or damaged, or can be asked nothing any
        more because its bundle was, is to be ended first, and the message says so."""
        expect = 0 if plan.sound and not self.damaged else None
        words = ("up", "-d", "--timeout", "15s")
        r = self.ask(project, *words, expect=None if self.forgotten else expect, why="after the storm ")
        if r is None or not self.forgotten or r.rc == 0:
            return r
        if "cannot be managed" not in r.text and not re.search(r"its run folder was deleted: .*; restart it", r.text):
            if expect is not None:
                self.problems.append(f"after the storm {r!r}")
            return r
        self.ask(project, "down", expect=0, why="of what is not managed ")
        return self.ask(project, *words, expect=expect, why="after what was not managed ")

    def end(self):
        """Of a round that failed: nothing of it shall run on."""
        for running in self.running:
            running.process.kill()
            with contextlib.suppress(subprocess.TimeoutExpired):
                running.process.wait(10)
        for _, do, always in self.timers:
            if always:
                with contextlib.suppress(OSError):
                    do()


def selectors_ready(fd):
    with selectors.DefaultSelector() as s:
        s.register(fd, selectors.EVENT_READ)
        return bool(s.select(0))


def tail(path, size=1500):
    with contextlib.suppress(OSError):
        return path.read_bytes()[-size:].decode(errors="replace")
    return ""
