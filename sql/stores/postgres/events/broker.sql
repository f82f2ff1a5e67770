insert into broker_start (broker, connection, at)
values ($1, $2, $3)
on conflict (broker) do update
    set
        connection = excluded.connection,
        at = excluded.at
    where excluded.connection > broker_start.connection
