-- What happens to alerts, stamped with the log time at which it is known.
create temporary table alerts (
    record_key string,
    payload string,
    stamp timestamp_ltz(3) metadata from 'timestamp'
) with (
    'connector' = 'kafka',
    'topic' = '${alerts}',
    'properties.bootstrap.servers' = '${bootstrap}',
    'properties.linger.ms' = '5',
    'key.format' = 'raw',
    'key.fields' = 'record_key',
    'value.format' = 'raw',
    'value.fields-include' = 'EXCEPT_KEY'
)
