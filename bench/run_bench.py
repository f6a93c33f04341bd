#!/usr/bin/env python3
"""Measures Cairn beside its peers on one machine, and writes the figures.

    bench/run_bench.py --bin build/bin --scratch build/bench-run --docs docs/benchmarks.md

Rounds are interleaved (each round runs every system, in alternating order), so that whatever the
machine does meanwhile hits all of them. Figures are medians over the rounds with the lowest and the
highest. The raw results are kept as figures.json in the scratch folder. scripts/bench.sh builds what
this needs and calls it.
"""
import argparse
import json
import pathlib
import shutil
import signal
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from peers import servers  # noqa: E402
import report  # noqa: E402

VALUE_BYTES = 256
CLIENTS = 64
KEYS = 100_000
IDLE_CONNECTIONS = 1000
SCAN_VALUE_BYTES = 16 * 1024
SCAN_KEYS = 65_536  # with the values above: 1 GiB
SMALL_CACHE = "[rocksdb]\nblock_cache_size_mb = 8\n"
SMALL_CACHE_MIB = 8


class Bench:
    def __init__(self, arguments):
        self.bin = pathlib.Path(arguments.bin).resolve()
        self.scratch = pathlib.Path(arguments.scratch).resolve()
        self.rounds = arguments.rounds
        self.seconds = arguments.seconds
        self.results = {"rounds": self.rounds, "seconds": self.seconds}

    # One result in a few words, for the progress lines.
    brief = staticmethod(report.brief)

    def say(self, text):
        print(f"-- {text}", flush=True)

    def folder(self, name):
        """An empty folder for one server, on the disk that is measured."""
        path = self.scratch / name
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir(parents=True)
        return path

    def run_json(self, *command):
        done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(map(str, command))} failed: {done.stdout.decode()}")
        return json.loads(done.stdout)

    def load(self, server, *flags, clients=CLIENTS, seconds=None, keys=KEYS,
             value_bytes=VALUE_BYTES):
        return self.run_json(
            self.bin / "cairn-load", "--system", server.system, "--port", server.port, "--clients",
            clients, "--seconds", seconds or self.seconds, "--keys", keys, "--value-bytes",
            value_bytes, *flags)

    def interleave(self, runs):
        """Calls each of `runs` (name -> function of the round) once a round; name -> results."""
        found = {name: [] for name in runs}
        for number in range(self.rounds):
            order = list(runs) if number % 2 == 0 else list(runs)[::-1]
            for name in order:
                found[name].append(runs[name](number))
                self.say(f"round {number + 1}: {name} {self.brief(found[name][-1])}")
        return found

    # ---- What is measured

    def sets(self):
        """Durable Sets at 64 clients, and by one client beside the disk's own fdatasync."""
        self.say("durable Sets: cairnd and etcd")
        with servers.cairnd(self.bin, self.folder("cairn-sets")) as cairn, \
                servers.etcd(self.folder("etcd-sets")) as etcd:
            self.results["sets"] = self.interleave({
                "etcd": lambda n: self.load(etcd, "--seed", n),
                "cairn": lambda n: self.load(cairn, "--seed", n)})
            probe = (self.bin / "fsync_probe", "--dir", self.scratch)
            self.results["one_client"] = self.interleave({
                "fdatasync": lambda n: self.run_json(*probe),
                "cairn": lambda n: self.load(cairn, clients=1, seconds=self.seconds / 2),
                "etcd": lambda n: self.load(etcd, clients=1, seconds=self.seconds / 2)})
            self.results["after_load_rss_mib"] = cairn.rss_mib()

    def syncs(self):
        """fdatasyncs for a number of Sets, counted by strace over the life of a node."""
        self.say("counting fdatasyncs")
        folder = self.folder("cairn-syncs")
        counts = folder / "strace.txt"
        tracer = ["strace", "-f", "--seccomp-bpf", "-c", "-U", "name,calls", "-e",
                  "trace=fsync,fdatasync", "-o", counts]
        with servers.cairnd(self.bin, folder, tracer=tracer) as cairn:
            loaded = self.load(cairn, "--warmup", 0)
        calls = {}
        for line in counts.read_text().split("\n"):
            words = line.split()
            if len(words) == 2 and words[1].isdigit() and words[0] != "total":
                calls[words[0]] = int(words[1])
        self.results["syncs"] = {"sets": loaded["total_writes"], "calls": calls,
                                 "ops_per_s": loaded["ops_per_s"], "untraced": self.counted()}
        self.say(f"traced: {loaded['total_writes']} Sets, {calls}; "
                 f"counted by the kernel: {self.results['syncs']['untraced']}")

    def counted(self):
        """The same by the kernel's own counter, which slows nobody down; None without perf."""
        event = "syscalls:sys_enter_fdatasync"
        if shutil.which("perf") is None:
            return None
        with servers.cairnd(self.bin, self.folder("cairn-counted")) as cairn:
            perf = subprocess.Popen(["perf", "stat", "-x", ",", "-e", event, "-p", str(cairn.pid)],
                                    stderr=subprocess.PIPE, text=True)
            loaded = self.load(cairn, "--warmup", 1)
            perf.send_signal(signal.SIGINT)
            line = next((line for line in perf.communicate()[1].split("\n") if event in line), "")
        count = line.partition(",")[0]
        if not count.isdigit():
            return None
        return {"sets": loaded["total_writes"], "fdatasyncs": int(count),
                "ops_per_s": loaded["ops_per_s"]}

    def gets(self):
        """Gets at 64 clients, beside Thrift servers that have nothing to do."""
        self.say("Gets: cairnd, echo server and etcd")
        with servers.cairnd(self.bin, self.folder("cairn-gets")) as cairn, \
                servers.etcd(self.folder("etcd-gets")) as etcd, \
                servers.echo(self.bin, self.folder("echo"), VALUE_BYTES, True) as echo, \
                servers.echo(self.bin, self.folder("own-echo"), VALUE_BYTES, False) as own_echo:
            self.load(cairn, "--fill")
            self.load(etcd, "--fill")
            read = ("--read-percent", 100)
            self.results["gets"] = self.interleave({
                "echo, Thrift's own server": lambda n: self.load(echo, *read, "--seed", n),
                "echo, Cairn's server": lambda n: self.load(own_echo, *read, "--seed", n),
                "cairn": lambda n: self.load(cairn, *read, "--seed", n),
                "etcd": lambda n: self.load(etcd, *read, "--serializable-reads", "--seed", n)})

    def engine(self):
        """Point reads of the RocksDB engine beside RocksDB alone: engine_bench."""
        program = self.bin / "engine_bench"
        if not program.exists():
            self.say("no engine_bench: left out")
            return
        self.say("engine point reads")
        self.results["engine"] = self.run_json(
            program, "--benchmark_format=json", f"--benchmark_repetitions={self.rounds}",
            "--benchmark_enable_random_interleaving=true", "--benchmark_min_time=0.3")

    def memory(self):
        """Idle memory, and the peak while a client scans 1 GiB."""
        self.say("memory")
        with servers.cairnd(self.bin, self.folder("cairn-idle")) as cairn:
            self.load(cairn, "--warmup", 0, clients=1, seconds=0.2)
            idle = cairn.rss_mib()
            connections = servers.idle_connections(cairn, IDLE_CONNECTIONS)
            with_connections = cairn.rss_mib()
            for connection in connections:
                connection.close()
        folder = self.folder("cairn-scan")
        with servers.cairnd(self.bin, folder, config=SMALL_CACHE) as cairn:
            self.load(cairn, "--fill", clients=16, keys=SCAN_KEYS, value_bytes=SCAN_VALUE_BYTES)
        with servers.cairnd(self.bin, folder, config=SMALL_CACHE) as cairn:
            before = cairn.rss_mib()
            cairn.reset_peak()
            scan = self.run_json(self.bin / "cairn-load", "--scan", "--port", cairn.port)
            peak = cairn.peak_rss_mib()
        self.results["memory"] = {"idle_mib": idle, "connections": IDLE_CONNECTIONS,
                                  "connections_mib": with_connections, "before_scan_mib": before,
                                  "scan_peak_mib": peak, "scan": scan,
                                  "cache_mib": SMALL_CACHE_MIB}
        self.say(f"idle {idle:.1f} MiB; scan of {scan['bytes'] / 2**30:.2f} GiB: "
                 f"{before:.1f} -> {peak:.1f} MiB")
        shutil.rmtree(folder, ignore_errors=True)


