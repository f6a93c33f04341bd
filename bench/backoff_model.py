#!/usr/bin/env python3
"""A model of `cairn bench --workload f-txn`: what the waits after conflicts do to it (docs/bench.md).

    bench/backoff_model.py [--lanes 64] [--seconds 10]

Each lane reads a record, or in a transaction reads it and sets it; the next operation begins when the
last one has ended. A transaction whose record was set by another between its read and its commit has
a conflict, waits, and begins anew. The node takes NODE_S of its time for each request, one after the
other; a read then takes READ_S more, and a commit COMMIT_S, give or take 30 %. Prints a table.
"""
import argparse
import bisect
import heapq
import itertools
import random

NODE_S, READ_S, COMMIT_S = 15e-6, 0.4e-3, 1.2e-3
RECORDS, ZIPF_EXPONENT, TRANSACTIONS = 100_000, 0.99, 0.5


def policy(first_ms, growth, most_ms, fixed):
    """The wait before another try, by the tries so far; the share `fixed` of it is not random."""
    def wait(tries, chance):
        full = min(most_ms, first_ms * growth ** (tries - 1)) / 1000
        return full * (fixed + (1 - fixed) * chance.random())
    return wait


POLICIES = {
    "5 ms, doubled up to 100 ms; half is fixed (as it is)": policy(5, 2, 100, 0.5),
    "the same, all of it random": policy(5, 2, 100, 0),
    "5 ms, doubled up to 500 ms; half is fixed (as after other errors)": policy(5, 2, 500, 0.5),
    "10 ms, doubled up to 1 s, all of it random (FoundationDB's)": policy(10, 2, 1000, 0),
    "2 ms, doubled up to 50 ms; half is fixed": policy(2, 2, 50, 0.5),
    "1 ms, doubled up to 25 ms; half is fixed": policy(1, 2, 25, 0.5),
    "40 ms, all of it random": policy(40, 1, 40, 0),
}
SHARES = list(itertools.accumulate(rank ** -ZIPF_EXPONENT for rank in range(1, RECORDS + 1)))


class Model:
    def __init__(self, wait, lanes, seconds):
        self.wait, self.end = wait, seconds
        self.chance = random.Random(1)
        self.events, self.count = [], itertools.count()
        self.node_free = 0.0
        self.committed = {}  # record -> when it was set last
        self.operations = self.conflicts = 0
        self.times = []  # of transactions
        for lane in range(lanes):
            self.begin(lane * 1e-6)

    def at(self, when, what, *arguments):
        heapq.heappush(self.events, (when, next(self.count), what, arguments))

    def served(self, now):
        self.node_free = max(self.node_free, now) + NODE_S
        return self.node_free

    def begin(self, now):
        record = bisect.bisect(SHARES, self.chance.random() * SHARES[-1])
        if self.chance.random() < TRANSACTIONS:
            self.read(now, record, now, 0)
        else:
            self.at(self.served(now) + READ_S, self.ended)

    def ended(self, now):
        self.operations += 1
        self.begin(now)

    def read(self, now, record, began, tries):
        self.at(self.served(now) + READ_S, self.commit, record, began, tries)

    def commit(self, now, record, began, tries):
        took = COMMIT_S * (0.7 + 0.6 * self.chance.random())
        self.at(self.served(now) + took, self.decide, record, began, tries, now - READ_S / 2)

    def decide(self, now, record, began, tries, read_at):
        if self.committed.get(record, -1) > read_at:
            self.conflicts += 1
            wait = self.wait(tries + 1, self.chance)
            return self.at(now + wait, self.read, record, began, tries + 1)
        self.committed[record] = now
        self.times.append(now - began)
        return self.ended(now)

    def run(self):
        while self.events[0][0] < self.end:
            now, _, what, arguments = heapq.heappop(self.events)
            what(now, *arguments)
        self.times.sort()

    def percentile_ms(self, percent):
        return self.times[min(len(self.times) - 1, int(percent / 100 * len(self.times)))] * 1000


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--lanes", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=10)
    arguments = parser.parse_args()
    print("| wait before another try | per second | conflicts for each | p99, ms | p99.9, ms | longest, ms |")
    print("|---|---|---|---|---|---|")
    for name, wait in POLICIES.items():
        model = Model(wait, arguments.lanes, arguments.seconds)
        model.run()
        print(f"| {name} | {model.operations / arguments.seconds:,.0f} | "
              f"{model.conflicts / len(model.times):.2f} | {model.percentile_ms(99):,.0f} | "
              f"{model.percentile_ms(99.9):,.0f} | {model.times[-1] * 1000:,.0f} |")


if __name__ == "__main__":
    main()
