"""What filestore costs, beside what the file system, the reference system and other stores cost.

    python -m tests.benchmarks [--n 1000,10000,100000] [--json]

Everything that is compared is measured in turns, round by round, so that what else the machine does hits all alike:
the result is a ratio with its spread. Linux only. `pip install -e '.[bench]'` adds the other stores.
"""
