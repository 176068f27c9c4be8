"""examples/cnb as it stands: two apps, built by the real lifecycle on the builder made by pack, beside a redis image and a host process."""
import shutil

import pytest
from support import ROOT, Project, http_get

pytestmark = pytest.mark.single_id


@pytest.fixture
def example(locald, cnb, images, scratch):
    """The example with its images where every user may read them."""
    redis = scratch / "images/redis"
    if not redis.exists():
        shutil.copytree(images / "redis", redis)
        redis.parent.chmod(0o755)
    target = locald.home / "user/cnb"
    shutil.copytree(ROOT / "examples/cnb", target)
    toml = (target / "locald.toml").read_text()
    for old, new in (("../../build/cnb/", f"{cnb.out}/"), ("../../build/images/redis", str(redis))):
        assert old in toml
        toml = toml.replace(old, new)
    return Project(locald, target, toml)


def test_all_of_it_runs_healthy_and_together(example):
    def page():
        return http_get(example.service("gateway")["port"])[1]

    example("up", "-d", "--wait", timeout=180)
    status = example.status()
    assert {name: s["kind"] for name, s in status.items()} == {
        "cache": "container", "gateway": "exec", "greeter": "cnb", "greeter/clock": "cnb", "web": "cnb", "web/seed": "cnb"}
    assert all(status[name]["health"] == "healthy" for name in ("cache", "gateway", "greeter", "web"))
    assert status["web/seed"]["exit_code"] == 0 and status["greeter/clock"]["state"] == "running"
    assert page() == "hello\nvisit 101\n"
    example.write("web/pages/home.txt", "live VISITS")
    assert page() == "hello\nlive 102"
    example("down")
    again = example("up", "-d", "--wait")
    assert "built in" not in again.err and page() == "hello\nlive 101"
    example("down")
