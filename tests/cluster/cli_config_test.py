#!/usr/bin/env python3
"""cairn config: the same judgement as cairnd's, and values that a node takes."""
import json
import subprocess
import tomllib
import unittest

from cairn_process import BIN, ROOT, NodeTestCase, cairn

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
