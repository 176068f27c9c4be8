"""What buildpacks find and what an app's processes see, beside the five real phases without locald (tests/cnb/oracle.py): the layers that a second
build finds restored, to the last mode and symlink, and of every process type what it prints, its environment and its exit code.
What images hold is compared in test_cnb_export.py."""
import functools
import re
import shutil

import pytest
from cnb_support import app_of, copy_app, params

pytestmark = pytest.mark.single_id

CASES = ["env", "exec-env", "layers", "layers-old", "libpak", "processes", "procfile", "sbom", "shell"]
EVERY_DAY = {"layers"}

# What a service of locald has in its environment that the bare image has not.
OURS = ("LOCALD_", "NOTIFY_SOCKET=", "HOSTNAME=")


@pytest.fixture(scope="session")
def real(cnb, oracle, scratch):
    """real(case): the case's app, its builder, the second build of it by the real phases, and who made it."""
    @functools.cache
    def make(case):
        folder = scratch / "oracle-cases" / case
        old = case.endswith("-old")
        app = app_of(folder / "app", case) if case == "exec-env" else copy_app(case.removesuffix("-old"), folder / "app")
        by = type(oracle)(oracle.folder, cnb.builder_old, cnb.run, cnb.run_name) if old else oracle
        for _ in range(2):
            build = by.build(app, state=folder / "state")
            assert build.rc == 0, build
        return app, cnb.builder_old if old else cnb.builder, build, by
    return make


def restored(log):
    """What the last of the builds that wrote this log found restored, a line for each file."""
    lines = [line[line.index("restored: "):] for line in log.splitlines() if "restored: " in line]
    # The real restorer's threads exchange the umask under each other's hands: 644 in one run, 666 in the next.
    return [re.sub(r"^restored: f  (644|666)(?= \S+ \S+\.sbom\.\w+\.json$)", "restored: f  6xx", line) for line in lines]


def without_what_the_real_restorer_loses(lines):
    """Setuid and setgid bits of cached layers; ours keeps them (docs/decisions/0005-hybrid-builds.md)."""
    return [re.sub(r"^(restored: f )[246](?=\d{3} )", r"\1 ", line) for line in lines]


def told(text):
    return sorted(line for line in text.splitlines() if not line.startswith(OURS))


@pytest.mark.parametrize("way", ["hybrid", "strict"])
@pytest.mark.parametrize("case", params(CASES, EVERY_DAY))
def test_builds_find_and_processes_see_what_they_do_without_locald(project, cnb, real, case, way):
    app, builder, build, by = real(case)
    p = project("")
    shutil.copytree(app, p.dir / "app", symlinks=True)

    def services(types):
        p.write("locald.toml", "".join(f"""
[services.p{n}]
type = "cnb"
path = "app"
builder = "{builder}"
run_image = "{cnb.run}"
process = "{t}"
restart = "no"
build = {{ strict = {str(way == "strict").lower()} }}
""" for n, t in enumerate(types)))
        return {t: f"p{n}" for n, t in enumerate(types)}

    services(["any"])
    p("build", timeout=200)
    built = p("build", "--again", "--json", timeout=200).json()["apps"][0]
    assert built["strict"] == (way == "strict")
    found, expected = restored(p("logs", "--build", "p0").out), restored(build.log("builder"))
    if case.startswith("layers") and way == "hybrid":  # those that have such files
        assert found != expected
        found, expected = without_what_the_real_restorer_loses(found), without_what_the_real_restorer_loses(expected)
    assert found == expected

    names = services([t["type"] for t in built["processes"]])
    p("up", "-d", check=False)
    for kind, name in names.items():
        alone = by.run(build, process=kind)
        status = p.wait(name, lambda s: s["state"] in ("exited", "failed"), f"process {kind} has ended")
        assert told(p.logs(name)) == told(alone.stdout + alone.stderr), kind
        assert status["exit_code"] == alone.rc, kind
    p("down")


@pytest.mark.long
def test_what_cached_layers_hold_comes_back_after_a_rebase_too(project, cnb):
    p = project("")
    copy_app("sbom", p.dir / "app")

    def build(run, *more):
        p.write("locald.toml", f'[services.api]\ntype = "cnb"\npath = "app"\nbuilder = "{cnb.builder}"\nrun_image = "{run}"\n')
        reason = p("build", "--json", *more, timeout=200).json()["apps"][0]["reason"]
        return reason, restored(p("logs", "--build", "api").out)

    build(cnb.run)
    _, before = build(cnb.run, "--again")
    assert any("sbom.cdx.json" in line for line in before)
    assert build(cnb.run_next)[0] == "the run image changed"
    assert build(cnb.run_next, "--again") == ("asked for", before)
