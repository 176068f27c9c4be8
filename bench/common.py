"""What the sections share: the scratch folder and its cleaning up, helper programs, packages, timed runs, figures."""
import contextlib
import json
import os
import pathlib
import pwd
import shutil
import signal
import subprocess
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
MS = 1_000_000


class Skip(Exception):
    """A section, or a competitor in it, that cannot run here: the reason."""


def say(text=""):
    print(text, flush=True)


def now():
    return time.monotonic_ns()


def median(values):
    v = sorted(values)
    return v[len(v) // 2] if len(v) % 2 else (v[len(v) // 2 - 1] + v[len(v) // 2]) / 2


def percentile(values, p):
    v = sorted(values)
    return v[min(len(v) - 1, int(len(v) * p / 100))]


def figure(ms):
    return f"{ms:.1f}" if ms < 100 else f"{ms:.0f}"


def wait_until(predicate, what, deadline=60.0, step=0.02):
    end = time.monotonic() + deadline
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() > end:
            raise Skip(f"still not after {deadline:.0f} s: {what}")
        time.sleep(step)


def table(rows):
    """Prints rows of strings; the first is the head."""
    widths = [max(len(str(r[i])) for r in rows) for i in range(len(rows[0]))]
    for r in rows:
        say("  " + "  ".join(str(c).ljust(w) if i == 0 else str(c).rjust(w) for i, (c, w) in enumerate(zip(r, widths))))


def compare(what, value, peers, goal=None):
    """One line of ratios; `goal` = (peer, at most this ratio)."""
    parts = [f"{value / v:.2f}x {name}" for name, v in peers.items() if v]
    verdict = ""
    if goal and peers.get(goal[0]):
        verdict = f"  [goal <= {goal[1]}x {goal[0]}: {'reached' if value / peers[goal[0]] <= goal[1] else 'MISSED'}]"
    say(f"  => locald {what}: {', '.join(parts) or 'nothing to compare with'}{verdict}")


def goal(what, value, limit, unit):
    say(f"  => locald {what}: {value:.2f} {unit}  [goal <= {limit} {unit}: {'reached' if value <= limit else 'MISSED'}]")


def install(*packages):
    """apt-get install of what is missing; nothing that is installed starts a server."""
    have = subprocess.run(["dpkg-query", "-W", "-f", "${db:Status-Status} ${Package}\n"], stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()
    missing = [p for p in packages if f"installed {p}" not in have]
    if not missing:
        return
    say(f"installing {' '.join(missing)}")
    sudo = [] if os.geteuid() == 0 else ["sudo"]
    script = """
        policy=/usr/sbin/policy-rc.d
        if [ ! -e $policy ]; then printf '#!/bin/sh\\nexit 101\\n' >$policy; chmod 755 $policy; trap 'rm -f $policy' EXIT; fi
        export DEBIAN_FRONTEND=noninteractive
        get() { apt-get -qq -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300 install -y --no-install-recommends "$@" >"$log" 2>&1; }
        log=$(mktemp)
        get "$@" || { apt-get -qq update >/dev/null; get "$@"; } || { cat "$log" >&2; exit 1; }
        rm -f "$log" """
    if subprocess.run([*sudo, "sh", "-c", script, "sh", *missing]).returncode:
        raise SystemExit(f"bench: apt could not install {' '.join(missing)}")


class Bench:
    """One run of the script: the options, a scratch folder on tmpfs, the user, the binaries."""

    def __init__(self, options):
        self.quick = options.quick
        self.cache = pathlib.Path(options.cache).resolve() if options.cache else None
        who = pwd.getpwnam(options.user) if options.user else pwd.getpwuid(os.geteuid())
        self.user, self.uid, self.gid, self.rootless = who.pw_name, who.pw_uid, who.pw_gid, who.pw_uid != 0
        self.switch = self.uid != os.geteuid()
        if self.switch and os.geteuid() != 0:
            raise SystemExit("bench: --user needs root")
        base = pathlib.Path(os.environ.get("LOCALD_BENCH_DIR", "/dev/shm"))
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="locald-bench.", dir=base))
        self.dir.chmod(0o755)
        self.tag = self.dir.name
        self.work = self.folder("work")
        self.env = {"PATH": PATH, "HOME": str(self.folder("home")), "USER": self.user, "LANG": "C.UTF-8", "TMPDIR": str(self.folder("tmp")),
                    "LOCALD_BENCH": self.tag}
        (self.dir / "bin").mkdir()
        self.dist = self._dist(pathlib.Path(os.environ.get("LOCALD_BUILD") or ROOT / "build/release"))

    def _dist(self, build):
        """The binaries, copied to where every user may run them; None where they are not built."""
        if not all((build / p).is_file() for p in ("bin/locald", "libexec/locald/locald-server", "libexec/locald/locald-shim")):
            return None
        for p in ("bin/locald", "libexec/locald/locald-server", "libexec/locald/locald-shim", "libexec/locald/locald-netd"):
            if not (build / p).exists():  # of a build before there was one
                continue
            target = self.dir / "dist" / p
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(build / p, target)
        return self.dir / "dist"

    def folder(self, name):
        """A folder of the user's own in the scratch folder; made if it is missing."""
        path = self.dir / name
        path.mkdir(parents=True, exist_ok=True)
        if self.switch:
            while path != self.dir:
                os.chown(path, self.uid, self.gid)
                path = path.parent
        return self.dir / name

    def helper(self, name, **macros):
        """A program of helpers/, compiled at its first use."""
        out = self.dir / "bin" / name
        if not out.exists():
            defines = [f'-D{k}="{v}"' for k, v in macros.items()]
            subprocess.run(["gcc", "-O2", "-static", *defines, "-o", out, HERE / "helpers" / f"{name}.c"], check=True)
        return str(out)

    # -- running ------------------------------------------------------------------------------------------------------

    def _identity(self):
        return {"user": self.uid, "group": self.gid, "extra_groups": [self.gid]} if self.switch else {}

    def popen(self, argv, env=None, cwd=None, **more):
        more = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, **more}
        return subprocess.Popen([str(a) for a in argv], env={**self.env, **(env or {})}, cwd=cwd or self.work, **self._identity(), **more)

    def run(self, argv, env=None, cwd=None, timeout=180, check=True):
        p = self.popen(argv, env, cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            out, err = p.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            p.kill()
            p.communicate()
            raise Skip(f"{' '.join(map(str, argv))}: no end within {timeout} s") from None
        if check and p.returncode:
            raise Skip(f"{' '.join(map(str, argv))}: exit {p.returncode}: {err.decode(errors='replace').strip()[-600:]}")
        return out.decode(errors="replace")

    def in_userns(self, argv):
        """The command line that runs `argv` with the ids that a rootless container has; `argv` itself for root."""
        return ["unshare", "--user", "--map-root-user", "--map-auto", "--mount", *argv] if self.rootless else list(argv)

    # -- cleaning up --------------------------------------------------------------------------------------------------

    def processes(self):
        """{pid: comm} of all processes that this run has started, by the tag in their environment or command line."""
        mark, found = self.tag.encode(), {}
        for pid in filter(str.isdigit, os.listdir("/proc")):
            if int(pid) in (os.getpid(), os.getppid()):
                continue
            with contextlib.suppress(OSError):
                if any(mark in open(f"/proc/{pid}/{f}", "rb").read() for f in ("environ", "cmdline")):
                    found[int(pid)] = open(f"/proc/{pid}/comm").read().strip()
        return found

    def end_processes(self):
        self.end_processes_but(None)

    def end_processes_but(self, pid):
        for _ in range(50):
            rest = set(self.processes()) - {pid}
            if not rest:
                return
            for pid in rest:
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.05)

    def remove(self, path):
        if os.geteuid() != 0 and path.exists():
            subprocess.run(self.in_userns(["rm", "-rf", str(path)]), stderr=subprocess.DEVNULL)
        shutil.rmtree(path, ignore_errors=True)

    def close(self):
        self.end_processes()
        mounts = [line.split()[4] for line in open("/proc/self/mountinfo") if self.tag in line.split()[4]]
        for m in reversed(mounts):
            subprocess.run(["umount", "-l", m], stderr=subprocess.DEVNULL)
        self.remove(self.dir)
        rest = [*self.processes().values(), *([str(self.dir)] if self.dir.exists() else [])]
        if rest:
            say(f"bench: left behind: {' '.join(rest)}")


