-- What was seen: sayings that nothing covers, and what was done once already.

local function added(kept, note)
  if not kept then return note end
  kept = cmsgpack.unpack(kept)
  kept[1] = kept[1] + note[1]
  kept[2] = math.min(kept[2], note[2])
  kept[3] = math.max(kept[3], note[3])
  if note[4] ~= '' then kept[4] = note[4] end
  if note[5] ~= '' then kept[5] = note[5] end
  return kept
end

-- KEYS sightings tombs; ARGV account limit (group key count first_at last_at text shipment)…: 1 for each that is new
local function note(keys, args)
  if #args > 2 + 7 * ITEMS then return {'bad', 'too many items'} end
  if tombstoned(keys[2], 'a:' .. args[1]) then return {'gone', 'account'} end
  local limit, answer = tonumber(args[2]), {'ok'}
  for i = 3, #args, 7 do
    local group, field = args[i], args[i] .. '\0' .. args[i + 1]
    local kept, new = redis.call('HGET', keys[1], field), 0
    if not kept and args[i + 1] ~= '' then
      if tonumber(redis.call('HGET', keys[1], group) or 0) < limit then
        redis.call('HINCRBY', keys[1], group, 1)
        new = 1
      else
        field = group .. '\0'
        kept = redis.call('HGET', keys[1], field)
      end
    end
    local said = {tonumber(args[i + 2]), tonumber(args[i + 3]), tonumber(args[i + 4]), args[i + 5], args[i + 6]}
    redis.call('HSET', keys[1], field, cmsgpack.pack(added(kept, said)))
    answer[#answer + 1] = new
  end
  return answer
end

-- KEYS sightings; ARGV (group key)…
local function forget(keys, args)
  if #args > 2 * ITEMS then return {'bad', 'too many items'} end
  for i = 1, #args, 2 do
    local gone = redis.call('HDEL', keys[1], args[i] .. '\0' .. args[i + 1])
    if gone == 1 and args[i + 1] ~= '' then redis.call('HINCRBY', keys[1], args[i], -1) end
  end
  return {'ok', 1}
end

-- KEYS marks; ARGV mark life most: what was done once, remembered for `life` ms among the `most` latest
local function mark(keys, args)
  local now, life = now_ms(), tonumber(args[2])
  redis.call('ZADD', keys[1], ms(now + life), args[1])
  redis.call('ZREMRANGEBYSCORE', keys[1], '-inf', ms(now))
  redis.call('ZREMRANGEBYRANK', keys[1], 0, -(tonumber(args[3]) + 1))
  redis.call('PEXPIRE', keys[1], ms(life))
  return {'ok', 1}
end

writes('note', note)
frees('mark', mark) -- who signs out of a full store has signed out
frees('forget', forget)
