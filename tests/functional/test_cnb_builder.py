"""The tests' own builder for Cloud Native Buildpacks works: its images, its buildpacks, built by the real phases without locald."""
import contextlib
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import tarfile
import time

import oci_image
import pytest
from cnb_support import APPS, app_of, big_node_app, copy_app
from oracle import Oracle
from support import PATH, ROOT, free_port, http_get, wait_until


@pytest.fixture
def build(oracle, tmp_path, request):
    """build(app or name of one, …): a build that has to succeed unless rc says otherwise, in a state of this test's own."""
    def make(app, rc=0, **more):
        app = pathlib.Path(APPS / app if isinstance(app, str) else app)
        more.setdefault("state", oracle.folder / "state" / f"{request.node.name}-{app.name}")
        made = oracle.build(app, **more)
        assert made.rc == rc, made
        return made
    yield make
    for state in (oracle.folder / "state").glob(request.node.name + "-*"):
        shutil.rmtree(state)


def said(build, prefix):
    """What a buildpack said while it built, without its name."""
    return [line.removeprefix(prefix + ": ") for line in build.log("builder").splitlines() if line.startswith(prefix + ": ")]


# ---- the images

def test_the_builders_say_which_lifecycle_and_apis_they_have(cnb):
    for reference, version, platform, buildpack in ((cnb.builder, "0.21.17", "0.15", "0.12"), (cnb.builder_old, "0.17.7", "0.12", "0.10")):
        image = oci_image.Image.of(reference)
        metadata = image.labels["io.buildpacks.builder.metadata"]
        assert metadata["lifecycle"]["version"] == version
        assert (metadata["lifecycle"]["apis"]["platform"]["supported"][-1], metadata["lifecycle"]["apis"]["buildpack"]["supported"][-1]) == (platform, buildpack)
        assert [i["image"] for i in metadata["images"]] == [cnb.run_name]
        assert metadata["createdBy"] == {"name": "Pack CLI", "version": "0.40.0"}
        env = image.env()
        assert (env["CNB_USER_ID"], env["CNB_GROUP_ID"], image.config["config"]["User"]) == ("1001", "1000", "1001:1000")
        # As pack leaves them: layers of OCI's and of Docker's type in one manifest.
        assert len({layer["mediaType"] for layer in image.manifest["layers"]}) == 2


def test_a_builder_with_an_image_extension_says_so(cnb):
    plain, extended = (oci_image.Image.of(r).labels for r in (cnb.builder, cnb.builder_with_extension))
    assert plain["io.buildpacks.buildpack.order-extensions"] == "null"
    assert extended["io.buildpacks.buildpack.order-extensions"] == [{"group": [{"id": "test/tool", "version": "1.0.0"}]}]


def test_a_derived_image_has_other_labels_and_one_more_layer(cnb, oracle, tmp_path):
    def older(config):
        label = json.loads(config["config"]["Labels"]["io.buildpacks.builder.metadata"])
        label["lifecycle"]["apis"]["platform"]["supported"] = ["0.6", "0.7"]
        config["config"]["Labels"]["io.buildpacks.builder.metadata"] = json.dumps(label)
    base = oci_image.Image.of(cnb.builder)
    derived = oci_image.Image.of(oci_image.derive(base, tmp_path / "derived", older, {"cnb/order.toml": '[[order]]\n[[order.group]]\nid = "test/extra"\n'}))
    assert derived.diff_ids[:-1] == base.diff_ids and derived.layer_with("cnb/order.toml") == len(base.diff_ids)
    old = Oracle(oracle.folder, f"oci:{tmp_path}/derived:1", cnb.run)
    assert old.platform_api == "0.7" and "test/extra" in (old.builder_root / "cnb/order.toml").read_text()
    made = old.build(APPS / "procfile", name="derived", platform_api="0.15")
    assert made.failed == "detector", made


