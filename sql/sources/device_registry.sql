-- What the registry says of each device, every version a record, in log time: beats move the watermark while nothing
-- changes. A plain log under the view `registry`, never upsert-kafka: that one folds the versions of a mini-batch.
create temporary table device_registry (
    tenant string,
    device string,
    version bigint,
    deleted boolean,
    kind string,
    site string,
    zone string,
    model string,
    metrics map<string, row<
        unit string, scale double, low double, high double, sensitivity double, title string
    >>,
    tags array<string>,
    appended timestamp_ltz(3) metadata from 'timestamp' virtual,
    watermark for appended as appended - interval '0.001' second
) with (
    'connector' = 'kafka',
    'topic' = '${device_registry}',
    'properties.bootstrap.servers' = '${bootstrap}',
    'properties.group.id' = '${group}',
    'properties.enable.auto.commit' = 'false',
    'scan.topic-partition-discovery.interval' = '0',
    ${registry_scan}
    'format' = 'json',
    'json.ignore-parse-errors' = 'true'
)
