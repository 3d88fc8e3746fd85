-- Control records: accounts, keys, connections, subscriptions; and the trail of who did what.

local function held_by(records, account) -- how many records of an account there are
  local found, cursor = 0, '0'
  repeat
    local answer = redis.call('HSCAN', records, cursor, 'MATCH', account .. '\0*', 'COUNT', 100 * ITEMS)
    cursor, found = answer[1], found + #answer[2] / 2
  until cursor == '0'
  return found
end

-- KEYS records versions tombs; ARGV kind account field value create most, 0 for any number
local function put_record(keys, args)
  if tombstoned(keys[3], 'a:' .. args[2]) then return {'gone', 'account'} end
  if args[5] == '1' then
    if redis.call('HEXISTS', keys[1], args[3]) == 1 then return {'exists', 1} end
    local most = tonumber(args[6] or 0)
    if most > 0 and held_by(keys[1], args[2]) >= most then return {'many', most} end
  end
  redis.call('HSET', keys[1], args[3], args[4])
  return {'ok', redis.call('HINCRBY', keys[2], args[1], 1)}
end

-- KEYS records versions; ARGV kind field
local function remove_record(keys, args)
  if redis.call('HDEL', keys[1], args[2]) == 0 then return {'none', 1} end
  return {'ok', redis.call('HINCRBY', keys[2], args[1], 1)}
end

-- KEYS records versions; ARGV kind field value [seen]: only where there is one, and still as it was seen
local function replace_record(keys, args)
  local kept = redis.call('HGET', keys[1], args[2])
  if not kept or (args[4] and kept ~= args[4]) then return {'none', 1} end
  redis.call('HSET', keys[1], args[2], args[3])
  return {'ok', redis.call('HINCRBY', keys[2], args[1], 1)}
end

-- KEYS trail tombs; ARGV account keep_ms keep act…
local function record_acts(keys, args)
  if tombstoned(keys[2], 'a:' .. args[1]) then return {'gone', 'account'} end
  for i = 4, #args do redis.call('XADD', keys[1], '*', '', args[i]) end
  redis.call('XTRIM', keys[1], 'MAXLEN', '=', args[3])
  redis.call('XTRIM', keys[1], 'MINID', '=', ms(now_ms() - args[2]))
  if redis.call('XLEN', keys[1]) == 0 then redis.call('DEL', keys[1]) end
  return {'ok', 1}
end

writes('put_record', put_record)
frees('put_record_that_frees', put_record)
frees('remove_record', remove_record)
frees('replace_record', replace_record)
frees('record_acts', record_acts)
