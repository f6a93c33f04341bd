#!/usr/bin/env python3
"""The HTTP port of a real node: what it tells is what the test did, and nothing that strangers send
hurts the node."""
import concurrent.futures
import json
import os
import pathlib
import re
import signal
import socket
import unittest

from cairn_process import NodeTestCase, cairn, ttypes, wait_until
from cluster import STEADY, ClusterTestCase
from exposition import Metrics, fetch, scrape
from freeze import freeze
from prometheus_client.parser import text_string_to_metric_families

COUNT = "cairn_request_duration_seconds_count"


class OneNode(NodeTestCase):
    """Figures and pages of a node by itself."""

    def setUp(self):
        super().setUp()
        self.served = self.node().start()
        self.http = self.served.http_endpoint

    def count(self, operation, outcome="OK", wire="thrift"):
        return scrape(self.http).value(COUNT, wire=wire, operation=operation, outcome=outcome) or 0

    def test_requests_are_counted_by_wire_operation_and_outcome(self):
        with self.served.client() as client:
            for number in range(50):
                client.set(b"key%d" % number, b"value")
            for number in range(30):
                self.assertEqual(b"value", client.value(b"key%d" % number))
            self.assertIsNotNone(client.get(ttypes.GetRequest(key=b"")).error)
        cairn("--endpoints", self.served.endpoint, "get", "key1")
        self.assertEqual(50, self.count("set"))
        self.assertEqual(31, self.count("get"))
        self.assertEqual(1, self.count("get", "INVALID_ARGUMENT"))
        metrics = scrape(self.http)
        # The command line pings twice before it asks.
        self.assertEqual(2, self.count("ping"))
        self.assertEqual(84, metrics.total(COUNT))
        # Counted when it is answered: who has the answer may ask before.
        wait_until(lambda: scrape(self.http).value("cairn_calls_total", wire="thrift") == 84,
                   "84 calls are counted")
        self.assertLess(0, metrics.value("cairn_request_duration_seconds_sum", wire="thrift",
                                         operation="set", outcome="OK"))

    def test_what_administrators_ask_is_counted(self):
        cairn("--endpoints", self.served.endpoint, "status")
        cairn("--endpoints", self.served.endpoint, "cluster", "members")  # of a node by itself
        self.assertEqual(1, self.count("get_cluster_status"))
        self.assertEqual(1, self.count("get_statistics"))
        self.assertLess(0, self.count("get_node_status", wire="grpc"))
        self.assertEqual(1, self.count("list_members", "FAILED_PRECONDITION", "grpc"))

    def test_commits_fsyncs_batches_and_versions(self):
        before = scrape(self.http)
        with self.served.client() as client:
            versions = [client.set(b"k", b"v") for _ in range(20)]
        after = scrape(self.http)

        def grown(name, **labels):
            return after.value(name, **labels) - before.value(name, **labels)
        # One client: each write is a batch of its own, and each batch is synced.
        self.assertEqual(20, grown("cairn_batch_commands_sum"))
        self.assertEqual(20, grown("cairn_batch_commands_count"))
        self.assertEqual(20, grown("cairn_commit_duration_seconds_count"))
        # The node itself writes now and then, too.
        self.assertLessEqual(20, grown("cairn_fsync_duration_seconds_count"))
        self.assertLessEqual(20, grown("cairn_journal_fsyncs_total"))
        self.assertLessEqual(20, grown("cairn_apply_duration_seconds_count"))
        self.assertLessEqual(20, grown("cairn_replica_slot", position="applied"))
        self.assertGreater(30, grown("cairn_fsync_duration_seconds_count"))
        self.assertLessEqual(20, grown("cairn_journal_appended_records_total"))
        self.assertLess(0, grown("cairn_fsync_duration_seconds_sum"))
        self.assertEqual(versions[-1], after.value("cairn_applied_version"))
        for position in ("last", "durable", "committed"):
            self.assertEqual(after.value("cairn_replica_slot", position="applied"),
                             after.value("cairn_replica_slot", position=position))
        self.assertEqual(0, after.value("cairn_replica_outstanding_proposals"))
        self.assertEqual(1, after.value("cairn_replica_role", role="leader"))
        self.assertEqual(0, after.value("cairn_replica_role", role="follower"))

    def test_connections_sessions_and_transactions(self):
        clients = [self.served.client() for _ in range(3)]
        try:
            for client in clients:
                client.ping(ttypes.PingRequest())
                client.openSession(ttypes.OpenSessionRequest())
            metrics = scrape(self.http)
            self.assertEqual(3, metrics.value("cairn_connections_open", wire="thrift"))
            self.assertEqual(3, metrics.value("cairn_sessions"))
            old = clients[0].set(b"a", b"1")
            clients[0].set(b"a", b"2")
            for read in (old, clients[0].set(b"b", b"1")):
                clients[0].atomicCommit(ttypes.AtomicCommitRequest(
                    read_version=read, read_conflict_keys=[b"a"],
                    operations=[ttypes.Operation(type="set", key=b"a", value=b"3")]))
        finally:
            for client in clients:
                client.close()
        wait_until(lambda: scrape(self.http).value("cairn_connections_open", wire="thrift") == 0,
                   "the connections do not end")
        metrics = scrape(self.http)
        self.assertEqual(3, metrics.value("cairn_connections_accepted_total", wire="thrift"))
        self.assertEqual(1, metrics.value("cairn_transactions_total", outcome="committed"))
        self.assertEqual(1, metrics.value("cairn_transactions_total", outcome="aborted"))
        self.assertEqual(0, metrics.value("cairn_transactions_active"))

    def test_prometheus_own_parser_reads_the_same(self):
        with self.served.client() as client:
            client.set(b"k", b"v")
        text = fetch(self.http, "/metrics").text
        ours = Metrics(text)
        theirs = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                theirs[(sample.name, frozenset(sample.labels.items()))] = sample.value
        self.assertEqual(ours.samples, theirs)
        squeezed = fetch(self.http, "/metrics", headers={"Accept-Encoding": "gzip"})
        self.assertEqual("gzip", squeezed.headers["Content-Encoding"])
        self.assertLess(len(squeezed.body), len(text) / 2)

    def test_pages(self):
        self.assertIn("/metrics", fetch(self.http, "/").text)
        self.assertEqual(404, fetch(self.http, "/nothing").status)
        self.assertEqual(405, fetch(self.http, "/metrics", method="POST").status)
        self.assertEqual(b"", fetch(self.http, "/metrics", method="HEAD").body)
        ready = fetch(self.http, "/readyz")
        self.assertEqual((200, "recovered: ok\nmember: ok\nleader: ok\nwrites: ok\n"),
                         (ready.status, ready.text))
        health = fetch(self.http, "/healthz")
        self.assertEqual((200, "core: ok\njournal: ok\napply: ok\nupkeep: ok\n"),
                         (health.status, health.text))
        status = json.loads(fetch(self.http, "/debug/status").text)
        self.assertEqual(self.http, status["endpoints"]["http"])
        self.assertEqual("leader", status["replica"]["role"])
        names = {thread["name"] for thread in json.loads(fetch(self.http, "/debug/threads").text)}
        self.assertLessEqual({"cairn-core", "cairn-journal", "cairn-apply", "cairn-http"}, names)

    def test_slow_requests(self):
        """A large write takes a millisecond before long."""
        with self.served.client() as client:
            def one_is_slow():
                client.set(b"a-secret-key", b"a-secret-value" * 50_000)
                return any(one["operation"] == "set" for one in self.slow())
            wait_until(one_is_slow, "a write of 700 kB that takes a millisecond")
        slow = self.slow()
        self.assertEqual(sorted((one["duration_ms"] for one in slow), reverse=True),
                         [one["duration_ms"] for one in slow])
        write = next(one for one in slow if one["operation"] == "set")
        self.assertEqual(("thrift", "OK", 12), (write["wire"], write["outcome"], write["key_bytes"]))
        self.assertNotIn("secret", fetch(self.http, "/debug/slow").text)

    def slow(self):
        return json.loads(fetch(self.http, "/debug/slow").text)

    def test_a_stopped_process_of_the_memory_is_measured(self):
        metrics = scrape(self.http)
        resident = int(re.search(r"VmRSS:\s+(\d+)", pathlib.Path(
            f"/proc/{self.served.process.pid}/status").read_text()).group(1)) * 1024
        self.assertAlmostEqual(resident, metrics.value("process_resident_memory_bytes"),
                               delta=resident / 2)
        # Threads of libraries come and go.
        tasks = f"/proc/{self.served.process.pid}/task"
        wait_until(lambda: len(os.listdir(tasks)) == scrape(self.http).value("process_threads"),
                   "its threads are counted")


