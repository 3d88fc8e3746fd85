-- What this store is, and the version of these functions.

-- KEYS meta; ARGV shards layout id known (primary replid replid2)…: what this store is; a replica that took over raises
-- the epoch. `id` is for a store that has none yet. 'other' where `known` is given and not the store's.
local function open_store(keys, args)
  local id = redis.call('HGET', keys[1], 'id')
  if args[4] ~= '' and id ~= args[4] then return {'other', id or ''} end
  redis.call('HSETNX', keys[1], 'shards', args[1])
  redis.call('HSETNX', keys[1], 'layout', args[2])
  redis.call('HSETNX', keys[1], 'epoch', 1)
  redis.call('HSETNX', keys[1], 'id', args[3])
  for i = 5, #args, 3 do
    local field = 'primary:' .. args[i]
    local before = redis.call('HGET', keys[1], field)
    if before and before ~= args[i + 1] and before == args[i + 2] then redis.call('HINCRBY', keys[1], 'epoch', 1) end
    if before ~= args[i + 1] then redis.call('HSET', keys[1], field, args[i + 1]) end
  end
  local facts = redis.call('HMGET', keys[1], 'shards', 'layout', 'epoch', 'id')
  return {'ok', facts[1], facts[2], facts[3], facts[4], redis.call('HEXISTS', keys[1], 'marked')}
end

-- KEYS fence: a write of no consequence, behind which `WAIT` waits; for the replicas alone, so that no log grows by it here
local function fence(keys)
  redis.set_repl(redis.REPL_REPLICA)
  redis.call('SET', keys[1], '')
  return {'ok', 1}
end

local function version()
  return {'ok', '@VERSION@'}
end

frees('open', open_store)
frees('fence', fence)
reads('version', version)
