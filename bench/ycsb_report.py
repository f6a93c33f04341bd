"""Turns the results of run_ycsb_bench.py into YCSB's figures in docs/benchmarks.md."""
import re
import subprocess

from report import Series, table

# The section of the page that these figures fill: see report.replace_figures.
NAME = "YCSB figures"

COLUMNS = ("a", "b", "c", "d", "e", "f", "f-txn")


def peers(etcd):
    """The systems beside ours, with their versions."""
    said = subprocess.run(["redis-server", "--version"], capture_output=True, text=True, check=False)
    redis = re.search(r"v=(\S+)", said.stdout)
    return f"etcd {etcd} and Redis {redis[1] if redis else 'not installed'}"


def _mix(shares):
    """As "50 % read, 50 % update"."""
    return ", ".join(f"{share} % {kind}" for kind, share in shares.items())


def _cell(rounds):
    """Operations a second, and below them the percentiles of their times."""
    rate = Series(found["operations_per_second"] for found in rounds)
    times = (Series(found["service_time"][name] for found in rounds).median
             for name in ("p50_us", "p99_us"))
    return f"{rate.text()}<br>{' / '.join(f'{time:,.0f}' for time in times)}"


def _ycsb(results, targets):
    del targets  # these have none
    columns = {name: results["ycsb"][name] for name in COLUMNS if name in results["ycsb"]}
    first = next(iter(columns["a"].values()))[0]
    mixes = [f"{name.upper()}: {_mix(next(iter(column.values()))[0]['workload']['mix'])}"
             for name, column in columns.items()]
    systems = dict.fromkeys(name for column in columns.values() for name in column)
    rows = [(name, *(_cell(column[name]) if name in column else "-" for column in columns.values()))
            for name in systems]
    workload = first["workload"]
    return [f"{workload['records']:,} records of {workload['value_bytes']} bytes, {first['in_flight']} "
            "operations outstanding. In each cell: operations per second; below, p50 / p99 of their service "
            "times in us.", "", *table(("system", *mixes), rows)]


SECTIONS = {"ycsb": _ycsb}
