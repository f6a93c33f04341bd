"""Turns the results of run_cluster_bench.py into the cluster figures of docs/benchmarks.md."""
from report import LOAD_HEADER, Series, latencies, load_rows, ratio_of, table, verdict

# The section of the page that these figures fill: see report.replace_figures.
NAME = "cluster figures"


def _writes(title, target):
    def section(name, results, targets):
        rounds = results[name]
        ratio = ratio_of(rounds["cairn"], rounds["etcd"])
        targets.append((f"durable Sets, {title}, beside etcd", f"at least {target} x",
                        f"{ratio.text(2)} x", verdict(ratio.median >= target)))
        return _write_table(title, rounds)
    return section


def _write_table(title, rounds):
    return [f"### Durable Sets of 256 bytes on three nodes, {title}", "",
            *table(LOAD_HEADER, load_rows(rounds, "writes"))]


def _one_client(name, results, targets):
    rounds = results[name]
    ours, theirs = (latencies(rounds[system], "writes", "p50_us") for system in ("cairn", "etcd"))
    share = Series(a / b for a, b in zip(ours.values, theirs.values))
    targets.append(("one client's durable Set, p50, beside etcd", "at most 50 %",
                    f"{share.median:.0%} ({min(share.values):.0%} to {max(share.values):.0%})",
                    verdict(share.median <= 0.5)))
    return _write_table("one client", rounds)


def _reads(name, results, targets):
    reads = results[name]
    for level, peer, target in (("leader", "linearizable", 5), ("read_index", "linearizable", 5),
                                ("local", "serializable", 6)):
        ratio = ratio_of(reads[f"cairn, {level}"], reads[f"etcd, {peer}"])
        targets.append((f"`{level}` Gets, beside etcd's {peer} ones", f"at least {target} x",
                        f"{ratio.text(1)} x", verdict(ratio.median >= target)))
    return ["### Gets of 256 bytes on three nodes, 64 clients", "",
            "`leader` Gets go to the leader; all others take turns over the three nodes.", "",
            *table(LOAD_HEADER, load_rows(reads, "reads"))]


def _syncs(name, results, targets):
    rows, share = [], {}
    for system, found in sorted(results[name].items()):
        calls = sum(found["calls"].values())
        share[system] = calls / found["sets"]
        rows.append((system, f"{found['sets']:,}", f"{calls:,}", f"{share[system]:.3f}",
                     f"{found['ops_per_s']:,.0f}"))
    targets.append(("syncs of all nodes for each write at 64 clients",
                    f"no more than etcd's {share['etcd']:.3f}", f"{share['cairn']:.3f}",
                    verdict(share["cairn"] <= share["etcd"])))
    return ["### Syncs of three nodes", "",
            "fsync and fdatasync of all nodes, counted by strace, which slows everybody down.", "",
            *table(("system", "Sets", "syncs", "syncs a Set", "Sets per second"), rows)]


def _failover(name, results, targets):
    found = results[name]
    gaps = Series(found["gaps_ms"])
    targets.append((f"leader killed: next acknowledged write, median of {len(gaps.values)} kills",
                    "within 600 ms", f"{gaps.text()} ms", verdict(gaps.median <= 600)))
    wrong = found["lost"] + found["twice"]
    targets.append(("acknowledged writes lost or applied twice", "none", str(wrong),
                    verdict(wrong == 0)))
    return ["### Failover", "",
            f"The leader was killed with SIGKILL {len(gaps.values)} times under the load of four "
            "writers of a client with all endpoints, and started again; the election timeout is 300 ms. A gap runs from just before "
            "the kill to the answer of the first write sent after it. "
            f"{found['acknowledged']:,} writes were acknowledged; {found['unknown']:,} failed, with "
            f"an unknown outcome; {found['lost']} were lost, {found['twice']} applied twice.", ""]


def _catch_up(name, results, targets):
    found = results[name]
    during = Series(result["ops_per_s"] for result in found["during"])
    share = during.median / found["alone"]["ops_per_s"]
    targets.append(("writes while a follower 1 GiB behind catches up", "at least 70 % of the rate",
                    f"{share:.0%}", verdict(share >= 0.7)))
    return ["### Catching up", "",
            f"Two nodes alone: {found['alone']['ops_per_s']:,.0f} Sets per second; while the third "
            f"caught up by a snapshot, in {found['took_s']:.1f} s: {during.text()}.", ""]


def _memory(name, results, targets):
    found = results[name]
    cairn, etcd = found["cairn"], found["etcd"]
    targets.append(("memory that three empty nodes hold together",
                    f"less than etcd's {etcd['together']:.1f} MiB", f"{cairn['together']:.1f} MiB",
                    verdict(cairn["together"] < etcd["together"])))
    return ["### Memory", "",
            "Three empty nodes of one system on one machine, pages that they share counted once "
            f"(PSS): {cairn['together']:.1f} MiB for Cairn, {etcd['together']:.1f} MiB for etcd. "
            "The resident sets (RSS), which count a shared page in each process, add up to "
            f"{cairn['rss']:.0f} and {etcd['rss']:.0f} MiB.", ""]


def _named(name, section):
    return lambda results, targets: section(name, results, targets)


SECTIONS = {name: _named(name, section) for name, section in {
    "sets_64": _writes("64 clients", 2.5),
    "sets_256": _writes("256 clients", 2.5),
    "sets_1": _one_client,
    "reads": _reads,
    "cluster_syncs": _syncs,
    "failover": _failover,
    "catch_up": _catch_up,
    "cluster_memory": _memory,
}.items()}
