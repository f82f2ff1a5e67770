-- Packs as the doors write them. Elements of the arrays stay nullable: an array of not null elements answers -1
-- beyond its end, which the generated sums would count. Nothing is aggregated of texts and flags.
-- Log time is what rows are joined by. Its watermark runs 1 ms behind: a batch is stamped alike.
create temporary table raw_sensor_data (
    v int,
    tenant string,
    device string,
    pane bigint,
    `at` array<int>,
    metrics map<string, array<double>>,
    texts map<string, array<string>>,
    flags map<string, array<boolean>>,
    received bigint,
    log_partition int metadata from 'partition' virtual,
    log_offset bigint metadata from 'offset' virtual,
    appended timestamp_ltz(3) metadata from 'timestamp' virtual,
    watermark for appended as appended - interval '0.001' second
) with (
    'connector' = 'kafka',
    'topic' = '${raw_sensor_data}',
    'properties.bootstrap.servers' = '${bootstrap}',
    'properties.group.id' = '${group}',
    'properties.enable.auto.commit' = 'false',
    'properties.fetch.max.wait.ms' = '50',
    'properties.fetch.min.bytes' = '65536',
    'properties.max.partition.fetch.bytes' = '4194304',
    'properties.max.poll.records' = '4000',
    'scan.topic-partition-discovery.interval' = '0',
    ${scan}
    'format' = 'json',
    'json.ignore-parse-errors' = 'true'
)
