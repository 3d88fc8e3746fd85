-- Tombstones, and taking away what an account or a destination leaves, a bounded number a call.

-- KEYS tombs; ARGV name
local function bury_name(keys, args)
  redis.call('SADD', keys[1], args[1])
  return {'ok', 1}
end

-- KEYS lanes ready bodies pending tombs queue; ARGV destination limit: 'more' until its lanes are gone
local function sweep_lanes(keys, args)
  for _, id in ipairs(redis.call('ZRANGE', keys[6], 0, args[2] - 1)) do
    local field = args[1] .. '\0' .. id
    local lane = redis.call('HGET', keys[1], field)
    if lane then drop_lane(keys, keys[6], field, id, cmsgpack.unpack(lane)) else redis.call('ZREM', keys[6], id) end
  end
  refresh_ready(keys[2], keys[6], args[1])
  return {redis.call('EXISTS', keys[6]) == 1 and 'more' or 'ok', 1}
end

-- KEYS feed account_feed bodies pending; ARGV limit: 'more' until the account's entries are gone, and their bodies
local function sweep_feed(keys, args)
  for _, at in ipairs(redis.call('LRANGE', keys[2], 0, args[1] - 1)) do
    local stream_id = stream_id_of(at)
    local entry = redis.call('XRANGE', keys[1], stream_id, stream_id)[1]
    if entry then
      local change = string.sub(entry[2][2], 1, 10)
      redis.call('HDEL', keys[3], change)
      redis.call('HDEL', keys[4], change)
      redis.call('XDEL', keys[1], stream_id)
    end
  end
  redis.call('LTRIM', keys[2], args[1], -1)
  return {redis.call('EXISTS', keys[2]) == 1 and 'more' or 'ok', 1}
end

-- KEYS index stalled due leases doc…; ARGV id…
local function sweep_shipments(keys, args)
  for i, id in ipairs(args) do
    redis.call('ZREM', keys[1], id)
    redis.call('ZREM', keys[2], id)
    redis.call('ZREM', keys[3], id)
    redis.call('HDEL', keys[4], id)
    redis.call('DEL', keys[4 + i])
  end
  return {'ok', #args}
end

-- KEYS number; ARGV (field seen rest)…: fields that still hold what was seen become the rest, or go
local function sweep_numbers(keys, args)
  for i = 1, #args, 3 do
    if redis.call('HGET', keys[1], args[i]) == args[i + 1] then
      if args[i + 2] == '' then
        redis.call('HDEL', keys[1], args[i])
      else
        redis.call('HSET', keys[1], args[i], args[i + 2])
      end
    end
  end
  return {'ok', 1}
end

frees('bury', bury_name)
frees('sweep_lanes', sweep_lanes)
frees('sweep_feed', sweep_feed)
frees('sweep_shipments', sweep_shipments)
frees('sweep_numbers', sweep_numbers)
