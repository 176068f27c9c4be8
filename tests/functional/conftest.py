"""Fixtures of the functional tests: the built binaries, who runs them, homes that are proved empty afterwards, real images, a real registry.

    python3 -m pytest tests/functional              root: everything twice, as root and as an unprivileged user
    LOCALD_BUILD=build/release …                    another build (default: build/dev)
    LOCALD_TEST_AS=root|user …                      of that one half (`scripts/test functional --as`)
    LOCALD_TEST_DIR=/var/tmp …                      where homes are made (default: /dev/shm)
    LOCALD_TEST_RUNC=FILE …                         with that runc beside locald, where it is preferred to the one in PATH
"""
import gzip
import json
import os
import pathlib
import pwd
import re
import shutil
import signal
import subprocess
import sys
import tempfile

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from cnb_failures import app_home, script_builder, shared_app_home  # noqa: E402, F401
from cnb_support import cnb, cnb_registry, oracle  # noqa: E402, F401
from homes import NOSUB, USER, copy_busybox, copy_dist, keep_logs, make_images, make_user, scratch_folder  # noqa: E402
from images_by_hand import image, tar, write_layout  # noqa: E402
from support import PASSWORD, ROOT, Identity, Locald, Project, free_port, one_at_a_time, port_open, real_registry, wait_until  # noqa: E402


def pytest_configure(config):
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # started in the background of a script: what the tests start would ignore it too
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGQUIT, signal.SIG_DFL)
    config.addinivalue_line("markers", "single_id(only=False): also (or only) as a user without subordinate ids")
    config.addinivalue_line("markers", "long: takes too long for every day: `scripts/test long` runs it")


def pytest_generate_tests(metafunc):
    if "identity" in metafunc.fixturenames:
        names = ["root", USER] if os.geteuid() == 0 else [pwd.getpwuid(os.geteuid()).pw_name]
        if single := metafunc.definition.get_closest_marker("single_id"):
            names = ([] if single.kwargs.get("only") else names) + [NOSUB]
        metafunc.parametrize("identity", names, indirect=True, scope="session")


def pytest_collection_modifyitems(config, items):
    if half := os.environ.get("LOCALD_TEST_AS"):
        def other(item):
            who = item.callspec.params.get("identity") if hasattr(item, "callspec") else None
            return who is not None and (who == "root") != (half == "root")
        config.hook.pytest_deselected(items=[i for i in items if other(i)])
        items[:] = [i for i in items if not other(i)]


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    setattr(item, "report_" + report.when, report)


@pytest.fixture(scope="session")
def identity(request):
    if request.param in (USER, NOSUB) and os.geteuid() == 0:
        with one_at_a_time():
            make_user(request.param, subids=request.param == USER)
    elif request.param == NOSUB and pwd.getpwuid(os.geteuid()).pw_name != NOSUB:
        pytest.skip("making a user without subordinate ids needs root; the run as root does this case")
    return Identity(request.param)


@pytest.fixture(scope="session")
def scratch():
    """A folder that every user may enter, on tmpfs where there is one, removed at the end."""
    path = scratch_folder("locald-tests.")
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="session")
def dist(scratch):
    """The built binaries, copied to where every user may run them."""
    target = copy_dist(scratch / "dist")
    if target is None:
        pytest.fail("the built binaries are not there: build first (cmake --preset dev && cmake --build --preset dev)")
    return target


def failed(request):
    return any(getattr(request.node, "report_" + when, None) and getattr(request.node, "report_" + when).failed for when in ("setup", "call"))


@pytest.fixture
def make_locald(request, identity, dist, scratch):
    """Makes a locald with a home of its own. At the test's end everything is stopped, and proved to be gone."""
    made = []

    def make(env=None, who=None, home=None):
        who = who or identity
        if home is None:
            home = pathlib.Path(tempfile.mkdtemp(prefix="h-", dir=scratch))
        (home / "user").mkdir()
        home.chmod(0o700)
        who.own(home)
        locald = Locald(dist, who, home, env)
        made.append(locald)
        return locald

    yield make
    for locald in made:
        try:
            if failed(request):
                kept = keep_logs(locald, re.sub(r"[^\w.-]+", "_", request.node.nodeid.split("/")[-1]))
                print(f"logs kept in {kept.relative_to(ROOT)}")
            if locald.server_pid() or locald.instances():
                locald("server", "stop", "--all", timeout=60, check=not failed(request))
            if not failed(request):
                locald.assert_nothing_left(but_server=False)
        finally:
            locald.destroy()


