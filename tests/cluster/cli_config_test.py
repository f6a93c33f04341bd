#!/usr/bin/env python3
"""cairn config: the same judgement as cairnd's, and values that a node takes."""
import json
import subprocess
import tomllib
import unittest

from cairn_process import BIN, ROOT, NodeTestCase, cairn
from certificates import Authority

DONE, USAGE = 0, 2


class ConfigTest(NodeTestCase):
    def config(self, *arguments, expect=DONE, environment=None):
        result = cairn("config", *arguments, environment=environment)
        self.assertEqual(expect, result.returncode, result)
        return result.stdout.decode()

    def write(self, text):
        path = self.scratch / "node.toml"
        path.write_text(text)
        return path

    def judged(self, path):
        """What both programs say of a file: exit codes, and the first line."""
        ours = cairn("config", "check", path)
        node = subprocess.run([BIN / "cairnd", "--check-config", "--config", path], check=False,
                              capture_output=True, timeout=60)
        self.assertEqual(node.returncode, ours.returncode, (ours, node))
        return ((ours.stdout + ours.stderr).decode().removeprefix("cairn: "),
                (node.stdout + node.stderr).decode().removeprefix("cairnd: "))

    def test_the_same_judgement_as_the_node(self):
        for text in ("", "[server]\nthrift_port = 7000\n", "[server]\nthrift_prot = 1\n",
                     "[server]\nthrift_port = 70000\n", "[nonsense]\n", "not toml",
                     '[deployment]\nmode = "replicated"\n', "[rocksdb]\nblock_size_kb = \"x\"\n"):
            ours, node = self.judged(self.write(text))
            self.assertEqual(node, ours, text)
        for path in sorted((ROOT / "configs").rglob("*.toml")):
            self.assertEqual(*self.judged(path))
        self.assertIn("node.toml:2: unknown key 'thrift_prot'", self.judged(self.write("[server]\nthrift_prot = 1\n"))[0])
        self.config("check", self.scratch / "missing", expect=USAGE)

    def refused(self, text):
        """What is wrong with a file, by both programs; folders are looked at by ours alone."""
        ours, node = self.judged(self.write(text))
        self.assertEqual(node, ours)
        return ours

    def cluster(self, *lines):
        """A member of a cluster with data in a folder of the test."""
        return "\n".join(('[deployment]', 'mode = "replicated"',
                          'replica_endpoints = ["127.0.0.1:9300", "127.0.0.1:9301"]', '[database]',
                          f'base_path = "{self.scratch}"', *lines)) + "\n"

    def test_the_files_of_tls(self):
        authority = Authority(self.scratch / "tls", "ours")
        stranger = Authority(self.scratch / "tls", "theirs")
        certificate, key = authority.issue("node0")
        other = authority.issue("node1")[1]
        old = authority.issue("node2", days=3)

        def tls(certificate, key, ca=authority.certificate):
            return self.cluster("[peer_tls]", f'certificate = "{certificate}"', f'key = "{key}"',
                                f'ca = "{ca}"')
        key.chmod(0o600)
        said = self.config("check", self.write(tls(certificate, key)))
        self.assertNotIn("[peer_tls]", said)
        key.chmod(0o644)
        self.assertIn("warning: [peer_tls] the private key", self.config(
            "check", self.write(tls(certificate, key))))
        # Whole days, rounded down: 2 once the second of its making is over.
        self.assertRegex(self.config("check", self.write(tls(*old))), "ends in [23] days")
        for text, why in (
                (tls("/missing.pem", key), "'/missing.pem' cannot be used: No such file"),
                (tls(certificate, other), "does not belong to the certificate"),
                (tls(key, key), "holds no certificate"),
                (tls(certificate, certificate), "holds no private key"),
                (tls(certificate, key, stranger.certificate), "would refuse it"),
                (tls(*authority.issue("node3", days=-1)), "expired")):
            said = self.refused(text)
            self.assertIn("[peer_tls] the ", said)
            self.assertIn(why, said)

    def test_pools_and_ports(self):
        for text, why in (
                ('[dram]\nlisten_addr = "127.0.0.1:9090"\n',
                 "[dram] listen_addr: port 9090 is that of another service of this node, [server] "
                 "thrift_port"),
                ('[server]\nhttp_port = 9200\ngrpc_port = 9200\n', "[server] http_port: port 9200"),
                ('[dram]\nlisten_addr = "a:1"\nspec = "/missing"\n',
                 "[dram] spec: can't read the file '/missing'"),
                ('[dram]\nlisten_addr = "a:1"\nspec = \'{"replication_factor": 2}\'\n',
                 "set it to 1"),
                (self.cluster("[consensus]", 'endpoints = ["127.0.0.1:9300", "127.0.0.1:9"]'),
                 "[consensus] endpoints: port 9300")):
            self.assertIn(why, self.refused(text))

    def test_folders(self):
        (self.scratch / "file").write_text("x")
        path = self.write(f'[database]\nbase_path = "{self.scratch}/file/data"\n'
                          f'[logging]\nlog_dir = "{self.scratch}/file"\n')
        result = cairn("config", "check", path)
        self.assertEqual(USAGE, result.returncode)
        said = result.stderr.decode().splitlines()
        self.assertEqual(2, len(said))
        self.assertIn(f"[database] base_path: '{self.scratch}/file", said[0])
        self.assertIn(f"[logging] log_dir: '{self.scratch}/file' is no folder", said[1])
        self.config("check", self.write(f'[database]\nbase_path = "{self.scratch}/new/data"\n'))
        self.assertFalse((self.scratch / "new").exists())

    def test_defaults(self):
        documented = self.config("default", "--documented")
        self.assertGreater(len(documented), 1000)
        # Behind the head of that file.
        self.assertTrue((ROOT / "configs/all_keys.toml").read_text().endswith(documented))
        shown = tomllib.loads(self.config("default"))
        document = json.loads(self.config("default", "--json"))
        for section, keys in document.items():
            given = {key: value for key, value in keys.items() if value is not None}
            self.assertEqual(shown.get(section, {}), given)

    def test_effective_values(self):
        path = self.write('[deployment]\ninstance_id = 3\n[server]\ngrpc_port = 7001\n')
        shown = tomllib.loads(self.config("show", path))
        self.assertEqual((9093, 7001, 8093), tuple(shown["server"][name] for name in
                                                  ("thrift_port", "grpc_port", "http_port")))
        shown = json.loads(self.config("show", path, "--json", environment={"THRIFT_PORT": "7002"}))
        self.assertEqual((7002, 3), (shown["server"]["thrift_port"], shown["deployment"]["instance_id"]))
        # What is shown means the same when it is read.
        again = self.scratch / "again.toml"
        again.write_text(self.config("show", path))
        self.assertEqual(self.config("show", path), self.config("show", again))

    def test_json(self):
        path = self.write("[server]\nthrift_port = 7000\n")
        document = json.loads(self.config("check", path, "--json"))
        self.assertEqual((True, 7000), (document["valid"], document["thrift_port"]))
        path = self.write("[server]\nthrift_prot = 7000\n")
        document = json.loads(self.config("check", path, "--json", expect=USAGE))
        self.assertIn("thrift_prot", document["error"]["message"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
