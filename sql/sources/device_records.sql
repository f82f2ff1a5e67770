-- What the registry says of devices, whole. It counts from its log time plus a delay, as versions of rules do.
create temporary table device_records -- noqa: PRS
with (
    'topic' = '${device_registry}'
) like alert_rules (overwriting options)