def test_the_two_releases_of_the_run_image_differ_in_the_top_layer(cnb):
    one, two, named = (oci_image.Image.of(r) for r in (cnb.run, cnb.run_next, cnb.run_named))
    assert one.diff_ids[:-1] == two.diff_ids[:-1] and one.diff_ids[-1] != two.diff_ids[-1]
    assert (one.config["config"]["User"], named.config["config"]["User"]) == ("1002:1000", "cnbrun")
    assert (two.labels["io.buildpacks.rebasable"], named.labels["io.buildpacks.rebasable"]) == ("true", "false")


def test_the_same_buildpack_comes_as_folder_archive_image_and_package(cnb):
    with tarfile.open(cnb.buildpack_archive) as tar:
        assert sorted(m.name for m in tar if m.isfile()) == sorted(str(f.relative_to(cnb.buildpack_folder)) for f in cnb.buildpack_folder.rglob("*") if f.is_file())
    image = oci_image.Image.of(cnb.buildpackage)
    files = {name.lstrip("/") for name, kind, *_ in image.entries(0) if kind == "0"}
    assert files == {"cnb/buildpacks/test_extra/1.0.0/" + str(f.relative_to(cnb.buildpack_folder)) for f in cnb.buildpack_folder.rglob("*") if f.is_file()}
    assert image.labels["io.buildpacks.buildpackage.metadata"]["id"] == "test/extra"
    with tarfile.open(cnb.buildpackage_file) as tar:
        blobs = {m.name.rpartition("/")[2]: tar.extractfile(m).read() for m in tar if m.isfile() and "/blobs/" in m.name}
    assert blobs and all(hashlib.sha256(data).hexdigest() == name for name, data in blobs.items())


def test_a_registry_serves_builders_whose_run_image_it_has(cnb, cnb_registry, scratch):
    for name, images in (("builder:1", [(f"{cnb_registry}/cnb/run:1", [])]), ("builder-old:1", [(f"{cnb_registry}/cnb/run:1", [])]),
                         ("builder:mirrors", [(cnb.run_name, [f"{cnb_registry}/cnb/run:1"])])):
        p = subprocess.run(["skopeo", "inspect", "--config", "--tls-verify=false", f"docker://{cnb_registry}/cnb/{name}"], stdout=subprocess.PIPE, check=True)
        label = json.loads(json.loads(p.stdout)["config"]["Labels"]["io.buildpacks.builder.metadata"])
        assert [(i["image"], i["mirrors"] or []) for i in label["images"]] == images


