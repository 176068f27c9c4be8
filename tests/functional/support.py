"""What the functional tests drive locald with: one home per test, real processes, real terminals."""
import contextlib
import fcntl
import http.client
import json
import os
import pathlib
import pwd
import re
import select
import shutil
import signal
import socket
import struct
import subprocess
import termios
import textwrap
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
PASSWORD = "pa55word-of-a-test"  # of the user `user`, in the registry of the fixture guarded_registry
KERNEL_THREAD = 0x200000  # PF_KTHREAD of /proc/PID/stat
# The system's own programs: an unprivileged user cannot read what root has in its home.
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@contextlib.contextmanager
def one_at_a_time():
    """Of the processes that the tests are spread over."""
    (ROOT / "build").mkdir(exist_ok=True)
    with open(ROOT / "build/tests.lock", "w") as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        yield


def wait_until(predicate, what, deadline=20.0, step=0.02):
    """Calls `predicate` until it returns something true and returns that; AssertionError with `what` after `deadline` seconds."""
    end = time.monotonic() + deadline
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"still not after {deadline} s: {what}")
        time.sleep(step)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def port_open(port):
    with socket.socket() as s:
        s.settimeout(1)
        return s.connect_ex(("127.0.0.1", port)) == 0


@contextlib.contextmanager
def real_registry(folder):
    """HOST:PORT of Debian's docker-registry on loopback, its files in `folder`, a new one."""
    for tool in ("docker-registry", "skopeo"):
        assert shutil.which(tool, path=PATH), f"{tool} is missing: scripts/deps --test"
    port = free_port()
    folder.mkdir()
    (folder / "config.yml").write_text(f"""version: 0.1
log: {{level: error, accesslog: {{disabled: true}}}}
storage: {{filesystem: {{rootdirectory: {folder}/data}}, delete: {{enabled: true}}}}
http: {{addr: 127.0.0.1:{port}}}
""")
    with open(folder / "log", "w") as log:
        server = subprocess.Popen(["docker-registry", "serve", folder / "config.yml"], stdout=log, stderr=log)
    try:
        wait_until(lambda: port_open(port), "docker-registry listens")
        yield f"127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait()


def http_get(port, path="/"):
    """(status, body) or None when nobody answers."""
    c = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        c.request("GET", path)
        r = c.getresponse()
        return r.status, r.read().decode()
    except OSError:
        return None
    finally:
        c.close()


def alive(pid):
    try:
        return open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def children(pid):
    try:
        return [int(c) for t in os.listdir(f"/proc/{pid}/task") for c in open(f"/proc/{pid}/task/{t}/children").read().split()]
    except OSError:
        return []


def tree(pid):
    found = [pid]
    for c in children(pid):
        found += tree(c)
    return found


class Identity:
    """Who runs locald: root, or an unprivileged user, with subordinate ids or without."""

    def __init__(self, name):
        self.name = name
        p = pwd.getpwnam(name)
        self.uid, self.gid = p.pw_uid, p.pw_gid
        self.root = self.uid == 0
        self.switch = self.uid != os.geteuid()

    def popen_args(self):
        return {"user": self.uid, "group": self.gid, "extra_groups": [self.gid]} if self.switch else {}

    def own(self, path):
        if self.switch:
            for folder, dirs, files in os.walk(path):
                for n in [folder, *(os.path.join(folder, x) for x in dirs + files)]:
                    os.lchown(n, self.uid, self.gid)

    def subuid(self):
        """First id of the subordinate range."""
        for line in open("/etc/subuid"):
            who, first, _ = line.strip().split(":")
            if who in (self.name, str(self.uid)):
                return int(first)
        return None

    def outside(self, inner):
        """The host's id for a container's id."""
        if self.root:
            return inner
        return self.uid if inner == 0 or self.single else self.subuid() + inner - 1

    @property
    def single(self):
        """Every user of its containers is its own id."""
        return not self.root and self.subuid() is None

    def __repr__(self):
        return self.name


