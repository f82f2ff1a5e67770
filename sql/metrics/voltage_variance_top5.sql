-- The variance of the five devices of a tenant that vary most in a pane, and 0 for the others: a row that was served once
-- can be amended, but not taken back, so a device that falls out must be told of.
select
    tenant,
    device,
    pane,
    case when place <= 5 then variance else 0e0 end as `value`,
    n,
    generation,
    as_of,
    received
from (
    select
        tenant,
        device,
        pane,
        variance,
        n,
        generation,
        as_of,
        received,
        row_number() over (partition by tenant, pane order by variance desc, device asc) as place
    from (
        select
            tenant,
            device,
            pane,
            greatest(sum_sq / `count` - (`sum` / `count`) * (`sum` / `count`), 0e0) as variance,
            `count` as n,
            generation,
            as_of,
            received
        from panes
    ) as spread
) as ranked
where place <= 1000
