#!/usr/bin/env python3
"""cairnd as a process: start and stop, flags, configuration files, the lock, ports, signals, logs,
word to the supervisor, and memory at rest."""
import os
import pathlib
import re
import resource
import signal
import socket
import unittest

from cairn_process import ROOT, Client, NodeTestCase, cairn, pause, ttypes, wait_until
from load import Load
from ports import free_ports, free_run

SEED_CONFIGS = pathlib.Path(__file__).parent / "seed_configs"


class StartTest(NodeTestCase):
    def test_data_survives_a_restart(self):
        node = self.node().start()
        with node.client() as client:
            version = client.set(b"k", b"v")
        self.assertEqual(0, node.stop())
        node.start()
        with node.client() as client:
            self.assertEqual(b"v", client.value(b"k"))
            self.assertGreater(client.set(b"k", b"w"), version)

    def test_without_arguments_it_is_a_standalone_node_on_the_defaults(self):
        code, said = self.run_to_end("--check-config")
        self.assertEqual(0, code)
        self.assertIn("Thrift on 127.0.0.1 port 9090", said)

    def test_layout_of_the_data_folder(self):
        node = self.node().start()
        self.assertEqual({"LOCK", "IDENTITY", "journal", "db"}, set(os.listdir(node.folder)))
        identity = (node.folder / "IDENTITY").read_text()
        node.stop()
        node.start()
        self.assertEqual(identity, (node.folder / "IDENTITY").read_text())
        other = self.node(folder=self.scratch / "other").start()
        self.assertNotEqual(identity, (other.folder / "IDENTITY").read_text())

    def test_replicated_with_one_member_runs_as_one_voter(self):
        (port,) = free_ports(1)
        node = self.node(config=f'[deployment]\nmode = "replicated"\n'
                                f'replica_endpoints = ["127.0.0.1:{port}"]\n')
        node.start(port=None)
        self.assertEqual(port, node.port)
        with node.client() as client:
            client.set(b"k", b"v")
        self.assertTrue((node.folder / "node_0/IDENTITY").exists())

    def test_the_line_on_standard_output(self):
        node = self.node().start()
        self.assertRegex(node.output, rf"(?m)^cairnd \d+\.\d+\.\d+: serving Thrift on "
                                      rf"127\.0\.0\.1:{node.port}, data in {node.folder}$")

    def test_version_and_help(self):
        code, said = self.run_to_end("--version")
        self.assertEqual((0, True), (code, said.startswith("cairnd ")))
        code, said = self.run_to_end("--help")
        self.assertEqual(0, code)
        for flag in ("--config", "--check-config", "--data-dir", "--port", "--grpc-port",
                     "--http-port", "--node-id", "--log-dir", "--verbose",
                     "--allow-fault-injection", "--version"):
            self.assertIn(flag, said)

    def test_fault_injection_only_when_allowed(self):
        request = ttypes.FaultInjectionRequest(fault_type="BOOM", probability=1.0,
                                               target_operation="set")
        node = self.node().start()
        with node.client() as client:
            self.assertFalse(client.setFaultInjection(request).success)
            client.set(b"k", b"v")
        node.stop()
        node = self.node("--allow-fault-injection").start()
        with node.client() as client:
            self.assertTrue(client.setFaultInjection(request).success)
            self.assertRaisesRegex(RuntimeError, "BOOM", client.set, b"k", b"v")


