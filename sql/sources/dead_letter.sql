-- What a door or a job refused, with the reason and the bytes (base64) or what could be rebuilt of them.
create temporary table dead_letter (
    record_key string,
    v int,
    reason string,
    detail string,
    topic string,
    tenant string,
    device string,
    door string,
    received bigint,
    payload string,
    stamp timestamp_ltz(3) metadata from 'timestamp'
) with (
    'connector' = 'kafka',
    'topic' = '${dead_letter}',
    'properties.bootstrap.servers' = '${bootstrap}',
    'properties.linger.ms' = '5',
    'key.format' = 'raw',
    'key.fields' = 'record_key',
    'value.format' = 'json',
    'value.fields-include' = 'EXCEPT_KEY'
)
