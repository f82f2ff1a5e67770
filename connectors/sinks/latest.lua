-- The newest row of each metric of one device. KEYS[1]: its hash; ARGV: metric, row as JSON, by turns.
-- A field is set only by a row whose (pane, generation, count, as_of) is not lower, so replays and zombies change nothing.
-- A held value that is no row (written by hand, or of another age) gives way.
local order = {'pane', 'generation', 'count', 'as_of'}

local function outdated(held, row)
  for _, name in ipairs(order) do
    if type(held[name]) ~= 'number' or row[name] > held[name] then return true end
    if row[name] < held[name] then return false end
  end
  return true
end

local set = 0
for i = 1, #ARGV, 2 do
  local text = redis.call('hget', KEYS[1], ARGV[i])
  local known, held = pcall(cjson.decode, text or '')
  if not known or type(held) ~= 'table' or outdated(held, cjson.decode(ARGV[i + 1])) then
    redis.call('hset', KEYS[1], ARGV[i], ARGV[i + 1])
    set = set + 1
  end
end
return set
