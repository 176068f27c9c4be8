"""Fixtures for tests of Cloud Native Buildpacks: the builder of scripts/cnb-builder, a registry that serves it, the strict oracle, apps.

Where scripts/cnb-builder says that this machine cannot compile the real parts, every test that asks for them is skipped, with its words.
"""
import os
import pathlib
import shutil
import subprocess
import sys

import pytest
from support import ROOT, one_at_a_time

sys.path.insert(0, str(ROOT / "tests/cnb"))
from make_apps import APPS, app_of, big_node_app, copy_app  # noqa: E402, F401
from oracle import Oracle  # noqa: E402


def params(cases, every_day):
    """All cases; those that are not for every day take minutes together and are left to `scripts/test long`."""
    return [case if case in every_day else pytest.param(case, marks=pytest.mark.long) for case in cases]


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


@pytest.fixture(scope="session")
def cnb(scratch):
    source = ROOT / "build/cnb"
    with one_at_a_time():
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
    with one_at_a_time():
        p = subprocess.run([ROOT / "scripts/cnb-builder", ROOT / "build/cnb", "--push", registry], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert p.returncode == 0, p.stdout
    return registry


@pytest.fixture(scope="session")
def oracle(cnb, scratch):
    """Builds by the real five phases, without locald (tests/cnb/oracle.py)."""
    if os.geteuid() != 0:
        pytest.skip("the oracle runs runc and mounts overlays: root")
    return Oracle(pathlib.Path(scratch) / "oracle", cnb.builder, cnb.run, cnb.run_name)
