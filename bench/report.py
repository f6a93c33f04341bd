"""Turns the results of run_bench.py into the figures section of docs/benchmarks.md."""
import datetime
import pathlib
import platform
import re
import statistics
import subprocess

# The section of the page that these figures fill: see replace_figures.
NAME = "figures"


def _output(*command):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""


def filesystem(path):
    """Type of the file system that holds `path`: that of the longest mount point above it."""
    best, kind = "", "unknown"
    for line in pathlib.Path("/proc/self/mounts").read_text().splitlines():
        _, point, name, *_ = line.split()
        if pathlib.Path(path).resolve().is_relative_to(point) and len(point) >= len(best):
            best, kind = point, name
    return kind


def machine(scratch):
    """What the figures depend on."""
    cpu = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    memory = re.search(r"MemTotal:\s*(\d+)", pathlib.Path("/proc/meminfo").read_text())
    version = re.search(r"etcd Version: (\S+)", _output("etcd", "--version"))
    here = pathlib.Path(__file__).parent
    # The page that the figures go to may have been written by an earlier piece of the same run.
    dirty = _output("git", "-C", str(here.parent), "status", "--porcelain", "--untracked-files=no", "--",
                    ".", ":(exclude)docs/benchmarks.md")
    return {
        "cpu": cpu.group(1) if cpu else platform.processor(),
        "cores": len(re.findall(r"^processor", pathlib.Path("/proc/cpuinfo").read_text(), re.M)),
        "memory_gib": round(int(memory.group(1)) / 2**20) if memory else 0,
        "kernel": platform.release(),
        "filesystem": filesystem(scratch),
        "etcd": version.group(1) if version else "not installed",
        "commit": _output("git", "-C", str(here), "rev-parse", "--short", "HEAD")
                  + (" with local changes" if dirty else ""),
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
    }


def brief(result):
    """One result in a few words, for the progress lines."""
    if "ops_per_s" not in result:
        return f"p50 {result['p50_us']:.0f} us"
    latency = result["reads"] if result["reads"]["count"] else result["writes"]
    return f"{result['ops_per_s']:.0f}/s, p50 {latency['p50_us']:.0f} us"


class Series:
    """One figure over the rounds."""

    def __init__(self, values):
        self.values = list(values)
        self.median = statistics.median(self.values)

    def text(self, digits=0):
        low, high = min(self.values), max(self.values)
        return f"{self.median:,.{digits}f} ({low:,.{digits}f} to {high:,.{digits}f})"


def rates(rounds):
    return Series(result["ops_per_s"] for result in rounds)


def latencies(rounds, kind, name):
    return Series(result[kind][name] for result in rounds)


def verdict(met):
    return "met" if met else "**missed**"


def table(header, rows):
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    return lines + ["| " + " | ".join(row) + " |" for row in rows] + [""]


def load_rows(rounds_by_system, kind):
    for system, rounds in sorted(rounds_by_system.items()):
        yield (system, rates(rounds).text(), latencies(rounds, kind, "p50_us").text(),
               latencies(rounds, kind, "p99_us").text())


LOAD_HEADER = ("system", "per second", "p50, us", "p99, us")


def ratio_of(above, below):
    """Round by round, so that what slowed one round down slows both sides of its ratio."""
    return Series(a["ops_per_s"] / b["ops_per_s"] for a, b in zip(above, below))


def _sets(results, targets):
    sets = results["sets"]
    ratio = ratio_of(sets["cairn"], sets["etcd"])
    targets.append(("durable Sets at 64 clients, beside etcd", "at least 2.5 x",
                    f"{ratio.text(2)} x", verdict(ratio.median >= 2.5)))
    probe = Series(result["p50_us"] for result in results["one_client"]["fdatasync"])
    one = {name: rounds for name, rounds in results["one_client"].items() if name != "fdatasync"}
    p50 = latencies(one["cairn"], "writes", "p50_us")
    bound = probe.median + 300
    targets.append(("one client's durable Set, p50", f"under one fdatasync + 300 us = {bound:.0f} us",
                    f"{p50.text()} us", verdict(p50.median < bound)))
    return ["### Durable Sets of 256 bytes, 64 clients", "",
            *table(LOAD_HEADER, load_rows(sets, "writes")),
            "### Durable Sets of 256 bytes, one client", "",
            f"One 512-byte write and its fdatasync on this disk: p50 {probe.text()} us.", "",
            *table(LOAD_HEADER, load_rows(one, "writes"))]


def _syncs(results, targets):
    syncs, untraced = results["syncs"], results["syncs"]["untraced"]
    traced = syncs["sets"] / max(sum(syncs["calls"].values()), 1)
    per_sync = untraced["sets"] / max(untraced["fdatasyncs"], 1) if untraced else traced
    targets.append(("Sets for each fdatasync at 64 clients", "at least 8", f"{per_sync:.1f}",
                    verdict(per_sync >= 8)))
    lines = ["### Syncs", ""]
    if untraced:
        lines += [f"The kernel counted {untraced['fdatasyncs']:,} fdatasyncs for {untraced['sets']:,} "
                  f"Sets from 64 clients ({untraced['ops_per_s']:,.0f} per second): {per_sync:.1f} Sets "
                  "for each.", ""]
    named = ", ".join(f"{count:,} {name}" for name, count in sorted(syncs["calls"].items()))
    return lines + [f"strace counted {named} over the whole life of a node that took {syncs['sets']:,} "
                    f"Sets from 64 clients ({syncs['ops_per_s']:,.0f} per second, as strace slows the "
                    f"node down and makes its batches small): {traced:.1f} Sets for each sync.", ""]


