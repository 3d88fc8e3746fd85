-- What goes into a lane once more: a dead letter, a change of the past.

local function holds(lane, revision)
  for i = 5, #lane, 3 do
    if lane[i] == revision then return true end
  end
  return false
end

-- A ref that becomes the head is due now, and its attempts count from the first.
local function insert_ref(keys, queue, destination, account, id, revision, kind, now)
  local field = destination .. '\0' .. id
  local kept = redis.call('HGET', keys[1], field)
  local lane = kept and cmsgpack.unpack(kept) or {'', 0, 0, account}
  if holds(lane, revision) then
    if lane[5] == revision and lane[1] == '' then redis.call('ZADD', queue, ms(now), id) end
    return false
  end
  local place = lane[1] == '' and 5 or 8 -- never before a head that is out for delivery
  while lane[place] and lane[place] < revision do place = place + 3 end
  table.insert(lane, place, now)
  table.insert(lane, place, kind)
  table.insert(lane, place, revision)
  if place == 5 then
    lane[3] = 0
    redis.call('ZADD', queue, ms(now), id)
  end
  redis.call('HSET', keys[1], field, cmsgpack.pack(lane))
  return true
end

local function hold_body(bodies, pending, change, body)
  if redis.call('HSETNX', bodies, change, body) == 1 then return end
  if redis.call('HEXISTS', pending, change) == 0 then redis.call('HSET', pending, change, 1) end
  redis.call('HINCRBY', pending, change, 1)
end

-- KEYS lanes ready bodies pending tombs dead dead_index queue; ARGV account dead_id destination channel publish
local function replay(keys, args)
  local account, dead_id, destination = args[1], args[2], args[3]
  local kept = redis.call('HGET', keys[6], dead_id)
  if not kept then return {'none', dead_id} end
  if tombstoned(keys[5], 'd:' .. destination) or tombstoned(keys[5], 'a:' .. account) then return {'gone', destination} end
  local id, now = string.sub(kept, 1, 6), now_ms()
  local revision, _, _, name_size, kind_size, detail_size, at = struct.unpack('>I4I4I6I2I2I2', kept, 7)
  local kind = string.sub(kept, at + name_size, at + name_size + kind_size - 1)
  local body = string.sub(kept, at + name_size + kind_size + detail_size)
  if insert_ref(keys, keys[8], destination, account, id, revision, kind, now) then
    hold_body(keys[3], keys[4], id .. struct.pack('>I4', revision), body)
  end
  redis.call('HDEL', keys[6], dead_id)
  redis.call('ZREM', keys[7], dead_id .. destination)
  refresh_ready(keys[2], keys[8], destination)
  redis.call(args[5], args[4], '')
  return {'ok', dead_id}
end

-- KEYS lanes ready bodies pending tombs fanned queue
-- ARGV destination account channel publish (id revision kind position body)…
-- Changes into the destination's lanes again. For each: 'kept' where its body still lies here, 'put' where it does not and
-- one was given, 'lost' where there is neither, 'waits' where the lane has it already, or will get it by fan-out.
local function relay(keys, args)
  if #args > 4 + 5 * ITEMS then return {'bad', 'too many items'} end
  local destination, account, now = args[1], args[2], now_ms()
  if tombstoned(keys[5], 'd:' .. destination) or tombstoned(keys[5], 'a:' .. account) then return {'gone', destination} end
  local fanned, answer = position_of(redis.call('GET', keys[6]) or '0-0'), {'ok'}
  for i = 5, #args, 5 do
    local id, revision, body = args[i], tonumber(args[i + 1]), args[i + 4]
    local change, became = id .. struct.pack('>I4', revision), 'waits'
    local kept = redis.call('HEXISTS', keys[3], change) == 1
    if not after(position_of(args[i + 3]), fanned) then
      if not kept and body == '' then
        became = 'lost'
      elseif insert_ref(keys, keys[7], destination, account, id, revision, args[i + 2], now) then
        hold_body(keys[3], keys[4], change, body)
        became = kept and 'kept' or 'put'
      end
    end
    answer[#answer + 1] = became
  end
  refresh_ready(keys[2], keys[7], destination)
  redis.call(args[4], args[3], '')
  return answer
end

writes('replay', replay)
writes('relay', relay)
