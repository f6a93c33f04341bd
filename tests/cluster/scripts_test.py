"""scripts/cluster.sh and scripts/quickstart.sh do what their help says."""
import subprocess
import unittest

from cairn_process import BIN, ROOT, NodeTestCase, cairn, wait_until
from ports import free_run


@unittest.skipUnless(BIN.resolve() == (ROOT / "build/bin").resolve(),
                     "the script runs the programs in build/bin")
class ClusterScriptTest(NodeTestCase):
    def setUp(self):
        super().setUp()
        self.first_port = free_run(3, 2000)

    def run_script(self, *arguments, code=0):
        done = subprocess.run(
            [ROOT / "scripts/cluster.sh", "--folder", self.scratch / "cluster", "--first-port",
             str(self.first_port), *arguments], capture_output=True, text=True, timeout=120,
            check=False)
        self.assertEqual(code, done.returncode, done.stdout + done.stderr)
        return done.stdout + done.stderr

    def test_start_kill_and_stop(self):
        self.addCleanup(self.run_script, "stop")
        self.assertIn("leads", self.run_script("start"))
        endpoints = ",".join(f"127.0.0.1:{self.first_port + n}" for n in range(3))
        self.assertEqual(0, cairn("put", "k", "v", endpoints=endpoints).returncode)
        led = self.run_script("leader").strip()
        self.run_script("kill", led)
        self.assertIn(f"node {led}: does not run", self.run_script("status"))
        others = ",".join(f"127.0.0.1:{self.first_port + n}" for n in range(3) if str(n) != led)
        done = cairn("--read-level", "leader", "get", "k", endpoints=others)
        self.assertEqual(b"v\n", done.stdout, done.stderr)
        self.run_script("start")
        self.assertEqual(3, self.run_script("status").count("process"))
        everybody = ",".join(f"127.0.0.1:{self.first_port + n}" for n in range(3))
        # A node says where it serves gRPC when it reports for the first time.
        wait_until(lambda: cairn("cluster", "verify", endpoints=everybody).returncode == 0,
                   "the replicas are not found to be the same")

    def test_wrong_words_are_refused_with_what_is_right(self):
        self.assertIn("start, status", self.run_script("nonsense", code=1))
        self.assertIn("the nodes are 0, 1 and 2", self.run_script("kill", "7", code=1))
        self.assertIn("does not run", self.run_script("kill", "1", code=1))
        # Nobody runs, so nobody is waited for.
        self.assertIn("nobody leads", self.run_script("leader", code=1))


@unittest.skipUnless(BIN.resolve() == (ROOT / "build/bin").resolve(),
                     "the script runs the programs in build/bin")
class QuickstartTest(NodeTestCase):
    def run_script(self, *arguments):
        done = subprocess.run([ROOT / "scripts/quickstart.sh", "--folder", self.scratch / "quick",
                               *arguments], capture_output=True, text=True, timeout=180, check=False)
        self.assertEqual(0, done.returncode, done.stdout + done.stderr)
        return done.stdout + done.stderr

    def test_it_tells_its_whole_story(self):
        first = free_run(3, 2000)
        self.addCleanup(self.run_script, "--stop")
        said = self.run_script("--no-build", "--port", str(first))
        self.assertRegex(said, r"node (\d) \(process \d+\) was killed")
        for line in ("hello from Cairn", "after-the-kill\twritten while node", "counter\t11",
                     f"export CAIRN_ENDPOINTS=127.0.0.1:{first},"):
            self.assertIn(line, said)
        # It left three nodes running, which hold what it wrote.
        endpoints = ",".join(f"127.0.0.1:{first + n}" for n in range(3))
        done = cairn("--read-level", "leader", "get", "counter", endpoints=endpoints)
        self.assertEqual(b"11\n", done.stdout, done.stderr)


if __name__ == "__main__":
    unittest.main()
