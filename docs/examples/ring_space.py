# SPDX-License-Identifier: GPL-2.0-only
"""How full each ring was, and when it was nearly full; with pandas.

python docs/examples/ring_space.py runs/…/events.parquet
"""

# %% Free descriptors after each chain that was made available.
import sys

import duckdb
import pandas as pd

# Where pyarrow is installed, pd.read_parquet() does the same.
events: pd.DataFrame = duckdb.read_parquet(sys.argv[1]).df()
sizes = events[(events.kind == "queue") & (events.op == 0)]
size = sizes.groupby(["dev", "life", "vq"])["size"].last()
adds = events[events.kind == "add"].join(size.rename("ring"), on=["dev", "life", "vq"])
adds = adds.assign(full=1 - adds.num_free / adds.ring)

# %% Each queue: how full on average, at most, and how often above nine tenths.
print(
    adds.groupby(["dev", "life", "vq"])["full"].agg(
        chains="size",
        mean="mean",
        most="max",
        nearly_full=lambda share: (share > 0.9).mean(),
    )
)

# %% The fullest tenths of a second.
busy = adds.assign(tenth=adds.time // 100_000_000 / 10)
print(busy.groupby(["dev", "vq", "tenth"])["full"].max().nlargest(5))
