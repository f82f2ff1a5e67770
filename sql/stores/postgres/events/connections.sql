insert into device_connection (tenant, device, client, connection, since, ended, reason, address, protocol)
select
    given.tenant,
    given.device,
    given.client,
    given.connection,
    given.since,
    given.ended,
    given.reason,
    given.address,
    given.protocol
from
    jsonb_to_recordset($1::jsonb)
        as given (
            tenant text,
            device text,
            client text,
            connection bigint,
            since bigint,
            ended bigint,
            reason text,
            address text,
            protocol text
        )
on conflict (tenant, device, client) do update
    set
        connection = excluded.connection,
        since = case
            when excluded.connection > device_connection.connection then excluded.since
            else coalesce(excluded.since, device_connection.since)
        end,
        ended = case
            when excluded.connection > device_connection.connection then excluded.ended
            else coalesce(excluded.ended, device_connection.ended)
        end,
        reason = case
            when excluded.connection > device_connection.connection or excluded.ended is not null then excluded.reason
            else device_connection.reason
        end,
        address = excluded.address,
        protocol = excluded.protocol
    where excluded.connection >= device_connection.connection
