-- One row a series and pane, as it stands; the record carries the log time that it is true up to as its stamp.
create temporary table processed_data (
    v int,
    tenant string,
    device string,
    metric string,
    pane bigint,
    generation int,
    `count` bigint,
    `sum` double,
    sum_sq double,
    `min` double,
    `max` double,
    first_ms bigint,
    last_ms bigint,
    `last` double,
    as_of bigint,
    received bigint,
    dup bigint,
    stamp timestamp_ltz(3) metadata from 'timestamp',
    primary key (tenant, device, metric, pane) not enforced
) with (
    'connector' = 'upsert-kafka',
    'topic' = '${processed_data}',
    'properties.bootstrap.servers' = '${bootstrap}',
    'properties.linger.ms' = '5',
    'properties.compression.type' = 'lz4',
    'key.format' = 'json',
    'value.format' = 'json'
)
