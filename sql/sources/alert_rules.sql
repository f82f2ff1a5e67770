-- Versions of rules, whole. One counts from its log time plus a delay, so that the job knows of it before it has to.
create temporary table alert_rules (
    record_key string,
    payload string,
    log_partition int metadata from 'partition' virtual,
    appended timestamp_ltz(3) metadata from 'timestamp' virtual,
    counts_from as appended + interval '${delay}' second,
    watermark for counts_from as counts_from - interval '0.001' second
) with (
    'connector' = 'kafka',
    'topic' = '${alert_rules}',
    'properties.bootstrap.servers' = '${bootstrap}',
    'properties.group.id' = '${group}',
    'properties.enable.auto.commit' = 'false',
    'scan.topic-partition-discovery.interval' = '0',
    'scan.startup.mode' = 'earliest-offset',
    'scan.parallelism' = '1',
    'key.format' = 'raw',
    'key.fields' = 'record_key',
    'value.format' = 'raw',
    'value.fields-include' = 'EXCEPT_KEY'
)
