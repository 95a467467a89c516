-- Give back what is due. Holds wait in one list per 10 ms of deadline, which costs less than one sorted set.
-- KEYS: where the last sweep ended. Returns how many holds expired.
local time = redis.call('TIME')
local now = math.floor((time[1] * 1000 + time[2] / 1000) / 10)
local at = tonumber(redis.call('GET', KEYS[1]) or now - 1)
local expired = 0
while at < now - 1 do
  at = at + 1
  local due = redis.call('LRANGE', 'due:' .. at, 0, -1)
  for hold = 1, #due, 3 do
    -- One that was confirmed or released meanwhile is not there any more.
    if redis.call('DEL', due[hold]) == 1 then
      redis.call('INCRBY', due[hold + 1], due[hold + 2])
      expired = expired + 1
    end
  end
  redis.call('DEL', 'due:' .. at)
end
redis.call('SET', KEYS[1], at)
return expired
