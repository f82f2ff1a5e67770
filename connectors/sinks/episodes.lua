-- Joins what is known of alerts of one tenant (headwater.model.episode). KEYS[1]: the hash of those that are active,
-- KEYS[2]: the sorted set of those that were cleared; ARGV: now, the time before which cleared ones are forgotten, the
-- most that are remembered, then episodes as JSON.
-- Every part is a largest or a smallest and what was cleared stays so: repeats and order change nothing. Numbers that
-- were measured stay text, as cjson would round them.
local happened = {raised = 1, escalated = 2, deescalated = 3, cleared = 4}
local severity = {indeterminate = 1, warning = 2, minor = 3, major = 4, critical = 5}

local function newer(one, other)
  if one.changed ~= other.changed then return one.changed > other.changed end
  if one.event_time ~= other.event_time then return one.event_time > other.event_time end
  if one.happened ~= other.happened then return happened[one.happened] > happened[other.happened] end
  return severity[one.severity] > severity[other.severity]
end

local function smaller(one, other)
  if type(one) ~= 'number' then return other end
  return (type(other) ~= 'number' or one < other) and one or other
end

local function joined(held, held_text, given, given_text)
  local text = newer(given, held) and given_text or held_text
  local worst = severity[given.worst] > severity[held.worst] and given.worst or held.worst
  local raised = smaller(held.raised, given.raised)
  raised = type(raised) == 'number' and string.format('%.0f', raised) or 'null'
  return '{"worst":"' .. worst .. '","raised":' .. raised .. ',' .. text:sub(text:find('"alert_id":', 1, true), -1)
end

local function is_episode(held)
  return type(held) == 'table' and type(held.changed) == 'number' and type(held.event_time) == 'number'
    and happened[held.happened] and severity[held.severity] and severity[held.worst]
end

for i = 4, #ARGV do
  local given = cjson.decode(ARGV[i])
  if type(given.cleared) == 'number' then
    redis.call('hdel', KEYS[1], given.alert_id)
    redis.call('zadd', KEYS[2], ARGV[1], given.alert_id)
  elseif not redis.call('zscore', KEYS[2], given.alert_id) then
    local text = redis.call('hget', KEYS[1], given.alert_id)
    local known, held = pcall(cjson.decode, text or '')
    -- A held value that is no episode (written by hand, or of another age) gives way.
    local after = known and is_episode(held) and joined(held, text, given, ARGV[i]) or ARGV[i]
    if after ~= text then redis.call('hset', KEYS[1], given.alert_id, after) end
  end
end
redis.call('zremrangebyscore', KEYS[2], '-inf', '(' .. ARGV[2])
redis.call('zremrangebyrank', KEYS[2], 0, -1 - tonumber(ARGV[3]))
return redis.call('hlen', KEYS[1])