class Result:
    def __init__(self, argv, rc, out, err, seconds):
        self.argv, self.rc, self.out, self.err, self.seconds = argv, rc, out, err, seconds

    def json(self):
        return json.loads(self.out)

    @property
    def text(self):
        return self.out + self.err

    def __repr__(self):
        return f"$ {' '.join(map(str, self.argv))}\nexit {self.rc} after {self.seconds:.2f} s\n-- stdout\n{self.out[-4000:]}\n-- stderr\n{self.err[-4000:]}"


class Locald:
    """The locald of one home. Calling it runs the command: `locald("up", "-d", cwd=…)`."""

    def __init__(self, dist, identity, home, env=None):
        self.dist, self.identity, self.home = pathlib.Path(dist), identity, pathlib.Path(home)
        self.binary = str(self.dist / "bin/locald")
        self.own_mounts = []  # where the test itself has mounted something below the home
        self.hidden = []  # programs that this locald shall not find in their usual places: `hide`
        self.env = {"PATH": PATH, "HOME": str(self.home / "user"), "USER": identity.name, "LANG": "C.UTF-8", "LOCALD_HOME": str(self.home),
                    "TMPDIR": str(self.home / "user"), **(env or {})}

    def _environ(self, env):
        return {k: v for k, v in {**self.env, **(env or {})}.items() if v is not None}

    def __call__(self, *args, check=True, timeout=90, cwd=None, env=None, input=None):
        started = time.monotonic()
        p = self.popen(*args, cwd=cwd, env=env, stdin=subprocess.PIPE if input is not None else subprocess.DEVNULL)
        try:
            out, err = p.communicate(input.encode() if isinstance(input, str) else input, timeout=timeout)
        except subprocess.TimeoutExpired:
            p.kill()
            out, err = p.communicate()
            r = Result([*p.args], "timed out", out.decode(errors="replace"), err.decode(errors="replace"), time.monotonic() - started)
            raise AssertionError(f"no end within {timeout} s\n{r!r}") from None
        r = Result([*p.args], p.returncode, out.decode(errors="replace"), err.decode(errors="replace"), time.monotonic() - started)
        assert not check or r.rc == 0, repr(r)
        return r

    def popen(self, *args, cwd=None, env=None, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more):
        argv, who = [self.binary, *map(str, args)], self.identity.popen_args()
        if self.hidden:
            covers = "".join(f"mount --bind /dev/null {p}; " for p in self.hidden)
            switch = ["setpriv", f"--reuid={self.identity.uid}", f"--regid={self.identity.gid}", "--init-groups", "--inh-caps=-all", "--"]
            argv, who = ["unshare", "--mount", "sh", "-ec", covers + 'exec "$@"', "sh", *switch, *argv], {}
        return subprocess.Popen(argv, cwd=cwd or self.home / "user", env=self._environ(env), stdin=stdin, stdout=stdout, stderr=stderr, umask=0o022, **who, **more)

    def pty(self, *args, cwd=None, env=None, rows=24, columns=80):
        return Pty([self.binary, *map(str, args)], cwd or self.home / "user", self._environ({"TERM": "xterm", **(env or {})}), self.identity, rows, columns)

    def as_user(self, *argv, timeout=30, **more):
        """Another program, as the same identity and with the same environment."""
        return subprocess.run(list(map(str, argv)), env=self._environ(None), timeout=timeout, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              cwd=self.home / "user", **self.identity.popen_args(), **more)

    def server_pid(self):
        """The pid of the server that listens on this home's socket, or None."""
        path = self.home / "run/server.sock"
        try:
            with socket.socket(socket.AF_UNIX) as s:
                s.settimeout(5)
                fd = os.open(path.parent, os.O_PATH)
                try:
                    s.connect(f"/proc/self/fd/{fd}/{path.name}")
                finally:
                    os.close(fd)
                return struct.unpack("3i", s.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]
        except OSError:
            return None

    def at_rest(self):
        """Waits until the server does nothing in the background. After a build's answer copies are made for the next one, and what is old is removed: before a
        test looks at what is kept, or changes it by itself."""
        def jobs():
            r = self("server", "status", "--json", check=False)
            return r.json()["jobs"] if r.rc == 0 else 0
        wait_until(lambda: jobs() == 0, "no job is under way")

    # -- what may be left of this home ---------------------------------------------------------------------------------

    def processes(self, holders=False):
        """{pid: command} of every process that belongs to this home: by its environment, its command line, or by what is mounted in it.
        `holders`: also by standing in it or holding a file of it (what has cleared its environment)."""
        # In a list of mounts a path may begin below the tmpfs: its last two parts.
        marks, found = [str(self.home).encode(), "/".join(self.home.parts[-2:]).encode()], {}
        device = os.stat(self.home).st_dev if self.home.exists() else 0
        # A file system of its own: inside a container that number alone is left of its name.
        if str(self.home) in self.own_mounts and device not in (0, os.stat(self.home.parent).st_dev):
            marks.append(f" {os.major(device)}:{os.minor(device)} ".encode())
        for pid in filter(str.isdigit, os.listdir("/proc")):
            if int(pid) == os.getpid():
                continue
            with contextlib.suppress(OSError):
                stat = open(f"/proc/{pid}/stat").read()
                fields = stat.rpartition(")")[2].split()
                if fields[0] in "ZX" or int(fields[6]) & KERNEL_THREAD:
                    continue
                if self._belongs(pid, marks) or (holders and self._holds(pid)):
                    found[int(pid)] = open(f"/proc/{pid}/cmdline").read().replace("\0", " ").strip() or stat
        return found

    def _belongs(self, pid, marks):
        for name in ("environ", "cmdline", "mountinfo"):
            try:
                if name == "mountinfo" and os.path.samefile(f"/proc/{pid}/ns/mnt", "/proc/self/ns/mnt"):
                    continue
                data = open(f"/proc/{pid}/{name}", "rb").read()
            except OSError:
                continue
            if name == "mountinfo" and self.own_mounts:  # every namespace made meanwhile has those
                data = b"".join(line for line in data.splitlines(True) if line.split()[4].decode(errors="replace") not in self.own_mounts)
            if any(m in data for m in marks):
                return True
        return False

    def _holds(self, pid):
        links = [f"/proc/{pid}/cwd", f"/proc/{pid}/root"]
        with contextlib.suppress(OSError):
            links += [f"/proc/{pid}/fd/{fd}" for fd in os.listdir(f"/proc/{pid}/fd")]
        for link in links:
            with contextlib.suppress(OSError):
                if (os.readlink(link) + "/").startswith(f"{self.home}/"):
                    return True
        return False

    def mounts(self):
        return [line for line in open("/proc/self/mountinfo") if self.home.name in line.split()[4] and line.split()[4] not in (str(self.home), *self.own_mounts)][:20]

    def runc_state(self):
        try:
            return sorted(os.listdir(self.home / "run/runc"))
        except OSError:
            return []

    def instances(self):
        try:
            return sorted(os.listdir(self.home / "run/svc"))
        except OSError:
            return []

    def assert_nothing_left(self, but_server=True, deadline=3.0):
        """After `down`: no process but the server, no mount, no runc state, no instance folder, no bundle."""
        def left():
            server = self.server_pid() if but_server else None
            what = {
                "processes": {p: c for p, c in self.processes().items() if p != server},
                "mounts": self.mounts(),
                "runc": self.runc_state(),
                "instances": self.instances(),
                "bundles": sorted(os.listdir(self.home / "run/bundles")) if (self.home / "run/bundles").is_dir() else [],
            }
            return {k: v for k, v in what.items() if v}

        end = time.monotonic() + deadline
        while (rest := left()) and time.monotonic() < end:
            time.sleep(0.05)
        assert not rest, f"left behind: {json.dumps(rest, indent=1)}"

    def destroy(self):
        """Ends what is still there (only after a failed test there is anything) and removes the home."""
        for _ in range(20):
            rest = self.processes()
            if not rest:
                break
            for pid in rest:
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.1)
        if not self.identity.root and os.geteuid() != 0:  # files of subordinate ids: only their namespace may remove them
            subprocess.run(["unshare", "--user", "--map-root-user", "--map-auto", "rm", "-rf", "--one-file-system", str(self.home)], stderr=subprocess.DEVNULL)
        shutil.rmtree(self.home, ignore_errors=True)


