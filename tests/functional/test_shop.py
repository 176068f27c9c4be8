"""examples/shop, as quickstart brings it up: three healthy, data survives down and up."""
import json
import re
import shutil
import urllib.parse
import urllib.request

from support import ROOT, Project


def test_shop(locald, images, scratch):
    # The example as it is, beside the images.
    repo = locald.home / "user/repo"
    shutil.copytree(ROOT / "examples/shop", repo / "examples/shop", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(images, repo / "build/images")
    toml = (repo / "examples/shop/locald.toml").read_text()
    shop = Project(locald, repo / "examples/shop", toml)
    locald.identity.own(repo)

    shop("up", "-d", "--wait", "--timeout", "60s")
    status = shop.status()
    assert {n: (s["state"], s["health"]) for n, s in status.items()} == {n: ("running", "healthy") for n in ("web", "cache", "db")}

    def get(path):
        return urllib.request.urlopen(shop.service("web")["url"].rstrip("/") + path, timeout=10).read().decode()

    def visits():
        return int(re.search(r"counted in redis: <b>(\d+)", get("/"))[1])
    first = visits()
    assert visits() == first + 1
    base = shop.service("web")["url"].rstrip("/")
    urllib.request.urlopen(base + "/order", data=urllib.parse.urlencode({"item": "a <b>pear</b>"}).encode(), timeout=10).read()
    assert [o["item"] for o in json.loads(get("/orders"))] == ["a <b>pear</b>"]
    before = visits()

    shop("down")
    locald.assert_nothing_left()
    again = shop("up", "-d", "--wait", "--timeout", "60s")
    assert [o["item"] for o in json.loads(get("/orders"))] == ["a <b>pear</b>"]
    assert visits() == before + 1
    print(f"second up --wait: {again.seconds:.2f} s")


def test_the_examples_are_valid(locald):
    for example in ("shop", "hub"):
        folder = locald.home / "user" / example
        shutil.copytree(ROOT / "examples", folder, ignore=shutil.ignore_patterns("__pycache__"))
        locald.identity.own(folder)
        locald("config", "check", cwd=folder / example)
