-- Every accepted reading, once: the identity is (tenant, device, metric, kind, ts), and of several copies the one that
-- is first in the log stays, in whatever order they arrive. Ask with `final`: copies lie side by side until they are
-- merged.
--
-- `version` counts down along the log: 2^64 - 1 - (log_number * 2^54 + log_offset * 2^10 + log_partition). A topic that
-- was made anew has a higher `log_number` (see raw_log), so what it repeats never replaces what is held.
create table if not exists reading
(
    tenant LowCardinality(String) codec(ZSTD(1)),
    device LowCardinality(String) codec(ZSTD(1)),
    metric LowCardinality(String) codec(ZSTD(1)),
    kind Enum8('number' = 0, 'text' = 1, 'flag' = 2) codec(ZSTD(1)),
    ts Int64 codec(DoubleDelta, ZSTD(1)),
    value Float64 codec(ZSTD(1)),
    text String codec(ZSTD(1)),
    log_partition UInt32 codec(ZSTD(1)),
    log_offset UInt64 codec(Delta, ZSTD(1)),
    log_time Int64 codec(Delta, ZSTD(1)),
    received Int64 codec(Delta, ZSTD(1)),
    version UInt64 codec(Delta, ZSTD(1))
)
engine = ReplacingMergeTree(version)
partition by intDiv(ts, 86400000)
order by (tenant, device, metric, kind, ts)
-- An insert is answered when it is on the disk.
settings fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1;

-- Event time (epoch ms) before which retention has removed readings: the largest row. Written before the removal.
create table if not exists raw_edge
(
    before_ms Int64,
    written_ms Int64
)
engine = MergeTree
order by before_ms
settings fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1;

-- The logs that were read, by Kafka's topic id, numbered in the order in which they were met: the smallest row of an id.
create table if not exists raw_log
(
    log_id String,
    log_number UInt16
)
engine = MergeTree
order by (log_id, log_number)
settings fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1;

-- Everything before `next_offset`, and up to `log_time`, is in `reading`. Written after the readings. Ask with `final`.
create table if not exists raw_position
(
    log_id String,
    log_partition UInt32,
    next_offset UInt64,
    log_time Int64
)
engine = ReplacingMergeTree(next_offset)
order by (log_id, log_partition)
settings fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1;

-- Records whose readings are not stored: they break the form of a pack, or retention is past them. Ask with `final`.
create table if not exists raw_refused
(
    log_number UInt16,
    log_partition UInt32,
    log_offset UInt64,
    log_time Int64,
    tenant String,
    device String,
    reason LowCardinality(String),
    detail String,
    written DateTime default now()
)
engine = ReplacingMergeTree
order by (log_number, log_partition, log_offset)
ttl written + interval 90 day
settings fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1; -- noqa: PRS
