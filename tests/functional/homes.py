"""What tests with homes of their own begin with and end with: users, the built binaries, a small image, logs kept of what failed."""
import os
import pathlib
import pwd
import shutil
import subprocess
import tempfile

from support import ROOT, one_at_a_time

USER = "locald-test"
NOSUB = "locald-nosub"  # has no subordinate ids: its containers have a single one


def make_user(name, subids):
    """An unprivileged user for the tests, as `useradd` makes them."""
    def run(*argv):
        subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)
    try:
        pwd.getpwnam(name)
    except KeyError:
        run("useradd", "--create-home", "--shell", "/bin/bash", name)
    has = any(line.startswith(name + ":") for line in open("/etc/subuid"))
    if subids and not has:
        taken = max((int(a) + int(b) for f in ("/etc/subuid", "/etc/subgid") for _, a, b in (line.split(":") for line in open(f) if line.strip())), default=100000)
        run("usermod", "--add-subuids", f"{taken}-{taken + 65535}", "--add-subgids", f"{taken}-{taken + 65535}", name)
    if not subids and has:
        for f in ("/etc/subuid", "/etc/subgid"):
            rest = [line for line in open(f) if not line.startswith(name + ":")]
            open(f, "w").writelines(rest)


def scratch_folder(prefix):
    """A new folder that every user may enter, on tmpfs where there is one."""
    base = os.environ.get("LOCALD_TEST_DIR") or ("/dev/shm" if shutil.disk_usage("/dev/shm").total > 2 << 30 else "/var/tmp")
    path = pathlib.Path(tempfile.mkdtemp(prefix=prefix, dir=base))
    path.chmod(0o755)
    return path


def copy_dist(target):
    """The built binaries, copied to where every user may run them. @return None where nothing is built."""
    build = pathlib.Path(os.environ.get("LOCALD_BUILD") or ROOT / "build/dev")
    if not (build / "bin/locald").exists():
        return None
    for folder in ("bin", "libexec"):
        for f in sorted((build / folder).rglob("*")):
            if f.is_file() and os.access(f, os.X_OK) and f.name.startswith("locald"):
                to = target / f.relative_to(build)
                to.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(f, to)
    if runc := os.environ.get("LOCALD_TEST_RUNC"):  # where locald looks first
        shutil.copy2(runc, target / "libexec/locald/runc")
    return target


def make_images(*names):
    """The folder of scripts/images: one OCI layout each."""
    out = ROOT / "build/images"
    with one_at_a_time():
        p = subprocess.run([ROOT / "scripts/images", out, *names], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert p.returncode == 0, p.stdout
    return out


def copy_busybox(images, scratch):
    """oci:… of the small image, readable by every user."""
    target = scratch / "images/busybox"
    if not target.exists():
        shutil.copytree(images / "busybox", target)
        (scratch / "images").chmod(0o755)
    return f"oci:{target}:1"


def keep_logs(locald, name):
    """What a home says, into build/test-logs/NAME. @return that folder."""
    target = ROOT / "build/test-logs" / name
    shutil.rmtree(target, ignore_errors=True)
    for part in ("state", "run"):
        for folder, dirs, files in os.walk(locald.home / part):
            dirs[:] = [d for d in dirs if d != "rootfs"]
            for f in files:
                source = pathlib.Path(folder) / f
                if source.is_file() and not source.is_symlink() and source.stat().st_size < 4 << 20:
                    to = target / source.relative_to(locald.home)
                    to.parent.mkdir(parents=True, exist_ok=True)
                    try:
                        shutil.copyfile(source, to)
                    except OSError:
                        pass
    return target
