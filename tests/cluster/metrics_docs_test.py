#!/usr/bin/env python3
"""docs/metrics.md and the Grafana dashboard against what nodes really export: every family is
documented, with its kind and its labels, and nothing is documented or drawn that is not there."""
import json
import re
import unittest

from cairn_process import ROOT
from cluster import ClusterTestCase
from exposition import scrape

DOCUMENT = ROOT / "docs/metrics.md"
DASHBOARD = ROOT / "docs/grafana/cairn.json"
ROW = re.compile(r"\| `([a-z0-9_]+)` \| (counter|gauge|histogram) \| ([^|]+) \| ([^|]*)\| ([^|]+) \| ([^|]*)\|")
# What Prometheus itself adds to a target's series.
TARGET_LABELS = {"job", "instance"}


def documented():
    """name -> (kind, labels), of the tables of docs/metrics.md."""
    found = {}
    for line in DOCUMENT.read_text().split("\n"):
        if not line.startswith(("| `cairn_", "| `process_")):
            continue
        row = ROW.fullmatch(line)
        assert row, f"not a row of six columns: {line}"
        assert row.group(1) not in found, f"twice: {line}"
        found[row.group(1)] = (row.group(2), set(re.findall(r"`([a-z_]+)`", row.group(4))))
    return found


def family_of(name, families):
    """The family that a series belongs to; None if there is none."""
    for suffix in ("", "_bucket", "_sum", "_count"):
        family = name.removesuffix(suffix) if suffix else name
        if family in families and (not suffix or families[family][0] == "histogram"):
            return family
    return None


def expressions(dashboard):
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            yield panel["title"], target["expr"]
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            yield variable["name"], variable["query"]["query"]


class Documentation(ClusterTestCase):
    """One cluster whose first node serves memory, too, exports everything there is."""

    def setUp(self):
        super().setUp()
        dram = '[dram]\nlisten_addr = "127.0.0.1:0"\nadvertise_addr = "here:1"\n' \
               'remote_addrs = ["127.0.0.1:1"]\ncapacity_mb = 1\n'
        cluster = self.cluster(config=lambda number: dram if number == 0 else "")
        cluster.start()
        with cluster.nodes[cluster.leader()].client() as client:
            client.set(b"k", b"v")
        self.families = {}
        self.labels = {}
        for node in cluster.nodes:
            metrics = scrape(node.http_endpoint)
            self.families.update(metrics.families)
            for name, labels in metrics.samples:
                family = family_of(name, metrics.families)
                names = {label for label, _ in labels} - {"le"}
                self.labels.setdefault(family, names)
                self.assertEqual(self.labels[family], names, f"labels of {family} differ")

    def test_document_and_nodes_agree(self):
        document = documented()
        self.assertEqual(set(), set(self.families) - set(document), "exported, not documented")
        self.assertEqual(set(), set(document) - set(self.families), "documented, not exported")
        for name, (kind, labels) in document.items():
            self.assertEqual(self.families[name][0], kind, name)
            if name in self.labels:
                self.assertEqual(self.labels[name], labels, f"labels of {name}")

    def test_dashboard_draws_what_there_is(self):
        dashboard = json.loads(DASHBOARD.read_text())
        ids = [panel["id"] for panel in dashboard["panels"]]
        self.assertEqual(len(ids), len(set(ids)))
        drawn = set()
        for title, expression in expressions(dashboard):
            names = re.findall(r"\b(?:cairn|process)_[a-z0-9_]+", expression)
            self.assertTrue(names, f"{title}: {expression}")
            for name in names:
                family = family_of(name, self.families)
                self.assertIsNotNone(family, f"{title}: no node exports {name}")
                drawn.add(family)
            used = set(re.findall(r'([a-z_]+)(?:=|!=|=~|!~)"', expression))
            for group in re.findall(r"\b(?:by|on) \(([^)]*)\)", expression):
                used |= {label.strip() for label in group.split(",")}
            known = set().union(*(self.labels.get(family_of(name, self.families), set())
                                  for name in names)) | TARGET_LABELS | {"le"}
            self.assertEqual(set(), used - known, f"{title}: labels that are not there")
            self.assertEqual(expression.count("("), expression.count(")"), title)
            self.assertEqual(expression.count("{"), expression.count("}"), title)
            # A counter is drawn as a rate, a histogram by its quantiles or mean.
            for name in names:
                if self.families[family_of(name, self.families)][0] != "gauge":
                    self.assertRegex(expression, rf"(rate|increase)\({name}\{{", title)
        self.assertGreater(len(drawn), 50)
        # What clients hold open is bounded, so an operator wants to see all of it.
        held = {name for name in self.families
                if re.fullmatch(r"cairn_([a-z]+_open|answer_bytes)", name)}
        self.assertEqual(set(), held - drawn)


if __name__ == "__main__":
    unittest.main()
