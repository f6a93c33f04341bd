"""The pages of a node's HTTP port, for tests: fetched, and /metrics read by a parser of our own that
is stricter than Prometheus' (every sample belongs to the family opened last, each family has a help
and a type and comes once, histograms add up)."""
import http.client
import re

__all__ = ["Page", "Metrics", "fetch", "scrape"]

NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
SAMPLE = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(,|$)')
UNESCAPED = {r"\n": "\n", r"\"": '"', r"\\": "\\"}


class Page:
    """An answer of the port."""

    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def text(self):
        return self.body.decode()


def fetch(endpoint, path, method="GET", headers=None, seconds=30):
    """The page `path` of "host:port"."""
    host, port = endpoint.rsplit(":", 1)
    connection = http.client.HTTPConnection(host, int(port), timeout=seconds)
    try:
        connection.request(method, path, headers=headers or {})
        answer = connection.getresponse()
        return Page(answer.status, dict(answer.getheaders()), answer.read())
    finally:
        connection.close()


def _labels(text):
    labels = {}
    while text:
        found = LABEL.match(text)
        if found is None:
            raise AssertionError(f"bad labels: {text}")
        name, value, _ = found.groups()
        if name in labels:
            raise AssertionError(f"label {name} twice")
        labels[name] = re.sub(r'\\[n"\\]', lambda escape: UNESCAPED[escape.group(0)], value)
        text = text[found.end():]
    return labels


class Metrics:
    """A page of figures. `families`: name -> (type, help); `samples`: (name, labels as a frozenset of
    pairs) -> value."""

    def __init__(self, text):
        self.families = {}
        self.samples = {}
        self._family = None
        self._helped = None
        if not text.endswith("\n"):
            raise AssertionError("the page does not end with a line's end")
        for line in text[:-1].split("\n"):
            self._read(line)
        self._check_histograms()

    def _read(self, line):
        if line.startswith("# HELP "):
            name, self._help = line[len("# HELP "):].split(" ", 1)
            if not NAME.fullmatch(name) or name in self.families or not self._help.endswith("."):
                raise AssertionError(f"bad help: {line}")
            self._helped = name
        elif line.startswith("# TYPE "):
            name, kind = line[len("# TYPE "):].split(" ")
            if name != self._helped or kind not in ("counter", "gauge", "histogram"):
                raise AssertionError(f"bad type: {line}")
            if (kind == "counter") != name.endswith("_total"):
                raise AssertionError(f"a counter's name ends in _total, no other's does: {line}")
            self.families[name] = (kind, self._help)
            self._family = name
        else:
            self._sample(line)

    def _sample(self, line):
        found = SAMPLE.fullmatch(line)
        if found is None:
            raise AssertionError(f"no sample: {line}")
        name, labels, value = found.groups()
        kind = self.families.get(self._family, (None,))[0]
        suffixes = ("_bucket", "_sum", "_count") if kind == "histogram" else ("",)
        if name not in [f"{self._family}{suffix}" for suffix in suffixes]:
            raise AssertionError(f"a sample outside its family {self._family}: {line}")
        key = (name, frozenset(_labels(labels or "").items()))
        if key in self.samples:
            raise AssertionError(f"twice: {line}")
        self.samples[key] = float(value)
        if kind == "counter" and not self.samples[key] >= 0:
            raise AssertionError(f"a counter below 0: {line}")

    def _check_histograms(self):
        """Buckets rise, end with +Inf, and the last one is the count."""
        buckets = {}
        for (name, labels), value in self.samples.items():
            if self.families.get(name.removesuffix("_bucket"), ("",))[0] == "histogram":
                others = frozenset(pair for pair in labels if pair[0] != "le")
                bound = float(dict(labels)["le"])
                buckets.setdefault((name.removesuffix("_bucket"), others), []).append((bound, value))
        for (family, labels), found in buckets.items():
            if found != sorted(found) or [v for _, v in found] != sorted(v for _, v in found):
                raise AssertionError(f"buckets of {family} do not rise: {found}")
            if found[-1][0] != float("inf") or \
                    found[-1][1] != self.samples[(f"{family}_count", labels)]:
                raise AssertionError(f"the last bucket of {family} is not the count")
            if (f"{family}_sum", labels) not in self.samples:
                raise AssertionError(f"{family} has no sum")

    def value(self, name, **labels):
        """The sample with exactly these labels; None if there is none."""
        return self.samples.get((name, frozenset(labels.items())))

    def total(self, name, **labels):
        """The sum of all samples that have these labels, and maybe others."""
        return sum(value for (sample, found), value in self.samples.items()
                   if sample == name and set(labels.items()) <= found)


def scrape(endpoint):
    """The figures of the node whose HTTP port is `endpoint`."""
    page = fetch(endpoint, "/metrics")
    if page.status != 200 or not page.headers["Content-Type"].startswith("text/plain; version=0.0.4"):
        raise AssertionError(f"no figures: {page.status} {page.headers}")
    return Metrics(page.text)
