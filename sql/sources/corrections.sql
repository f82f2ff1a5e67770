-- What came too late for its pane: which panes to recompute, and the position of the pack in the log.
create temporary table corrections (
    record_key string,
    v int,
    tenant string,
    device string,
    pane bigint,
    metrics array<string>,
    `partition` int,
    `offset` bigint,
    log_time bigint,
    stamp timestamp_ltz(3) metadata from 'timestamp'
) with (
    'connector' = 'kafka',
    'topic' = '${corrections}',
    'properties.bootstrap.servers' = '${bootstrap}',
    'properties.linger.ms' = '5',
    'key.format' = 'raw',
    'key.fields' = 'record_key',
    'value.format' = 'json',
    'value.fields-include' = 'EXCEPT_KEY'
)
