"""How much a build may make, and what its phases must not reach: apps of many launch layers; images of the host from within a strict build."""
import base64
import json
import pathlib
import shutil

import pytest
from oci_image import Image, derive

HEALTH = 'health = { exec = ["test", "-e", "text"] }'


def layers(count, launch="true"):
    return f"""for i in $(seq {count}); do
  mkdir "$CNB_LAYERS_DIR/l$i"; printf '[types]\\nlaunch = {launch}\\n' >"$CNB_LAYERS_DIR/l$i.toml"; echo "of $i" >"$CNB_LAYERS_DIR/l$i/f"
done"""


@pytest.mark.long
def test_an_app_of_many_launch_layers(app_home):
    """As many as fit the page of a mount's options, which is all that Linux before 6.8 takes, and more; a container sees them all."""
    for count, long in ((200, "no"), (320, "yes")):
        app = app_home.app("many-layers", build=layers(count), toml=HEALTH)
        try:
            assert app.build()["built"]
            app("up", "--wait")
            assert app("exec", "web", "--", "sh", "-c", "cat /layers/test_script/*/f | sort -u | wc -l; grep -q lowerdir+ /proc/mounts && echo yes || echo no").out.split() == [str(count), long]
        finally:
            app("down", check=False)


@pytest.mark.long
def test_more_launch_layers_than_the_kernel_mounts(app_home):
    """Said by the build, so that what runs goes on."""
    app = app_home.app("too-many", toml=HEALTH)
    try:
        app("up", "--wait")
        generations = app.generations()
        with app.keeps_running():
            app.write({"build.sh": layers(510) + "\nexit 0\n"})
            words = ["the app has 51", " layers, its run image's among them: the kernel mounts at most 499 at once", "hint: let its buildpacks make fewer launch layers"]
            r = app.fails(*words)
            assert r.failure["phase"] == "commit"
            up = app("up", "-d", check=False)
            assert up.rc == 1 and all(word in up.err for word in words), up
            app_home.assert_nothing_left(running=True)
            assert app.generations() == generations
    finally:
        app_home.expected = {}
        app("down", check=False)
    app.write({"build.sh": layers(510, "false") + "\n" + "exit 0\n"})
    assert app.build()["built"]


# ---- what SECURITY.md promises of build containers

LOOK = """grep -E '^(Cap(Prm|Eff|Bnd|Amb)|NoNewPrivs|Seccomp):' /proc/self/status | tr -d '\\t'
{ env; tr '\\0' '\\n' </proc/1/environ; } | sed 's/^/environ: /'
! touch /platform/env/mine /cnb/mine 2>/dev/null || echo "may write"
"""


@pytest.mark.single_id
@pytest.mark.parametrize("way", [[], ["--strict"]], ids=["hybrid", "strict"])
@pytest.mark.parametrize("phase", ["detect", "build"])
def test_a_build_container_gets_nothing_of_the_users(app_home, phase, way):
    """No capability, no way to more, a seccomp filter; of whoever builds neither the environment nor the logins."""
    logins = app_home.locald.home / "user/.docker/config.json"
    logins.parent.mkdir(exist_ok=True)
    logins.write_text(json.dumps({"auths": {"registry.example": {"auth": base64.b64encode(b"me:hush").decode()}}}))
    app_home.identity.own(logins.parent)
    app = app_home.app("confined", {"look.sh": LOOK}, build="bash look.sh" if phase == "build" else None, toml='build = { env = { BP_MINE = "given" } }')
    if phase == "detect":
        app.write({"detect.sh": "bash look.sh\n"})
    assert app.build("--again", *way, env={"MY_TOKEN": "hush-hush", "HOME": str(app_home.locald.home / "user")})["built"]
    said = app.said()
    for line in ("CapPrm:0000000000000000", "CapEff:0000000000000000", "CapBnd:0000000000000000", "CapAmb:0000000000000000", "NoNewPrivs:1", "Seccomp:2"):
        assert line in said, said
    assert "environ: BP_MINE=given" in said  # what it is given is seen, so what is not seen is not there
    for word in ("MY_TOKEN", "hush", "bWU6aHVzaA", "CNB_REGISTRY_AUTH=", "DOCKER", "may write"):
        assert word not in said, (word, said)


# ---- what a strict build must not reach: an image that lies on the host, by a symlink where the exporter's is to be

@pytest.fixture
def hosts_image(cnb, scratch):
    """The folder of an image that the app never built, which everybody may read."""
    folder = pathlib.Path(scratch) / "an-image-of-the-host"
    derive(Image.of(cnb.run), folder, files={"of-the-host": "x"}, tag="latest")
    yield folder
    shutil.rmtree(folder)


def swap(folder):
    return f"mkdir -p /layout/locald.local/app && rm -rf /layout/locald.local/app/latest && ln -s {folder} /layout/locald.local/app/latest && echo swapped"


@pytest.mark.single_id
@pytest.mark.parametrize("phase", ["detect", "build"])
def test_buildpacks_do_not_reach_the_image_of_a_strict_build(app_home, hosts_image, phase):
    app = app_home.app("reaches", {"look.sh": 'for f in /layout /cache; do [ ! -e "$f" ] || echo "$f is here: $(ls -R "$f" | wc -l)"; done\n' + swap(hosts_image) + " || true\n"},
                    build="bash look.sh" if phase == "build" else None)
    if phase == "detect":
        app.write({"detect.sh": "bash look.sh\n"})
    for _ in range(2):  # the second has a cache, and an image before
        assert app.build("--strict", "--again")["built"]
        assert "is here" not in app.said(), app.said()
    app.runs()


@pytest.mark.single_id
def test_an_exporter_that_leaves_a_symlink(app_home, script_builder, scratch, hosts_image, identity):
    exporter = derive(Image.of(script_builder), pathlib.Path(scratch) / f"swapping-builder-{identity}", files={"cnb/lifecycle/exporter": f"#!/bin/bash\n{swap(hosts_image)}\n"})
    app = app_home.app("swapped", toml=HEALTH)
    try:
        app("up", "--wait")
        app.toml(HEALTH, builder=exporter)
        with app.keeps_running():
            app.fails("the exporter left no image: strict/layout/locald.local/app/latest is not reached by folders alone", "hint: no exporter does that", args=["--strict"])
        app.toml(HEALTH)
        assert app.build("--strict")["built"]
    finally:
        app("down", check=False)
