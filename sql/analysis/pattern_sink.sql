-- Each match raises an alert. Its id is made from what it is about, in Flink itself: a restart or a replay names the same.
insert into alerts (record_key, payload, stamp)
select
    concat(tenant, '/', device) as record_key,
    json_object(
        key 'v' value 1,
        key 'alert_id' value md5(
            concat_ws(chr(0), tenant, '${rule}', device, metric, cast(`start` as string))
        ),
        key 'tenant' value tenant,
        key 'rule' value '${rule}',
        key 'version' value ${version},
        key 'device' value device,
        key 'happened' value 'raised',
        key 'why' value 'reading',
        key 'severity' value '${severity}',
        key 'event_time' value event_time,
        key 'start' value `start`,
        key 'log_time' value log_time,
        key 'metric' value metric,
        key 'value' value `value`,
        key 'level' value level
        absent on null
    ) as payload,
    to_timestamp_ltz(log_time, 3) as stamp
from pattern_rows
