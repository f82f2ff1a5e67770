-- What happened to alerts, an event a row: raised, escalated, deescalated, cleared. An event may come twice, as the same.
-- Of a value that is a number, a state or a text, the text.
create temporary table alerts (
    v int,
    tenant string,
    device string,
    metric string,
    rule string,
    version bigint,
    alert_id string,
    happened string,
    why string,
    severity string,
    event_time bigint,
    `start` bigint,
    log_time bigint,
    `value` string,
    level double,
    received bigint
) with (
    'connector' = 'kafka',
    'topic' = '${alerts}',
    'properties.bootstrap.servers' = '${bootstrap}',
    'properties.group.id' = '${group}',
    'properties.enable.auto.commit' = 'false',
    'scan.topic-partition-discovery.interval' = '0',
    ${scan}
    'format' = 'json',
    'json.ignore-parse-errors' = 'true'
)
