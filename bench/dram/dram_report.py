"""Turns the results of run_dram_bench.py into the memory plane's figures of docs/benchmarks.md."""
from report import LOAD_HEADER, Series, load_rows, ratio_of, table, verdict

# The section of the page that these figures fill: see report.replace_figures.
NAME = "memory plane figures"
PEERS = ("redis", "memcached")
MIB = 1 << 20


def brief(result):
    """One result in a few words, for the progress lines."""
    for name, unit in (("mib_per_second", "MiB/s"), ("write_mib_per_s", "MiB/s written"),
                       ("operations_per_second", "/s"), ("ops_per_s", "/s")):
        if name in result and not (name == "mib_per_second" and result.get("value_bytes", MIB) < MIB):
            return f"{result[name]:.0f} {unit}"
    return str(result)


def _ratio(above, below, field):
    return Series(a[field] / b[field] for a, b in zip(above, below))


def _at_least(targets, what, series, wanted, digits=2):
    targets.append((what, f"at least {wanted} x", f"{series.text(digits)} x",
                    verdict(series.median >= wanted)))


def _ways(rounds):
    """The ways of Cairn among the systems of a comparison, without those of one shared pool."""
    for way in ("TCP", "shared memory"):
        if f"cairn, {way}" in rounds:
            yield way, rounds[f"cairn, {way}"]


def _small(results, targets):
    return _short_values(results["small"], targets)


def _crowd(results, targets):
    return _short_values(results["crowd"], targets)


def _short_values(found, targets):
    body = []
    for name, rounds in found.items():
        kind, clients = name.split()
        who = "one client" if clients == "1" else f"{clients} clients"
        for way, ours in _ways(rounds):
            for peer in PEERS:
                _at_least(targets, f"{kind} of 256 bytes, {who}, {way}, beside {peer} (TCP)",
                          ratio_of(ours, rounds[peer]), 1 if way == "TCP" else 2)
        body += [f"### {kind.capitalize()} of 256 bytes, {who}", "",
                 *table(LOAD_HEADER, load_rows(rounds, kind))]
    return body


def _large(results, targets):
    rounds = results["large"]
    for way, ours in _ways(rounds):
        for peer in PEERS:
            _at_least(targets, f"reads of 1 MiB, one client, {way}, beside {peer} (TCP)",
                      ratio_of(ours, rounds[peer]), 1 if way == "TCP" else 3)
    return ["### Reads of 1 MiB, one client", "", *table(LOAD_HEADER, load_rows(rounds, "reads"))]


def _better(rounds, system):
    """Round by round, a system's better way to wait."""
    ways = [found for name, found in rounds.items() if name.startswith(system)]
    return [max(each, key=lambda one: one["mib_per_second"]) for each in zip(*ways)]


def _streams(results, targets):
    rows = []
    for size, rounds in results["streams"].items():
        for way, wanted, raw in (("TCP", 0.85, "active-message"), ("shared memory", 0.7, "tag")):
            if f"cairn, {way}" not in rounds:
                continue
            share = _ratio(rounds[f"cairn, {way}"], _better(rounds, f"UCX, {way}"), "mib_per_second")
            _at_least(targets, f"reads of {int(size) // MIB} MiB, {way}, beside UCX's {raw} bandwidth",
                      share, wanted)
        for system, found in sorted(rounds.items()):
            speed = Series(one["mib_per_second"] for one in found)
            rows.append((f"{int(size) // MIB} MiB, {system}", speed.text()))
    return ["### Large reads beside UCX itself", "",
            "UCX's figures are those of ucx_perftest, which polls, over TCP also with its option to sleep; "
            "Cairn's server and client sleep when there is nothing to do. All keep four messages on their "
            "way. The targets are about UCX's better way of each round.", "",
            *table(("what", "MiB/s"), rows)]


def _round_trips(results, targets):
    rounds = results["round_trips"]
    ours = Series(one["reads"]["p50_us"] for one in rounds["cairn, shared memory, busy polling"])
    raw = Series(2 * one["p50_us"] for one in rounds["UCX, shared memory"])
    times = Series(a / b for a, b in zip(ours.values, raw.values))
    targets.append(("reads of 256 bytes, shared memory, busy polling on: round trip beside UCX's own",
                    "at most 10 x", f"{times.text(1)} x", verdict(times.median <= 10)))
    return ["### Round trips with busy polling", "",
            f"A read of 256 bytes over shared memory: p50 {ours.text(2)} us. UCX's active message "
            f"there and back (twice what ucx_perftest calls latency): {raw.text(2)} us.", ""]


def _zarr(results, targets):
    rounds = results["zarr"]
    rows = []
    for system, found in sorted(rounds.items()):
        rows.append((system, Series(one["write_mib_per_s"] for one in found).text(),
                     Series(one["read_mib_per_s"] for one in found).text()))
    for way, ours in _ways(rounds):
        for kind in ("write", "read"):
            field = f"{kind}_mib_per_s"
            _at_least(targets, f"zarr, {kind}, {way}, beside a dict",
                      _ratio(ours, rounds["dict"], field), 0.5)
            _at_least(targets, f"zarr, {kind}, {way}, beside zarr on Redis",
                      _ratio(ours, rounds["redis"], field), 2)
    return ["### zarr: an array of 1 GiB in chunks of 1 MiB", "",
            *table(("store", "written, MiB/s", "read, MiB/s"), rows)]


def _rest(results, targets):
    rest = results["rest"]
    targets.append(("processor of a server at rest", "under 1 % of a core",
                    f"{rest['alone']:.3%}; with a node connected {rest['connected']:.3%}",
                    verdict(max(rest.values()) < 0.01)))
    return []


def _overhead(results, targets):
    found = results["overhead"]
    targets.append(("memory of a small entry beyond its key and value", "under 100 bytes",
                    f"{found['bytes']:.0f} bytes", verdict(found["bytes"] < 100)))
    return ["### Memory of small entries", "",
            f"{found['entries']:,} entries with keys of {found['key_bytes']} and values of "
            f"{found['value_bytes']} bytes took {found['bytes']:.0f} bytes each beyond these, by the "
            "growth of the server's resident memory.", ""]


def _fragmentation(results, _):
    return ["### Fragmentation", "",
            "Sizes from 64 B to 64 MB, each power of two as likely, in a region of 8 GiB, after 40,000 "
            "writes and deletes (`dram_memory_test`):", "",
            *[f"* {line}" for line in results["fragmentation"]], ""]


def _nodes(results, targets):
    rounds = results["nodes"]
    times = _ratio(rounds["ten nodes"], rounds["one node"], "operations_per_second")
    _at_least(targets, "ten nodes under a processor quota each, beside one of them", times, 9, 1)
    rows = [(name, Series(one["operations_per_second"] for one in found).text())
            for name, found in rounds.items()]
    return ["### Ten nodes", "",
            "Reads of 256 bytes over TCP; each node may use the same small share of a core (a control "
            "group's quota), the client is not limited.", "", *table(("pool", "reads per second"), rows)]


SECTIONS = {"small": _small, "crowd": _crowd, "large": _large, "streams": _streams,
            "round_trips": _round_trips,
            "zarr": _zarr, "rest": _rest, "overhead": _overhead, "fragmentation": _fragmentation,
            "nodes": _nodes}
