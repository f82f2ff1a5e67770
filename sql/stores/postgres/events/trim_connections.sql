-- Forgets connections that ended before $1 (epoch ms) and whose client id did not come back; a device keeps its newest.
delete from device_connection as old
where
    old.ended < $1
    and exists (
        select 1
        from device_connection as newer
        where
            newer.tenant = old.tenant
            and newer.device = old.device
            and newer.connection > old.connection
    )
