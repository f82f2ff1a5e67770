-- The episodes named in $1 (tenants) and $2 (alert ids), from all their events. Within one log time the event time
-- orders them, then what can only follow the other.
with touched as (
    select
        pair.tenant,
        pair.alert_id
    from unnest($1::text[], $2::text[]) as pair (tenant, alert_id)
),

ordered as (
    select
        event.*,
        row_number() over (
            partition by event.tenant, event.alert_id
            order by
                event.log_time desc,
                event.event_time desc,
                array_position(array['raised', 'escalated', 'deescalated', 'cleared'], event.happened) desc
        ) as newest,
        min(event.event_time) filter (where event.happened = 'raised') over episode as raised,
        max(event.event_time) filter (where event.happened = 'cleared') over episode as cleared,
        max(array_position(
            array['indeterminate', 'warning', 'minor', 'major', 'critical'], event.severity
        )) over episode as worst
    from alert_event as event
    inner join touched
        on
            event.tenant = touched.tenant
            and event.alert_id = touched.alert_id
    window episode as (partition by event.tenant, event.alert_id)
)

insert into alert (
    tenant, alert_id, rule, version, device, metric, severity, worst, start, raised, cleared, changed, why, value, level
)
select
    tenant,
    alert_id,
    rule,
    version,
    device,
    metric,
    severity,
    (array['indeterminate', 'warning', 'minor', 'major', 'critical'])[worst] as worst,
    start,
    coalesce(raised, start) as raised,
    cleared,
    log_time as changed,
    why,
    value,
    level
from ordered
where newest = 1
on conflict (tenant, alert_id) do update
    set
        rule = excluded.rule,
        version = excluded.version,
        severity = excluded.severity,
        worst = excluded.worst,
        raised = excluded.raised,
        cleared = excluded.cleared,
        changed = excluded.changed,
        why = excluded.why,
        value = excluded.value,
        level = excluded.level