class ConfigurationTest(NodeTestCase):
    def test_every_shipped_file_is_valid(self):
        files = sorted(ROOT.glob("configs/**/*.toml"))
        self.assertGreaterEqual(len(files), 2)
        for path in files:
            code, said = self.run_to_end("--config", path, "--check-config")
            self.assertEqual(0, code, f"{path}: {said}")
            self.assertNotIn("can't be run", said)

    def test_files_of_the_earlier_service_are_valid(self):
        for path in sorted(SEED_CONFIGS.glob("*.toml")):
            code, said = self.run_to_end("--config", path, "--check-config")
            self.assertEqual(0, code, f"{path}: {said}")
            self.assertNotIn("can't be run", said, str(path))

    def test_files_of_the_earlier_service_start_a_cluster_that_serves(self):
        # As they are, but for ports that are free and the number of a third node.
        first = free_run(3, 2000)
        files = {0: "replicated_node0", 1: "replicated_node1", 2: "replicated_full"}
        nodes = []
        for number, name in files.items():
            text = (SEED_CONFIGS / f"{name}.toml").read_text()
            if number == 2:
                text = text.replace("instance_id = 0", "instance_id = 2")
            path = self.scratch / f"{name}.toml"
            path.write_text(re.sub(r"localhost:909(\d)",
                                   lambda found: f"localhost:{first + int(found[1])}", text))
            nodes.append(self.node("--config", path, "--grpc-port", 0, "--http-port", 0))
        for node in nodes:
            node.launch(port=None)
        for number, node in enumerate(nodes):
            node.await_serving()
            self.assertEqual(first + number, node.port)
        for number, node in enumerate(nodes):
            with node.client() as client:
                client.set(b"k%d" % number, b"v%d" % number)
        for node in nodes:
            done = cairn("--read-level", "read_index", "range", endpoints=node.endpoint)
            self.assertEqual(b"k0\tv0\nk1\tv1\nk2\tv2\n", done.stdout, done.stderr)
        alone = self.node("--config", SEED_CONFIGS / "standalone.toml",
                          folder=self.scratch / "alone").start()
        with alone.client() as client:
            client.set(b"k", b"v")
            self.assertEqual(b"v", client.value(b"k"))

    def test_paxos_is_refused_at_start_with_a_reason(self):
        path = self.scratch / "paxos.toml"
        path.write_text((SEED_CONFIGS / "replicated_node1.toml").read_text() +
                        '\n[consensus]\nalgorithm = "paxos"\n')
        made = self.node("--config", path)
        self.assertEqual(2, made.launch(port=None).wait())
        self.assertIn("this version of Cairn has Raft alone", made.output)

    def test_faults_are_all_named_with_their_lines(self):
        path = self.scratch / "bad.toml"
        path.write_text('[rocksdb]\nblok_size_kb = 16\n[reads]\nconsistency_level = "strong"\n')
        code, said = self.run_to_end("--config", path)
        self.assertEqual(2, code)
        self.assertIn(f"{path}:2: unknown key 'blok_size_kb' in [rocksdb]; did you mean "
                      "'block_size_kb'?", said)
        self.assertIn(f'{path}:4: [reads] consistency_level: expected one of "local"', said)

    def test_wrong_flags_are_usage_errors(self):
        for arguments in (["--nonsense"], ["--port", "x"], ["--port", "65536"],
                          ["--config", str(self.scratch / "missing.toml")], ["stray"],
                          ["--node-id", "10000"]):
            code, said = self.run_to_end(*arguments)
            self.assertEqual(2, code, f"{arguments}: {said}")
            self.assertTrue(said)

    def test_the_environment_goes_before_the_port_flag(self):
        code, said = self.run_to_end("--check-config", "--port", "1111",
                                     environment={"THRIFT_PORT": "2222"})
        self.assertEqual(0, code)
        self.assertIn("port 2222", said)
        code, said = self.run_to_end("--check-config", environment={"THRIFT_PORT": "x"})
        self.assertEqual(2, code)
        self.assertIn("THRIFT_PORT", said)

    def test_the_node_id_moves_the_default_port(self):
        code, said = self.run_to_end("--check-config", "--node-id", "7")
        self.assertEqual(0, code)
        self.assertIn("port 9097", said)

    def test_keys_reach_the_options_file_of_the_database(self):
        node = self.node(config="[rocksdb]\nwrite_buffer_size_mb = 7\nblock_size_kb = 8\n"
                                "[compaction]\ntarget_file_size_base_mb = 5\n"
                                '[compression]\nbottom_compression = "zlib"\n').start()
        options = max((node.folder / "db").glob("OPTIONS-*")).read_text()
        for line in ("write_buffer_size=7340032", "block_size=8192",
                     "target_file_size_base=5242880", "bottommost_compression=kZlibCompression"):
            self.assertIn(line, options)


