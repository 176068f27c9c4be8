"""Where a container listens is what its image exposes, unless the file says it."""
import shutil

import pytest
from support import free_port, http_get


@pytest.fixture
def nginx(images, scratch):
    """Where every user may read it."""
    target = scratch / "images/nginx"
    if not target.exists():
        shutil.copytree(images / "nginx", target)
        target.parent.chmod(0o755)
    return f"oci:{target}:1"


def test_images_as_they_are_on_their_usual_ports_twice(project, nginx):
    """At the first `up` the image is not here: it is fetched before anything is decided."""
    ports = free_port(), free_port()
    projects = []
    for name, port in zip(("one", "two"), ports):
        projects.append(project(f"""
            [project]
            name = "{name}"
            [services.web]
            type = "container"
            image = "{nginx}"
            port = {port}
            health = {{ http = "/", interval = "200ms" }}
            [services.ask]
            command = "curl -s -o got ${{services.web.url}}; exec sleep 1000"
            depends_on = {{ web = "healthy" }}
            """, name=name))
    first = projects[0]
    r = first("config", "check")
    assert f"web: its port is what {nginx} exposes" in r.text, r
    for p, port in zip(projects, ports):
        p("up", "-d", "--wait", "--timeout", "60s", timeout=90)
        assert http_get(port)[0] == 200
        web = p.service("web")
        assert (web["container_port"], web["port"], web["url"]) == (80, port, f"http://127.0.0.1:{port}"), web
        again = p("up", "-d")
        assert again.text.count(": unchanged") == 2, again
    assert "exposes" not in first("config", "check").text
    for p in projects:
        p("down")
    first.locald.assert_nothing_left()


def test_an_image_that_exposes_nothing_is_said_before_anything_starts(project, busybox):
    p = project(f"""
        [project]
        name = "shop"
        [services.box]
        type = "container"
        image = "{busybox}"
        health = {{ tcp = true }}
        """)
    r = p("up", "-d", check=False)
    assert r.rc == 1 and "box has no port" in r.err and "`container_port`" in r.err and ":6:10:" in r.err, r
    p.locald.assert_nothing_left()


def test_an_image_that_cannot_be_had_refuses_the_project_with_its_service(project):
    p = project("""
        [project]
        name = "shop"
        [services.web]
        type = "container"
        image = "oci:/no/such/folder:1"
        port = 8080
        [services.other]
        command = "exec sleep 1000"
        """)
    r = p("up", "-d", check=False)
    assert r.rc == 1 and "web: " in r.err and "/no/such/folder" in r.err, r
    p.locald.assert_nothing_left()
