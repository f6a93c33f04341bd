"""Turns the results of run_front_bench.py into the front door's figures in docs/benchmarks.md."""
from report import LOAD_HEADER, Series, load_rows, ratio_of, table, verdict

# The section of the page that these figures fill: see report.replace_figures.
NAME = "front door figures"


def _beside_etcd(rounds, what, least, targets):
    """`least`: what many outstanding operations are to reach, by a pipeline (of a client with its
    defaults or without sessions, which etcd has not either) or by single calls on one channel. Of single calls on 64 channels no more is asked."""
    for ours, theirs, target in (("gRPC pipeline", "one channel", least),
                                 ("gRPC pipeline, with sessions", "one channel", least),
                                 ("gRPC, one channel", "one channel", least),
                                 ("gRPC, 64 channels", "64 channels", None)):
        ratio = ratio_of(rounds[f"cairn, {ours}"], rounds[f"etcd, {theirs}"])
        how = f"by a {ours.removeprefix('gRPC ')}" if "pipeline" in ours else f"single calls, {theirs}"
        targets.append((f"gRPC {what} at 64 outstanding, {how}, beside etcd's single calls",
                        f"at least {target} x" if target else "", f"{ratio.text(2)} x",
                        verdict(ratio.median >= target) if target else ""))


def _sets(results, targets):
    sets = results["sets"]
    _beside_etcd(sets, "Sets", 2, targets)
    return ["### Sets of 256 bytes over gRPC, 64 outstanding", "",
            "Each is synced before it is answered, but for Redis with fsync off. The echo is `Ping` of the same "
            "node with the same value: single calls cannot be faster than it. Redis and Thrift are driven by "
            "64 threads, gRPC by 64 outstanding operations.", "",
            *table(LOAD_HEADER, load_rows(sets, "writes"))]


def _gets(results, targets):
    gets = results["gets"]
    _beside_etcd(gets, "linearizable Gets", 1.5, targets)
    return ["### Gets of 256 bytes over gRPC, 64 outstanding", "",
            "Those of Cairn are at level `leader`: linearizable, as etcd's are by default.", "",
            *table(LOAD_HEADER, load_rows(gets, "reads"))]


def _scan(results, targets):
    scans = results["scan"]["scans"]
    rate = Series(scan["bytes"] / scan["seconds"] / 1e6 for scan in scans)
    grown = Series(scan["peak_mib"] - scan["before_mib"] for scan in scans)
    targets.append(("a scan of 1 GiB as one stream of gRPC", "at least 300 MB/s",
                    f"{rate.text()} MB/s", verdict(rate.median >= 300)))
    targets.append(("what it holds in the server", "under 64 MB above its base",
                    f"{grown.text(1)} MiB", verdict(max(grown.values) * 2**20 < 64e6)))
    first = scans[0]
    used = Series(scan["server_cpu_s"] for scan in scans)
    return ["### A scan over gRPC", "",
            f"{first['keys']:,} keys, {first['bytes'] / 2**30:.2f} GiB, in {first['pages']:,} batches, from a "
            f"node with a block cache of {results['scan']['cache_mib']} MiB that was started for it. The "
            f"node's processor time: {used.text(1)} s.", ""]


def _client(results, targets):
    runs = results["client"]
    added = Series(run["added_us"] for run in runs)
    targets.append(("what the C++ client adds to a raw Thrift call", "under 3 us",
                    f"{added.text(2)} us", verdict(added.median < 3)))
    rows = [(name, Series(run[kind]["median_us"] for run in runs).text(1),
             Series(run[kind]["allocations_per_call"] for run in runs).text(1),
             Series(run[kind]["voluntary_switches_per_call"] for run in runs).text(1))
            for name, kind in (("Thrift's generated client", "thrift"), ("`NodeClient`", "client"))]
    return ["### The C++ client", "",
            "Gets of one key by one thread ([client_overhead](../bench/client_overhead.cc)), in turns of "
            f"{runs[0]['calls_per_round']} calls each; the median over {runs[0]['rounds']} turns.", "",
            *table(("", "us a call", "allocations", "waits"), rows)]


def _scrape(results, targets):
    found = results["scrape"]
    rows, worst = [], 0
    for name, kind in (("alone", "idle"), ("alone, gzip", "idle_gzip"), ("eight busy clients", "under_load")):
        one = found[kind]
        rows.append((name, f"{one['p50_ms']:.2f}", f"{one['p99_ms']:.2f}", f"{one['max_ms']:.2f}",
                     f"{one['bytes']:,}"))
        worst = max(worst, one["p99_ms"] if kind != "under_load" else 0)
    targets.append((f"a scrape with {found['requests']:,} requests behind it, p99", "under 5 ms",
                    f"{worst:.2f} ms", verdict(worst < 5)))
    return ["### Scrapes of the metrics", "",
            f"{found['scrapes']} scrapes of each kind on one connection, from the request to the answer's last "
            "byte. Busy clients, in one Python process with the scraper, compete with it and the node for "
            "the machine's cores.", "",
            *table(("", "p50, ms", "p99, ms", "longest, ms", "bytes"), rows)]


SECTIONS = {"sets": _sets, "gets": _gets, "scan": _scan, "client": _client, "scrape": _scrape}
