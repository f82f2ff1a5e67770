-- The largest log time of each partition. KEYS[1]: the hash; ARGV: partition, log time (epoch ms), by turns.
for i = 1, #ARGV, 2 do
  local held = tonumber(redis.call('hget', KEYS[1], ARGV[i]) or '')
  if not held or tonumber(ARGV[i + 1]) > held then
    redis.call('hset', KEYS[1], ARGV[i], ARGV[i + 1])
  end
end
return 0
