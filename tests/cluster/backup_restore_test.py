"""A backup of a cluster under load becomes a new node, and a new cluster, with the same state."""
import json
import os
import unittest

from cairn_process import cairn, ttypes, wait_until
from cluster import Cluster, ClusterTestCase, Writers


class BackupTest(ClusterTestCase):
    def backup(self, endpoints, *options, name="backup.cairn", code=0):
        done = cairn("--json", "backup", self.scratch / name, *options, endpoints=endpoints)
        self.assertEqual(code, done.returncode, done.stdout + done.stderr)
        return json.loads(done.stdout)

    def restore(self, *arguments, code=0):
        done = cairn("--json", "restore", self.scratch / "backup.cairn", *arguments)
        self.assertEqual(code, done.returncode, done.stdout + done.stderr)
        return json.loads(done.stdout)

    @staticmethod
    def all_at(client, version):
        """Every record as of a version: key -> value."""
        found, begin, included = {}, b"log/", True
        while True:
            answer = client.snapshotGetRange(ttypes.SnapshotGetRangeRequest(
                begin_key=begin, begin_or_equal=included, end_key=b"log0", limit=0,
                read_version=version))
            if answer.error is not None:
                raise RuntimeError(answer.error)
            found.update((pair.key, pair.value) for pair in answer.key_values)
            if not answer.has_more:
                return found
            begin, included = answer.key_values[-1].key, False

    def test_under_load_from_any_node_to_a_node_by_itself(self):
        with self.cluster() as cluster, Writers(cluster) as writers:
            writers.wait_for_more(50)
            with cluster.nodes[0].client() as client:
                client.createColumnFamily(ttypes.CreateColumnFamilyRequest(name="users"))
                client.setKey(ttypes.SetRequest(key=b"k", value=b"v", column_family="users"))
                session = client.openSession(ttypes.OpenSessionRequest()).session_id
                once = client.setKey(ttypes.SetRequest(
                    key=b"once", value=b"1", session_id=session, session_sequence=1,
                    session_first_outstanding=1))
            for number in range(3):
                acknowledged = set(writers.acknowledged)
                endpoint = cluster.nodes[number].endpoint
                made = self.backup(endpoint, "--replace")
                self.assertEqual(number, made["node_id"])
                config = self.scratch / f"alone{number}.toml"
                folder = self.scratch / f"alone{number}"
                config.write_text(f'[database]\nbase_path = "{folder}"\n')
                restored = self.restore("--config", config)
                self.assertEqual(made["version"], restored["backup"]["version"])
                self.assertEqual("0" * 16, restored["cluster"])
                node = self.node("--config", config, folder=folder).start()
                with node.client() as copy, cluster.nodes[number].client() as original:
                    there = self.all_at(original, made["version"])
                    self.assertEqual(there, copy.all(b"log/", b"log0"))
                    # What was acknowledged before the backup began is in it.
                    self.assertLessEqual(acknowledged, set(there.values()))
                    answer = copy.get(ttypes.GetRequest(key=b"k", column_family="users"))
                    self.assertEqual(b"v", answer.value)
                    # Sessions go on: a retry is answered again and not applied twice.
                    again = copy.setKey(ttypes.SetRequest(
                        key=b"once", value=b"1", session_id=session, session_sequence=1,
                        session_first_outstanding=1))
                    self.assertEqual((None, once.version), (again.error, again.version))
                    self.assertGreater(copy.set(b"new", b"v"), made["version"])
                node.stop()
            writers.wait_for_more()
            writers.stop()
            self.check_history(cluster, writers)

    def test_to_a_new_cluster_which_grows(self):
        with self.cluster() as cluster, Writers(cluster) as writers:
            writers.wait_for_more(50)
            writers.stop()
            cluster.wait_together()
            self.backup(cluster.endpoints)
            other = self.scratch / "other"
            other.mkdir()
            made = Cluster(other, size=1)
            self.addCleanup(made.kill)
            self.clusters.append(made)
            restored = self.restore("--config", other / "node0.toml", "--data-dir", other / "data")
            self.assertNotIn(restored["cluster"], (restored["backup"]["cluster"], "0" * 16))
            made.start()
            for _ in range(2):
                number = made.new_node()
                made.run("add", number, made.peer(number))
                made.nodes[number].start(port=None)
                wait_until(lambda number=number: cairn(
                    "cluster", "promote", number, endpoints=made.endpoints).returncode == 0,
                    "a new node does not catch up", 60)
            wait_until(lambda: all(m["grpc_endpoint"] for m in made.members().values()),
                       "the nodes do not say where they serve gRPC")
            self.assertTrue(made.compared()["same"])
            self.check_history(made, writers)

    def test_without_a_majority_one_node_is_saved_by_itself(self):
        with self.cluster() as cluster:
            last = cluster.follower()
            with cluster.nodes[cluster.leader()].client() as client:
                stamped = client.set(b"k", b"v")
            cluster.wait_together()
            for number in {0, 1, 2} - {last}:
                cluster.nodes[number].kill()
            endpoint = cluster.nodes[last].endpoint
            error = self.backup(endpoint, "--timeout-ms", "2000", code=5)["error"]
            self.assertEqual("TIMEOUT", error["code"])
            self.assertIn("--local saves what one node has", error["message"])
            error = self.backup(cluster.endpoints, "--local", code=2)["error"]
            self.assertIn("name that node alone", error["message"])
            self.assertEqual([], list(self.scratch.glob("backup*")))
            made = self.backup(endpoint, "--local")
            self.assertEqual(last, made["node_id"])
            self.assertGreaterEqual(made["version"], stamped)
        config = self.scratch / "alone.toml"
        config.write_text(f'[database]\nbase_path = "{self.scratch}/alone"\n')
        self.restore("--config", config)
        node = self.node("--config", config, folder=self.scratch / "alone").start()
        with node.client() as copy:
            self.assertEqual(b"v", copy.value(b"k"))

    def test_damaged_and_cut_backups_leave_nothing(self):
        node = self.node().start()
        with node.client() as client:
            for number in range(300):
                client.set(b"key%d" % number, b"v" * 1000)
        self.backup(node.endpoint)
        file = self.scratch / "backup.cairn"
        whole = file.read_bytes()
        # And the mask of session ids, which is part of the state.
        self.assertEqual(300 + 1, json.loads(cairn(
            "--json", "restore", "--check", file).stdout)["pairs"])
        config = self.scratch / "to.toml"
        config.write_text(f'[database]\nbase_path = "{self.scratch}/to"\n')
        before = set(os.listdir(self.scratch))
        damaged = bytearray(whole)
        damaged[len(damaged) // 2] ^= 1
        for content, words in ((bytes(damaged), "damaged at byte"), (whole[:-1], "not whole"),
                               (whole[:len(whole) // 2], "not whole"), (b"nonsense" * 10, "no backup")):
            file.write_bytes(content)
            for arguments in (["--config", config], ["--check"]):
                error = self.restore(*arguments, code=3)["error"]
                self.assertEqual("CORRUPTION", error["code"])
                self.assertIn(words, error["message"])
            self.assertEqual(before, set(os.listdir(self.scratch)))
        # And a folder that holds something is left alone.
        file.write_bytes(whole)
        (self.scratch / "to").mkdir()
        (self.scratch / "to/precious").write_text("x")
        self.assertIn("precious", self.restore("--config", config, code=3)["error"]["message"])
        self.assertEqual(["precious"], os.listdir(self.scratch / "to"))

    def test_a_backup_that_breaks_off_leaves_nothing(self):
        node = self.node().start()
        with node.client() as client:
            client.set(b"k", b"v")
        self.backup(node.endpoint)
        error = self.backup(node.endpoint, code=3)["error"]
        self.assertIn("--replace", error["message"])
        endpoint = node.endpoint
        node.kill()
        before = (self.scratch / "backup.cairn").read_bytes()
        self.backup(endpoint, "--replace", code=4)
        self.assertEqual(before, (self.scratch / "backup.cairn").read_bytes())
        self.assertEqual([], list(self.scratch.glob("*.part")))


if __name__ == "__main__":
    unittest.main(verbosity=2)
