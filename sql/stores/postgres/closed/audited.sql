insert into pane_audit as held (minute, rows, missing, fewer, more, changed, unfounded)
values (to_timestamp($1::bigint / 1000), $2, $3, $4, $5, $6, $7)
on conflict (minute) do update
    set
        rows = excluded.rows,
        missing = held.missing + excluded.missing,
        fewer = held.fewer + excluded.fewer,
        more = held.more + excluded.more,
        changed = held.changed + excluded.changed,
        unfounded = greatest(held.unfounded, excluded.unfounded),
        audited = excluded.audited
