insert into sink_offset (sink, topic, partition, "offset", log_id)
values ($1, $2, $3, $4, $5)
on conflict (sink, topic, partition) do update
    set
        "offset" = excluded."offset",
        log_id = excluded.log_id
