-- Records that break the form of a pack: written past the doors. The detail says where the original bytes lie.
insert into dead_letter (
    record_key, v, reason, detail, topic, tenant, device, door, received, payload, stamp
)
select
    coalesce(concat(tenant, '/', device), '') as record_key,
    1 as v,
    'bad-record' as reason,
    concat(
        flaw, ' in partition ', cast(log_partition as string), ', offset ', cast(log_offset as string),
        ': write through a door, or in the form of a pack'
    ) as detail,
    '${raw_sensor_data}' as topic,
    coalesce(tenant, '') as tenant,
    coalesce(device, '') as device,
    'aggregation' as door,
    received,
    to_base64(concat(
        '{"v":', coalesce(cast(v as string), 'null'),
        ',"tenant":', coalesce(json_string(tenant), 'null'),
        ',"device":', coalesce(json_string(device), 'null'),
        ',"pane":', coalesce(cast(pane as string), 'null'),
        ',"at":', coalesce(json_string(`at`), 'null'),
        ',"metrics":', coalesce(json_string(metrics), 'null'),
        ',"texts":', coalesce(json_string(texts), 'null'),
        ',"flags":', coalesce(json_string(flags), 'null'),
        ',"received":', cast(received as string),
        '}'
    )) as payload,
    to_timestamp_ltz(log_time, 3) as stamp
from packs
where flaw is not null