class RefusalTest(NodeTestCase):
    def test_a_second_node_on_one_folder(self):
        first = self.node().start()
        second = self.node().launch()
        self.assertEqual(1, second.wait())
        self.assertIn(f"in use by process {first.process.pid}", second.output)
        with first.client() as client:
            client.set(b"still", b"there")

    def test_a_port_in_use(self):
        first = self.node().start()
        second = self.node(folder=self.scratch / "other").launch(port=first.port)
        self.assertEqual(1, second.wait())
        self.assertRegex(second.output, rf"port {first.port}.*in use")

    def test_a_folder_that_cannot_be_made(self):
        (self.scratch / "file").write_text("")
        node = self.node(folder=self.scratch / "file/data").launch()
        self.assertEqual(1, node.wait())
        self.assertIn(str(self.scratch / "file"), node.output)

    def test_a_log_folder_that_cannot_be_made(self):
        (self.scratch / "file").write_text("")
        node = self.node("--log-dir", self.scratch / "file/log").launch()
        self.assertEqual(1, node.wait())
        self.assertIn(str(self.scratch / "file"), node.output)

    def test_a_database_of_another_program(self):
        folder = self.scratch / "data"
        folder.mkdir()
        (folder / "CURRENT").write_text("MANIFEST-000001\n")
        node = self.node(folder=folder).launch()
        self.assertEqual(1, node.wait())
        self.assertIn("database of another program", node.output)
        self.assertEqual({"CURRENT", "LOCK"}, set(os.listdir(folder)))


class SignalTest(NodeTestCase):
    def test_a_stop_under_load_loses_nothing(self):
        for sig in (signal.SIGTERM, signal.SIGINT):
            node = self.node(folder=self.scratch / sig.name).start()
            load = Load(6, sig.name)
            load.begin(node.port)
            wait_until(lambda load=load: all(len(model.versions) > 20 for model in load.models),
                       "a load that runs")
            self.assertEqual(0, node.stop(sig))
            self.assertEqual([], load.end())
            node.start()
            with node.client() as client:
                self.assertEqual([], load.verify(client))

    def test_a_stop_leaves_nothing_to_replay(self):
        node = self.node().start()
        with node.client() as client:
            for i in range(100):
                client.set(b"%d" % i, b"x" * 1000)
        self.assertEqual(0, node.stop())
        self.assertIn("node: stopped", node.output)
        node.start()
        slot = int(re.search(r"opened .* at slot (\d+)", node.output).group(1))
        self.assertGreater(slot, 0)
        self.assertIn(f"recovered to slot {slot},", node.output)

    def test_idle_connections_do_not_hold_up_a_stop(self):
        node = self.node().start()
        clients = [Client(node.port) for _ in range(20)]
        self.assertEqual(0, node.stop())
        for client in clients:
            client.close()

    def test_further_sigterms_do_not_spoil_a_stop(self):
        node = self.stopping_node()
        for _ in range(3):
            node.process.send_signal(signal.SIGTERM)
            pause(0.01)  # two that wait at a time are one
        self.assertEqual(0, node.wait(15))
        self.assertIn("SIGTERM again", node.output)
        self.assertIn("node: stopped", node.output)

    def test_a_sigint_while_it_stops_ends_it_at_once(self):
        node = self.stopping_node()
        node.process.send_signal(signal.SIGTERM)
        node.process.send_signal(signal.SIGINT)
        self.assertEqual(1, node.wait(10))
        self.assertIn("SIGINT while stopping", node.output)

    def stopping_node(self):
        """A node in the midst of a stop: a call that waits for a version far away keeps it busy."""
        node = self.node().start()
        self.send_waiting_call(node)
        node.process.send_signal(signal.SIGTERM)
        wait_until(lambda: "node: stopping" in node.read_output(), "the first signal")
        return node

    def send_waiting_call(self, node):
        """Sends a call that waits for a version far away, and returns when the node has read it: the
        connection has nothing left to receive."""
        client = Client(node.port)
        self.addCleanup(client.close)
        # The half of a call that sends; nobody waits for the answer.
        client.send_get(ttypes.GetRequest(key=b"k", min_version=10**9, deadline_ms=20_000))

        def read():
            for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]:
                fields = line.split()
                if int(fields[1].split(":")[1], 16) == node.port and fields[3] == "01":
                    return fields[4].split(":")[1] == "00000000"
            return False
        wait_until(read, "a connection whose call was read")
        pause(0.1)  # from reading to waiting it has a few lines to go

    def test_a_waiting_call_does_not_hold_up_a_stop_for_long(self):
        node = self.node().start()
        self.send_waiting_call(node)
        node.process.send_signal(signal.SIGTERM)
        self.assertEqual(0, node.wait(15))


