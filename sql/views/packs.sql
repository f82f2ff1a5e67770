-- Every record with its log time in ms, and what is wrong with its form (null: nothing).
-- All three branches read this view, so it is planned once (see `jobs/run.py`): one scan, one decode, one check.
create temporary view packs as
select
    v,
    tenant,
    device,
    pane,
    `at`,
    metrics,
    texts,
    flags,
    coalesce(received, 0) as received,
    log_partition,
    log_offset,
    appended,
    extract(epoch from appended) * 1000 + extract(millisecond from appended) as log_time,
    case
        when v is null or v <> 1
            then 'expected schema version 1'
        when tenant is null or device is null
            then 'expected a tenant and a device'
        when pane is null or pane < 0 or pane > ${newest_pane} or mod(pane, 10000) <> 0
            then 'expected a pane: epoch ms, a multiple of 10000'
        when coalesce(cardinality(`at`), 0) = 0
            then 'expected at least one offset in at'
        when cardinality(`at`) > ${cap}
            then 'expected at most ${cap} offsets in at'
        when `at`[1] is null
            or `at`[1] < 0
            or `at`[cardinality(`at`)] is null
            or `at`[cardinality(`at`)] not between `at`[1] and 9999
            or bitmap_to_array(bitmap_build(`at`)) <> `at`
            then 'expected at strictly ascending, each in [0, 10000)'
        when coalesce(cardinality(metrics), 0) + coalesce(cardinality(texts), 0) + coalesce(cardinality(flags), 0) = 0
            then 'expected metrics, texts or flags'
        when ${ragged}
            then 'expected as many numbers in each metric as offsets in at'
    end as flaw
from raw_sensor_data