class Project:
    """A folder with a locald.toml, or another file; calling it runs locald in it."""

    def __init__(self, locald, folder, text, file="locald.toml"):
        self.locald, self.dir = locald, pathlib.Path(folder)
        self.dir.mkdir(parents=True, exist_ok=True)
        self.write(file, text)

    def write(self, name, text, mode=0o644):
        path = self.dir / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text).lstrip("\n"))
        path.chmod(mode)
        self.locald.identity.own(self.dir)
        return path

    def replace(self, name, text):
        """As an editor does it: nobody reads half of it."""
        new = self.dir / f".{name}.new"
        try:
            os.replace(self.write(new.name, text), self.dir / name)
        finally:
            new.unlink(missing_ok=True)

    def __call__(self, *args, **more):
        return self.locald(*args, cwd=more.pop("cwd", self.dir), **more)

    def popen(self, *args, **more):
        return self.locald.popen(*args, cwd=self.dir, **more)

    def pty(self, *args, **more):
        return self.locald.pty(*args, cwd=self.dir, **more)

    def status(self):
        """{service: its object}"""
        return {s["name"]: s for s in self("status", "--json").json()["services"]}

    def service(self, name):
        return self.status()[name]

    def logs(self, *args):
        return self("logs", *args).out

    def logs_with(self, name, *words, deadline=20.0):
        """The service's log once all of `words` are in it."""
        def ask():
            text = self.logs(name)
            return text if all(w in text for w in words) else None
        return wait_until(ask, f"{' and '.join(words)} in the log of {name}", deadline, 0.05)

    def wait(self, name, predicate, what, deadline=20.0):
        """Until `predicate(service)` is true; returns the service."""
        def ask():
            s = self.service(name)
            return s if predicate(s) else None
        try:
            return wait_until(ask, what, deadline, 0.05)
        except AssertionError as e:
            raise AssertionError(f"{e}\nlast seen: {self.service(name)}\n{self('logs', '--tail', '30', check=False).text}") from None


