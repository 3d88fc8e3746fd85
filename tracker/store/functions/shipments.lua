-- Shipments: the one commit, deletion, other numbers, and lists.

local function without(ids, id)
  local rest = {}
  for at = 1, #ids, 6 do
    local one = string.sub(ids, at, at + 5)
    if one ~= id then rest[#rest + 1] = one end
  end
  return table.concat(rest)
end

local function unlist_order(bucket, field, id)
  local rest = without(redis.call('HGET', bucket, field) or '', id)
  if rest == '' then redis.call('HDEL', bucket, field) else redis.call('HSET', bucket, field, rest) end
end

local function list_order(bucket, field, id)
  redis.call('HSET', bucket, field, without(redis.call('HGET', bucket, field) or '', id) .. id)
end

-- What a wake-up says of the change: its position, and the change as the feed has it.
local function announce(feed, bodies, account_feed, account, id, revision, kind, body)
  local change = id .. struct.pack('>I4', revision)
  local stream_id = redis.call('XADD', feed, '*', account, change .. kind)
  local position = position_of(stream_id)
  redis.call('RPUSH', account_feed, position)
  redis.call('HSET', bodies, change, body)
  return position .. struct.pack('B', #change + #kind) .. change .. kind
end

-- Fan-out hears of the changes, and of the account's readers those who wait.
local function wake(publish, channel, account, told)
  redis.call(publish, channel, account .. '\0' .. table.concat(told))
end

-- KEYS doc due leases feed bodies account_feed tombs index_before index_after stalled parked order_before order_after number…
--      [waiting weights], where something was parked
-- ARGV account id expected document registered_at had_before stalled_before stalled_after due parked (stalled: its rank, 0 for no)
--      order_before order_after channel publish n_numbers field… n_changes (kind body)… most of one order here, 0 for any number
local function commit(keys, args)
  local account, id, expected = args[1], args[2], tonumber(args[3])
  local numbers = tonumber(args[15])
  local changes = tonumber(args[16 + numbers])
  if numbers > ITEMS or changes > ITEMS then return {'bad', 'too many items'} end
  if tombstoned(keys[7], 'a:' .. account) then return {'gone', 'account'} end
  local version, revision = head_of(keys[1])
  if version ~= expected then return {'conflict', version} end
  local most = tonumber(args[17 + numbers + 2 * changes] or 0)
  if most > 0 and args[12] ~= '' and args[11] ~= args[12] then
    local held = redis.call('HGET', keys[13], args[12]) -- read whole by who asks for the order, and written anew with each
    if held and #held >= 6 * most then return {'many', most} end
  end
  if expected == 0 then
    local holder = numbers > 0 and redis.call('HGET', keys[14], args[16])
    if holder and holder ~= id then return {'taken', holder} end
    if redis.call('LLEN', keys[11]) ~= tonumber(args[10]) then return {'conflict', 'parked'} end
  end

  redis.call('SET', keys[1], struct.pack('>I4I4', version + 1, revision + changes) .. args[4])
  if args[6] == '0' then
    redis.call('ZADD', keys[9], args[5], id)
  elseif keys[8] ~= keys[9] then
    redis.call('ZREM', keys[8], id)
    redis.call('ZADD', keys[9], args[5], id)
  end
  if args[8] == '0' then
    if args[7] ~= '0' then redis.call('ZREM', keys[10], id) end
  elseif args[7] ~= args[8] then
    redis.call('ZADD', keys[10], args[8], id)
  end
  if args[9] == '' then redis.call('ZREM', keys[2], id) else redis.call('ZADD', keys[2], args[9], id) end
  redis.call('HDEL', keys[3], id)
  if args[11] ~= args[12] then
    if args[11] ~= '' then unlist_order(keys[12], args[11], id) end
    if args[12] ~= '' then list_order(keys[13], args[12], id) end
  end
  local answer = {'ok', version + 1, revision + changes} -- and (field holder)… of its numbers that another one has
  for i = 1, numbers do
    if redis.call('HSETNX', keys[13 + i], args[15 + i], id) == 0 and i > 1 then
      local holder = redis.call('HGET', keys[13 + i], args[15 + i])
      if holder ~= id then answer[#answer + 1], answer[#answer + 2] = args[15 + i], holder end
    end
  end
  if expected == 0 and args[10] ~= '0' then
    redis.call('DEL', keys[11])
    forget_parked(keys[14 + numbers], keys[15 + numbers], name_of(keys[11]))
  end
  local told = {}
  for i = 1, changes do
    local at = 16 + numbers + 2 * i
    told[i] = announce(keys[4], keys[5], keys[6], account, id, revision + i, args[at - 1], args[at])
  end
  if changes > 0 then wake(args[14], args[13], account, told) end
  return answer
end

-- KEYS doc due leases feed bodies account_feed index stalled order deleted number…
-- ARGV account id expected order channel publish aliases n_numbers field… [kind body]
-- `aliases`: in other shards, noted until they are gone there
local function delete(keys, args)
  local account, id, expected = args[1], args[2], tonumber(args[3])
  local version, revision = head_of(keys[1])
  if version ~= expected then return {'conflict', version} end
  local numbers = tonumber(args[8])
  redis.call('DEL', keys[1])
  redis.call('ZREM', keys[2], id)
  redis.call('HDEL', keys[3], id)
  redis.call('ZREM', keys[7], id)
  redis.call('ZREM', keys[8], id)
  if args[4] ~= '' then unlist_order(keys[9], args[4], id) end
  for i = 1, numbers do
    if redis.call('HGET', keys[10 + i], args[8 + i]) == id then redis.call('HDEL', keys[10 + i], args[8 + i]) end
  end
  if args[7] ~= '' then redis.call('HSET', keys[10], id, args[7]) end
  if args[9 + numbers] then
    local told = announce(keys[4], keys[5], keys[6], account, id, revision + 1, args[9 + numbers], args[10 + numbers])
    wake(args[6], args[5], account, {told})
  end
  return {'ok', version}
end

-- KEYS number tombs; ARGV account field holder: an alias whose shipment lives in another shard
local function alias(keys, args)
  if tombstoned(keys[2], 'a:' .. args[1]) then return {'gone', 'account'} end
  redis.call('HSETNX', keys[1], args[2], args[3])
  return {'ok', redis.call('HGET', keys[1], args[2])}
end

-- KEYS number; ARGV field holder
local function unalias(keys, args)
  if redis.call('HGET', keys[1], args[1]) == args[2] then redis.call('HDEL', keys[1], args[1]) end
  return {'ok', 1}
end

local function page_of(key, score, bound, limit, suffix, found)
  local function take(max, min, below)
    local offset, taken = 0, 0
    while taken < limit and offset < 10 * ITEMS do
      local batch = redis.call('ZREVRANGEBYSCORE', key, max, min, 'WITHSCORES', 'LIMIT', offset, limit)
      for i = 1, #batch, 2 do
        local number = struct.unpack('>I6', batch[i])
        if number < below and (suffix == '' or string.sub(batch[i], 7) == suffix) and taken < limit then
          found[#found + 1] = {tonumber(batch[i + 1]), number, batch[i]}
          taken = taken + 1
        end
      end
      if #batch < 2 * limit then return end
      offset = offset + limit
    end
  end
  if bound == '' then return take(score, '-inf', math.huge) end
  take(score, score, tonumber(bound))
  take('(' .. score, '-inf', math.huge)
end

-- KEYS index…; ARGV score bound limit suffix: members below (score, bound), highest first
local function page(keys, args)
  local limit, found = tonumber(args[3]), {}
  for _, key in ipairs(keys) do page_of(key, args[1], args[2], limit, args[4], found) end
  table.sort(found, function(a, b) return a[1] > b[1] or (a[1] == b[1] and a[2] > b[2]) end)
  local answer = {'ok'}
  for i = 1, math.min(limit, #found) do
    answer[2 * i] = ms(found[i][1])
    answer[2 * i + 1] = found[i][3]
  end
  return answer
end

-- KEYS index…
local function cards(keys)
  local answer = {'ok'}
  for i, key in ipairs(keys) do answer[i + 1] = redis.call('ZCARD', key) end
  return answer
end

writes('commit', commit)
frees('delete', delete)
writes('alias', alias)
frees('unalias', unalias)
reads('page', page)
reads('cards', cards)
