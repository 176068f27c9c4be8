"""A Debian that has next to nothing on it, entered as a machine is: own mounts, processes and users, the network of this machine.

It is mmdebstrap's smallest variant with ca-certificates, sudo and python3, and a user `dev` with subordinate ids. What runs in it
runs on until `close`, also after the command that started it.
"""
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
HOLD = r"""
set -e
mount --bind "$1" "$1"; cd "$1"; mkdir -p .host
mount -t proc proc proc; mount --rbind /sys sys; mount --rbind /dev dev
mount -t tmpfs -o mode=1777 tmpfs dev/shm; mount -t tmpfs -o mode=755 tmpfs run; mount -t tmpfs -o mode=1777 tmpfs tmp
pivot_root . .host; cd /; umount -l /.host; rmdir /.host
mkdir -p /run/user/1000; chown 1000:1000 /run/user/1000; chmod 700 /run/user/1000
echo ready
while :; do sleep 1000 </dev/null >/dev/null 2>&1; done
"""


def base(suite):
    """The system as an archive, made once."""
    archive = ROOT / f"build/package-test/{suite}.tar"
    if not archive.exists():
        archive.parent.mkdir(parents=True, exist_ok=True)
        made = archive.with_suffix(".new")
        subprocess.run(["mmdebstrap", "--quiet", "--format=tar", "--variant=minbase", "--include=ca-certificates,sudo,python3", suite, str(made)],
                       check=True, stdin=subprocess.DEVNULL)
        made.rename(archive)
    return archive


class Debian:
    def __init__(self, suite="bookworm"):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="fresh-debian.", dir=os.environ.get("LOCALD_TEST_DIR") or "/dev/shm"))
        self.folder.chmod(0o755)
        self.holder = None
        try:
            self._unpack(suite)
            self.holder = subprocess.Popen(
                ["unshare", "--mount", "--pid", "--ipc", "--fork", "--kill-child", "--propagation", "private", "bash", "-c", HOLD, "hold", self.folder],
                stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
            assert self.holder.stdout.readline() == "ready\n", "the system could not be entered"
            self.init = int(open(f"/proc/{self.holder.pid}/task/{self.holder.pid}/children").read().split()[0])
        except BaseException:
            self.close()
            raise

    def _unpack(self, suite):
        subprocess.run(["tar", "-xf", base(suite), "-C", self.folder], check=True)
        for f in ("/etc/resolv.conf", "/etc/hosts", "/etc/hostname"):
            shutil.copy(f, self.folder / f[1:])
        # How this machine reaches its package sources: proxies and certificates.
        shutil.copytree("/etc/apt/apt.conf.d", self.folder / "etc/apt/apt.conf.d", dirs_exist_ok=True)
        shutil.rmtree(self.folder / "etc/ssl/certs")
        shutil.copytree("/etc/ssl/certs", self.folder / "etc/ssl/certs")
        self.root("useradd -m -s /bin/bash -u 1000 dev; echo 'dev ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/dev; mkdir -m 755 /srv/debs", chroot=True)

    def put(self, source, target):
        shutil.copy(source, self.folder / target.lstrip("/"))

    def root(self, script, **more):
        return self.sh(script, "root", **more)

    def sh(self, script, user="root", check=True, timeout=300, chroot=False, stderr=subprocess.STDOUT):
        """Runs a shell's script as that user. @return its output; AssertionError with it where the script fails."""
        home = "/root" if user == "root" else f"/home/{user}"
        env = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": home, "USER": user, "LOGNAME": user, "LANG": "C.UTF-8",
               "DEBIAN_FRONTEND": "noninteractive"}
        argv = ["chroot", str(self.folder)] if chroot else ["nsenter", "--target", str(self.init), "--mount", "--pid", "--ipc", "--root", "--wd"]
        if user != "root":
            env["XDG_RUNTIME_DIR"] = "/run/user/1000"
            argv += ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups", "--inh-caps=-all"]
        p = subprocess.run([*argv, "bash", "-euo", "pipefail", "-c", f"cd\n{script}"], env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=stderr, text=True,
                           timeout=timeout)
        assert not check or p.returncode == 0, f"{user}$ {script}\nexit {p.returncode}\n{p.stdout[-6000:]}"
        return p.stdout

    def close(self):
        if self.holder is not None:
            self.holder.send_signal(signal.SIGKILL)
            self.holder.wait()
        subprocess.run(["rm", "-rf", "--one-file-system", self.folder], check=True)
