-- Every version of every row of processed-data as it was written, from where one wants to read: `panes` keeps the newest.
create temporary table panes_log (
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
    dup bigint
) with (
    'connector' = 'kafka',
    'topic' = '${processed_data}',
    'properties.bootstrap.servers' = '${bootstrap}',
    'properties.group.id' = '${group}',
    'properties.enable.auto.commit' = 'false',
    'properties.fetch.max.wait.ms' = '50',
    'scan.topic-partition-discovery.interval' = '0',
    ${scan}
    'format' = 'json',
    'json.ignore-parse-errors' = 'true'
)
