# SPDX-License-Identifier: GPL-2.0-only
"""Notifications and interrupts per request of many runs at once; with DuckDB.

python docs/examples/notifications.py runs/*/events.parquet
"""

# %% The files of all runs as one table.
import sys

import duckdb

files = sys.argv[1:]
events = duckdb.read_parquet(files, filename=True)

# %% A row a run and queue: the probe's account only where the driver gave none of its own.
table = duckdb.sql("""
    WITH inside AS (
        SELECT *, min(CASE WHEN source = 'driver' THEN 0 ELSE 1 END)
            OVER (PARTITION BY filename, dev) AS own
        FROM events
        WHERE source IN ('driver', 'probe') AND vq IS NOT NULL
    )
    SELECT
        regexp_extract(filename, '([^/]*)/events[.]parquet$', 1) AS run,
        dev, vq,
        count(*) FILTER (kind = 'add') AS requests,
        count(*) FILTER (kind = 'notify') / greatest(requests, 1) AS notify,
        count(*) FILTER (kind = 'interrupt') / greatest(requests, 1) AS interrupt,
        count(*) FILTER (kind = 'kick' AND needed = 0)
            / greatest(count(*) FILTER (kind = 'kick'), 1) AS suppressed
    FROM inside
    WHERE (source = 'driver') = (own = 0)
    GROUP BY ALL
    ORDER BY run, dev, vq
""")
table.show(max_rows=1000)
