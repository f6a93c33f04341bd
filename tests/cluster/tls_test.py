"""Mutual TLS between nodes: a cluster that has it works, and strangers stay outside."""
import contextlib
import re
import shutil
import unittest

from cairn_process import cairn, ttypes, wait_until
from certificates import Authority
from cluster import ClusterTestCase
from history import History


@unittest.skipIf(shutil.which("openssl") is None, "openssl is needed, to make certificates")
class PeerTlsTest(ClusterTestCase):
    def setUp(self):
        super().setUp()
        self.authority = Authority(self.scratch / "certificates", "ours")

    def section(self, number, authority=None, ca=None):
        """[peer_tls] of a node."""
        certificate, key = (authority or self.authority).issue(f"node{number}")
        return (f'[peer_tls]\ncertificate = "{certificate}"\nkey = "{key}"\n'
                f'ca = "{ca or self.authority.certificate}"\n')

    def rewrite(self, cluster, number, section):
        """Puts another [peer_tls] into the file of a node, or none."""
        file = cluster.scratch / f"node{number}.toml"
        text = re.sub(r"\[peer_tls\]\n(\w+ = .*\n)*", "", file.read_text())
        file.write_text(text + section)

    def assert_serves(self, cluster, without):
        """The others take writes, and read them back linearizably."""
        for number in cluster.running():
            if number == without:
                continue
            with cluster.nodes[number].client() as client:
                version = client.set(b"k", b"%d" % number)
                found = client.get(ttypes.GetRequest(key=b"k", read_level="read_index"))
            self.assertEqual(b"%d" % number, found.value)
        return version

    @contextlib.contextmanager
    def judged(self, **options):
        """A cluster with clients at all of its nodes, whose history is judged at the end."""
        with self.cluster(**options) as cluster, History(cluster) as history:
            history.wait_for_more()
            yield cluster
            history.wait_for_more()
            history.stop()
            history.judge(self)

    def check_stranger(self, cluster, section, others_say, it_says):
        """A follower that comes back with another [peer_tls] stays outside until it is mended."""
        stranger = cluster.follower()
        others = [number for number in range(3) if number != stranger]
        node = cluster.nodes[stranger]
        proper = (cluster.scratch / f"node{stranger}.toml").read_text()
        self.assertEqual(0, node.stop())
        self.rewrite(cluster, stranger, section(stranger))
        node.launch(port=None)
        for number in others:
            wait_until(lambda at=cluster.nodes[number]: re.search(
                f"turned .* away: .*{others_say}", at.read_output(0.1)),
                       f"node {number} does not say '{others_say}'")
        wait_until(lambda: re.search(f"no connection to node .*{it_says}", node.read_output(0.1)),
                   f"the stranger does not say '{it_says}'")
        version = self.assert_serves(cluster, stranger)
        self.assertNotIn("connected to node", node.output)
        node.kill()
        (cluster.scratch / f"node{stranger}.toml").write_text(proper)
        node.start(port=None)
        wait_until(lambda: cluster.status(stranger)["committed_version"] >= version,
                   "it does not come back")

    def test_a_cluster_with_certificates_of_one_authority_works(self):
        with self.cluster(config=self.section) as cluster, History(cluster) as history:
            history.wait_for_more()
            cluster.nodes[cluster.leader()].kill()
            history.wait_for_more()
            history.stop()
            for number in cluster.running():
                self.assertRegex(cluster.nodes[number].read_output(), "peers on .*, TLS\n")
            for node in cluster.nodes:
                if not node.running:
                    node.start(port=None)
            history.judge(self)

    def test_a_certificate_of_another_authority_is_refused(self):
        forger = Authority(self.scratch / "forger", "theirs")
        both = self.scratch / "both.pem"
        both.write_bytes(self.authority.certificate.read_bytes() +
                         forger.certificate.read_bytes())
        with self.judged(config=self.section) as cluster:
            # It believes the others; they must not believe it.
            self.check_stranger(
                cluster, lambda number: self.section(number, forger, both),
                r"its certificate is refused: .*issued by CN = theirs", "")
            # It believes nobody but its own kind.
            self.check_stranger(
                cluster, lambda number: self.section(number, forger, forger.certificate),
                "", r"its certificate is refused: .*issued by CN = ours")

    def test_a_node_without_a_certificate_is_refused(self):
        with self.judged(config=self.section) as cluster:
            self.check_stranger(cluster, lambda number: "", "it does not speak TLS", "")

    def test_a_node_with_certificates_is_refused_where_there_are_none(self):
        with self.judged() as cluster:
            self.check_stranger(cluster, self.section, "it speaks TLS, and this node does not",
                                "TLS with")

    def test_files_that_cannot_be_used_are_named_at_the_start(self):
        certificate, key = self.authority.issue("node0")
        _, other_key = self.authority.issue("node1")
        stranger = Authority(self.scratch / "other", "theirs").certificate
        made = self.cluster(1, config=(f'[peer_tls]\ncertificate = "{certificate}"\n'
                                       f'key = "KEY"\nca = "CA"\n'))
        file = made.scratch / "node0.toml"
        text = file.read_text()
        for used, ca, said in (
                (self.scratch / "no.key", self.authority.certificate, "no.key' cannot be used: No"),
                (other_key, self.authority.certificate, "does not belong to the certificate"),
                (key, stranger, "other nodes with the authority"),
                (key, key, "it holds no certificate in PEM form")):
            file.write_text(text.replace("KEY", str(used)).replace("CA", str(ca)))
            for more in ([], ["--check-config"]):
                code, output = self.run_to_end("--config", file, *more)
                self.assertEqual(2, code, output)
                self.assertRegex(output, r"\[peer_tls\].*" + re.escape(said))
        key.chmod(0o644)
        file.write_text(text.replace("KEY", str(key))
                        .replace("CA", str(self.authority.certificate)))
        code, output = self.run_to_end("--config", file, "--check-config")
        self.assertEqual(0, code, output)
        self.assertRegex(output, "warning: .*can be read by every user")
        made.start()
        self.assertEqual(0, cairn("put", "k", "v", endpoints=made.nodes[0].endpoint).returncode)


if __name__ == "__main__":
    unittest.main()
