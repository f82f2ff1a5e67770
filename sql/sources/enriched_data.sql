-- Packs with what the registry said of their device, stamped with their log time. A pack may come twice, after a
-- failure: its place in the log tells (`log_partition`, `log_offset`).
create temporary table enriched_data (
    record_key string,
    v int,
    tenant string,
    device string,
    pane bigint,
    `at` array<int>,
    metrics map<string, array<double>>,
    texts map<string, array<string>>,
    flags map<string, array<boolean>>,
    received bigint,
    log_partition int,
    log_offset bigint,
    known_as bigint,
    kind string,
    site string,
    zone string,
    model string,
    tags array<string>,
    described map<string, row<
        unit string, scale double, low double, high double, sensitivity double, title string
    >>,
    stamp timestamp_ltz(3) metadata from 'timestamp'
) with (
    'connector' = 'kafka',
    'topic' = '${enriched_data}',
    'properties.bootstrap.servers' = '${bootstrap}',
    'properties.linger.ms' = '5',
    'properties.compression.type' = 'lz4',
    'key.format' = 'raw',
    'key.fields' = 'record_key',
    'value.format' = 'json',
    'value.json.encode.ignore-null-fields' = 'true',
    'value.fields-include' = 'EXCEPT_KEY'
)