class SupervisorTest(NodeTestCase):
    def test_systemd_is_told(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as supervisor:
            path = str(self.scratch / "notify")
            supervisor.bind(path)
            supervisor.settimeout(30)
            node = self.node(environment={"NOTIFY_SOCKET": path}).start()
            self.assertEqual(b"READY=1", supervisor.recv(100))
            self.assertEqual(0, node.stop())
            self.assertEqual(b"STOPPING=1", supervisor.recv(100))

    def test_the_unit_names_flags_that_exist(self):
        unit = (ROOT / "packaging/systemd/cairnd.service.in").read_text()
        self.assertIn("Type=notify", unit)
        _, said = self.run_to_end("--help")
        for flag in re.findall(r"(?m)^ExecStart=.*$", unit)[0].split():
            if flag.startswith("--"):
                self.assertIn(flag, said)


class LogTest(NodeTestCase):
    def test_the_log_goes_to_its_folder(self):
        logs = self.scratch / "made/log"
        node = self.node("--log-dir", logs).start()
        self.assertIn("serving Thrift on", (logs / "cairn.log").read_text())
        # Where it serves stands on standard output: Thrift, and HTTP and gRPC if their ports were free.
        said = [line.strip() for line in node.output.strip().splitlines()]
        self.assertIn("serving Thrift on", said[0])
        for line in said[1:]:
            self.assertRegex(line, r"^(gRPC|HTTP) on \S+:\d+$")
        node.stop()
        self.assertIn("node: stopped", (logs / "cairn.log").read_text())

    def test_levels(self):
        logs = self.scratch / "log"
        config = f'[logging]\nlog_level = "warn"\nlog_dir = "{logs}"\n'
        node = self.node(config=config).start()
        node.stop()
        self.assertNotIn(" I ", (logs / "cairn.log").read_text())
        node = self.node("--verbose", config=config, folder=self.scratch / "other").start()
        self.assertIn(" I ", (logs / "cairn.log").read_text())
        self.assertIn(" I ", node.read_output())

    def test_rotation(self):
        logs = self.scratch / "log"
        logs.mkdir()
        (logs / "cairn.log").write_text("x" * (1 << 20))
        config = (f'[logging]\nlog_dir = "{logs}"\nmax_log_file_size_mb = 1\n'
                  "keep_log_file_num = 2\n")
        for _ in range(4):
            node = self.node(config=config).start()
            self.assertEqual(0, node.stop())
            with open(logs / "cairn.log", "a", encoding="utf-8") as log:
                log.write("x" * (1 << 20))
        self.assertEqual({"cairn.log", "cairn.1.log", "cairn.2.log"}, set(os.listdir(logs)))


class MemoryTest(NodeTestCase):
    def test_an_idle_node_is_small(self):
        """Under 60 MB beside the caches, which hold nothing yet."""
        node = self.node().start()
        with node.client() as client:
            client.set(b"k", b"v")
            status = pathlib.Path(f"/proc/{node.process.pid}/status").read_text()
            resident = int(re.search(r"VmRSS:\s+(\d+) kB", status).group(1))
            self.assertLess(resident, 60 * 1024)

    def test_the_limit_of_open_files_is_raised(self):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft == hard:
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 256), hard))
            self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        node = self.node().start()
        limits = pathlib.Path(f"/proc/{node.process.pid}/limits").read_text()
        now = re.search(r"Max open files\s+(\S+)\s+(\S+)", limits)
        self.assertEqual(now.group(1), now.group(2))


class QuickCheckTest(NodeTestCase):
    def test_status_of_a_fresh_node(self):
        node = self.node().start()
        self.assertEqual(0, cairn("status", endpoints=node.endpoint).returncode)


if __name__ == "__main__":
    unittest.main(verbosity=2)
