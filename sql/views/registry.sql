-- The version of each device that is in force, as a temporal join wants it: all versions, by their log time.
create temporary view registry as
select
    tenant,
    device,
    version,
    kind,
    site,
    zone,
    model,
    metrics,
    tags,
    appended
from (
    select
        tenant,
        device,
        version,
        kind,
        site,
        zone,
        model,
        metrics,
        tags,
        appended,
        row_number() over (
            partition by tenant, device
            order by appended desc
        ) as newest
    from device_registry
    where device is not null
) as versions
where newest = 1
