"""Three cairnd processes are one store: they form, replicate, forward, fail over and heal."""
import json
import os
import re
import shutil
import signal
import unittest

import grpc

from cairn_process import cairn, ttypes, wait_until  # and the path of the modules below
import cairn_pb2 as pb
import cairn_pb2_grpc as rpc
from cluster import STEADY, ClusterTestCase, Writers
from exposition import fetch
from freeze import freeze
from history import History


class ClusterTest(ClusterTestCase):
    def test_any_node_takes_writes_and_serves_reads(self):
        with self.cluster() as cluster:
            for number, node in enumerate(cluster.nodes):
                with node.client() as client:
                    client.set(b"k%d" % number, b"v")
            for node in cluster.nodes:
                for level in ("leader", "read_index"):
                    done = cairn("--read-level", level, "range", endpoints=node.endpoint)
                    self.assertEqual(b"k0\tv\nk1\tv\nk2\tv\n", done.stdout, done.stderr)
            follower = cluster.follower()
            wait_until(lambda: cluster.status(follower)["cluster"]["status"] == "healthy",
                       "a follower does not see everybody")
            self.assertEqual(3, cluster.status(follower)["cluster"]["healthy_nodes"])

    def test_a_client_that_asked_for_it_is_told_who_leads(self):
        with self.cluster() as cluster:
            def told():
                """What a follower answers, and who leads; None if that has changed meanwhile."""
                leader = cluster.leader()
                with cluster.nodes[(leader + 1) % 3].client() as client:
                    answer = client.setKey(ttypes.SetRequest(key=b"k", value=b"v",
                                                             no_forwarding=True))
                return (answer, leader) if cluster.leader() == leader else None
            answer, leader = wait_until(told, "one leader stays")
            self.assertEqual("NOT_LEADER", answer.error_code)
            self.assertEqual(f"127.0.0.1:{cluster.ports[leader]}", answer.leader_hint)

    def test_over_grpc_it_is_told_where_the_leader_serves_grpc(self):
        with self.cluster() as cluster:
            # A node says where it serves gRPC when it reports for the first time.
            wait_until(lambda: all(member["grpc_endpoint"] for member in
                                   cluster.members().values()), "gRPC endpoints are not known")
            endpoints = {number: member["grpc_endpoint"]
                         for number, member in cluster.members().items()}
            request = pb.SetRequest(key=b"k", value=b"v", write=pb.WriteOptions(no_forwarding=True))

            def hint(asked):
                """The reason of a refusal and where it points to; None if it was none."""
                with grpc.insecure_channel(endpoints[asked]) as channel:
                    try:
                        rpc.KVStub(channel).Set(request)
                        return None
                    except grpc.RpcError as refused:
                        detail = pb.ErrorDetail()
                        for name, value in refused.trailing_metadata():
                            if name == "grpc-status-details-bin":
                                pb.RpcStatus.FromString(value).details[0].Unpack(detail)
                        return pb.Reason.Name(detail.reason), detail.leader_endpoint

            def right():
                leader = cluster.leader()
                told = hint((leader + 1) % 3)
                if cluster.leader() == leader:
                    self.assertEqual("REASON_NOT_LEADER", told and told[0])
                    return told[1] == endpoints[leader]
                return False
            wait_until(right, "the hint is not the leader's gRPC")

    def test_grpc_health_says_whether_a_node_can_serve(self):
        with self.cluster() as cluster:
            asked = cluster.follower()
            address = re.search(r"gRPC on (\S+)", cluster.nodes[asked].output).group(1)
            with grpc.insecure_channel(address) as channel:
                check = channel.unary_unary("/grpc.health.v1.Health/Check")
                # By service, "" is the whole server. 1 is SERVING, 2 NOT_SERVING.
                requests = [b""] + [b"\x0a%c%s" % (len(name), name) for name in
                                    (b"cairn.v1.KV", b"cairn.v1.Admin", b"kvstore.KVStore")]

                def all_say(number):
                    return {check(request) for request in requests} == {b"\x08" + bytes([number])}
                wait_until(lambda: all_say(1), "a node that serves does not say so")
                others = [number for number in range(3) if number != asked]
                for number in others:
                    cluster.nodes[number].kill()
                wait_until(lambda: all_say(2), "a node without a majority says that it serves")
                cluster.nodes[others[0]].start(port=None)
                wait_until(lambda: all_say(1), "a node does not say that it serves again")

    def test_cluster_status_asks_every_member(self):
        with self.cluster() as cluster:
            follower = cluster.follower()
            cluster.nodes[follower].kill()
            # This one has what it acknowledged, whoever leads afterwards.
            asked = cluster.leader()
            with cluster.nodes[asked].client() as client:
                client.set(b"k", b"v")
                version = client.get(ttypes.GetRequest(key=b"k", read_level="leader")).version
            endpoint = cluster.nodes[asked].endpoint

            def told():
                """What it says, as a document and as text, while one node leads all the time."""
                leader = cluster.leader()
                done = cairn("--json", "cluster", "status", endpoints=endpoint)
                self.assertEqual(0, done.returncode, done.stdout)
                lines = cairn("cluster", "status", endpoints=endpoint).stdout.decode().splitlines()
                if cluster.leader() != leader:
                    return None
                return leader, {n["node_id"]: n for n in json.loads(done.stdout)["nodes"]}, lines
            leader, nodes, lines = wait_until(told, "one leader stays")
            self.assertEqual([0, 1, 2], sorted(nodes))
            self.assertIn(f":{cluster.ports[follower]}", nodes[follower]["error"])
            for number in cluster.running():
                self.assertIs(number == leader, nodes[number]["is_leader"])
            self.assertGreaterEqual(nodes[asked]["version"], version)
            self.assertEqual(1, sum(" leader " in line for line in lines), lines)

    def test_without_a_majority_it_says_so_whatever_the_read_level(self):
        with self.cluster(config='[reads]\nconsistency_level = "leader"\n') as cluster:
            leader = cluster.leader()
            left = cluster.follower()
            other = next(number for number in range(3) if number not in (leader, left))
            with cluster.nodes[leader].client() as client:
                version = client.set(b"k", b"v")
            cluster.wait_together()
            cluster.nodes[leader].kill()
            cluster.nodes[other].kill()
            endpoint = cluster.nodes[left].endpoint
            self.assertNotEqual(0, cairn("--timeout-ms", "1000", "get", "k",
                                         endpoints=endpoint).returncode)

            def status():
                told = cluster.status(left)
                return told if told and told["cluster"]["status"] == "unhealthy" else None
            told = wait_until(status, "a node without a majority does not say so")
            self.assertGreaterEqual(told["committed_version"], version)

            def rows():
                done = cairn("cluster", "members", endpoints=endpoint)
                told = done.stdout.decode().splitlines()[1:]
                silent = sum(f"silent: node {left} " in row for row in told)
                return told if done.returncode == 0 and silent == 2 and \
                    told[3:] == ["nobody is known to lead"] else None
            told = wait_until(rows, "the silent nodes are not named, and that nobody leads")
            seen = {row.split()[0]: row for row in told[:3]}
            self.assertIn("silent", seen[str(leader)])
            self.assertIn("silent", seen[str(other)])
            self.assertTrue(seen[str(left)].endswith("answers"), seen)

    def test_killed_leaders_lose_nothing(self):
        with self.cluster() as cluster, History(cluster) as history:
            for _ in range(4):
                history.wait_for_more()
                leader = cluster.leader()
                cluster.nodes[leader].kill()
                history.wait_for_more()
                cluster.nodes[leader].start(port=None)
            history.wait_for_more()
            history.stop()
            history.judge(self)

    def test_without_a_session_nothing_is_applied_twice(self):
        with self.cluster() as cluster, Writers(cluster, session=False) as writers:
            for _ in range(3):
                writers.wait_for_more()
                leader = cluster.leader()
                cluster.nodes[leader].kill()
                writers.wait_for_more()
                cluster.nodes[leader].start(port=None)
            writers.stop()
            self.check_history(cluster, writers)

    def test_rolling_restart_under_load(self):
        with self.cluster() as cluster, History(cluster) as history:
            for node in cluster.nodes:
                history.wait_for_more()
                self.assertEqual(0, node.stop())
                node.start(port=None)
                cluster.wait_together()
            history.wait_for_more()
            history.stop()
            history.judge(self)

    def test_kill_9_of_everybody_at_once(self):
        cluster = self.cluster()
        cluster.start()
        for name in "abc":
            with Writers(cluster, name=name) as writers:
                writers.wait_for_more(30)
                for node in cluster.nodes:
                    node.process.kill()
                writers.stop()
            for node in cluster.nodes:
                node.kill()
            cluster.start()
            self.check_history(cluster, writers)

    def test_a_stopped_leader_wakes_up_as_a_follower(self):
        with self.cluster() as cluster, History(cluster) as history:
            history.wait_for_more()
            leader = cluster.leader()
            term = cluster.status(leader)["cluster"]["term"]
            process = cluster.nodes[leader].process
            freeze(process)
            others = [number for number in range(3) if number != leader]
            wait_until(lambda: cluster.leader_of(others[0]) in others, "no new leader")
            process.send_signal(signal.SIGCONT)
            history.wait_for_more()
            history.stop()
            # It has heard of its successor. By now it may lead again: in a later term.
            cluster.leader()
            self.assertLess(term, cluster.status(leader)["cluster"]["term"])
            history.judge(self)

    @staticmethod
    def kill_another(cluster, number):
        """Kills another node than that one: the leader, if it is another one."""
        leader = cluster.leader()
        cluster.nodes[leader if leader != number else (number + 1) % 3].kill()

    def test_a_wiped_follower_is_taken_in_again(self):
        with self.cluster() as cluster, History(cluster) as history:
            history.wait_for_more()
            wiped = cluster.follower()
            cluster.nodes[wiped].kill()
            shutil.rmtree(cluster.folder(wiped))
            cluster.nodes[wiped].start(port=None)
            history.wait_for_more()
            history.stop()
            history.judge(self)
            # It votes again: with one of the others gone the two of them are a majority.
            self.kill_another(cluster, wiped)
            with cluster.nodes[wiped].client() as client:
                client.set(b"k", b"v")

    def test_a_former_life_does_not_pass_for_the_member(self):
        # Node 2's disk was not mounted at one start, and is again at the next.
        with self.cluster() as cluster:
            number = cluster.follower()
            folder = cluster.folder(number)
            aside = folder.with_name("aside")
            before = cluster.members()[number]["incarnation"]
            cluster.nodes[number].kill()
            folder.rename(aside)
            cluster.nodes[number].start(port=None)
            wait_until(lambda: (member := cluster.members()[number])["kind"] == "voter" and
                       member["incarnation"] != before, "the empty node is not taken in")
            cluster.nodes[number].kill()
            shutil.rmtree(folder)
            aside.rename(folder)
            cluster.nodes[number].launch(port=None)
            other = next(n for n in range(3) if n != number)

            def seen_by(asked):
                """What a node says of the cluster, and of node `number`; None if it says nothing."""
                status = cluster.status(asked) if asked is not None else None
                if status is None:
                    return None
                nodes = {node["node_id"]: node["status"] for node in status["cluster"]["nodes"]}
                return status["cluster"]["status"], nodes[number]
            wait_until(lambda: seen_by(cluster.leader_of(other)) == ("degraded", "unknown"),
                       "the old life passes for the member")
            wait_until(lambda: (seen := seen_by(number)) is None or seen[1] == "unknown",
                       "the old life takes itself for the member")
            self.assertIsNone(cluster.members()[number].get("applied_slot"))
            cluster.end_torn("a member's folder is gone")

    def test_a_follower_that_is_far_behind_gets_a_snapshot(self):
        config = (
            "[storage]\nmax_journal_mb = 8\njournal_segment_mb = 4\nretain_journal_mb = 1\n"
        )
        with self.cluster(config=config) as cluster:
            behind = cluster.follower()
            cluster.nodes[behind].kill()
            value = b"x" * (1 << 20)
            with cluster.nodes[cluster.leader()].client() as client:
                for number in range(100):  # More than any journal keeps for those who are away.
                    client.set(b"big/%03d" % number, value)
            cluster.nodes[behind].start(port=None)
            cluster.wait_together()
            self.assertTrue((cluster.folder(behind) / "DATABASE").exists())
            self.assertFalse((cluster.folder(behind) / "db").exists())
            with cluster.nodes[behind].client() as client:
                self.assertEqual(value, client.value(b"big/000"))
                self.assertEqual(value, client.value(b"big/099"))
            # It is a full member, over a restart too.
            self.assertEqual(0, cluster.nodes[behind].stop())
            cluster.nodes[behind].start(port=None)
            self.kill_another(cluster, behind)
            with cluster.nodes[behind].client() as client:
                client.set(b"k", b"v")
                self.assertEqual(value, client.value(b"big/050"))

    def test_a_snapshot_goes_on_after_a_kill_and_both_ends_serve_meanwhile(self):
        config = ("[storage]\nmax_journal_mb = 8\njournal_segment_mb = 4\nretain_journal_mb = 1\n"
                  "[cluster]\nsnapshot_mb_per_second = 2\n")
        # A new leader, as a slow machine may have one, would begin the transfer anew.
        with self.cluster(config=config, timing=STEADY) as cluster:
            leader, behind = cluster.leader(), cluster.follower()
            taker = cluster.nodes[behind]
            with cluster.nodes[leader].client() as client:
                client.set(b"old", b"v")
                cluster.wait_together()
                # In its database too: what the journal alone has is applied once a leader says that
                # it is committed, and this leader sends a snapshot first.
                wait_until(lambda: all(member["grpc_endpoint"] for member in
                                       cluster.members().values()), "gRPC endpoints are not known")
                cluster.run("snapshot")
                taker.kill()
                value = os.urandom(1 << 20)
                for number in range(24):
                    client.set(b"big/%02d" % number, value)
                taker.start(port=None)

                def arrived():
                    return sum(file.stat().st_size for file in cluster.folder(behind).rglob("in.*/*"))
                wait_until(lambda: arrived() > 10 << 20, "no snapshot is taken")
                self.check_both_serve(cluster, client, behind)
                self.assertLess(arrived(), 22 << 20, "all was there before the questions were over")
                taker.kill()
                before = arrived()
                taker.start(port=None)
                client.set(b"after", b"v")
            cluster.wait_together()
            self.assertNotIn("snapshot", fetch(taker.http_endpoint, "/readyz").text)
            self.check_resumed(cluster, leader, behind, before)
            with taker.client() as client:
                self.assertEqual(value, client.value(b"big/23"))
                self.assertEqual([b"v"] * 3, [client.value(key) for key in
                                              (b"old", b"during", b"after")])

    def check_resumed(self, cluster, leader, behind, before):
        """The kill cost what was not marked as synced, 4 MiB, and a window of 4 MiB on its way. `before`:
        the bytes that were there when it came."""
        sent = cluster.nodes[leader].read_output()
        self.assertEqual(leader, cluster.leader(), "a new leader begins anew: nothing was tested")
        self.assertEqual(1, sent.count(f"to node {behind}, "), "a second checkpoint was made:" + sent)
        kept = re.search(r"snapshot: slot \d+ from node \d: (\d+) of (\d+) bytes are here already",
                         cluster.nodes[behind].read_output())
        self.assertTrue(kept, "nothing was kept")
        here, total = int(kept[1]), int(kept[2])
        self.assertLessEqual(before - here, 4 << 20)
        # Without the line the last answers were lost: the sender was not beyond it.
        back = re.search(rf"snapshot: node {behind} goes on at byte (\d+) of \d+", sent)
        if back:
            self.assertEqual(here, int(back[1]), sent)
        done = re.search(rf"snapshot: node {behind} has slot \d+; (\d+) bytes were sent for", sent)
        self.assertLessEqual(int(done[1]), total + (4 << 20) + (4 << 20) + (1 << 20))
        self.assertLess(int(done[1]), total + before, "what was there was sent again")

    def check_both_serve(self, cluster, leader, behind):
        """While a snapshot is on its way the leader takes writes; the node that takes it serves what
        it has, and says why it can't serve more."""
        for _ in range(50):
            leader.set(b"during", b"v")
        wait_until(lambda: cluster.members()[behind].get("needs_snapshot"),
                   "members does not tell of the snapshot")
        endpoint = cluster.nodes[behind].endpoint
        done = cairn("--read-level", "local", "get", "old", endpoints=endpoint)
        self.assertEqual(b"v\n", done.stdout, done.stderr)
        done = cairn("--timeout-ms", "300", "--read-level", "read_index", "get", "during",
                     endpoints=endpoint)
        self.assertEqual((5, b""), (done.returncode, done.stdout))
        self.assertIn(b"TIMEOUT", done.stderr)
        # It is ready, for those reads and to forward the rest, and says what is going on.
        ready = fetch(cluster.nodes[behind].http_endpoint, "/readyz")
        self.assertEqual(200, ready.status, ready.text)
        line = re.search(r"^snapshot: .*: (\d+) of (\d+) bytes are here", ready.text, re.MULTILINE)
        self.assertTrue(line, ready.text)
        self.assertTrue(0 < int(line[1]) < int(line[2]), ready.text)

    def test_the_first_start_takes_all_and_later_ones_a_majority(self):
        cluster = self.cluster()
        first, second, third = cluster.nodes
        first.launch(port=None)
        second.launch(port=None)
        wait_until(lambda: "waiting to hear from" in first.read_output(0.1),
                   "node 0 does not say whom it waits for")
        self.assertNotIn("serving", first.output)
        third.launch(port=None)
        for node in cluster.nodes:
            node.await_serving()
        cluster.leader()
        for node in cluster.nodes:
            node.kill()
        first.launch(port=None)
        second.launch(port=None)
        first.await_serving()
        second.await_serving()
        with first.client() as client:
            client.set(b"k", b"v")

    def test_a_folder_is_a_members_or_a_standalone_nodes(self):
        with self.cluster() as cluster:
            cluster.leader()
        alone = self.node(folder=cluster.folder(0))
        self.assertEqual(1, alone.launch().wait())
        self.assertIn("belongs to a member of a cluster", alone.output)
        standalone = self.node(folder=self.scratch / "data2/node_0").start()
        with standalone.client() as client:
            client.set(b"k", b"v")
        standalone.stop()
        shutil.rmtree(self.scratch / "data")
        shutil.move(self.scratch / "data2", self.scratch / "data")
        member = cluster.nodes[0]
        self.assertEqual(1, member.launch(port=None).wait())
        self.assertIn("holds the data of a standalone node", member.output)


if __name__ == "__main__":
    unittest.main()
