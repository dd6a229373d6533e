# SPDX-License-Identifier: GPL-2.0-only
"""Where the time of reads and writes goes, by size; with polars.

pykit export runs/… --to requests -o requests.parquet
python docs/examples/latency.py requests.parquet
"""

# %% The requests that came back, with their latency.
import sys

import polars as pl

requests = pl.read_parquet(sys.argv[1]).filter(pl.col("used").is_not_null())
names = {0: "read", 1: "write", 4: "flush", 11: "discard", 13: "write zeroes"}
requests = requests.with_columns(
    operation=pl.col("type").replace_strict(names, default="other"),
    latency=pl.col("used") - pl.col("add"),
)

# %% Percentiles by operation and size, in microseconds.
by_size = (
    requests.group_by("operation", "bytes")
    .agg(
        pl.len().alias("count"),
        *((pl.col("latency").quantile(q) / 1000).alias(f"p{q * 100:g}") for q in (0.5, 0.9, 0.99)),
    )
    .sort("operation", "bytes")
)
print(by_size)

# %% The slowest ones, and which side held them: on the way there, at the device, on the way back.
slowest = requests.top_k(10, by="latency").select(
    "request",
    "operation",
    "bytes",
    latency_us=pl.col("latency") / 1000,
    to_device_us=(pl.col("pop") - pl.col("add")) / 1000,
    at_device_us=(pl.col("fill") - pl.col("pop")) / 1000,
    back_us=(pl.col("used") - pl.col("fill")) / 1000,
)
print(slowest)
