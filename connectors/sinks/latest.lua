-- The newest row of each metric of one device. KEYS[1]: its hash; ARGV: the first generation that is not shown yet, the
-- number of generations in an epoch, then metric, row as JSON, by turns.
-- A field is set only by a row whose (pane, generation, count, as_of) is not lower, so replays and zombies change nothing.
-- A row that is not shown yet does not replace a row of the same pane that is of a lower epoch.
-- A held value that is no row (written by hand, or of another age) gives way.
local order = {'pane', 'generation', 'count', 'as_of'}
local hidden, step = tonumber(ARGV[1]), tonumber(ARGV[2])

local function outdated(held, row)
  for _, name in ipairs(order) do
    if type(held[name]) ~= 'number' or row[name] > held[name] then return true end
    if row[name] < held[name] then return false end
  end
  return true
end

local function waits(held, row)
  return row.generation >= hidden and type(held.generation) == 'number' and row.pane == held.pane
    and math.floor(row.generation / step) > math.floor(held.generation / step)
end

local set = 0
for i = 3, #ARGV, 2 do
  local text = redis.call('hget', KEYS[1], ARGV[i])
  local known, held = pcall(cjson.decode, text or '')
  local row = cjson.decode(ARGV[i + 1])
  if not known or type(held) ~= 'table' or (outdated(held, row) and not waits(held, row)) then
    redis.call('hset', KEYS[1], ARGV[i], ARGV[i + 1])
    set = set + 1
  end
end
return set
