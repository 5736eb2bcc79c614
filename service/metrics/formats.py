"""A curve as CSV and as an Arrow stream."""

from __future__ import annotations

import csv
import io

import pyarrow as pa

from service import arrow
from service.metrics.schemas import Curve


def as_csv(curve: Curve) -> bytes:
    """`step,value,time`; a value that was not finite is empty."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(["step", "value", "time"])
    for step, value, time in zip(curve.step, curve.value, curve.time, strict=True):
        writer.writerow([step, "" if value is None else repr(value), time.isoformat().replace("+00:00", "Z")])
    return out.getvalue().encode()


def as_arrow(curve: Curve) -> bytes:
    columns = {
        "step": pa.array(curve.step, pa.int64()),
        "value": pa.array(curve.value, pa.float64()),
        "time": pa.array(curve.time, pa.timestamp("us", tz="UTC")),
    }
    table = pa.table(columns).replace_schema_metadata({"name": curve.name, "split": curve.split, "unit": curve.unit})
    return arrow.stream(table)
