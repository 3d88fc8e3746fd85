-- What this store is, and the version of these functions.

-- KEYS meta; ARGV shards layout (primary replid replid2)…: what this store is; a replica that took over raises the epoch
local function open_store(keys, args)
  redis.call('HSETNX', keys[1], 'shards', args[1])
  redis.call('HSETNX', keys[1], 'layout', args[2])
  redis.call('HSETNX', keys[1], 'epoch', 1)
  for i = 3, #args, 3 do
    local field = 'primary:' .. args[i]
    local before = redis.call('HGET', keys[1], field)
    if before and before ~= args[i + 1] and before == args[i + 2] then redis.call('HINCRBY', keys[1], 'epoch', 1) end
    if before ~= args[i + 1] then redis.call('HSET', keys[1], field, args[i + 1]) end
  end
  local facts = redis.call('HMGET', keys[1], 'shards', 'layout', 'epoch')
  return {'ok', facts[1], facts[2], facts[3]}
end

local function version()
  return {'ok', '@VERSION@'}
end

writes('open', open_store)
reads('version', version)
