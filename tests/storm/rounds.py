"""One round: runs what plan.py drew against one home, then calms down and looks whether every promise was kept."""
import contextlib
import errno
import os
import re
import selectors
import shutil
import signal
import subprocess
import time

from blows import OFF, signal_process, strike
from promises import check_counters, hung, left_behind

DEADLINE = 40.0  # seconds for any verb, however many others run; what hears no signal has 10 to end, twice where it is asked twice
CALM_DEADLINE = 30.0  # for those that clear up after the storm
FINE = {0, 1, 125, 126, 127, 128 + signal.SIGINT, 128 + signal.SIGTERM, 128 + signal.SIGKILL}
UNANSWERED = re.compile(r"gave no answer; this is a bug|bug in locald")
REFUSED = re.compile(r"^error: \S+locald\.toml:\d+", re.M)
CUT = re.compile(r"ended its reply without a result")


class Running:
    def __init__(self, verb, argv, process, output, now):
        self.kind, self.argv, self.process, self.output = verb.kind, argv, process, output
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
        self.server_may_end = self.killed_shims = self.filled = self.forgotten = False
        self.tries = self.count = self.hits = 0
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
        self.look_at(running.argv, rc, running.text(), running.hit)
        if n + 1 < len(self.plan.clients[client]):
            self.later(self.plan.clients[client][n + 1].delay, lambda: self.begin(client, n + 1))

    def look_at(self, argv, rc, text, hit=False):
        """What no verb may say, and how none may end."""
        said = text[-1500:]
        if UNANSWERED.search(text) and "promise: answered" not in OFF:
            self.problems.append(f"`{' '.join(argv)}` was not answered: {said}")
        elif REFUSED.search(text):
            self.problems.append(f"the driver wrote a file that is refused: {said}")
        elif CUT.search(text) and not self.server_may_end:
            self.problems.append(f"`{' '.join(argv)}`: the reply was cut though the server lived: {said}")
        elif rc not in FINE and not hit and not (argv[0] == "exec" and rc == 9):
            self.problems.append(f"`{' '.join(argv)}` ended with {rc}: {said}")
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
        self.look_at(list(argv), r.rc, r.text)
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
        hit = strike(self, blow)
        self.hits += hit is not None and hit is not False
        self.note(f"blow: {blow.kind}: {hit}")

    def watch_server(self):
        pid = self.locald.server_pid()
        with contextlib.suppress(OSError):
            return pid and os.pidfd_open(pid)
        return None

    def calm(self):
        for plan, project in zip(self.plan.projects, self.projects):
            if self.plan.up_again:
                project.replace("locald.toml", plan.toml)
                self.up_again(plan, project)
            r = self.ask(project, "logs", "--json")
            if r and r.rc == 0:
                self.problems += check_counters(r.out, self.plan, torn=self.killed_shims)
        for project in self.projects:
            self.ask(project, "down", expect=0, why="after the storm ")
        for container in self.containers():
            r = self.ask(self.locald, "container", "rm", "--force", container)
            if r and r.rc != 0 and "there is no container" not in r.text:  # one with --rm may have gone just now
                self.problems.append(f"after the storm {r!r}")
        if rest := self.containers():
            self.problems.append(f"after `container rm` there are still {rest}")
        self.problems += left_behind(self.locald, self.killed_shims and self.server_may_end)
        for path in self.damaged:
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)

    def up_again(self, plan, project):
        """`forgotten`: what became unmanaged because its record was deleted or damaged is to be ended first, and the message says so."""
        expect = 0 if plan.sound and not self.damaged else None
        words = ("up", "-d", "--timeout", "15s")
        r = self.ask(project, *words, expect=None if self.forgotten else expect, why="after the storm ")
        if r is None or not self.forgotten or r.rc == 0:
            return
        if "cannot be managed" not in r.text:
            if expect is not None:
                self.problems.append(f"after the storm {r!r}")
            return
        self.ask(project, "down", expect=0, why="of what is not managed ")
        self.ask(project, *words, expect=expect, why="after what was not managed ")

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
