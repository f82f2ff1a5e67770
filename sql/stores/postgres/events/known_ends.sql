-- An end that was only concluded from a restart of the broker gives way to the true one, which was still on its way.
delete from device_event as concluded
using
    jsonb_to_recordset($1::jsonb)
        as given (
            tenant text, device text, kind text, reason text, connection bigint, client text
        )
where
    given.kind = 'disconnected'
    and given.reason <> $2
    and concluded.tenant = given.tenant
    and concluded.device = given.device
    and concluded.client = given.client
    and concluded.connection = given.connection
    and concluded.kind = 'disconnected'
    and concluded.reason = $2
