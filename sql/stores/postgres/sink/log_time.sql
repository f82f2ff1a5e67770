insert into log_time as held (topic, partition, log_time)
values ($1, $2, $3)
on conflict (topic, partition) do update
    set log_time = greatest(held.log_time, excluded.log_time)
