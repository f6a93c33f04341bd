#!/usr/bin/env python3
"""cairn-sim's random runs and scripts/soak.sh: what they say they ran is what can be run again.

    CAIRN_BIN=build/bin tests/sim/cairn_sim_test.py
"""
import os
import pathlib
import re
import signal
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SIM = os.environ.get("CAIRN_BIN", str(ROOT / "build" / "bin")) + "/cairn-sim"
# Found in every history that retries a write.
BUG = "kDedupeOff"


def run(*arguments):
    """Exit code, standard output, standard error."""
    done = subprocess.run([str(a) for a in arguments], capture_output=True, text=True, check=False,
                          timeout=240)
    return done.returncode, done.stdout, done.stderr


class Temporary(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def file(self, name):
        return self.folder / name


class RandomRuns(Temporary):
    def test_prints_its_seeds_and_is_run_again(self):
        totals = self.file("totals")
        code, out, err = run(SIM, "--random", "--for", "1s", "--totals", totals)
        self.assertEqual(code, 0, out + err)
        first = re.search(r"^seeds from (\d+) on$", out, re.M).group(1)
        seeds = re.search(r"^again: cairn-sim --seeds (\d+)\.\.(\d+)$", out, re.M)
        self.assertEqual(seeds.group(1), first)
        again = self.file("again")
        code, out, err = run(SIM, "--seeds", f"{seeds.group(1)}..{seeds.group(2)}", "--totals", again)
        self.assertEqual(code, 0, out + err)
        self.assertEqual(totals.read_text(), again.read_text())
        self.assertIn(f"seeds={int(seeds.group(2)) - int(first) + 1} ", again.read_text())

    def test_is_another_one_each_time(self):
        firsts = {re.search(r"^seeds from (\d+) on$", run(SIM, "--random", "--for", "0.001s")[1],
                            re.M).group(1) for _ in range(3)}
        self.assertEqual(len(firsts), 3)

    def test_a_failure_names_the_seed_and_is_run_again(self):
        code, out, err = run(SIM, "--random", "--for", "1s", "--plant", BUG, "--shrink-runs", "0")
        self.assertEqual(code, 1, out + err)
        seed, what = re.search(r"^FAILED seed (\d+): (.*)$", out, re.M).groups()
        replay = re.search(r"^  replay: cairn-sim (.*)$", out, re.M).group(1)
        self.assertIn(seed, replay)
        code, out, err = run(SIM, *replay.split())
        self.assertEqual(code, 1, out[-2000:] + err)
        self.assertIn(f"FAILED seed {seed}: {what}", out)

    def test_refuses_what_means_nothing(self):
        for arguments in (["--random", "--seeds", "1..2"], ["--random", "--seed", "1"],
                          ["--for", "0s"], ["--for", "-1"], ["--for", "1 parsec"]):
            code, out, err = run(SIM, *arguments)
            self.assertNotEqual(code, 0, arguments)
            self.assertRegex(out + err, "--random|--for", arguments)


class Soak(Temporary):
    def soak(self, *arguments):
        return run(ROOT / "scripts" / "soak.sh", "--log", self.file("log"), *arguments)

    def sums(self, text):
        return {name: int(number) for name, number in re.findall(r"([a-z_]+)=(\d+)", text)}

    def chunks(self):
        return re.findall(r"^chunk (\d+\.\.\d+) (.*) program=", self.file("log").read_text(), re.M)

    def test_goes_on_where_it_stopped_and_adds_up(self):
        code, out, err = self.soak("--seeds", "3", "--hours", "0", "--chunk", "2")
        self.assertEqual(code, 0, out + err)
        with open(self.file("log"), "a", encoding="utf-8") as log:
            log.write("a line that somebody added\n")
        code, out, err = self.soak("--seeds", "6", "--hours", "0", "--chunk", "2")
        self.assertEqual(code, 0, out + err)
        self.assertEqual([seeds for seeds, _ in self.chunks()], ["1..2", "3..4", "5..6"])
        totals = self.file("totals")
        code, whole, err = run(SIM, "--seeds", "1..6", "--totals", totals)
        self.assertEqual(code, 0, whole + err)
        summed = {name: int(number)
                  for number, name in re.findall(r"^ +(\d+)  ([a-z_]+)$", out, re.M)}
        self.assertEqual(summed, self.sums(totals.read_text()))
        self.assertEqual(summed["seeds"], 6)

    def test_is_not_done_before_there_are_enough_hours(self):
        self.assertEqual(self.soak("--seeds", "1", "--hours", "0", "--chunk", "1")[0], 0)
        code, out, err = self.soak("--seeds", "1", "--hours", "1", "--chunk", "1", "--for", "1s")
        self.assertEqual(code, 3, out + err)
        self.assertEqual(self.chunks()[0][0], "1..1")

    def test_an_interruption_loses_the_chunk_under_way_and_nothing_else(self):
        self.assertEqual(self.soak("--seeds", "1", "--hours", "0", "--chunk", "1")[0], 0)
        before = self.file("log").read_text()
        with subprocess.Popen([ROOT / "scripts" / "soak.sh", "--log", self.file("log"), "--chunk",
                               "1000000"], stdout=subprocess.PIPE, text=True) as process:
            process.send_signal(signal.SIGTERM)
            out, _ = process.communicate(timeout=60)
        self.assertNotEqual(process.returncode, 0)
        self.assertEqual(self.file("log").read_text(), before)
        self.assertEqual(self.soak("--sum")[0], 3, out)

    def test_a_failure_is_in_the_log_and_in_the_exit_code(self):
        self.file("log").write_text(
            "FAILED seed 7: lost: key x\n  replay: cairn-sim --seed 7 --trace\n"
            "chunk 1..9 seeds=9 simulated_us=9000000 failed=1 program=ab commit=cd\n")
        code, out, err = self.soak("--sum")
        self.assertEqual(code, 1, out + err)
        self.assertIn("FAILED seed 7: lost: key x", out)

    def test_refuses_a_log_of_another_build(self):
        self.file("log").write_text(
            "chunk 1..9 seeds=9 simulated_us=9000000 failed=0 program=ab commit=cd\n")
        code, out, err = self.soak()
        self.assertEqual(code, 1, out + err)
        self.assertIn("another build of cairn-sim (commit cd)", err)


if __name__ == "__main__":
    unittest.main()