class Configuration(NodeTestCase):
    """What [http] says, and what /config tells."""

    def test_the_configuration_in_force(self):
        node = self.node(config="[limits]\nkey_bytes = 999\n").start()
        told = json.loads(fetch(node.http_endpoint, "/config?format=json").text)
        self.assertEqual(999, told["limits"]["key_bytes"])
        self.assertEqual(str(node.folder), told["database"]["base_path"])
        self.assertEqual(0, told["server"]["http_port"])
        toml = self.scratch / "told.toml"
        toml.write_text(fetch(node.http_endpoint, "/config").text)
        code, said = self.run_to_end("--config", toml, "--check-config")
        self.assertEqual(0, code, said)

    def test_the_port_may_be_off(self):
        node = self.node(config="[http]\nenabled = false\n").start()
        self.assertIsNone(node.http_endpoint)

    def test_a_taken_port_is_an_error_if_it_was_asked_for(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            code, said = self.run_to_end("--port", "0", "--grpc-port", "0", "--http-port",
                                         port)
        self.assertEqual(1, code)
        self.assertIn("--http-port", said)
        self.assertIn("another program has it", said)


class Strangers(NodeTestCase):
    """Bytes that nobody meant for the port, and too many connections."""

    def setUp(self):
        super().setUp()
        self.served = self.node(config="[http]\nmax_connections = 16\n").start()
        self.http = self.served.http_endpoint

    def tearDown(self):
        self.assertTrue(self.served.running, self.served.read_output())
        self.assertEqual(200, fetch(self.http, "/readyz").status)
        with self.served.client() as client:
            client.set(b"still", b"here")
        self.assertEqual(0, self.served.stop())

    def connect(self):
        host, port = self.http.rsplit(":", 1)
        return socket.create_connection((host, int(port)), timeout=30)

    def send(self, data):
        """All that comes back for some bytes."""
        with self.connect() as connection:
            try:
                connection.sendall(data)
                connection.shutdown(socket.SHUT_WR)
            except OSError:
                pass  # It has hung up already.
            got = b""
            try:
                while True:
                    more = connection.recv(65536)
                    if not more:
                        return got
                    got += more
            except ConnectionResetError:
                return got

    def test_garbage(self):
        for seed in range(50):
            garbage = os.urandom(1 + 137 * seed)
            self.assertNotIn(b" 200 ", self.send(garbage))
        for text in (b"\0" * 10000, b"\n" * 10000, b"\r\n\r\n", b"GET\r\n\r\n",
                     b"GET / HTTP/1.1\r\n" + b"a:b\r\n" * 3000 + b"\r\n",
                     b"GET /" + b"%00" * 100 + b" HTTP/1.1\r\n\r\n",
                     b"GET /" + b"a" * 100000 + b" HTTP/1.1\r\n\r\n",
                     b"GET / HTTP/1.1\r\nX: " + b"a" * 1000000 + b"\r\n\r\n",
                     b"POST /config HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
                     b"PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
                     b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"):
            self.assertNotIn(b" 200 ", self.send(text), text[:50])

    def test_ranges_are_ignored(self):
        value = b"bytes=" + b"0-," * 2600 + b"1-"
        answer = self.send(b"GET /metrics HTTP/1.1\r\nRange: " + value + b"\r\n\r\n")
        self.assertIn(b"HTTP/1.1 200 OK", answer)
        self.assertLess(len(answer), 1 << 20)

    def test_slow_connections_hold_no_thread(self):
        slow = [self.connect() for _ in range(15)]
        try:
            for number, connection in enumerate(slow):
                connection.sendall(b"GET /metrics HTTP/1.1\r\nX: "[:1 + number])
            self.assertEqual(200, fetch(self.http, "/metrics").status)
            for connection in slow:  # They are told, after request_timeout.
                self.assertIn(b" 408 ", connection.recv(4096))
        finally:
            for connection in slow:
                connection.close()

    def test_many_connections(self):
        silent = [self.connect() for _ in range(200)]
        try:
            self.assertEqual(200, fetch(self.http, "/healthz").status)
            self.assertGreaterEqual(16, scrape(self.http).value("cairn_connections_open",
                                                                wire="http"))
        finally:
            for connection in silent:
                connection.close()

    def test_many_scrapes_at_once(self):
        with concurrent.futures.ThreadPoolExecutor(12) as pool:
            pages = list(pool.map(lambda _: fetch(self.http, "/metrics").status, range(100)))
        self.assertEqual({200}, set(pages))


class ThreeNodes(ClusterTestCase):
    """What members of a cluster tell of themselves and of each other."""

    def test_roles_peers_and_failover(self):
        with self.cluster(timing=STEADY) as cluster:
            leader = cluster.leader()
            with cluster.nodes[leader].client() as client:
                for number in range(25):
                    client.set(b"k%d" % number, b"v")
            cluster.wait_together()
            for number, node in enumerate(cluster.nodes):
                metrics = scrape(node.http_endpoint)
                role = "leader" if number == leader else "follower"
                self.assertEqual(1, metrics.value("cairn_replica_role", role=role))
                self.assertEqual(1, metrics.value("cairn_replica_leader", node=str(leader)))
                self.assertEqual(3, metrics.value("cairn_replica_members", kind="voter"))
                self.assertEqual(cluster.status(number)["cluster"]["term"],
                                 metrics.value("cairn_replica_epoch"))
                # Each write took a slot, and this node has applied them all.
                self.assertLess(25, metrics.value("cairn_replica_slot", position="applied"))
                self.assertEqual(25 if number == leader else 0,
                                 metrics.total(COUNT, operation="set", outcome="OK"))
                for peer in {0, 1, 2} - {number}:
                    self.assertGreater(5, metrics.value("cairn_peer_last_contact_seconds",
                                                        peer=str(peer)))
                    self.assertEqual(1, metrics.value("cairn_peer_connected", peer=str(peer),
                                                      lane="consensus"))
                    wait_until(lambda peer=peer, node=node: scrape(node.http_endpoint).value(
                        "cairn_peer_lag_slots", peer=str(peer)) == 0, "the peer lags")
            follower = next(n for n in range(3) if n != leader)
            forwarded = []
            with cluster.nodes[follower].client() as client:
                for _ in range(3):
                    client.set(b"through a follower", b"v")
                    forwarded.append(scrape(cluster.nodes[leader].http_endpoint).value(
                        "cairn_replica_forwarded_writes_total"))
            # The first one opens a session for the forwarding node.
            self.assertEqual([1, 1], [b - a for a, b in zip(forwarded, forwarded[1:])])
            self.fail_over(cluster, leader)

    def fail_over(self, cluster, old):
        epoch = scrape(cluster.nodes[old].http_endpoint).value("cairn_replica_epoch")
        cluster.nodes[old].kill()
        new = cluster.leader()
        self.assertNotEqual(old, new)
        metrics = scrape(cluster.nodes[new].http_endpoint)
        self.assertEqual(1, metrics.value("cairn_replica_role", role="leader"))
        self.assertLess(epoch, metrics.value("cairn_replica_epoch"))
        self.assertLessEqual(2, metrics.value("cairn_replica_leader_changes_total"))
        wait_until(lambda: scrape(cluster.nodes[new].http_endpoint).value(
            "cairn_peer_connected", peer=str(old), lane="consensus") == 0, "the dead peer connects")
        silent = metrics.value("cairn_peer_last_contact_seconds", peer=str(old))
        wait_until(lambda: scrape(cluster.nodes[new].http_endpoint).value(
            "cairn_peer_last_contact_seconds", peer=str(old)) > silent + 1, "silence grows")
        # Another one gone: no majority is left, and the last node says so.
        other = next(n for n in cluster.running() if n != new)
        cluster.nodes[other].kill()
        last = cluster.nodes[new].http_endpoint
        page = wait_until(lambda: (lambda p: p if p.status == 503 else None)(fetch(last, "/readyz")),
                          "the node stays ready without a majority")
        self.assertIn("leader: no leader is known", page.text)
        self.assertEqual(0, scrape(last).value("cairn_replica_has_leader"))
        self.assertEqual(200, fetch(last, "/healthz").status)
        cluster.nodes[other].start(port=None)
        wait_until(lambda: fetch(last, "/readyz").status == 200, "the node does not become ready")
        self.assertEqual(1, scrape(last).value("cairn_replica_has_leader"))

    def test_a_node_that_waits_for_the_others_says_so(self):
        cluster = self.cluster()
        first = cluster.nodes[0].launch(port=None)
        endpoint = f"127.0.0.1:{cluster.http_ports[0]}"

        def asks():
            try:
                return fetch(endpoint, "/readyz")
            except OSError:
                return None
        page = wait_until(asks, "the port is not served")
        self.assertEqual(503, page.status)
        wait_until(lambda: "waiting for the other members" in fetch(endpoint, "/readyz").text,
                   "the node does not say what it waits for")
        self.assertEqual(200, fetch(endpoint, "/healthz").status)
        self.assertEqual(0, scrape(endpoint).value("cairn_serving"))
        for node in cluster.nodes[1:]:
            node.launch(port=None)
        first.await_serving()
        wait_until(lambda: fetch(endpoint, "/readyz").status == 200, "it does not become ready")
        self.assertEqual(1, scrape(endpoint).value("cairn_serving"))

    def test_what_a_stopped_follower_lacks_shows_on_the_others(self):
        with self.cluster() as cluster:
            leader, stopped = cluster.leader(), cluster.follower()
            other = next(n for n in range(3) if n not in (leader, stopped))
            # What the lag rests on is there: an acknowledgement, and on the other one a report.
            for number, name in ((leader, "cairn_peer_match_slot"), (other, "cairn_peer_lag_slots")):
                wait_until(lambda number=number, name=name: scrape(
                    cluster.nodes[number].http_endpoint).value(name, peer=str(stopped)) is not None,
                           f"no {name}")
            self.assertIsNone(scrape(cluster.nodes[other].http_endpoint).value(
                "cairn_peer_match_slot", peer=str(stopped)))
            freeze(cluster.nodes[stopped].process)  # No report of it is on its way from here on.
            try:
                with cluster.nodes[leader].client() as client:
                    for number in range(60):
                        client.set(b"k%d" % number, b"v" * 200_000)
                # Each set is a slot; a batch takes several only if they wait together. A follower
                # hears of the last commit a little later than who wrote it.
                for number in (leader, other):
                    def sees_all(number=number):
                        metrics = scrape(cluster.nodes[number].http_endpoint)
                        return min(metrics.value("cairn_peer_lag_slots", peer=str(stopped)),
                                   metrics.value("cairn_replica_slot", position="committed")) >= 60
                    if number == leader:
                        self.assertTrue(sees_all())
                    wait_until(sees_all, "what the stopped node lacks is not seen")
                # The leader's figure is exact: nobody writes, and nobody acknowledges any more.
                metrics = scrape(cluster.nodes[leader].http_endpoint)
                self.assertEqual(metrics.value("cairn_replica_slot", position="committed") -
                                 metrics.value("cairn_peer_match_slot", peer=str(stopped)),
                                 metrics.value("cairn_peer_lag_slots", peer=str(stopped)))
                # What was sent and is not taken waits in the leader's queue to that peer alone.
                page = cluster.nodes[leader].http_endpoint

                def queued(peer):
                    return scrape(page).value("cairn_peer_queued_bytes", peer=str(peer),
                                              lane="consensus")
                wait_until(lambda: queued(stopped) > 0, "nothing waits for the stopped peer")
                wait_until(lambda: queued(other) == 0, "the peer that runs has a queue")
                wait_until(lambda: scrape(page).value("cairn_peer_last_contact_seconds",
                                                      peer=str(stopped)) > 1, "it is heard of")
            finally:
                cluster.nodes[stopped].process.send_signal(signal.SIGCONT)
            for number in (leader, other):
                wait_until(lambda number=number: scrape(cluster.nodes[number].http_endpoint).value(
                    "cairn_peer_lag_slots", peer=str(stopped)) == 0, "the peer lags on")
            wait_until(lambda: queued(stopped) == 0, "the queue does not drain")

    def test_the_leader_needs_no_report_to_know_what_the_others_hold(self):
        """A page of the leader that says that a follower holds a write of which no report has come:
        the report that is there says itself that it is older."""
        with self.cluster() as cluster:
            leader, follower = cluster.leader(), cluster.follower()
            pages = [node.http_endpoint for node in cluster.nodes]
            peer = str(follower)

            def applied(number):
                return scrape(pages[number]).value("cairn_replica_slot", position="applied")
            with cluster.nodes[leader].client() as client:
                def told_before_any_report():
                    client.set(b"k", b"v")
                    written = applied(leader)
                    wait_until(lambda: applied(follower) >= written, "the follower does not apply")
                    metrics = scrape(pages[leader])
                    reported = metrics.value("cairn_peer_slot", peer=peer, position="applied")
                    told = reported is not None and reported < written and \
                        metrics.value("cairn_peer_match_slot", peer=peer) >= written and \
                        metrics.value("cairn_peer_lag_slots", peer=peer) == 0
                    # If the report was faster, or there is none yet: once more.
                    return written if told else None
                written = wait_until(told_before_any_report, "the leader waits for a report")

            def seen_by(number):
                status = json.loads(fetch(pages[number], "/debug/status").text)
                return {one["node"]: one for one in status["peers"]}
            told = seen_by(leader)[follower]
            self.assertLessEqual(written, told["match_slot"])
            self.assertEqual("match", told["lag_by"])
            told = wait_until(lambda: (lambda one: one if one.get("report") else None)(
                seen_by(follower)[leader]), "the follower gets no report")
            self.assertEqual((None, "report"), (told["match_slot"], told["lag_by"]))

    def test_a_leader_that_was_stopped_for_a_while(self):
        with self.cluster() as cluster:
            leader = cluster.leader()
            freeze(cluster.nodes[leader].process)
            try:
                others = [n for n in range(3) if n != leader]
                wait_until(lambda: any(scrape(cluster.nodes[n].http_endpoint).value(
                    "cairn_replica_role", role="leader") == 1 for n in others), "nobody leads")
            finally:
                cluster.nodes[leader].process.send_signal(signal.SIGCONT)
            wait_until(lambda: scrape(cluster.nodes[leader].http_endpoint).value(
                "cairn_replica_role", role="follower") == 1, "the old leader does not step down")


if __name__ == "__main__":
    unittest.main()
