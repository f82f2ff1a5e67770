"""What the corrections worker counts, for Prometheus. One set a process."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

from headwater.model.stores import AUDIT_CAUSES

CORRECTIONS = Counter("headwater_corrections_read", "Corrections read from their topic, repeats included")
ROWS = Counter("headwater_corrections_rows", "Rows published onto processed-data")
READS = Counter("headwater_corrections_reads", "Reads of the raw store")
EMPTY = Counter("headwater_corrections_empty", "Rows asked for of which the raw store has no reading")
REFUSED = Counter("headwater_corrections_refused", "Corrections refused to dead-letter, by reason", ["reason"])
OUTAGES = Counter("headwater_corrections_outages", "Times that Kafka or a store went away")
WAITING = Gauge("headwater_corrections_waiting", "Corrections in memory")
BATCH_SECONDS = Histogram(
    "headwater_corrections_batch_seconds",
    "From the first correction of a batch to its rows on Kafka",
    buckets=(0.5, 1, 2, 5, 10, 20, 40, 80),
)
AUDITED = Counter("headwater_audit_minutes", "Minutes of event time that were audited")
AUDITED_TO = Gauge("headwater_audit_log_seconds", "Start of the newest minute audited (epoch seconds)")
DIFFERED = Counter(
    "headwater_audit_looked_again", "Rows that differed at the first look; most are corrections on the way"
)
REPAIRS = Counter("headwater_audit_repairs", "Rows that differed for good, by cause; 0 in a healthy run", ["cause"])
for _cause in AUDIT_CAUSES:
    REPAIRS.labels(_cause)
