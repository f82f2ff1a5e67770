-- Where each device belonged, and from when on: a row where what the registry says of its site or model is not what it
-- said before. Empty: none (not registered, deleted, or without one). The log is that of `device-registry`.
create table if not exists device_place
(
    tenant LowCardinality(String) codec(ZSTD(1)),
    device LowCardinality(String) codec(ZSTD(1)),
    log_time Int64 codec(ZSTD(1)),
    log_offset UInt64 codec(ZSTD(1)),
    site String codec(ZSTD(1)),
    model String codec(ZSTD(1))
)
engine = ReplacingMergeTree
order by (tenant, device, log_time, log_offset)
settings fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1;

-- Everything before `next_offset`, and up to `log_time`, is in `device_place`. Written after it. Ask with `max`.
create table if not exists place_position
(
    log_id String,
    log_partition UInt32,
    next_offset UInt64,
    log_time Int64
)
engine = ReplacingMergeTree(next_offset)
order by (log_id, log_partition);

-- All that was said of each device, (log_time, log_offset, site, model) in their order: the last one that is not after a
-- log time was in force then.
create view if not exists place as
select
    tenant,
    device,
    arraySort(groupUniqArray((log_time, log_offset, site, model))) as said
from device_place
group by tenant, device;