PARTS = ("sets", "syncs", "gets", "engine", "memory")


def earlier(file, now):
    """The results in `file`, if there are any; they must be of the commit and the shape of the run
    that begins."""
    if not file.exists():
        return {}
    found = json.loads(file.read_text())
    for what, then, today in (("commit", found["machine"]["commit"], now["machine"]["commit"]),
                              ("rounds", found["rounds"], now["rounds"]),
                              ("seconds", found["seconds"], now["seconds"])):
        if then != today:
            raise RuntimeError(f"--join: {file} is of {what} {then}, not {today}; remove it to begin anew")
    return found


def main(kind, parts, pages, description):
    """Runs `parts` of a bench of class `kind`; `pages` renders the results (report.py or alike)."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--bin", required=True, help="folder of the programs")
    parser.add_argument("--scratch", required=True, help="folder on the disk to measure")
    parser.add_argument("--docs", help="the page whose figures are to be rewritten")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=10, help="measured part of each run")
    parser.add_argument("--only", choices=parts, action="append", help="one part, not all")
    parser.add_argument("--command", default=" ".join(sys.argv), help="as the page will name it")
    parser.add_argument("--note", default="", help="a sentence about the circumstances")
    parser.add_argument("--join", action="store_true",
                        help="parts that are not measured now are those of the last run, which must "
                             "be of the same commit")
    arguments = parser.parse_args()
    bench = kind(arguments)
    bench.scratch.mkdir(parents=True, exist_ok=True)
    bench.results["machine"] = report.machine(bench.scratch)
    bench.results["note"] = arguments.note
    kept = bench.scratch / f"{pages.NAME}.json"
    before = earlier(kept, bench.results) if arguments.join else {}
    for part in arguments.only or parts:
        getattr(bench, part)()
    bench.results = {**before, **bench.results}
    kept.write_text(json.dumps(bench.results, indent=1))
    text = report.render(bench.results, arguments.command, pages.SECTIONS)
    print(text)
    if arguments.docs:
        report.replace_figures(pathlib.Path(arguments.docs), text, pages.NAME)
    for name in bench.scratch.iterdir():
        if name.is_dir():
            shutil.rmtree(name, ignore_errors=True)


if __name__ == "__main__":
    main(Bench, PARTS, report, __doc__.split("\n")[0])
