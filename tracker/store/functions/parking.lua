-- Parking: what is said of waybills that nobody registered; quarantine: bodies that could not be read.

-- the name of a waybill's parking: the end of its key
local function name_of(parked)
  return string.sub(parked, -16)
end

local function weigh(weights, name, bytes) -- '': all of them together
  redis.call('HINCRBY', weights, name, bytes)
  redis.call('HINCRBY', weights, '', bytes)
end

local function forget_parked(waiting, weights, name)
  if redis.call('ZREM', waiting, name) == 0 then return end
  weigh(weights, name, -(redis.call('HGET', weights, name) or 0))
  redis.call('HDEL', weights, name)
  if redis.call('EXISTS', waiting) == 0 then redis.call('DEL', weights) end
end

local PARKED = 300 -- bytes that a waybill costs beside what is parked for it
local OVER = 50 -- waybills that one call names as too many

-- KEYS parked number tombs waiting weights; ARGV account field item limit ttl_ms most
-- 'parked', how many of this waybill's made room, and the (name, heard at) of those that have waited longest, while all of
-- them together weigh more than `most` (0: any weight)
local function park(keys, args)
  if tombstoned(keys[3], 'a:' .. args[1]) then return {'gone', 'account'} end
  local holder = redis.call('HGET', keys[2], args[2])
  if holder then return {'registered', holder} end
  local waiting, weights, name, now, ttl = keys[4], keys[5], name_of(keys[1]), now_ms(), tonumber(args[5])
  for _, one in ipairs(redis.call('ZRANGE', waiting, '-inf', ms(now - ttl), 'BYSCORE', 'LIMIT', 0, OVER)) do
    forget_parked(waiting, weights, one) -- its scans have expired
  end
  if redis.call('EXISTS', keys[1]) == 0 then
    forget_parked(waiting, weights, name)
    weigh(weights, name, PARKED)
  end
  weigh(weights, name, #args[3])
  local made_room = 0
  for _ = redis.call('RPUSH', keys[1], args[3]) - 1, tonumber(args[4]), -1 do
    weigh(weights, name, -#redis.call('LPOP', keys[1]))
    made_room = made_room + 1
  end
  redis.call('ZADD', waiting, ms(now), name)
  for _, key in ipairs({keys[1], waiting, weights}) do redis.call('PEXPIRE', key, args[5]) end
  local answer, over = {'parked', made_room}, tonumber(redis.call('HGET', weights, '')) - tonumber(args[6])
  if args[6] == '0' or over <= 0 then return answer end
  local longest = redis.call('ZRANGE', waiting, 0, OVER - 1, 'WITHSCORES')
  for i = 1, #longest, 2 do
    if over > 0 and longest[i] ~= name then
      answer[#answer + 1] = longest[i]
      answer[#answer + 1] = longest[i + 1]
      over = over - redis.call('HGET', weights, longest[i])
    end
  end
  return answer
end

-- KEYS waiting weights parked…; ARGV heard_at…: those of which nothing was heard since leave; how many scans those were
local function unpark(keys, args)
  local scans = 0
  for i, heard_at in ipairs(args) do
    local name = name_of(keys[2 + i])
    if tonumber(redis.call('ZSCORE', keys[1], name) or -1) == tonumber(heard_at) then
      scans = scans + redis.call('LLEN', keys[2 + i])
      redis.call('DEL', keys[2 + i])
      forget_parked(keys[1], keys[2], name)
    end
  end
  return {'ok', ms(scans)}
end

-- KEYS bodies index tombs; ARGV account id entry most: 'full' where all bodies would be longer than that (0: any length)
local function quarantine(keys, args)
  if tombstoned(keys[3], 'a:' .. args[1]) then return {'gone', 'account'} end
  local most = tonumber(args[4])
  if most > 0 and (redis.call('HGET', keys[1], '') or 0) + #args[3] > most then return {'full', args[4]} end
  redis.call('HSET', keys[1], args[2], args[3])
  redis.call('HINCRBY', keys[1], '', #args[3]) -- the length of all of them
  redis.call('ZADD', keys[2], ms(now_ms()), args[2])
  return {'ok', args[2]}
end

-- KEYS bodies index; ARGV id
local function release(keys, args)
  redis.call('ZREM', keys[2], args[1])
  local length = redis.call('HSTRLEN', keys[1], args[1])
  if redis.call('HDEL', keys[1], args[1]) == 0 then return {'none', 1} end
  redis.call('HINCRBY', keys[1], '', -length)
  if redis.call('EXISTS', keys[2]) == 0 then redis.call('DEL', keys[1]) end
  return {'ok', 1}
end

writes('park', park)
frees('unpark', unpark)
writes('quarantine', quarantine)
frees('release', release)