def _gets(results, targets):
    gets = results["gets"]
    for server in ("Thrift's own server", "Cairn's server"):
        ratio = ratio_of(gets["cairn"], gets[f"echo, {server}"])
        targets.append((f"Gets at 64 clients, beside a bare echo on {server}", "at least 60 %",
                        f"{ratio.median:.0%} ({min(ratio.values):.0%} to {max(ratio.values):.0%})",
                        verdict(ratio.median >= 0.6)))
    return ["### Gets of 256 bytes, 64 clients", "",
            "etcd's are serializable reads: its node answers alone, as ours does at level `local`.", "",
            *table(LOAD_HEADER, load_rows(gets, "reads"))]


def _engine(results, targets):
    """Each benchmark of the engine beside the one of the same name on raw RocksDB."""
    runs = [run for run in results["engine"]["benchmarks"] if run["run_type"] == "iteration"]
    times = {}
    for run in runs:
        times.setdefault(run["run_name"], []).append(run["real_time"])
    rows, shares = [], []
    for name, values in sorted(times.items()):
        engine, share = Series(values), ""
        raw = times.get(name.replace("/engine", "/raw"))
        if "/engine" in name and raw:
            fraction = Series(raw).median / engine.median
            share = f"{fraction:.0%}"
            if name.startswith("get/"):
                shares.append(fraction)
        rows.append((name, engine.text(), share))
    targets.append(("engine point reads, beside raw RocksDB", "at least 50 %",
                    " and ".join(f"{share:.0%}" for share in shares) + " (one thread, two threads)",
                    verdict(min(shares) >= 0.5)))
    return ["### Engine", "", "Point reads and scans in one process, without a network "
            "([engine_bench](../bench/engine_bench.cc)).", "",
            *table(("benchmark", runs[0]["time_unit"], "speed beside raw"), rows)]


def _memory(results, targets):
    memory = results["memory"]
    targets.append(("memory of an idle node", "under 60 MiB and the caches",
                    f"{memory['idle_mib']:.1f} MiB", verdict(memory["idle_mib"] < 60)))
    grown = memory["scan_peak_mib"] - memory["before_scan_mib"]
    scanned = memory["scan"]
    targets.append(("what a scan of 1 GiB holds in the server", "under 64 MiB",
                    f"{grown:.1f} MiB", verdict(grown < 64)))
    return ["### Memory", "",
            f"A new node: {memory['idle_mib']:.1f} MiB resident; with {memory['connections']:,} idle "
            f"connections, each of which made a call, {memory['connections_mib']:.1f} MiB. Before the scan "
            f"{memory['before_scan_mib']:.1f} MiB, at its peak {memory['scan_peak_mib']:.1f} MiB, with a "
            f"block cache of {memory['cache_mib']} MiB. The client read {scanned['keys']:,} keys, "
            f"{scanned['bytes'] / 2**30:.2f} GiB, in {scanned['pages']} pages and "
            f"{scanned['seconds']:.1f} s.", ""]


SECTIONS = {"sets": _sets, "syncs": _syncs, "gets": _gets, "engine": _engine, "memory": _memory}


def render(results, command, sections):
    targets, body = [], []
    for name, section in sections.items():
        if name in results:
            body += section(results, targets)
    on = results["machine"]
    head = [f"Command: `{command}`. {on['date']}, commit {on['commit']}.", "",
            f"Machine: {on['cores']} cores ({on['cpu']}), {on['memory_gib']} GiB, Linux {on['kernel']}, "
            f"{on['filesystem']}. Clients and servers share it. "
            f"{results.get('peers', 'etcd ' + on['etcd'])} of Debian 12. "
            f"{results['rounds']} rounds of {results['seconds']:g} s each; a figure is the median, with the "
            "lowest and the highest round." + (f" {results['note']}" if results["note"] else ""), ""]
    if targets:
        head += table(("what", "target", "measured", ""), targets)
    return "\n".join(head + body)


def replace_figures(page, text, name):
    """Rewrites what stands between the two marks of this name in the page."""
    begin_mark = f"<!-- {name}: written by scripts/bench.sh -->"
    end_mark = f"<!-- end of {name} -->"
    content = page.read_text()
    before, begin, rest = content.partition(begin_mark)
    _, end, after = rest.partition(end_mark)
    if not begin or not end:
        raise RuntimeError(f"{page} has no section between {begin_mark} and {end_mark}")
    page.write_text(f"{before}{begin_mark}\n\n{text}\n{end_mark}{after}")
