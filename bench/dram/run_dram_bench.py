#!/usr/bin/env python3
"""Measures the memory plane beside UCX itself, Redis and memcached on one machine.

    bench/dram/run_dram_bench.py --bin build/bin --scratch build/bench-run --docs docs/benchmarks.md

The same way as bench/run_bench.py: rounds interleaved, medians with the lowest and the highest. Busy
polling is off unless a line says on. scripts/bench.sh --dram builds what this needs and calls it. With
--rounds 5 --seconds 2 each part takes at most four minutes, so that --only and --join can measure them one
at a time when the machine is quiet.
"""
import contextlib
import json
import os
import pathlib
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
sys.path.insert(0, str(pathlib.Path(__file__).parent))
import dram_report  # noqa: E402
import dram_servers as memory  # noqa: E402
import run_bench  # noqa: E402
from peers.servers import free_port  # noqa: E402

MIB = 1 << 20
SMALL, LARGE, HUGE = 256, MIB, 16 * MIB
SMALL_KEYS, LARGE_KEYS = 100_000, 200
STREAM_WINDOW = 4  # large reads, and UCX's own messages, on their way at once
POLLING = {"busy_poll": True}
# How a client reaches a server of the same machine: the spec's members for it.
WAYS = {"TCP": {"shared_memory": False}, "shared memory": {}}
UCX = {"shared_memory": False, "transport": "ucx"}
NODES, NODE_PERCENT, LANES_PER_NODE = 10, 1, 256
WARMUP_S = 0.5
IDLE_S = 5
ENTRIES, ENTRY_VALUE_BYTES = 500_000, 64
ZARR_MIB = 1024