class Pty:
    """A program on a real terminal of its own, as a shell would start it."""

    def __init__(self, argv, cwd, env, identity, rows, columns):
        self.master, slave = os.openpty()
        self.resize(rows, columns)
        self.seen = ""
        if identity.switch:
            os.fchown(slave, identity.uid, -1)
        self.process = subprocess.Popen(argv, cwd=cwd, env=env, stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
                                        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0), **identity.popen_args())
        os.close(slave)

    def resize(self, rows, columns):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("4H", rows, columns, 0, 0))

    def send(self, text):
        os.write(self.master, text.encode())

    def expect(self, pattern, deadline=15.0):
        """Reads until the regular expression is seen after what was matched last; returns the match."""
        end = time.monotonic() + deadline
        while True:
            if m := re.search(pattern, self.seen):
                self.seen = self.seen[m.end():]
                return m
            left = end - time.monotonic()
            assert left > 0, f"no /{pattern}/ within {deadline} s; seen: {self.seen[-2000:]!r}"
            if select.select([self.master], [], [], left)[0]:
                try:
                    data = os.read(self.master, 65536)
                except OSError:  # EIO: the last one on the other side has closed
                    data = b""
                assert data or re.search(pattern, self.seen), f"the terminal was closed before /{pattern}/; seen: {self.seen[-2000:]!r}"
                self.seen += data.decode(errors="replace")

    def expect_all(self, *patterns, deadline=15.0):
        """All of them, in whatever order."""
        self.expect("".join(f"(?=[\\s\\S]*?(?:{p}))" for p in patterns), deadline)

    def wait(self, deadline=15.0):
        """The exit code; reads on meanwhile, so that nobody blocks."""
        end = time.monotonic() + deadline
        while self.process.poll() is None:
            assert time.monotonic() < end, f"still running after {deadline} s; seen: {self.seen[-2000:]!r}"
            if select.select([self.master], [], [], 0.05)[0]:
                with contextlib.suppress(OSError):
                    self.seen += os.read(self.master, 65536).decode(errors="replace")
        with contextlib.suppress(OSError):  # EIO: that was all
            while select.select([self.master], [], [], 0)[0] and (data := os.read(self.master, 65536)):
                self.seen += data.decode(errors="replace")
        return self.process.returncode

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.master)
