-- The agenda: what is due when, claimed under a lease and settled.

-- KEYS due claim; ARGV limit
local function due_peek(keys, args)
  local waiting = redis.call('ZCOUNT', keys[1], '-inf', ms(now_ms()))
  return {'ok', math.min(waiting, tonumber(args[1])), redis.call('EXISTS', keys[2])}
end

-- KEYS due leases claim; ARGV claim limit lease_ms
local function due_claim(keys, args)
  local claim, answer = args[1], {'ok'}
  local kept = redis.call('GET', keys[3])
  if kept then
    kept = cmsgpack.unpack(kept)
    for i = 1, #kept, 2 do
      if redis.call('HGET', keys[2], kept[i]) == claim then
        answer[#answer + 1] = kept[i]
        answer[#answer + 1] = kept[i + 1]
      end
    end
    return answer
  end
  local now, limit = now_ms(), math.min(tonumber(args[2]), ITEMS)
  local found = redis.call('ZRANGEBYSCORE', keys[1], '-inf', ms(now), 'WITHSCORES', 'LIMIT', 0, limit)
  for i = 1, #found, 2 do
    redis.call('ZADD', keys[1], ms(now + args[3]), found[i])
    redis.call('HSET', keys[2], found[i], claim)
    answer[i + 1], answer[i + 2] = found[i], found[i + 1]
  end
  if #found > 0 then redis.call('SET', keys[3], cmsgpack.pack(found), 'PX', args[3]) end
  return answer
end

-- KEYS due leases; ARGV (id claim next)…
local function due_settle(keys, args)
  if #args > 3 * ITEMS then return {'bad', 'too many items'} end
  local settled = 0
  for i = 1, #args, 3 do
    if redis.call('HGET', keys[2], args[i]) == args[i + 1] then
      redis.call('HDEL', keys[2], args[i])
      if args[i + 2] == '' then
        redis.call('ZREM', keys[1], args[i])
      else
        redis.call('ZADD', keys[1], args[i + 2], args[i])
      end
      settled = settled + 1
    end
  end
  return {'ok', settled}
end

reads('due_peek', due_peek)
frees('due_claim', due_claim)
frees('due_settle', due_settle)
