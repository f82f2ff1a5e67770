insert into sink_offset (sink, topic, partition, "offset")
values ($1, $2, $3, $4)
on conflict (sink, topic, partition) do update
    set "offset" = excluded."offset"
