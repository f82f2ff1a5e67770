-- Every pack once, with what was known of its device.
insert into enriched_data (
    record_key, v, tenant, device, pane, `at`, metrics, texts, flags, received, log_partition, log_offset, known_as,
    kind, site, zone, model, tags, described, stamp
)
select
    concat(tenant, '/', device) as record_key,
    v,
    tenant,
    device,
    pane,
    `at`,
    metrics,
    texts,
    flags,
    received,
    log_partition,
    log_offset,
    known_as,
    kind,
    site,
    zone,
    model,
    tags,
    described,
    cast(appended as timestamp_ltz(3)) as stamp
from enriched