class Timed:
    """A command that is run again and again by helpers/timer.c. Times in ms."""

    def __init__(self, bench, name, argv, env=None, cwd=None, userns=False):
        self.name, self.times, self.starts, self.ends = name, [], [], []
        argv = [bench.helper("timer"), *map(str, argv)]
        self.errors = open(bench.dir / f"timer-{name}.err".replace(" ", "_"), "w+b")
        self.process = bench.popen(bench.in_userns(argv) if userns else argv, env, cwd, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, text=True)

    def once(self, record=True):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline().split()
        if len(line) != 3 or line[2] != "0":
            self.errors.seek(0)
            raise Skip(f"{self.name}: exit {os.waitstatus_to_exitcode(int(line[2])) if len(line) == 3 else 'unknown'}: {self.errors.read().decode(errors='replace').strip()[-600:]}")
        if record:
            self.starts.append(int(line[0]))
            self.ends.append(int(line[1]))
            self.times.append((int(line[1]) - int(line[0])) / MS)

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        self.errors.close()

    @property
    def median(self):
        return median(self.times)


def alternate(timers, rounds, warm_up=3):
    """Runs the commands in turn, so that noise of the machine meets all alike. One that fails is dropped, with its reason."""
    left = list(timers)
    for i in range(warm_up + rounds):
        for t in list(left):
            try:
                t.once(i >= warm_up)
            except Skip as e:
                say(f"  {e}")
                left.remove(t)
    for t in timers:
        t.close()
    return left


