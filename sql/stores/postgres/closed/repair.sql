insert into pane_repair as held (tenant, device, metric, pane, generation, cause, count_before, count_after)
values ($1, $2, $3, to_timestamp($4::bigint / 1000), $5, $6, $7, $8)
on conflict (tenant, device, metric, pane) do update
    set
        generation = greatest(held.generation, excluded.generation),
        cause = excluded.cause,
        count_before = excluded.count_before,
        count_after = excluded.count_after,
        repaired = excluded.repaired
