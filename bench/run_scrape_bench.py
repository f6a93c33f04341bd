#!/usr/bin/env python3
"""Times scrapes of a node's metrics with many requests behind it.

    bench/run_scrape_bench.py --bin build/bin --gen-py build/gen-py --scratch build/bench-run

Starts one node, has clients make `--requests` Sets and Gets over Thrift, and asks for /metrics
`--scrapes` times on one connection, as Prometheus does: first while nobody else asks for anything,
plain and gzip, then while the clients go on. Prints one JSON object: percentiles of the time from the
request to the last byte of the answer, in milliseconds, and the size of the page. Fails if the node
has not counted the requests.
"""
import argparse
import http.client
import json
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import threading
import time


def start(binary, folder):
    """A node on free ports; the process, and its ports of Thrift and HTTP."""
    node = subprocess.Popen(
        [str(binary), "--data-dir", str(folder / "data"), "--port", "0", "--grpc-port", "0",
         "--http-port", "0", "--log-dir", str(folder / "log")],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    said = ""
    while "HTTP on" not in said:
        line = node.stdout.readline()
        if not line:
            raise RuntimeError(f"the node does not serve: {said}")
        said += line
    return (node, int(re.search(r"Thrift on \S+:(\d+)", said).group(1)),
            int(re.search(r"HTTP on \S+:(\d+)", said).group(1)))


class Load:
    """Clients that set and get keys until there were so many requests, or until stopped."""

    def __init__(self, port, clients):
        self._port = port
        self._clients = clients

    def run(self, requests):
        """Makes `requests` requests in all."""
        share = [requests // self._clients + (n < requests % self._clients)
                 for n in range(self._clients)]
        threads = [threading.Thread(target=self._some, args=(count, n, None))
                   for n, count in enumerate(share)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def during(self, body):
        """The value of `body()`, run beside the load."""
        stop = threading.Event()
        threads = [threading.Thread(target=self._some, args=(None, n, stop))
                   for n in range(self._clients)]
        for thread in threads:
            thread.start()
        try:
            return body()
        finally:
            stop.set()
            for thread in threads:
                thread.join()

    def _some(self, count, number, stop):
        # Here, because the folder of the generated module is an argument.
        from kvstore import TransactionalKV, ttypes  # pylint: disable=import-outside-toplevel
        from thrift.protocol import TBinaryProtocol  # pylint: disable=import-outside-toplevel
        from thrift.transport import TSocket, TTransport  # pylint: disable=import-outside-toplevel
        transport = TTransport.TBufferedTransport(TSocket.TSocket("127.0.0.1", self._port))
        client = TransactionalKV.Client(TBinaryProtocol.TBinaryProtocolAccelerated(transport))
        transport.open()
        done = 0
        while done != count and not (stop and stop.is_set()):
            key = b"key%d-%d" % (number, done % 1000)
            if done % 10 == 0:
                client.setKey(ttypes.SetRequest(key=key, value=b"v" * 256))
            else:
                client.get(ttypes.GetRequest(key=key))
            done += 1
        transport.close()


def scrape(port, times, headers):
    """Milliseconds of each scrape, sorted, and the last page."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    took = []
    for _ in range(times):
        begun = time.perf_counter()
        connection.request("GET", "/metrics", headers=headers)
        answer = connection.getresponse()
        page = answer.read()
        took.append(1000 * (time.perf_counter() - begun))
        if answer.status != 200:
            raise RuntimeError(f"the node answers {answer.status}: {page}")
    connection.close()
    return sorted(took), page


def summary(took, page):
    def at(share):
        return round(took[min(len(took) - 1, int(share * len(took)))], 3)
    return {"p50_ms": at(0.5), "p99_ms": at(0.99), "max_ms": at(1), "bytes": len(page)}


def counted(page):
    """The requests that the node says it has answered."""
    return sum(int(value) for value in re.findall(
        r"^cairn_request_duration_seconds_count\{[^}]*\} (\d+)$", page.decode(), re.MULTILINE))


def measure(arguments, thrift, port):
    load = Load(thrift, arguments.clients)
    load.run(arguments.requests)
    plain = scrape(port, arguments.scrapes, {})
    requests = counted(plain[1])
    if requests < arguments.requests:
        raise RuntimeError(f"the node has counted {requests} requests of {arguments.requests}")
    gzip = scrape(port, arguments.scrapes, {"Accept-Encoding": "gzip"})
    busy = load.during(lambda: scrape(port, arguments.scrapes, {}))
    return {"requests": requests, "scrapes": arguments.scrapes, "idle": summary(*plain),
            "idle_gzip": summary(*gzip), "under_load": summary(*busy)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--bin", type=pathlib.Path, default="build/bin")
    parser.add_argument("--gen-py", type=pathlib.Path, default="build/gen-py")
    parser.add_argument("--scratch", type=pathlib.Path, default="build/bench-run")
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--scrapes", type=int, default=500)
    parser.add_argument("--clients", type=int, default=8)
    arguments = parser.parse_args()
    sys.path.insert(0, str(arguments.gen_py.resolve()))
    folder = arguments.scratch / "scrape"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    node, thrift, port = start(arguments.bin / "cairnd", folder)
    try:
        print(json.dumps(measure(arguments, thrift, port), indent=2))
    finally:
        node.send_signal(signal.SIGTERM)
        node.wait()


if __name__ == "__main__":
    main()
