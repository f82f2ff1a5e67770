-- Up to which log time all partitions ($2) of the raw log ($1) have come through the job into this store; null until
-- each is known.
select case when count(*) >= $2 then min(log_time) end as log_time
from log_time
where topic = $1
