"""The peers that supervise host processes, one small class each, all with one surface:

    s = Runit(bench, folder, {name: argv}, env); s.up(); s.down(); s.log(name); s.status_argv()

`up` starts the supervisor with all services; `down` is the cheapest request to stop all of them and itself. Every service
has a logger (runit and s6: a process; supervisord: itself), so that the peers do what locald does."""
import os
import signal
import time

from common import Skip


class Peer:
    packages = ()

    def __init__(self, bench, folder, services, env):
        self.bench, self.dir, self.services, self.env = bench, bench.folder(folder), services, env
        self.process = None
        self.prepare()

    def prepare(self):
        raise NotImplementedError

    def start(self, argv):
        self.process = self.bench.popen(argv, self.env, self.dir)

    def own(self):
        if self.bench.switch:
            for folder, dirs, files in os.walk(self.dir):
                for n in [folder, *(os.path.join(folder, f) for f in dirs + files)]:
                    os.lchown(n, self.bench.uid, self.bench.gid)

    def supervised(self, log_argv_of):
        """runit's and s6's folders: NAME/run, NAME/log/run, both helpers/launch.c."""
        launch = self.bench.helper("launch")
        for name, argv in self.services.items():
            for folder, command in ((self.dir / "services" / name, argv), (self.dir / "services" / name / "log", log_argv_of(self.dir / "logs" / name))):
                folder.mkdir(parents=True)
                (folder / "argv").write_text("".join(f"{a}\0" for a in command))
                (folder / "run").symlink_to(launch)
            (self.dir / "logs" / name).mkdir(parents=True)

    def wait_gone(self):
        deadline = time.monotonic() + 30
        while self.process.poll() is None:
            if time.monotonic() > deadline:
                raise Skip(f"{type(self).__name__} does not end")
            time.sleep(0.01)

    def log(self, name):
        return self.dir / "logs" / name / "current"


class Runit(Peer):
    name, packages = "runit", ("runit",)

    def prepare(self):
        self.supervised(lambda logs: ["/usr/bin/svlogd", "-tt", str(logs)])
        for n in self.services:
            (self.dir / "logs" / n / "config").write_text("s2000000000\nn0\n")
        self.own()

    def up(self):
        self.start(["runsvdir", "-P", self.dir / "services"])

    def down(self):
        self.process.send_signal(signal.SIGHUP)  # TERM to every runsv, then ends itself

    def status_argv(self):
        return ["sv", "status", *(str(self.dir / "services" / n) for n in self.services)]


class S6(Peer):
    name, packages = "s6", ("s6",)

    def prepare(self):
        self.supervised(lambda logs: ["/usr/bin/s6-log", "n1", "s268435455", "T", str(logs)])
        self.own()

    def up(self):
        self.start(["s6-svscan", "-c", "1000", self.dir / "services"])

    def down(self):
        self.process.send_signal(signal.SIGTERM)  # as s6-svscanctl -t does

    def status_argv(self):
        return ["sh", "-c", 'for d; do s6-svstat "$d"; done', "sh", *(str(self.dir / "services" / n) for n in self.services)]


class Supervisor(Peer):
    name, packages = "supervisor", ("supervisor",)

    def prepare(self):
        d = self.dir
        (d / "logs").mkdir()
        text = (f"[supervisord]\nnodaemon=true\nlogfile={d}/supervisord.log\npidfile={d}/pid\nminfds=4096\nloglevel=warn\n"
                f"[unix_http_server]\nfile={d}/sock\n[supervisorctl]\nserverurl=unix://{d}/sock\n"
                "[rpcinterface:supervisor]\nsupervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n")
        for name, argv in self.services.items():
            text += (f"[program:{name}]\ncommand={' '.join(argv)}\nautorestart=false\nredirect_stderr=true\n"
                     f"stdout_logfile={d}/logs/{name}\nstdout_logfile_maxbytes=0\n")
        (d / "conf").write_text(text)
        self.own()

    def up(self):
        self.start(["supervisord", "-c", self.dir / "conf"])

    def down(self):
        self.process.send_signal(signal.SIGTERM)

    def log(self, name):
        return self.dir / "logs" / name

    def status_argv(self):
        return ["supervisorctl", "-c", str(self.dir / "conf"), "status"]


ALL = (Runit, S6, Supervisor)
