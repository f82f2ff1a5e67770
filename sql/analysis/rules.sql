-- The newest version of each rule; a deletion is a version too. `payload` is all of it.
create temporary view rules as
select
    tenant,
    rule,
    version,
    deleted,
    severity,
    kind,
    metric,
    payload,
    log_time
from (
    select
        *,
        row_number() over (
            partition by tenant, rule
            order by version desc
        ) as place
    from (
        select
            json_value(payload, '$$.tenant') as tenant,
            json_value(payload, '$$.rule') as rule,
            cast(json_value(payload, '$$.version') as bigint) as version,
            coalesce(json_value(payload, '$$.deleted') = 'true', false) as deleted,
            json_value(payload, '$$.severity') as severity,
            json_value(payload, '$$.when.kind') as kind,
            json_value(payload, '$$.when.metric') as metric,
            payload,
            extract(epoch from appended) * 1000 + extract(millisecond from appended) as log_time
        from alert_rules
    ) as records
    where rule is not null
) as versions
where place = 1
