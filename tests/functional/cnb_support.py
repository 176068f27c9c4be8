"""Fixtures for tests of Cloud Native Buildpacks: the builder of scripts/cnb-builder, a registry that serves it, the strict oracle, apps.

Where scripts/cnb-builder says that this machine cannot compile the real parts, every test that asks for them is skipped, with its words.
"""
import os
import pathlib
import random
import shutil
import subprocess
import sys

import pytest
from support import ROOT

sys.path.insert(0, str(ROOT / "tests/cnb"))
from oracle import Oracle  # noqa: E402

APPS = ROOT / "tests/cnb/apps"


class Cnb:
    """Where everything is that a buildpack build needs; every user may read it. References are `oci:FOLDER:TAG`."""

    def __init__(self, out):
        self.out = out
        self.builder, self.builder_old = f"oci:{out}/builder:1", f"oci:{out}/builder-old:1"
        self.builder_with_extension = f"oci:{out}/builder:extensions"
        self.run, self.run_next, self.run_named = (f"oci:{out}/run:{tag}" for tag in ("1", "2", "named"))
        self.buildpackage = f"oci:{out}/buildpackage:1"  # test/extra, which no builder has; also as two files and a folder:
        self.buildpackage_file, self.buildpack_archive, self.buildpack_folder = out / "buildpackage.cnb", out / "buildpack.tgz", out / "buildpacks/extra"
        self.run_name = "locald.test/cnb/run:1"  # what the builders of the layouts call their run image; resolves nowhere


def copy_app(name, target, files=None):
    """One of tests/cnb/apps, with other files beside or instead of its own: {path: text or bytes, None to remove}. None: the folder as it is."""
    if name:
        shutil.copytree(APPS / name, target, symlinks=True)
    for path, text in (files or {}).items():
        path = target / path
        if text is None:
            path.unlink()
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return target


def app_of(target, *marks, **contents):
    """An app that some of the tests' buildpacks pass for, by their names; contents: what the file of one says."""
    target.mkdir(parents=True)
    for mark in marks:
        (target / f".test-{mark}").touch()
    for mark, text in contents.items():
        (target / f".test-{mark.replace('_', '-')}").write_text(text)
    return target


def big_node_app(target, files=13000, megabytes=190):
    """A Node app with that many files of that size together in vendor/, the same bytes each time; they compress as program text does."""
    copy_app("node", target)
    chance = random.Random(7)
    words = ["".join(chance.choices("abcdefghijklmnopqrstuvwxyz_", k=chance.randint(2, 11))) for _ in range(4000)]
    text = b""
    while len(text) < 4_000_000:  # a program says the same things again and again
        lines = ["".join(chance.choice(words) + chance.choice([" = ", "(", ", ", "."]) for _ in range(chance.randint(2, 7))) + ");\n" for _ in range(120)]
        text += "".join(chance.choice(lines) for _ in range(900)).encode()
    size = megabytes * 1_000_000 // files
    for i in range(files):
        if i % 100 == 0:
            module = target / f"vendor/module-{i // 100:03}"
            (module / "lib").mkdir(parents=True)
        start = chance.randrange(len(text) - 2 * size)
        name = module / ("index.js" if i % 100 == 0 else f"lib/part-{i % 100:02}.js")
        fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
        head = f"module.exports = {i};\n/*\n".encode()
        os.writev(fd, [head, memoryview(text)[start:start + size - len(head) - 4], b"\n*/\n"])
        os.close(fd)
    return target


@pytest.fixture(scope="session")
def cnb(scratch):
    source = ROOT / "build/cnb"
    p = subprocess.run([ROOT / "scripts/cnb-builder", source], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if p.returncode == 3:
        pytest.skip(p.stdout.strip().splitlines()[-1])
    assert p.returncode == 0, p.stdout
    shutil.copytree(source, scratch / "cnb", symlinks=True, ignore=lambda folder, _: ["tools", "build"] if pathlib.Path(folder) == source else [])
    return Cnb(scratch / "cnb")


@pytest.fixture(scope="session")
def cnb_registry(cnb, registry):
    """The HOST:PORT of `registry`, which then also has cnb/run:{1,2,named}, cnb/buildpackage:{1,meta} and, made there by pack, cnb/builder:1,
    cnb/builder-old:1 (run image HOST:PORT/cnb/run:1) and cnb/builder:mirrors (run image cnb.run_name, that one as its mirror)."""
    p = subprocess.run([ROOT / "scripts/cnb-builder", ROOT / "build/cnb", "--push", registry], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert p.returncode == 0, p.stdout
    return registry


@pytest.fixture(scope="session")
def oracle(cnb, scratch):
    """Builds by the real five phases, without locald (tests/cnb/oracle.py)."""
    if os.geteuid() != 0:
        pytest.skip("the oracle runs runc and mounts overlays: root")
    return Oracle(pathlib.Path(scratch) / "oracle", cnb.builder, cnb.run, cnb.run_name)
