-- Records of raw-sensor-data as they lie there: whoever reads packs whole decodes them once.
create temporary table raw_records (
    record_key string,
    payload string,
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
    'scan.topic-partition-discovery.interval' = '0',
    ${scan}
    'key.format' = 'raw',
    'key.fields' = 'record_key',
    'value.format' = 'raw',
    'value.fields-include' = 'EXCEPT_KEY'
)