@pytest.fixture
def locald(make_locald):
    return make_locald()


@pytest.fixture
def project(locald):
    """project(toml, name="p", files={}): a folder with that locald.toml, owned by who runs locald."""
    def make(toml, name="p", files=None, who=None):
        p = Project(who or locald, (who or locald).home / "user" / name, toml)
        for path, text in (files or {}).items():
            p.write(path, text)
        return p
    return make


@pytest.fixture
def compose(locald):
    """compose(yaml, name="p", files={}): a folder with that compose.yaml, owned by who runs locald."""
    def make(yaml, name="p", files=None):
        p = Project(locald, locald.home / "user" / name, yaml, file="compose.yaml")
        for path, text in (files or {}).items():
            p.write(path, text)
        return p
    return make


@pytest.fixture(scope="session")
def images():
    """The folder of scripts/images: {images}/redis, … one OCI layout each."""
    return make_images()


@pytest.fixture(scope="session")
def busybox(images, scratch):
    """oci:… of the small image, readable by every user."""
    return copy_busybox(images, scratch)


@pytest.fixture(scope="session")
def busybox_layer(images):
    """The tar of the small image's only layer."""
    index = json.loads((images / "busybox/index.json").read_text())
    blob = lambda d: (images / "busybox/blobs" / d.replace(":", "/")).read_bytes()  # noqa: E731
    manifest = json.loads(blob(index["manifests"][0]["digest"]))
    return gzip.decompress(blob(manifest["layers"][0]["digest"]))


@pytest.fixture
def make_image(busybox_layer, scratch, request):
    """make_image(entry, …, config={…}): oci:… of the small image with one more layer."""
    made = []

    def make(*entries, config=None):
        folder = scratch / f"image-{request.node.name.replace('[', '-').strip(']')}-{len(made)}"
        blobs, manifest = image([busybox_layer, tar(*entries)], config or {"Cmd": ["/bin/sh"]})
        write_layout(folder, "1", blobs, manifest)
        made.append(folder)
        return f"oci:{folder}:1"
    yield make
    for folder in made:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def registry(images, scratch):
    """HOST:PORT of a real registry (Debian's docker-registry) on loopback with library/{redis:7,postgres:15,nginx:1,python:3,busybox:1}."""
    with real_registry(scratch / "registry") as registry:
        for layout in sorted(images.iterdir()):
            if layout.name in ("redis", "postgres", "nginx", "python", "busybox"):
                tag = re.search(r'"org.opencontainers.image.ref.name": "([^"]+)"', (layout / "index.json").read_text())[1]
                p = subprocess.run(["skopeo", "--insecure-policy", "copy", "-q", "--dest-tls-verify=false", f"oci:{layout}:{tag}",
                                    f"docker://{registry}/library/{layout.name}:{tag}"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
                assert p.returncode == 0, p.stdout
        yield registry


@pytest.fixture
def guarded_registry(tmp_path):
    """HOST:PORT of a registry that wants user:PASSWORD of support."""
    crypt = pytest.importorskip("crypt")
    (tmp_path / "htpasswd").write_text("user:" + crypt.crypt(PASSWORD, crypt.mksalt(crypt.METHOD_BLOWFISH, rounds=16)) + "\n")
    port = free_port()
    (tmp_path / "config.yml").write_text(f"""version: 0.1
log: {{level: error, accesslog: {{disabled: true}}}}
storage: {{filesystem: {{rootdirectory: {tmp_path}/data}}}}
http: {{addr: 127.0.0.1:{port}}}
auth: {{htpasswd: {{realm: test, path: {tmp_path}/htpasswd}}}}
""")
    with open(tmp_path / "log", "w") as log:
        server = subprocess.Popen(["docker-registry", "serve", tmp_path / "config.yml"], stdout=log, stderr=log)
    wait_until(lambda: port_open(port), "docker-registry listens")
    yield f"127.0.0.1:{port}"
    server.terminate()
    server.wait()
