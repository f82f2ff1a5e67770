-- Ends every connection that is older than the newest start of the broker, and answers which.
update device_connection
set
    ended = broker_start.at,
    reason = $1
from broker_start
where
    device_connection.ended is null
    and device_connection.connection < broker_start.connection
returning
    device_connection.tenant,
    device_connection.device,
    broker_start.at,
    device_connection.connection,
    device_connection.client,
    device_connection.address,
    device_connection.protocol
