-- What alerts are judged by: rules and devices, in the order of each partition. Beats come too: they say how far it is.
create temporary view control as
select
    'rule' as kind,
    log_partition,
    record_key,
    payload,
    extract(epoch from appended) * 1000 + extract(millisecond from appended) as log_time,
    counts_from
from alert_rules
union all
select
    'device' as kind,
    log_partition,
    record_key,
    payload,
    extract(epoch from appended) * 1000 + extract(millisecond from appended) as log_time,
    counts_from
from device_records