@pytest.mark.parametrize("go, words", [(None, "no Go here"), ("go1.19.8", "is go1.19.8"), ("go1.26.9", "the module proxy does not serve")])
def test_what_is_missing_is_said_in_one_line(cnb, tmp_path, go, words):
    """A `go` that is old, or that cannot download, in front of the real one; or none at all."""
    argv, tools = [ROOT / "scripts/cnb-builder", tmp_path / "out"], tmp_path / "bin"
    tools.mkdir()
    if go:
        (tools / "go").write_text(f"#!/bin/sh\n[ \"$1\" = env ] && echo {go} && exit\necho 'module lookup disabled' >&2\nexit 1\n")
        (tools / "go").chmod(0o755)
    elif os.path.exists("/usr/local/go"):
        if os.geteuid() != 0:
            pytest.skip("to hide /usr/local/go needs root")
        (tmp_path / "no-go").mkdir()
        argv = ["unshare", "--mount", "sh", "-ec", 'mount --bind "$1" /usr/local/go; shift; exec "$@"', "sh", tmp_path / "no-go", *argv]
    # A cache of its own, where the base images are, so that nothing but Go is asked for.
    cache = pathlib.Path(os.environ.get("LOCALD_IMAGES") or ("/var/cache/locald-images" if os.geteuid() == 0 else pathlib.Path.home() / ".cache/locald-images"))
    for folder in cache.glob("cnb-*"):
        shutil.copytree(folder, tmp_path / "cache" / folder.name)
    p = subprocess.run(argv, env={"PATH": f"{tools}:{PATH}", "LOCALD_IMAGES": str(tmp_path / "cache"), "HOME": str(tmp_path)},
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert p.returncode == 3, p.stdout
    assert words in p.stdout and p.stdout.count("\n") == 1, p.stdout


# ---- apps

def test_a_node_app_answers_and_its_modules_are_reused(oracle, build):
    first = build("node")
    assert first.group == ["test/node"]
    port = free_port()
    p = oracle.start(first, env={"PORT": str(port)}, network=True)
    try:
        assert wait_until(lambda: http_get(port, "/x"), "the app answers") == (200, "left web production 1002:1000 /x\n")
    finally:
        p.stop()
    assert p.wait(10) == 0
    assert oracle.run(first, process="worker").stdout == "left worker\n"
    assert oracle.run(first, process="release").stdout == "released\n"

    second = build("node")
    assert "modules made" in first.log("builder") and "modules reused" in second.log("builder")
    assert second.image.digest == first.image.digest
    assert 0.01 < first.buildpack_seconds < next(p.seconds for p in first.phases if p.name == "builder")
    assert second.restored["test_node/modules/node_modules/left/index.js"][0] == "f" and "test_node/node" not in second.restored


def test_a_procfile_app_runs_with_a_shell_or_without(oracle, build):
    shell = build("procfile")
    assert oracle.run(shell, env={"PORT": "81"}).stdout == "web 1002:1000 in /workspace on 81\n"
    assert oracle.run(shell, process="worker").stdout == "worker quoted  arg bash\n"
    direct = build("procfile", env={"BP_PROCFILE_DIRECT": "true"})
    assert oracle.run(direct, process="worker").stdout == "worker 'quoted arg' \"$0\"\n"
    assert oracle.run(direct, args=["/cnb/lifecycle/launcher", "--", "sh", "-c", "exit 9"]).rc == 9


def test_layers_of_every_kind_come_back_as_the_specification_says(oracle, build, tmp_path):
    first = build("layers")
    assert oracle.run(first).stdout == "TEST_LAYERS=:l:lb:lbc:lc\nno none\nl holds one\nno b\nno c\nlb holds one\nlc holds one\nno bc\nlbc holds one\n"
    assert said(first, "restored") == ["end"]

    second = build("layers")
    own = [path.removeprefix("test_layers/") for path in second.restored if path.startswith("test_layers/")]
    assert {path.split("/")[0] for path in own} == {"l.toml", "c.toml", "c", "lc.toml", "lc", "bc.toml", "bc", "lbc.toml", "lbc"}
    assert second.restored["test_layers/lc.toml"][2] == '[metadata]\n  content = "one"\n'
    assert said(second, "layers") == ["none made", "l kept without its directory", "b made", "c kept", "lb made", "lc kept", "bc kept", "lbc kept"]
    assert second.image.digest == first.image.digest
    # What the buildpack says of what it finds is what the restorer has left.
    assert len([line for line in said(second, "restored") if not line.startswith("|")]) == len(own) + 1

    third = build(copy_app("layers", tmp_path / "app", {".test-layers": "content two\ndelete lc\ndelete l\n"}), state=second.state)
    layers = third.image.labels["io.buildpacks.lifecycle.metadata"]["buildpacks"][0]["layers"]
    assert sorted(layers) == ["lb", "lbc"] and layers["lbc"]["data"] == {"content": "two"}
    assert "no lc\n" in oracle.run(third).stdout
    fourth = build(tmp_path / "app", state=second.state)
    assert "test_layers/lc" not in fourth.restored and "test_layers/l.toml" not in fourth.restored


def test_trees_of_every_kind_are_packed_and_come_back(build, tmp_path):
    first = build("layers")

    def packed(build, layer):
        prefix = f"/layers/test_layers/{layer}/"
        return {name.removeprefix(prefix): (kind, mode) for name, kind, mode, *_ in build.image.entries(build.image.layer_with(prefix + "bin")) if name.startswith(prefix)}
    tree = packed(first, "l")
    assert tree["fifo"][0] == "6" and tree["setuid"] == ("0", "0o4755") and tree["setgid"] == ("0", "0o2750")
    assert tree["odd/one"][0] == tree["odd/one-again"][0] == "0", "hard links are packed as files of their own"
    assert tree["odd/sticky"] == ("5", "0o1777") and tree["odd/read-only"] == ("5", "0o555") and tree["odd/empty"] == ("0", "0o644")
    assert tree["odd/dangling"][0] == tree["odd/absolute"][0] == "2" and "odd/socket" not in tree
    assert max(map(len, tree)) > 255 and max(max(map(len, name.split("/"))) for name in tree) == 200
    assert {"odd/äöü ☃/%41 \"quoted\" \\ back", "odd/latin-\udce9", "odd/line\nbreak"} <= set(tree)

    restored = {path.removeprefix("test_layers/lc/"): value for path, value in build("layers").restored.items() if path.startswith("test_layers/lc/")}
    assert set(restored) == set(packed(first, "lc"))
    assert restored["odd/link"] == ("l", "0o777", "one") and restored["odd/read-only"][:2] == ("d", "0o555") and restored["odd/mine"][:2] == ("f", "0o400")

    # The lifecycle restores a cached layer without setuid bits, so that the next build makes another layer of it.
    app = copy_app("layers", tmp_path / "app", {".test-layers": "content one\nsetuid lc\n"})
    one, two = build(app), build(app)
    assert packed(one, "lc")["setuid"][1] == "0o4755" and packed(two, "lc")["setuid"][1] == "0o755"
    assert one.image.digest != two.image.digest


def test_the_environment_at_build_and_launch(oracle, build):
    made = build("env", env={"T_FROM_USER_DEFAULT": "user", "T_OPERATOR": "user", "BP_X": "spaces and\nlines"})
    words = subprocess.run(["bash", "-c", "printf '%s\\0' " + " ".join(said(made, "env"))], stdout=subprocess.PIPE, text=True, check=True).stdout.split("\0")
    seen = dict(w.split("=", 1) for w in words if w)
    assert seen["T_BUILD_APPEND"] == "a-bothb-bothc-build" and seen["T_ANY_PREPEND_DELIM"] == "c-build\nb-both\na-both"
    assert "T_LAUNCH_PLAIN" not in seen and seen["T_FROM_USER_DEFAULT"] == "user" and seen["BP_X"] == "spaces and\nlines"
    assert (seen["T_OPERATOR"], seen["T_OPERATOR_DEFAULT"], seen["T_OPERATOR_OVERRIDE"]) == ("user:operator", "operator", "operator")
    for variable, folder in (("PATH", "bin"), ("LD_LIBRARY_PATH", "lib"), ("LIBRARY_PATH", "lib"), ("CPATH", "include"), ("PKG_CONFIG_PATH", "pkgconfig")):
        assert seen[variable].split(":")[:3] == [f"/layers/test_env/{layer}/{folder}" for layer in ("c-build", "b-both", "a-both")]

    web, other = (dict(line.split("=", 1) for line in oracle.run(made, process=p).stdout.splitlines()) for p in ("web", "other"))
    assert web["T_LAUNCH_APPEND_DELIM"] == "a-both, b-both, d-launch" and "T_BUILD_PLAIN" not in web
    assert web["T_WEB_DEFAULT"] == "a-both" and web["T_WEB_OVERRIDE"] == "d-launch" and "T_OTHER_PLAIN" not in web
    assert other["T_OTHER_PREPEND"] == "d-launchb-botha-both" and "T_WEB_PLAIN" not in other
    assert web["T_EXECD"] == ":a-both:b-both:d-launch" and web["T_EXECD_CWD"] == "/workspace"
    assert web["T_EXECD_WEB"] == r'\na-both é "quoted"\nb-both é "quoted"\nd-launch é "quoted"'[2:] and "T_EXECD_WEB" not in other
    assert web["T_EMPTY"] == "" and web["T_RAW"] == r' spaces, "quotes", $NOT_EXPANDED\nand é ' and "c-build" not in web["PATH"]
    # Profile scripts are for processes of a shell, such as a command line of the user's.
    assert oracle.run(made, args=["/cnb/lifecycle/launcher", "echo $T_PROFILE"]).stdout == ":a-both:b-both:d-launch\n"


def test_slices_become_layers_of_their_own(oracle, build):
    made = build("slices")
    slices = made.image.labels["io.buildpacks.lifecycle.metadata"]["app"]
    files = [{name.removeprefix("/workspace/") for name, kind, *_ in made.image.entries(made.image.diff_ids.index(s["sha"])) if kind != "5"} for s in slices]
    assert files == [{"static/css/page.css", "static/page.js"}, {"a.txt", "b.txt", "docs/read.md"}, set(), {"built/page.html"},
                     {".hidden", ".test-slices", "link", "run", "empty/.keep"}]
    assert "f 755 1001:1000 run\n" in oracle.run(made).stdout


def test_bills_of_materials_in_three_formats(oracle, build):
    first, second = build("sbom"), build("sbom")
    assert first.image.digest == second.image.digest
    root, formats = "/layers/sbom/launch", ("cdx", "spdx", "syft")
    assert set(oracle.run(second).stdout.split()) == {f"{root}/sbom.legacy.json"} | {
        f"{root}/{owner}/sbom.{f}.json" for f in formats for owner in ("test_sbom", "test_sbom/l", "test_sbom/lc", "test_sbom/lbc", "buildpacksio_lifecycle/launcher")}
    assert said(second, "sbom") == ["l kept, bills restored: 3", "lc kept, bills restored: 3", "b made", "bc kept, bills restored: 3",
                                    "c kept, bills restored: 3", "lbc kept, bills restored: 3"]


def test_values_of_every_kind_are_kept(build, tmp_path):
    app = app_of(tmp_path / "app", "store")
    first, second = build(app), build(app)
    assert (said(first, "store"), said(second, "store")) == (["build 1"], ["build 2"])
    metadata = second.image.labels["io.buildpacks.lifecycle.metadata"]["buildpacks"][0]
    kept = metadata["layers"]["kept"]["data"]
    assert kept["integer"] == -42 and kept["big"] == 2 ** 53 + 1 and kept["moment-utc"] == "2024-02-29T00:00:00Z" and kept["é.dotted"] == 2 and kept[""] == "an empty key"
    assert kept["list"][1] == {"name": "second", "inner": [{"n": 1}]} and metadata["store"]["metadata"]["builds"] == 2 and sorted(metadata["layers"]) == ["kept", "light"]
    # By way of JSON: numbers come back as floats, dates as strings.
    text = second.restored["test_store/light.toml"][2]
    assert "  integer = -42.0\n" in text and '  day = "1979-05-27T00:00:00Z"\n' in text


def test_labels_and_processes(oracle, build, tmp_path):
    made = build(app_of(tmp_path / "app", labels="com.example/a value of words\n", processes_late="default"), state=None)
    assert {k: v for k, v in made.image.labels.items() if not k.startswith("io.buildpacks.")} == {
        "com.example/a": "value of words", "test.empty": "", "test.twice": "second", "test.odd": 'tab\t, line\nbreak, "quoted", back\\slash, é ☃ <&>'}

    made = build("processes")
    assert made.image.config["config"]["Entrypoint"] == ["/cnb/process/web"]
    for process, out in (("web", "web in /workspace with 2: one arg two\n"), ("args", '<a b><c"d><é><><$HOME><back\\slash><line\nbreak>'), ("elsewhere", "/tmp\n"),
                         ("below", "/workspace/sub\n"), ("odd.name_of-1", "odd name\n"), ("shared", "from processes-late\n")):
        assert oracle.run(made, process=process).stdout == out
    assert (oracle.run(made, process="exit").rc, oracle.run(made, process="missing").rc) == (7, 82)
    assert oracle.run(made, args=["/cnb/process/web", "x y"]).stdout == "web in /workspace with 1: x y\n", "a user's arguments replace args"
    # Who replaces the default process without saying so takes its place away.
    made = build(copy_app("processes", tmp_path / "late", {".test-processes-late": "no default"}))
    assert made.image.config["config"]["Entrypoint"] == ["/cnb/lifecycle/launcher"]
    assert oracle.run(build(APPS / "processes", process_type="elsewhere", state=oracle.folder / "state/of-type")).stdout == "/tmp\n"


def test_processes_of_a_shell(oracle, build):
    made = build("shell")
    assert oracle.run(made, process="web").stdout == "one two from .profile|web alone all /tmp a\\b 'quoted'\n"
    assert oracle.run(made, process="other").stdout == "all|unset|from .profile\n"
    assert oracle.run(made, process="direct").stdout == "$S_APP unset: no shell\n"


@pytest.mark.parametrize("mark, group, entries", [
    ("a", ["or-a", "or-plan"], {"or-a": "a"}), ("b", ["or-b", "or-plan"], {"or-b": "b"}), ("a b", ["or-a", "or-plan"], {"or-a": "a"}),
    ("b c", ["or-b", "or-c", "or-plan"], {"or-b": "b", "or-c": "b"}), ("none", ["or-plan"], {})])
def test_plans_with_alternatives(build, tmp_path, mark, group, entries):
    made = build(app_of(tmp_path / "app", or_plan=mark))
    assert made.group == ["test/" + name for name in group]
    for name in ("or-a", "or-b", "or-c", "or-plan"):
        assert [line for line in said(made, name) if "name =" in line] == ([f'|   name = "{entries[name]}"'] if name in entries else [])


@pytest.mark.parametrize("mark, group", [("one", ["one"]), ("two", ["two"]), ("one two", ["two", "one"])])
def test_a_buildpack_made_of_others(build, tmp_path, mark, group):
    assert build(app_of(tmp_path / "app", meta=mark)).group == ["test/meta-" + g for g in group]


def test_execution_environments(oracle, build, tmp_path):
    made = build(app_of(tmp_path / "app", "exec-env"), exec_env="test")
    assert said(made, "exec-env") == ["build in test"] and made.image.labels["io.buildpacks.exec-env"] == "test"
    production, test = ({p: oracle.run(made, process=p, env={"CNB_EXEC_ENV": e}).rc for p in ("web", "dev", "every")} for e in ("production", "test"))
    assert (production, test) == ({"web": 0, "dev": 82, "every": 0}, {"web": 82, "dev": 0, "every": 0})


def test_environment_and_bindings_of_the_platform(build, tmp_path):
    made = build(app_of(tmp_path / "app", "bindings"), env={"BP_A": "x y", "SECRET": "s3cret"}, bindings={"db": {"type": "postgres", "provider": "me", "password": "hush"}})
    assert said(made, "platform") == ["env/BP_A = x\\ y", f"env/SECRET, 6 bytes, sha256 {hashlib.sha256(b's3cret').hexdigest()[:12]}", "bindings/db/password, 4 bytes",
                                      "bindings/db/provider = me", "bindings/db/type = postgres", "read-only"]


def test_a_buildpack_made_with_libpak(oracle, build):
    first, second = build("libpak"), build("libpak")
    assert oracle.run(first).stdout == "/layers/test_libpak-info/info/copy.txt: some information (exec.d as 1002:1000)\n"
    assert first.image.labels["test.libpak-info"] == "17" and first.image.digest == second.image.digest
    assert "Reusing cached layer" in second.log("builder")


def test_a_buildpack_that_the_builder_lacks(cnb, oracle, build):
    order = '[[order]]\n[[order.group]]\nid = "test/extra"\nversion = "1.0.0"\n[[order.group]]\nid = "test/procfile"\nversion = "1.0.0"\n'
    made = build("procfile", order=order, buildpacks=[cnb.buildpack_folder])
    assert made.group == ["test/extra", "test/procfile"] and made.image.labels["test.extra"] == "1.0.0"
    assert oracle.run(made, process="extra").stdout == "extra: from test/extra\n"


# ---- failures

def test_exit_codes_of_failures(build, tmp_path):
    for mark, rc, phase, words in (("nothing", 20, "detector", "No buildpack groups passed detection"), ("fail-detect", 20, "detector", "fail-detect: found none"),
                                   ("err-detect", 21, "detector", "err:  test/err-detect@1.0.0 (7)"), ("fail-build", 51, "builder", "fail-build: this is on stderr")):
        made = build(app_of(tmp_path / mark, mark), rc=rc)
        assert made.failed == phase and words in made.log(phase) and made.image is None
    made = build(app_of(tmp_path / "stubborn", or_plan="stubborn"), rc=20)
    assert "fail: test/or-plan@1.0.0 requires never" in made.log("detector")
    made = build(APPS / "processes", rc=62, process_type="nope")
    assert made.failed == "exporter"


def test_a_build_that_fills_the_disk(build, tmp_path):
    state = tmp_path / "small"
    state.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=40m", "tmpfs", state], check=True)
    try:
        made = build(app_of(tmp_path / "app", "full-disk"), rc=51, state=state)
        assert made.failed == "builder" and "full-disk: no room after" in made.log("builder")
    finally:
        subprocess.run(["umount", state], check=True)


def test_a_build_waits_until_it_is_told(oracle, build, tmp_path):
    app = app_of(tmp_path / "app", slow="build 60")
    started = time.monotonic()
    made = build(copy_app(None, app, {"go-on": ""}))
    assert "slow: done" in made.log("builder") and time.monotonic() - started < 20
    (app / "go-on").unlink()
    with pytest.raises(subprocess.TimeoutExpired):
        build(app, timeout=2)
    left = []
    for file in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # it has ended by now
            left += [file] if b"test_slow" in file.read_bytes() else []
    assert not left, "nothing of a build that is cut short runs on"


# ---- other lifecycles, other ways

def test_the_old_lifecycle_makes_the_same_layers(cnb, oracle, build):
    old = Oracle(oracle.folder, cnb.builder_old, cnb.run)
    assert (old.platform_api, oracle.platform_api) == ("0.12", "0.15")
    new, made = build("node"), old.build(APPS / "node", name="node-old")
    assert made.rc == 0, made
    data = [b.image.labels["io.buildpacks.lifecycle.metadata"] for b in (new, made)]
    assert data[0]["buildpacks"] == data[1]["buildpacks"] and data[0]["app"] == data[1]["app"]
    launchers = [b.image.labels["io.buildpacks.build.metadata"]["launcher"] for b in (new, made)]
    assert launchers == [{"version": "0.21.17", "source": {"git": {"repository": "github.com/buildpacks/lifecycle", "commit": "ba8eca5b"}}},
                         {"version": "0.17.7", "source": {"git": {"repository": "", "commit": ""}}}]
    refused = old.build(APPS / "node", name="node-old", platform_api="0.13")
    assert (refused.rc, refused.failed) == (11, "analyzer")


def test_a_run_image_with_a_user_by_name(cnb, oracle):
    named = Oracle(oracle.folder, cnb.builder, cnb.run_named)
    made = named.build(APPS / "procfile", name="named")
    assert made.rc == 0 and made.image.config["config"]["User"] == "cnbrun"
    assert named.run(made).stdout == "web 1002:1000 in /workspace on no port\n"


def test_an_image_published_to_a_registry_differs_in_the_name_of_its_run_image(oracle, build, cnb_registry):
    laid_out, published = build("node"), build("node", registry=cnb_registry, state=oracle.folder / "state/published")
    report = published.toml("report.toml")["image"]
    assert report["digest"] == published.image.digest
    assert published.image.diff_ids == laid_out.image.diff_ids and published.image.config["config"]["Env"] == laid_out.image.config["config"]["Env"]
    found = oci_image.differences(published.image, laid_out.image)
    assert [line.split(":")[0] for line in found] == ["label io.buildpacks.lifecycle.metadata"]
    run = published.image.labels["io.buildpacks.lifecycle.metadata"]["runImage"]
    assert run["reference"] == f"{cnb_registry}/cnb/run@{oracle.run_image.digest}"


def test_a_big_app_is_the_same_each_time_it_is_made(tmp_path):
    one, two = big_node_app(tmp_path / "one", files=500, megabytes=5), big_node_app(tmp_path / "two", files=500, megabytes=5)
    assert oci_image.snapshot(one) == oci_image.snapshot(two)
    vendored = [f for f in (one / "vendor").glob("module-*/**/*.js")]
    assert len(vendored) == 500 and 4_900_000 < sum(f.stat().st_size for f in vendored) < 5_100_000
