-- Every pack with what the registry said of its device when Kafka appended it. Rows in are rows out: of a device that
-- was not known then, the columns of the registry are null (and `known_as`, the version in force, says so).
create temporary view enriched as
select
    r.v,
    r.tenant,
    r.device,
    r.pane,
    r.`at`,
    r.metrics,
    r.texts,
    r.flags,
    coalesce(r.received, 0) as received,
    r.log_partition,
    r.log_offset,
    r.appended,
    g.version as known_as,
    g.kind,
    g.site,
    g.zone,
    g.model,
    g.tags,
    g.metrics as described
from raw_sensor_data as r
left join registry for system_time as of r.appended as g
    on r.tenant = g.tenant and r.device = g.device
where r.device is not null
    and r.tenant <> '_pulse'
