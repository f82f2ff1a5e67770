-- From the bytes of a record, as they stand on Kafka, to rows. Nothing is kept in `raw_record` and `raw_pack`: they are
-- the two steps through which an insert runs. No record can make an insert fail, whatever its bytes.

-- What the sink inserts: `value` is the record, the rest says where it lies. `cap`: most stamps of a pack.
create table if not exists raw_record
(
    log_number UInt16,
    log_partition UInt32,
    log_offset UInt64,
    log_time Int64,
    cap UInt16,
    value String
)
engine = Null;

-- The record taken apart, and why it is not taken: empty where it is. `series`: metric, kind, numbers (0|1 for flags),
-- texts; the list that the kind does not use is empty.
create table if not exists raw_pack
(
    log_number UInt16,
    log_partition UInt32,
    log_offset UInt64,
    log_time Int64,
    tenant String,
    device String,
    pane Int64,
    at Array(Int64),
    series Array(Tuple(String, Enum8('number' = 0, 'text' = 1, 'flag' = 2), Array(Nullable(Float64)), Array(Nullable(String)))),
    received Int64,
    reason String,
    detail String
)
engine = Null;

-- The same conditions as in sql/views/packs.sql, in the same order: what the job counts is stored, and nothing else.
create materialized view if not exists raw_pack_of_record to raw_pack as
select
    log_number,
    log_partition,
    log_offset,
    log_time,
    coalesce(tenant, '') as tenant,
    coalesce(device, '') as device,
    coalesce(pane, 0) as pane,
    offsets as at,
    if(
        flaw != '',
        [],
        arrayConcat(
            arrayMap(
                (metric, list) -> (metric, 'number', list, []),
                mapKeys(metrics), mapValues(metrics)
            ),
            arrayMap(
                (metric, list) -> (metric, 'text', [], list),
                mapKeys(texts), mapValues(texts)
            ),
            arrayMap(
                (metric, list) -> (metric, 'flag', arrayMap(flag -> toFloat64(flag), list), []),
                mapKeys(flags), mapValues(flags)
            )
        )
    ) as series,
    coalesce(received, 0) as received,
    multiIf(
        flaw != '', 'bad-record',
        pane < edge and tenant != '_pulse', 'past-retention',
        ''
    ) as reason,
    multiIf(
        flaw != '', flaw,
        pane < edge and tenant != '_pulse', concat('expected a pane from ', toString(edge), ' on, got ', toString(pane)),
        ''
    ) as detail
from (
    select
        *,
        multiIf(
            json_type != 'Object', 'expected a pack as JSON',
            v is null or v != 1, 'expected schema version 1',
            tenant is null or device is null, 'expected a tenant and a device',
            pane is null or pane < 0 or pane > 253402300790000 or pane % 10000 != 0,
            'expected a pane: epoch ms, a multiple of 10000',
            empty(stamps), 'expected at least one offset in at',
            length(stamps) > cap, 'expected no more offsets in at than the cap of a pack',
            has(stamps, null) or offsets[1] < 0 or offsets[-1] > 9999 or arraySort(arrayDistinct(offsets)) != offsets,
            'expected at strictly ascending, each in [0, 10000)',
            empty(metrics) and empty(texts) and empty(flags), 'expected metrics, texts or flags',
            arrayExists(
                list -> length(list) != length(stamps)
                or arrayExists(number -> not coalesce(abs(number) < 1e100, 0), list),
                mapValues(metrics)
            ),
            'expected as many numbers in each metric as offsets in at',
            ''
        ) as flaw
    from (
        select
            log_number,
            log_partition,
            log_offset,
            log_time,
            cap,
            json_type,
            tupleElement(pack, 'v') as v,
            tupleElement(pack, 'tenant') as tenant,
            tupleElement(pack, 'device') as device,
            tupleElement(pack, 'pane') as pane,
            tupleElement(pack, 'at') as stamps,
            arrayMap(stamp -> assumeNotNull(stamp), stamps) as offsets,
            tupleElement(pack, 'metrics') as metrics,
            tupleElement(pack, 'texts') as texts,
            tupleElement(pack, 'flags') as flags,
            tupleElement(pack, 'received') as received
        from (
            select
                log_number,
                log_partition,
                log_offset,
                log_time,
                cap,
                toString(JSONType(value)) as json_type,
                JSONExtract(
                    value,
                    'Tuple(v Nullable(Int64), tenant Nullable(String), device Nullable(String), pane Nullable(Int64),
                    at Array(Nullable(Int64)), metrics Map(String, Array(Nullable(Float64))),
                    texts Map(String, Array(Nullable(String))), flags Map(String, Array(Nullable(Bool))),
                    received Nullable(Int64))'
                ) as pack
            from raw_record
        ) as extracted
    ) as named
) as checked
cross join (select max(before_ms) as edge from raw_edge) as retention;

create materialized view if not exists raw_refused_of_pack to raw_refused as
select
    log_number,
    log_partition,
    log_offset,
    log_time,
    tenant,
    device,
    reason,
    detail
from raw_pack
where reason != '';

-- Beats of the pulse are no readings. Nothing is aggregated of texts and flags, so the job does not check their
-- lists: a stamp that has no text or flag there is left out.
create materialized view if not exists reading_of_pack to reading as
select
    tenant,
    device,
    tupleElement(one, 1) as metric,
    tupleElement(one, 2) as kind,
    pane + at[place] as ts,
    coalesce(tupleElement(one, 3)[place], 0) as value,
    coalesce(tupleElement(one, 4)[place], '') as text,
    log_partition,
    log_offset,
    log_time,
    received,
    18446744073709551615 - (toUInt64(log_number) * 18014398509481984 + log_offset * 1024 + log_partition) as version
from (
    select
        *,
        arrayEnumerate(at) as places
    from raw_pack
    where reason = '' and tenant != '_pulse'
) as taken
array join series as one
array join places as place
where if(kind = 'text', tupleElement(one, 4)[place] is not null, tupleElement(one, 3)[place] is not null);
