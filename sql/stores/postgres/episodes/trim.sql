-- Forgets episodes that were cleared and have not changed since $1 (epoch ms of log time), and what belongs to them.
with gone as (
    delete from alert
    where
        cleared is not null
        and changed < $1
    returning tenant, alert_id
),

events as (
    delete from alert_event
    using gone
    where
        alert_event.tenant = gone.tenant
        and alert_event.alert_id = gone.alert_id
),

said as (
    delete from alert_acknowledged
    using gone
    where
        alert_acknowledged.tenant = gone.tenant
        and alert_acknowledged.alert_id = gone.alert_id
)

select count(*) from gone
