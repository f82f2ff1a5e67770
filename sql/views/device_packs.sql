-- Packs by device, whole; beats only move log time.
create temporary view device_packs as
select
    record_key,
    payload,
    extract(epoch from appended) * 1000 + extract(millisecond from appended) as log_time,
    appended
from raw_records
where record_key not like '#_pulse/%' escape '#'
