"""What a round does, drawn from its seed alone: projects, what several clients ask for and when, and the blows in between.

The choices are pure, so that `--seed N --rounds K` makes them again; what they hit depends on the moment.
"""
import dataclasses
import random

from blows import BLOWS, OFF

COUNT = 'i=0; while [ $i -lt {n} ]; do echo "n $i ."; i=$((i+1)); done; '
TICK = 'i=0; while :; do echo "n $i ."; i=$((i+1)); sleep 0.05; done'

ENDLESS = -1
# name, weight, command of a host service, further lines, does it stay up, how many lines it counts
HOST = [
    ("plain", 3, "exec sleep 1000", "", True, 0),
    ("counter", 3, COUNT.format(n=800) + "exec sleep 1000", "", True, 800),
    ("ticker", 2, TICK, "", True, ENDLESS),
    ("deaf", 2, "trap '' TERM INT HUP; while :; do sleep 0.3; done", "", True, 0),
    ("parent", 2, "setsid sleep 990 & (sleep 991 & sleep 992 & wait) & exec sleep 993", "", True, 0),
    ("nameless", 1, "setsid env -i /bin/sh -c 'sleep 994 & exec sleep 995' & exec sleep 996", "", True, 0),
    ("terminal", 1, COUNT.format(n=50) + "exec sleep 1000", "tty = true\n", True, 50),
    ("once", 2, COUNT.format(n=200) + "exit 0", "", True, 200),
    ("failing", 1, "echo n 0 .; exit 3", "", False, 1),
    ("flapping", 1, 'echo "n 0 ."; sleep 0.05; exit 1', 'restart = "always"\n', False, 1),
    ("tired", 1, "sleep 0.02; exit 4", 'restart = { policy = "on-failure", max = 2 }\n', False, 0),
    ("missing", 1, "exec /no/such/program", "", False, 0),
]
BOX = [
    ("box", 3, ["sleep", "1000"], "", True, 0),
    ("boxcounter", 2, ["sh", "-c", COUNT.format(n=300) + "exec sleep 1000"], "", True, 300),
    ("boxpolite", 2, ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.1; done"], "", True, 0),
    ("boxparent", 2, ["sh", "-c", "setsid sleep 990 & (setsid sleep 991 &) ; exec sleep 992"], "", True, 0),
    ("boxinit", 1, ["sh", "-c", "trap '' TERM; while :; do sleep 0.2; done"], "init = true\n", True, 0),
    ("boxweb", 2, ["sh", "-c", "mkdir /www; echo $STORM_SERVICE > /www/index.html; exec httpd -f -p 80 -h /www"], 'ports = ["80"]\n', True, 0),
    ("boxonce", 1, ["sh", "-c", COUNT.format(n=20) + "exit 0"], "", True, 20),
    ("boxfailing", 1, ["sh", "-c", "exit 5"], 'restart = "on-failure"\n', False, 0),
    ("boxmissing", 1, ["no-such-program"], "", False, 0),
]
HEALTH = [
    (6, "", True),
    (2, 'health = { exec = ["true"], interval = "150ms" }\n', True),
    (1, 'health = { exec = ["false"], interval = "100ms", retries = 2 }\n', False),
    (1, 'health = { notify = true }\n', False),
    (1, 'health = { log = "n 0 ." }\n', False),
]
VOLUMES = [(4, ""), (2, 'volumes = ["v:/v"]\n'), (1, 'volumes = ["./src:/src", "etc:/etc"]\n'), (1, 'tmpfs = "/scratch"\nvolumes = ["./src:/src:ro"]\n')]


@dataclasses.dataclass
class Service:
    name: str
    stays: bool  # left alone, it comes up (or ends with 0)
    counts: int  # how many lines "n 0 .", "n 1 .", … it writes before it does something else
    once: bool  # it ends by itself
    box: bool
    web: bool  # a page with its mark is at its published port, and at port 80 of its name
    mark: str  # stands in the environment of its processes and of no others


@dataclasses.dataclass
class Project:
    name: str
    toml: str
    services: list
    sound: bool  # left alone, `up` ends well


@dataclasses.dataclass
class Verb:
    kind: str
    project: int
    argv: list
    delay: float  # after the client's verb before
    signal_after: float | None = None  # seconds until SIGINT: verbs that end only so


@dataclasses.dataclass
class Blow:
    kind: str
    at: float
    seed: int


@dataclasses.dataclass
class Round:
    number: int
    projects: list
    clients: list
    blows: list
    up_again: bool  # after the storm `up` must bring all back before `down`; else `down` comes at once


def pick(rng, rows, weight=0):
    return rng.choices(rows, [r[weight] for r in rows])[0]


MARK = "STORM_SERVICE"  # the variable by which the driver finds a service's processes without asking locald
SAID = "said by the command"


def toml_list(words):
    return "[" + ", ".join('"' + w.replace("\\", "\\\\").replace('"', '\\"') + '"' for w in words) + "]"


def draw_project(rng, name, image, mark):
    services, text, sound = [], f'[project]\nname = "{name}"\n', True
    for i in range(rng.choice((1, 2, 2, 3, 3, 4, 6))):
        box = rng.random() < 0.3
        kind, _, command, more, stays, counts = pick(rng, BOX if box else HOST, 1)
        service = f"{kind}{i}"
        marked = f"{mark}.{name}.{service}."
        lines = f'[services.{service}]\nstop_timeout = "{rng.choice((80, 150, 300))}ms"\nenv = {{ {MARK} = "{marked}" }}\n' + more
        if box:
            lines += f'type = "container"\nimage = "{image}"\ncommand = {toml_list(command)}\n' + pick(rng, VOLUMES)[1]
        else:
            lines += f'command = {toml_list(["sh", "-c", command])}\n'
        _, health, healthy = pick(rng, [h for h in HEALTH if not (box and "notify" in h[1])])
        once = "once" in kind
        if not once and stays:
            lines += health
        if services and rng.random() < 0.4:
            other, other_once, other_healthy = rng.choice(services)
            condition = "completed" if other_once else rng.choice(("started", "healthy")) if other_healthy else "started"
            lines += f'depends_on = {{ {other.name} = "{condition}" }}\n'
        if stays and "restart" not in more and not once and rng.random() < 0.3:
            lines += 'restart = "always"\n'
        services.append((Service(service, stays, counts, once, box, kind == "boxweb", marked), once, health and healthy and stays and not once))
        sound = sound and stays
        text += lines
    return Project(name, text, [s for s, _, _ in services], sound)


# kind, weight, argv of (rng, project, image), seconds until SIGINT
def _some(rng, project):
    return [s.name for s in rng.sample(project.services, rng.randint(1, min(2, len(project.services))))]


def _one(rng, project):
    return rng.choice(project.services).name


VERBS = [
    ("up", 6, lambda r, p, image: ["up", "-d"], None),
    ("up --wait", 2, lambda r, p, image: ["up", "-d", "--wait", "--timeout", "2s"], None),
    ("up some", 2, lambda r, p, image: ["up", "-d", *_some(r, p)], None),
    ("up in the foreground", 2, lambda r, p, image: ["up"], (0.1, 0.8)),
    ("down", 3, lambda r, p, image: ["down"], None),
    ("down --volumes", 1, lambda r, p, image: ["down", "--volumes"], None),
    ("restart", 4, lambda r, p, image: ["restart", *_some(r, p)], None),
    ("stop", 3, lambda r, p, image: ["stop", *_some(r, p)], None),
    ("start", 3, lambda r, p, image: ["start", *_some(r, p)], None),
    ("exec", 3, lambda r, p, image: ["exec", _one(r, p), "--", "echo", SAID], None),
    ("exec long", 2, lambda r, p, image: ["exec", _one(r, p), "--", "sh", "-c", "setsid sleep 980 & sleep 981"], (0.1, 0.6)),
    ("exec with children", 1, lambda r, p, image: ["exec", _one(r, p), "--", "sh", "-c", "setsid sleep 982 & exit 9"], None),
    ("container run", 2, lambda r, p, image: ["container", "run", "--rm", image, "echo", SAID], None),
    ("container run long", 1, lambda r, p, image: ["container", "run", "--rm", image, "sleep", "983"], (0.1, 0.6)),
    ("container run -d", 1, lambda r, p, image: ["container", "run", "-d", image, "sh", "-c", "setsid sleep 984 & sleep 985"], None),
    ("container rm", 1, lambda r, p, image: ["container", "rm", "--force", "ANY"], None),
    ("container ls", 1, lambda r, p, image: ["container", "ls"], None),
    ("logs", 2, lambda r, p, image: ["logs", "--json"], None),
    ("logs -f", 3, lambda r, p, image: ["logs", "-f", "--json"], (0.2, 1.0)),
    ("status", 3, lambda r, p, image: ["status"], None),
    ("status --all", 1, lambda r, p, image: ["status", "--all", "--json"], None),
    ("config check", 1, lambda r, p, image: ["config", "check"], None),
    ("server status", 1, lambda r, p, image: ["server", "status"], None),
    ("server restart", 1, lambda r, p, image: ["server", "restart"], None),
    ("server stop", 1, lambda r, p, image: ["server", "stop"], None),
    ("server stop --all", 0.4, lambda r, p, image: ["server", "stop", "--all"], None),
    ("edit and up", 2, lambda r, p, image: ["EDIT", "up", "-d"], None),
]


DETACHED = next(argv for kind, _, argv, _ in VERBS if kind == "container run -d")


def draw(seed, number, image, mark="storm"):
    """@param mark  Tells this storm's processes from those of another one on this machine."""
    rng = random.Random(f"{seed}.{number}")
    together = "several clients of one project" not in OFF
    projects = [draw_project(rng, f"p{i}", image, f"{mark}.{number}") for i in range(rng.choice((1, 1, 2)) if together else 2)]
    verbs = [v for v in VERBS if v[0] not in OFF]
    clients = []
    for c in range(rng.choice((2, 2, 3, 4)) if together else 2):
        verbs_of_client = []
        for n in range(rng.randint(2, 4)):
            at = c % len(projects) if n == 0 else rng.randrange(len(projects)) if together else c
            kind, _, argv, signal_after = VERBS[0] if n == 0 and c < len(projects) else pick(rng, verbs, 1)
            verbs_of_client.append(Verb(kind, at, argv(rng, projects[at], image), round(rng.choice((0, 0.02, 0.1, 0.25)) * rng.random(), 4),
                                        signal_after and round(rng.uniform(*signal_after), 3)))
        for n, verb in enumerate(verbs_of_client):
            if verb.kind == "container rm":  # there shall be one
                verbs_of_client.insert(n, Verb("container run -d", verb.project, DETACHED(rng, None, image), verb.delay))
                break
        clients.append(verbs_of_client)
    blows = [(kind, weight) for kind, (weight, _) in BLOWS.items() if kind not in OFF]
    chosen = rng.choices([k for k, _ in blows], [w for _, w in blows], k=rng.choice((0, 1, 1, 2, 2, 3, 4)))
    storm = [Blow(kind, round(rng.uniform(0.02, 0.9), 4), rng.getrandbits(32)) for kind in chosen]
    return Round(number, projects, clients, storm, rng.random() < 0.75)