# -- what /proc says ---------------------------------------------------------------------------------------------------

def pss_kib(pid):
    for line in open(f"/proc/{pid}/smaps_rollup"):
        if line.startswith("Pss:"):
            return int(line.split()[1])
    return 0


def tasks(pid):
    try:
        return [f"/proc/{pid}/task/{t}" for t in os.listdir(f"/proc/{pid}/task")]
    except OSError:
        return []


def cpu_ms(pids):
    """CPU time of these processes so far; of threads that have ended nothing is known."""
    total = 0
    for pid in pids:
        for t in tasks(pid):
            with contextlib.suppress(OSError):
                total += int(open(t + "/schedstat").read().split()[0])
    return total / MS


def wake_ups(pids):
    total = 0
    for pid in pids:
        for t in tasks(pid):
            with contextlib.suppress(OSError):
                total += sum(int(line.split()[1]) for line in open(t + "/status") if line.startswith("voluntary_ctxt"))
    return total


# -- locald ------------------------------------------------------------------------------------------------------------

class Locald:
    """The locald of one fresh home."""

    def __init__(self, bench, name, config=""):
        if bench.dist is None:
            raise Skip("not built")
        self.bench, self.binary = bench, str(bench.dist / "bin/locald")
        self.home = bench.folder(name)
        self.home.chmod(0o700)
        if config:
            (self.home / "config.toml").write_text(config)
        self.env = {"LOCALD_HOME": str(self.home)}

    def __call__(self, *args, cwd=None, timeout=180, env=None, check=True):
        return self.bench.run([self.binary, *args], {**self.env, **(env or {})}, cwd or self.home, timeout, check)

    def timed(self, name, *args, cwd=None):
        return Timed(self.bench, name, [self.binary, *args], self.env, cwd or self.home)

    def status(self, cwd):
        return json.loads(self("status", "--json", cwd=cwd))["services"]

    def _named(self, comm, program):
        found = []
        for pid in self.bench.processes():
            with contextlib.suppress(OSError):
                if open(f"/proc/{pid}/comm").read().strip() == comm or os.path.basename(os.readlink(f"/proc/{pid}/exe")) == program:
                    environ = open(f"/proc/{pid}/environ", "rb").read() + open(f"/proc/{pid}/cmdline", "rb").read()
                    if str(self.home).encode() in environ or self.bench.tag.encode() in environ:
                        found.append(pid)
        return found

    def servers(self):
        return self._named("locald-server", "locald-server")

    def shims(self):
        return self._named("locald-shim", "locald-shim")

    def close(self):
        """Stops everything and removes the home."""
        try:
            self("server", "stop", "--all", timeout=60, check=False)
        except Skip as e:
            say(f"  {e}")
        self.bench.remove(self.home)
