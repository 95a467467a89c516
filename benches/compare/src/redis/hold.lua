-- Take if enough, once per id. KEYS: the cell's available units, the hold. ARGV: quantity, lifetime in ms.
-- Returns 1 held, 0 out of stock, 2 held before by the same id.
if not redis.call('SET', KEYS[2], ARGV[1], 'NX') then return 2 end
if redis.call('DECRBY', KEYS[1], ARGV[1]) < 0 then
  redis.call('INCRBY', KEYS[1], ARGV[1])
  redis.call('DEL', KEYS[2])
  return 0
end
local time = redis.call('TIME')
local due = math.floor((time[1] * 1000 + time[2] / 1000 + ARGV[2]) / 10)
redis.call('RPUSH', 'due:' .. due, KEYS[2], KEYS[1], ARGV[1])
return 1
