"""The members of a cluster are changed from the command line, while it serves."""
import json
import re
import shutil
import signal
import subprocess
import unittest
import urllib.request

from cairn_process import BIN, cairn, wait_until
from cluster import ClusterTestCase
from freeze import freeze
from history import History


class MembersTest(ClusterTestCase):
    def add(self, cluster):
        """A new node, added, started and caught up: its number."""
        number = cluster.new_node()
        cluster.run("add", number, cluster.peer(number))
        cluster.nodes[number].start(port=None)
        self.promote(cluster, number)
        return number

    @staticmethod
    def promote(cluster, number):
        """Promotes as an operator does: again, until the node has caught up."""
        def promoted():
            done = cairn("--json", "cluster", "promote", number, endpoints=cluster.endpoints)
            return done.returncode == 0
        wait_until(promoted, f"node {number} is not promoted", 60)

    def test_members_says_how_far_each_is(self):
        with self.cluster() as cluster:
            def settled():
                members = cluster.members()
                others = [member for member in members.values() if not member["is_leader"]]
                return members if all(m.get("answers") and m.get("lag_slots") == 0 and
                                      m["grpc_endpoint"] for m in others) else None
            members = wait_until(settled, "the members do not settle")
            (leader,) = (number for number, member in members.items() if member["is_leader"])
            self.assertEqual([0, 1, 2], sorted(members))
            for number, member in members.items():
                self.assertEqual("voter", member["kind"])
                self.assertEqual(cluster.peer(number), member["peer_endpoint"])
                # What a report says stands under its age; the node that answers says it itself.
                report = member.get("report")
                self.assertIs(number == leader, report is None)
                self.assertEqual(member["report_age_ms"], report["age_ms"] if report else 0)
                self.assertEqual(member["applied_slot"],
                                 report["applied_slot"] if report else member["applied_slot"])
            follower = next(number for number in range(3) if number != leader)
            cluster.nodes[follower].kill()
            wait_until(lambda: not cluster.members()[follower].get("answers"),
                       "a dead member is said to answer")
            endpoints = cluster.nodes[leader].endpoint
            lines = cairn("cluster", "members", endpoints=endpoints).stdout.decode().splitlines()
            self.assertEqual(4, len(lines), lines)
            self.assertEqual(["node", "kind", "peers", "log", "applied", "reported", "state"],
                             lines[0].split())
            self.assertIn("silent for", lines[1 + follower])
            self.assertIn(" s ago ", lines[1 + follower])
            self.assertEqual(["now", "leads"], lines[1 + leader].split()[-2:])

    def test_three_nodes_to_five_and_back_under_load(self):
        with self.cluster() as cluster, History(cluster) as history:
            history.wait_for_more()
            for number in (self.add(cluster), self.add(cluster)):
                history.wait_for_more()
                self.assertEqual("voter", cluster.members()[number]["kind"])
            # Five survive the loss of two.
            down = [number for number in range(5) if number != cluster.leader()][:2]
            for number in down:
                cluster.nodes[number].kill()
            history.wait_for_more()
            for number in down:
                cluster.nodes[number].start(port=None)
            # The leader counts on those that answer it, which one does a while after it serves.
            wait_until(lambda: all(cluster.members()[number].get("answers") for number in down),
                       "nodes that were started again do not answer the leader")
            # Back to three; the first nodes go, so that nothing rests on the first configuration.
            for number in (0, 1):
                cluster.remove(number)
                history.wait_for_more()
                cluster.nodes[number].kill()
            self.assertEqual([2, 3, 4], sorted(cluster.members()))
            for number in (2, 3, 4):
                cluster.nodes[number].kill()
                cluster.nodes[number].start(port=None)
                history.wait_for_more()
            history.stop()
            history.judge(self)
            status = cluster.status(2)["cluster"]
            self.assertEqual([2, 3, 4], [node["node_id"] for node in status["nodes"]])

    def test_a_dead_node_is_replaced_by_a_new_one(self):
        with self.cluster() as cluster, History(cluster) as history:
            history.wait_for_more()
            dead = cluster.follower()
            cluster.nodes[dead].kill()
            number = cluster.new_node()
            self.assertEqual({"ok": True, "done": False},
                             cluster.run("replace", dead, number, cluster.peer(number),
                                         "--wait-ms", 0))
            kinds = {node: member["kind"] for node, member in cluster.members().items()}
            self.assertEqual(("leaving", "joining"), (kinds[dead], kinds[number]))
            # It is in the log: whoever leads goes on with it.
            cluster.replace_leader()
            cluster.nodes[number].start(port=None)
            cluster.run("replace", dead, number, code=3)  # it is on its way, or there
            def replaced():
                kinds = {node: member["kind"] for node, member in cluster.members().items()}
                return dead not in kinds and kinds[number] == "voter"
            wait_until(replaced, "the new node does not take the place of the dead one", 60)
            # It votes: with one of the others gone the two that are left are a majority.
            cluster.nodes[next(n for n in range(3) if n != dead)].kill()
            history.wait_for_more()
            history.stop()
            history.judge(self)

    def test_changes_that_would_stop_the_cluster_are_refused(self):
        with self.cluster() as cluster:
            leader, dead = cluster.leader(), cluster.follower()
            other = next(n for n in range(3) if n not in (leader, dead))
            cluster.nodes[dead].kill()
            wait_until(lambda: cluster.members()[dead].get("answers") is False, "a dead member answers")
            error = cluster.run("remove", other, code=3)["error"]
            self.assertEqual("FAILED_PRECONDITION", error["code"])
            self.assertIn(f"silent: {dead}", error["message"])
            self.assertIn("--force", error["message"])
            self.assertIn("does not answer",
                          cluster.run("transfer-leader", dead, code=3)["error"]["message"])
            self.assertIn("no member", cluster.run("remove", 9, code=3)["error"]["message"])
            number = cluster.new_node()
            cluster.run("add", number, cluster.peer(number))
            error = cluster.run("promote", number, code=3)["error"]
            self.assertIn("start it", error["message"])
            # The dead one goes; then the seat that nobody took.
            cluster.remove(dead)
            cluster.remove(number)
            self.assertEqual({leader, other}, set(cluster.members()))

    def test_a_removed_node_comes_back_as_a_new_one(self):
        with self.cluster() as cluster:
            number = self.add(cluster)
            with cluster.nodes[0].client() as client:
                client.set(b"k", b"v")
            cluster.remove(number)
            node = cluster.nodes[number]
            wait_until(lambda: re.search("was removed from the cluster[^;]*; stop it",
                                         node.read_output()),
                       "a removed node does not hear of it")
            node.kill()
            shutil.rmtree(cluster.folder(number))
            cluster.run("add", number, cluster.peer(number))
            node.start(port=None)
            self.promote(cluster, number)
            cluster.wait_together()
            with node.client() as client:
                self.assertEqual(b"v", client.value(b"k"))

    def test_leadership_is_handed_over_to_whom_is_named(self):
        with self.cluster() as cluster:
            for number in (2, 0, 1, 1):
                cluster.insist("transfer-leader", number)
                self.assertEqual(number, cluster.leader())

    def test_a_transfer_that_was_dropped_is_asked_for_again(self):
        timing = "[consensus]\nelection_timeout_ms = 4000\nheartbeat_interval_ms = 200\n"
        with self.cluster(timing=timing) as cluster:
            to = cluster.follower()
            wait_until(lambda: cluster.members()[to].get("answers"), "a follower does not answer")
            freeze(cluster.nodes[to].process)
            try:
                command = subprocess.Popen(
                    [BIN / "cairn", "--endpoints", cluster.endpoints, "cluster", "transfer-leader",
                     str(to)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
                self.addCleanup(command.kill)
                # The leader gives it an election timeout, and drops it then.
                wait_until(lambda: cluster.members()[to]["last_contact_ms"] > 9000 or
                           command.poll() is not None, "the node that is stopped is heard of")
                self.assertIsNone(command.poll(), "it has ended")
            finally:
                cluster.nodes[to].process.send_signal(signal.SIGCONT)
            output, _ = command.communicate(timeout=60)
            self.assertEqual(0, command.returncode, output)
            self.assertIn(b"asked again", output)
            self.assertEqual(to, cluster.leader())

    def test_snapshot_leaves_little_to_replay(self):
        with self.cluster() as cluster:
            with cluster.nodes[0].client() as client:
                for number in range(200):
                    client.set(b"k%d" % number, b"v")
            cluster.wait_together()
            wait_until(lambda: all(m["grpc_endpoint"] for m in cluster.members().values()),
                       "the nodes do not say where they serve gRPC")
            slots = {node["node_id"]: node["slot"] for node in cluster.run("snapshot")["nodes"]}
            self.assertEqual([0, 1, 2], sorted(slots))
            self.assertGreater(min(slots.values()), 200)
            follower = cluster.follower()
            cluster.nodes[follower].kill()
            cluster.nodes[follower].start(port=None)
            opened = int(re.search(r"opened .* at slot (\d+)",
                                   cluster.nodes[follower].output).group(1))
            self.assertGreaterEqual(opened, slots[follower])

    def test_nodes_on_a_wildcard_address_are_reached_where_they_are_configured(self):
        hosts = ["127.0.0.2", "127.0.0.3", "127.0.0.4"]
        with self.cluster(hosts=hosts, bind="0.0.0.0",
                          config='[http]\nbind = "0.0.0.0"\n') as cluster:
            for number, node in enumerate(cluster.nodes):
                self.assertIn(f"serving Thrift on 0.0.0.0:{cluster.ports[number]},", node.output)
                self.assertRegex(node.output, r"(?m)^  gRPC on 0\.0\.0\.0:[1-9]\d*$")
                self.assertIn(f"  HTTP on 0.0.0.0:{cluster.http_ports[number]}\n", node.output)
            wait_until(lambda: all(m["grpc_endpoint"] for m in cluster.members().values()),
                       "the nodes do not say where they serve gRPC")
            for number, member in cluster.members().items():
                port = re.search(r"gRPC on 0\.0\.0\.0:(\d+)", cluster.nodes[number].output).group(1)
                self.assertEqual(
                    (f"{hosts[number]}:{cluster.ports[number]}", f"{hosts[number]}:{port}"),
                    (member["thrift_endpoint"], member["grpc_endpoint"]))
            # Of itself a node says no other address than of the others.
            for asked in range(3):
                own = f"{hosts[asked]}:{cluster.ports[asked]}"
                nodes = cluster.run("status", endpoints=own)["nodes"]
                self.assertEqual([f"{host}:{port}" for host, port in zip(hosts, cluster.ports)],
                                 [node["endpoint"] for node in nodes])
                self.assertEqual([], [node["error"] for node in nodes if "error" in node])
                with urllib.request.urlopen(
                        f"http://{hosts[asked]}:{cluster.http_ports[asked]}/debug/status") as page:
                    endpoints = json.load(page)["endpoints"]
                self.assertEqual({hosts[asked]}, {one.rsplit(":", 1)[0]
                                                  for one in endpoints.values()})
            # From any machine: each node is asked, by its own address.
            self.assertEqual([0, 1, 2],
                             [node["node_id"] for node in cluster.run("snapshot")["nodes"]])
            self.assertTrue(cluster.compared()["same"])

    def test_a_node_by_itself_has_no_members(self):
        node = self.node().start()
        done = cairn("--json", "cluster", "members", endpoints=node.endpoint)
        self.assertEqual(3, done.returncode)
        self.assertIn(b"not a member of a cluster", done.stdout)


if __name__ == "__main__":
    unittest.main(verbosity=2)
