-- Answers with the episodes that have something new.
with given as (
    select event.*
    from
        jsonb_to_recordset($1::jsonb)
            as event (
                tenant text, alert_id text, log_time bigint, event_time bigint, happened text, severity text,
                why text, rule text, version integer, device text, metric text, start bigint, value jsonb,
                level double precision, received bigint
            )
),

kept as (
    insert into alert_event (
        tenant, alert_id, log_time, event_time, happened, severity, why, rule, version, device, metric, start, value,
        level, received
    )
    select
        given.tenant,
        given.alert_id,
        given.log_time,
        given.event_time,
        given.happened,
        given.severity,
        given.why,
        given.rule,
        given.version,
        given.device,
        given.metric,
        given.start,
        given.value,
        given.level,
        given.received
    from given
    where given.log_time >= $2
    order by given.tenant, given.alert_id, given.log_time
    on conflict do nothing
    returning tenant, alert_id
)

select distinct
    kept.tenant,
    kept.alert_id
from kept
order by kept.tenant, kept.alert_id
