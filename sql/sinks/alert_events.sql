-- Each event once, keyed by its device.
insert into alerts (record_key, payload, stamp)
select
    record_key,
    payload,
    to_timestamp_ltz(log_time, 3) as stamp
from alert_events