class DramBench(run_bench.Bench):
    def __init__(self, arguments):
        super().__init__(arguments)
        self.results["peers"] = memory.versions()

    brief = staticmethod(dram_report.brief)

    def ways(self):
        """The ways that this build knows, with their members of the spec."""
        for name, members in WAYS.items():
            # Only what this build takes: one without shared memory has TCP alone.
            done = subprocess.run(
                [self.bin / "cairn", "dram", "route", "--spec",
                 json.dumps({"remote_addr": "127.0.0.1:1", **members}), "key"],
                capture_output=True, check=False)
            if done.returncode != 0:
                yield "TCP", {}
                return
            yield name, members

    def load(self, server, *flags, **options):
        # In memory, nothing takes long to warm up.
        return super().load(server, "--warmup", WARMUP_S, *flags, **options)

    def load_dram(self, server, members, *flags, **options):
        spec = json.dumps({"remote_addr": server.address, **members})
        return self.load(server, "--spec", spec, *flags, **options)

    def lanes(self, spec, value_bytes, keys, in_flight):
        """`cairn dram bench`: {"write": figures, "read": figures}."""
        done = subprocess.run(
            [self.bin / "cairn", "--json", "dram", "bench", "--spec", json.dumps(spec),
             "--value-size", str(value_bytes), "--keys", str(keys), "--in-flight", str(in_flight),
             "--seconds", str(self.seconds)], stdout=subprocess.PIPE, check=True)
        found = [json.loads(line) for line in done.stdout.splitlines()]
        return {one["operation"]: one for one in found}

    @contextlib.contextmanager
    def systems(self, name):
        with memory.dram(self.bin, self.folder(f"dram-{name}")) as dram, \
                memory.redis(self.folder(f"redis-{name}")) as redis, \
                memory.memcached(self.folder(f"memcached-{name}")) as memcached:
            yield dram, redis, memcached

    def runs(self, systems, *flags, **options):
        """One run of the loader for every system and way, for interleave()."""
        dram, redis, memcached = systems
        found = {
            "redis": lambda n: self.load(redis, *flags, "--seed", n, **options),
            "redis, Unix socket": lambda n: self.load(redis, "--unix", redis.unix_path, *flags,
                                                      "--seed", n, **options),
            "memcached": lambda n: self.load(memcached, *flags, "--seed", n, **options)}
        for way, members in self.ways():
            found[f"cairn, {way}"] = lambda n, m=members: self.load_dram(
                dram, m, *flags, "--seed", n, **options)
            if options["clients"] > 1:
                found[f"cairn, {way}, one pool for all"] = lambda n, m=members: self.load_dram(
                    dram, m, "--shared", *flags, "--seed", n, **options)
        found["cairn, UCX over TCP"] = lambda n: self.load_dram(
            dram, UCX, *flags, "--seed", n, **options)
        return found

    # ---- What is measured

    def small(self):
        """Reads and writes of 256 bytes by one client."""
        self.results["small"] = self.short_values(1)

    def crowd(self):
        """Reads and writes of 256 bytes by 16 clients."""
        self.results["crowd"] = self.short_values(16)

    def short_values(self, clients):
        self.say(f"values of 256 bytes, clients: {clients}")
        options = {"clients": clients, "keys": SMALL_KEYS, "value_bytes": SMALL}
        found = {}
        with self.systems("small") as systems:
            for system in systems:
                self.fill(system, **options)
            for kind, percent in (("writes", 0), ("reads", 100)):
                found[f"{kind} {clients}"] = self.interleave(
                    self.runs(systems, "--read-percent", percent, **options))
        return found

    def large(self):
        """Reads of 1 MiB by one client."""
        self.say("values of 1 MiB")
        options = {"clients": 1, "keys": LARGE_KEYS, "value_bytes": LARGE}
        with self.systems("large") as systems:
            for system in systems:
                self.fill(system, **options)
            self.results["large"] = self.interleave(
                self.runs(systems, "--read-percent", 100, **options))

    def fill(self, server, **options):
        run = self.load_dram if server.system == "dram" else self.load
        members = ({},) if server.system == "dram" else ()
        return run(server, *members, "--fill", **options)

    def perftest(self, test, transports, size, iterations, *flags):
        """One run of ucx_perftest against itself: its last line, as numbers."""
        port = free_port()
        command = ["ucx_perftest", "-p", str(port), "-f", "-v", "-n", str(iterations), "-w",
                   str(max(iterations // 10, 10)), "-t", test, "-s", str(size), *flags]
        environment = {**os.environ, "UCX_TLS": transports, "UCX_WARN_UNUSED_ENV_VARS": "n"}
        with (self.scratch / "perftest.txt").open("wb") as log:
            server = subprocess.Popen(command[:3], env=environment, stdout=log, stderr=log)
            try:
                for _ in range(100):
                    done = subprocess.run([command[0], "127.0.0.1", *command[1:]], env=environment,
                                          capture_output=True, text=True, check=False, timeout=300)
                    # The server may not listen yet.
                    if done.returncode == 0:
                        break
                    time.sleep(0.05)
            finally:
                server.kill()
                server.wait()
        # Iterations, latency at the median, average, overall; bandwidth average, overall; rates.
        words = (done.stdout.split() or [""])[-1].split(",")
        if done.returncode != 0 or len(words) != 8:
            raise RuntimeError(f"ucx_perftest {test} failed: {done.stdout} {done.stderr}")
        return {"p50_us": float(words[1]), "mib_per_second": float(words[5])}

    def streams(self):
        """Large reads beside UCX's own messages of the same size."""
        self.say("large reads beside UCX")
        self.results["streams"] = {}
        raw = {"TCP": ("ucp_am_bw", "tcp"), "shared memory": ("tag_bw", "posix,sysv,cma,self")}
        with memory.dram(self.bin, self.folder("dram-streams")) as dram:
            for size in (LARGE, HUGE):
                iterations = max(int(self.seconds * 2e9 / size), 20)
                runs = {}
                for way, members in self.ways():
                    test, transports = raw[way]
                    runs[f"cairn, {way}"] = lambda n, m=members: self.lanes(
                        {"remote_addr": dram.address, **m}, size, 2 * STREAM_WINDOW,
                        STREAM_WINDOW)["read"]
                    runs[f"UCX, {way}"] = lambda n, t=test, x=transports: self.perftest(
                        t, x, size, iterations, "-O", str(STREAM_WINDOW))
                # Polling, which is what it does by itself, is not always the faster way on few cores.
                runs["UCX, TCP, sleeping"] = lambda n: self.perftest(
                    *raw["TCP"], size, iterations, "-O", str(STREAM_WINDOW), "-E", "sleep")
                self.results["streams"][str(size)] = self.interleave(runs)

    def round_trips(self):
        """Small reads with busy polling, beside UCX's raw round trip over shared memory."""
        self.say("round trips with busy polling")
        ways = dict(self.ways())
        if "shared memory" not in ways:
            self.say("this build has no shared memory: left out")
            return
        iterations = int(self.seconds * 50_000)
        with memory.dram(self.bin, self.folder("dram-trips"),
                         spec=json.dumps(POLLING)) as dram:
            self.load_dram(dram, {}, "--fill", clients=1, keys=SMALL_KEYS, value_bytes=SMALL)
            self.results["round_trips"] = self.interleave({
                "cairn, shared memory, busy polling": lambda n: self.load_dram(
                    dram, POLLING, "--busy-poll", "--read-percent", 100, "--seed", n, clients=1,
                    keys=SMALL_KEYS, value_bytes=SMALL),
                "UCX, shared memory": lambda n: self.perftest(
                    "ucp_am_lat", "posix,sysv,cma,self", SMALL, iterations)})

    def zarr(self):
        """A chunked array on a dict, on a server of ours and on Redis."""
        self.say("zarr")
        program = [sys.executable, pathlib.Path(__file__).parent / "zarr_bench.py", "--mib",
                   ZARR_MIB, "--store"]
        environment = {**os.environ, "PYTHONPATH": str(self.bin.parent / "python")}

        def run(*flags):
            done = subprocess.run([str(word) for word in [*program, *flags]], env=environment,
                                  stdout=subprocess.PIPE, check=True)
            return json.loads(done.stdout)
        with memory.dram(self.bin, self.folder("dram-zarr"), capacity="4GiB") as dram, \
                memory.redis(self.folder("redis-zarr")) as redis:
            runs = {"dict": lambda n: run("dict"),
                    "redis": lambda n: run("redis", "--port", redis.port)}
            for way, members in self.ways():
                spec = json.dumps({"remote_addr": dram.address, **members})
                runs[f"cairn, {way}"] = lambda n, s=spec: run("dram", "--spec", s)
            # Once uncounted: the servers take a GiB from the kernel, which a virtual machine gives at
            # very different speeds.
            for run_once in runs.values():
                run_once(0)
            self.results["zarr"] = self.interleave(runs)

    def rest(self):
        """Processor time of a server that nobody uses, alone and with a client that is connected."""
        self.say("a server at rest")
        with memory.dram(self.bin, self.folder("dram-rest")) as dram:
            alone = self.idle(dram)
            spec = {"remote_addr": dram.address}
            with memory.dram(self.bin, self.folder("dram-client"),
                             peers=[spec["remote_addr"]]) as peer:
                self.say(f"with {peer.name} connected")
                self.results["rest"] = {"alone": alone, "connected": self.idle(dram)}
        self.say(f"{self.results['rest']}")

    @staticmethod
    def idle(server):
        """Share of a core that it uses."""
        begin, time_begin = memory.run_ns(server.pid), time.monotonic_ns()
        time.sleep(IDLE_S)
        return (memory.run_ns(server.pid) - begin) / (time.monotonic_ns() - time_begin)

    def overhead(self):
        """Memory that small entries take beyond their keys and values."""
        self.say("overhead of small entries")
        options = {"keys": ENTRIES, "value_bytes": ENTRY_VALUE_BYTES}
        with memory.dram(self.bin, self.folder("dram-overhead")) as dram:
            # The buffers of a connection are there before the count begins.
            self.load_dram(dram, {}, "--fill", clients=4, keys=1000, value_bytes=ENTRY_VALUE_BYTES)
            before = dram.rss_mib()
            self.load_dram(dram, {}, "--fill", clients=4, **options)
            taken = (dram.rss_mib() - before) * MIB / (ENTRIES - 1000)
        self.results["overhead"] = {"bytes": taken - 16 - ENTRY_VALUE_BYTES, "entries": ENTRIES,
                                    "key_bytes": 16, "value_bytes": ENTRY_VALUE_BYTES}
        self.say(f"{self.results['overhead']['bytes']:.1f} bytes an entry")

    def fragmentation(self):
        """What the allocator's own test prints: see docs/adr/0010-dram-allocator.md."""
        self.say("fragmentation under mixed sizes")
        done = subprocess.run([self.bin / "dram_memory_test", "--gtest_filter=*Mixed*:*Churn*"],
                              capture_output=True, text=True, check=True)
        self.results["fragmentation"] = [
            line for line in done.stdout.splitlines() if line.startswith("utilization")]

    def nodes(self):
        """One node and ten, each under the same processor quota."""
        self.say("ten nodes under a quota")
        if not memory.Capped.possible():
            self.say("no control groups (version 1, as root): left out")
            return
        self.results["nodes"] = self.interleave({
            "one node": lambda n: self.capped(1), "ten nodes": lambda n: self.capped(NODES)})

    def capped(self, count):
        with contextlib.ExitStack() as stack:
            nodes = []
            for i in range(count):
                cap = stack.enter_context(memory.Capped(f"{count}-{i}", NODE_PERCENT))
                node = stack.enter_context(memory.dram(self.bin, self.folder(f"node-{i}"), "64MiB"))
                cap.add(node.pid)
                nodes.append(node)
            addresses = [node.address for node in nodes]
            # Over TCP: through shared memory a node has so little to do that the client is the limit.
            spec = {"remote_addr": addresses[0]} if count == 1 else {"remote_addrs": addresses}
            spec["shared_memory"] = False
            return self.lanes(spec, SMALL, 20_000, LANES_PER_NODE * count)["read"]


PARTS = ("small", "crowd", "large", "streams", "round_trips", "zarr", "rest", "overhead", "fragmentation",
         "nodes")

if __name__ == "__main__":
    run_bench.main(DramBench, PARTS, dram_report, __doc__.split("\n", maxsplit=1)[0])
