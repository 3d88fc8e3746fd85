#!lua name=milepost
-- Every write of the store. Each function validates all, then writes; answers a list that begins with a word;
-- touches the keys of one shard, all declared; calls `redis.*` only (Redis 7 and Valkey).
-- Binary layouts: id = 6 bytes; document = version u32, revision u32, bytes; position in the feed = ms u48, seq u32;
-- change = id, revision u32, kind code; lane = msgpack [claim, lease_until, attempt, account, (revision, kind, at)…].

local ITEMS = 1000 -- the most that one call may carry

local function now_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function ms(number)
  return string.format('%.0f', number)
end

local function head_of(key)
  local head = redis.call('GETRANGE', key, 0, 7)
  if #head < 8 then return 0, 0 end
  local version, revision = struct.unpack('>I4I4', head)
  return version, revision
end

local function position_of(stream_id)
  local at, seq = string.match(stream_id, '^(%d+)-(%d+)$')
  return struct.pack('>I6I4', tonumber(at), tonumber(seq))
end

local function stream_id_of(position)
  local at, seq = struct.unpack('>I6I4', position)
  return ms(at) .. '-' .. ms(seq)
end

local function after(a, b) -- compared as numbers: strings would follow the server's locale
  local a_at, a_seq = struct.unpack('>I6I4', a)
  local b_at, b_seq = struct.unpack('>I6I4', b)
  return a_at > b_at or (a_at == b_at and a_seq > b_seq)
end

local function tombstoned(key, name)
  return redis.call('SISMEMBER', key, name) == 1
end

-- shipments ---------------------------------------------------------------------------------------------------------

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

local function announce(feed, bodies, account_feed, account, id, revision, kind, body)
  local change = id .. struct.pack('>I4', revision)
  local stream_id = redis.call('XADD', feed, '*', account, change .. kind)
  redis.call('RPUSH', account_feed, position_of(stream_id))
  redis.call('HSET', bodies, change, body)
end

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

-- KEYS doc due leases feed bodies account_feed tombs index_before index_after stalled parked order_before order_after number…
--      [waiting weights], where something was parked
-- ARGV account id expected document registered_at had_before stalled_before stalled_after due parked
--      order_before order_after channel publish n_numbers field… n_changes (kind body)…
local function commit(keys, args)
  local account, id, expected = args[1], args[2], tonumber(args[3])
  local numbers = tonumber(args[15])
  local changes = tonumber(args[16 + numbers])
  if numbers > ITEMS or changes > ITEMS then return {'bad', 'too many items'} end
  if tombstoned(keys[7], 'a:' .. account) then return {'gone', 'account'} end
  local version, revision = head_of(keys[1])
  if version ~= expected then return {'conflict', version} end
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
  if args[8] == '1' and args[7] == '0' then redis.call('ZADD', keys[10], args[5], id) end
  if args[8] == '0' and args[7] == '1' then redis.call('ZREM', keys[10], id) end
  if args[9] == '' then redis.call('ZREM', keys[2], id) else redis.call('ZADD', keys[2], args[9], id) end
  redis.call('HDEL', keys[3], id)
  if args[11] ~= args[12] then
    if args[11] ~= '' then unlist_order(keys[12], args[11], id) end
    if args[12] ~= '' then list_order(keys[13], args[12], id) end
  end
  for i = 1, numbers do redis.call('HSETNX', keys[13 + i], args[15 + i], id) end
  if expected == 0 and args[10] ~= '0' then
    redis.call('DEL', keys[11])
    forget_parked(keys[14 + numbers], keys[15 + numbers], name_of(keys[11]))
  end
  for i = 1, changes do
    local at = 16 + numbers + 2 * i
    announce(keys[4], keys[5], keys[6], account, id, revision + i, args[at - 1], args[at])
  end
  if changes > 0 then redis.call(args[14], args[13], account) end -- its waiting readers wake, and no others
  return {'ok', version + 1, revision + changes}
end

-- KEYS doc due leases feed bodies account_feed index stalled order number…
-- ARGV account id expected order channel publish n_numbers field… [kind body]
local function delete(keys, args)
  local account, id, expected = args[1], args[2], tonumber(args[3])
  local version, revision = head_of(keys[1])
  if version ~= expected then return {'conflict', version} end
  local numbers = tonumber(args[7])
  redis.call('DEL', keys[1])
  redis.call('ZREM', keys[2], id)
  redis.call('HDEL', keys[3], id)
  redis.call('ZREM', keys[7], id)
  redis.call('ZREM', keys[8], id)
  if args[4] ~= '' then unlist_order(keys[9], args[4], id) end
  for i = 1, numbers do
    if redis.call('HGET', keys[9 + i], args[7 + i]) == id then redis.call('HDEL', keys[9 + i], args[7 + i]) end
  end
  if args[8 + numbers] then
    announce(keys[4], keys[5], keys[6], account, id, revision + 1, args[8 + numbers], args[9 + numbers])
    redis.call(args[6], args[5], account)
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

-- agenda ------------------------------------------------------------------------------------------------------------

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

-- feed --------------------------------------------------------------------------------------------------------------

-- KEYS feed fanned; ARGV limit
local function unfanned(keys, args)
  local cursor = redis.call('GET', keys[2]) or '0-0'
  local answer = {'ok', cursor}
  for _, entry in ipairs(redis.call('XRANGE', keys[1], '(' .. cursor, '+', 'COUNT', args[1])) do
    answer[#answer + 1] = entry[1]
    answer[#answer + 1] = entry[2][1]
    answer[#answer + 1] = entry[2][2]
  end
  return answer
end

local function last_position(feed, marks)
  local facts = redis.pcall('XINFO', 'STREAM', feed) -- the last that was ever there: a sweep may have taken it out again
  for i = 1, #facts, 2 do
    if facts[i] == 'last-generated-id' then return position_of(facts[i + 1]) end
  end
  return redis.call('HGET', marks, '') or struct.pack('>I6I4', 0, 0)
end

-- KEYS feed marks
local function feed_head(keys)
  return {'ok', last_position(keys[1], keys[2])}
end

local function first_after(list, length, position) -- index of the first entry after the position
  local low, high = 0, length
  while low < high do
    local middle = math.floor((low + high) / 2)
    if after(redis.call('LINDEX', list, middle), position) then high = middle else low = middle + 1 end
  end
  return low
end

-- KEYS feed account_feed marks; ARGV account position limit: 'old' where the account's entries were trimmed past it.
-- Answers where one stands who has read all: at the account's own last entry, so that no neighbour moves it. Then whether
-- there is more, the position that was read from, and how many entries the account ever had up to there and up to the last
-- one read: by place in its list, whatever a reader was given before.
local function feed_read(keys, args)
  local position, limit = args[2], tonumber(args[3])
  local mark, length = redis.call('HGET', keys[3], args[1]), redis.call('LLEN', keys[2])
  local origin = mark or struct.pack('>I6I4', 0, 0)
  local last = redis.call('LINDEX', keys[2], -1) or origin
  local from, start = 0, origin
  if position ~= '' then
    local read = not after(last, position)
    if (mark and after(mark, position)) or (read and position ~= last and after(position, last_position(keys[1], keys[3]))) then
      return {'old', position}
    end
    from, start = read and length or first_after(keys[2], length, position), position
  end
  local trimmed = tonumber(redis.call('HGET', keys[3], args[1] .. '#') or 0)
  local more = from + limit < length
  local answer = {'ok', last, more and 'more' or 'end', start, trimmed + from, trimmed + math.min(from + limit, length)}
  if from >= length then return answer end
  for _, at in ipairs(redis.call('LRANGE', keys[2], from, from + limit - 1)) do
    local stream_id = stream_id_of(at)
    local entry = redis.call('XRANGE', keys[1], stream_id, stream_id)[1]
    if entry then
      answer[#answer + 1] = stream_id
      answer[#answer + 1] = entry[2][2]
    end
  end
  return answer
end

-- KEYS feed marks; ARGV position ('' for none): where the feed ends, and the last entry of each account that has some after
-- the position; 'many' where these are too many to tell, or the feed ends before it.
local function committed(keys, args)
  local position, last, answer, place = args[1], last_position(keys[1], keys[2]), {'ok'}, {}
  answer[2] = last
  if position == '' or position == last then return answer end
  if after(position, last) then return {'many', last} end
  local entries = redis.call('XRANGE', keys[1], '(' .. stream_id_of(position), '+', 'COUNT', ITEMS)
  if #entries == ITEMS then return {'many', last} end
  for _, entry in ipairs(entries) do
    local account = entry[2][1]
    if not place[account] then
      place[account] = #answer + 2
      answer[#answer + 1] = account
    end
    answer[place[account]] = position_of(entry[1])
  end
  return answer
end

-- KEYS feed fanned; ARGV keep_ms keep_entries: how far the feed may be trimmed, and the accounts that it touches
local function trim_plan(keys, args)
  local fanned = position_of(redis.call('GET', keys[2]) or '0-0')
  local oldest, spare = now_ms() - tonumber(args[1]), redis.call('XLEN', keys[1]) - tonumber(args[2])
  local upto, accounts, seen = '-', {}, {}
  for i, entry in ipairs(redis.call('XRANGE', keys[1], '-', '+', 'COUNT', ITEMS)) do
    local at = tonumber(string.match(entry[1], '^%d+'))
    if after(position_of(entry[1]), fanned) or (at >= oldest and i > spare) then break end
    upto = entry[1]
    if not seen[entry[2][1]] then
      seen[entry[2][1]] = true
      accounts[#accounts + 1] = entry[2][1]
    end
  end
  return {'ok', upto, accounts}
end

-- KEYS feed fanned marks account_feed…; ARGV upto account…
local function trim(keys, args)
  local upto = position_of(args[1])
  if after(upto, position_of(redis.call('GET', keys[2]) or '0-0')) then return {'bad', 'not fanned out yet'} end
  for i = 2, #args do
    local list = keys[i + 2]
    local gone = first_after(list, redis.call('LLEN', list), upto)
    if gone > 0 then
      redis.call('HSET', keys[3], args[i], redis.call('LINDEX', list, gone - 1))
      redis.call('HINCRBY', keys[3], args[i] .. '#', gone)
      redis.call('LTRIM', list, gone, -1)
    end
  end
  local at, seq = struct.unpack('>I6I4', upto)
  local trimmed = redis.call('XTRIM', keys[1], 'MINID', '=', ms(at) .. '-' .. ms(seq + 1))
  redis.call('HSET', keys[3], '', upto)
  return {'ok', trimmed}
end

-- lanes -------------------------------------------------------------------------------------------------------------

local function refresh_ready(ready, queue, destination)
  local head = redis.call('ZRANGE', queue, 0, 0, 'WITHSCORES')
  if head[2] then redis.call('ZADD', ready, head[2], destination) else redis.call('ZREM', ready, destination) end
end

local function release_body(bodies, pending, change)
  if redis.call('HINCRBY', pending, change, -1) > 0 then return end
  redis.call('HDEL', pending, change)
  redis.call('HDEL', bodies, change)
end

local function claimed(answer, bodies, destination, id, lane)
  local body = redis.call('HGET', bodies, id .. struct.pack('>I4', lane[5]))
  if not body then return end
  for _, value in ipairs({destination, lane[4], id, lane[5], lane[6], lane[3], ms(lane[7]), ms(lane[2]), body}) do
    answer[#answer + 1] = value
  end
end

local function has_due_work(queue, now)
  local head = redis.call('ZRANGE', queue, 0, 0, 'WITHSCORES')
  return head[2] and tonumber(head[2]) <= now
end

-- KEYS feed fanned lanes ready bodies pending tombs claim queue…
-- ARGV cursor upto channel publish claim lease_ms n_destinations (destination quota)…
--      (destination_index account id revision kind)…
-- Lanes that were empty are claimed at once, a destination's as far as its quota goes and unless others have waited longer.
local function fan_out(keys, args)
  local cursor = redis.call('GET', keys[2]) or '0-0'
  if cursor ~= args[1] then return {'behind', cursor} end
  if not after(position_of(args[2]), position_of(cursor)) then return {'bad', 'upto is not after the cursor'} end
  local entries, counts = redis.call('XRANGE', keys[1], '(' .. cursor, args[2]), {}
  for _, entry in ipairs(entries) do counts[string.sub(entry[2][2], 1, 10)] = 0 end
  local now, destinations = now_ms(), tonumber(args[7])
  local names, quotas = {}, {}
  for i = 1, destinations do
    local name = args[6 + 2 * i]
    if not tombstoned(keys[7], 'd:' .. name) then
      local quota = tonumber(args[7 + 2 * i])
      names[i] = name
      quotas[i] = quota > 0 and not has_due_work(keys[8 + i], now) and quota or 0
    end
  end
  local lanes, fresh, put = {}, {}, 0
  for i = 8 + 2 * destinations, #args, 5 do
    local which, account, id, revision = tonumber(args[i]), args[i + 1], args[i + 2], tonumber(args[i + 3])
    local change = id .. struct.pack('>I4', revision)
    if names[which] and counts[change] and not tombstoned(keys[7], 'a:' .. account) then
      local field = names[which] .. '\0' .. id
      local lane = lanes[field]
      if not lane then
        local kept = redis.call('HGET', keys[3], field)
        lane = kept and cmsgpack.unpack(kept) or {'', 0, 0, account}
        lanes[field] = lane
        if not kept then fresh[#fresh + 1] = {which, id, lane} end
      end
      lane[#lane + 1], lane[#lane + 2], lane[#lane + 3] = revision, args[i + 4], now
      counts[change] = counts[change] + 1
      put = put + 1
    end
  end
  local answer, taken, touched, left = {'ok', put}, {}, {}, false
  for _, one in ipairs(fresh) do
    local which, id, lane = one[1], one[2], one[3]
    touched[which] = true
    if quotas[which] > 0 then
      quotas[which] = quotas[which] - 1
      lane[1], lane[2], lane[3] = args[5], now + tonumber(args[6]), 1
      taken[#taken + 1], taken[#taken + 2] = names[which], id
      redis.call('ZADD', keys[8 + which], ms(lane[2]), id)
      claimed(answer, keys[5], names[which], id, lane)
    else
      left = true
      redis.call('ZADD', keys[8 + which], ms(now), id)
    end
  end
  for field, lane in pairs(lanes) do redis.call('HSET', keys[3], field, cmsgpack.pack(lane)) end
  for which in pairs(touched) do refresh_ready(keys[4], keys[8 + which], names[which]) end
  for change, count in pairs(counts) do
    if count == 0 then redis.call('HDEL', keys[5], change) end
    if count > 1 then redis.call('HSET', keys[6], change, count) end
  end
  redis.call('SET', keys[2], args[2])
  if #taken > 0 then redis.call('SET', keys[8], cmsgpack.pack(taken), 'PX', args[6]) end
  if left then redis.call(args[4], args[3], '') end
  return answer
end

-- KEYS ready claim; ARGV limit excluded…: destinations with work now, oldest first
local function lanes_peek(keys, args)
  local limit, now, excluded = tonumber(args[1]), ms(now_ms()), {}
  for i = 2, #args do excluded[args[i]] = true end
  local answer, offset = {'ok', redis.call('EXISTS', keys[2])}, 0
  while #answer < limit + 2 and offset < 20 * ITEMS do
    local batch = redis.call('ZRANGEBYSCORE', keys[1], '-inf', now, 'LIMIT', offset, ITEMS)
    for _, destination in ipairs(batch) do
      if not excluded[destination] and #answer < limit + 2 then answer[#answer + 1] = destination end
    end
    if #batch < ITEMS then break end
    offset = offset + ITEMS
  end
  return answer
end

local function claimed_before(keys, claim, kept, answer)
  kept = cmsgpack.unpack(kept)
  for i = 1, #kept, 2 do
    local lane = redis.call('HGET', keys[1], kept[i] .. '\0' .. kept[i + 1])
    lane = lane and cmsgpack.unpack(lane)
    if lane and lane[1] == claim then claimed(answer, keys[3], kept[i], kept[i + 1], lane) end
  end
  return answer
end

-- KEYS lanes ready bodies claim queue…; ARGV claim lease_ms (destination quota)…
local function lanes_claim(keys, args)
  local claim, answer = args[1], {'ok'}
  local kept = redis.call('GET', keys[4])
  if kept then return claimed_before(keys, claim, kept, answer) end
  local now = now_ms()
  local until_ms, taken = now + tonumber(args[2]), {}
  for i = 3, #args, 2 do
    local destination, queue = args[i], keys[4 + (i - 1) / 2]
    local quota = math.min(tonumber(args[i + 1]), ITEMS)
    for _, id in ipairs(redis.call('ZRANGEBYSCORE', queue, '-inf', ms(now), 'LIMIT', 0, quota)) do
      local field = destination .. '\0' .. id
      local lane = redis.call('HGET', keys[1], field)
      if lane then
        lane = cmsgpack.unpack(lane)
        lane[1], lane[2], lane[3] = claim, until_ms, lane[3] + 1
        redis.call('HSET', keys[1], field, cmsgpack.pack(lane))
        redis.call('ZADD', queue, ms(until_ms), id)
        taken[#taken + 1], taken[#taken + 2] = destination, id
        claimed(answer, keys[3], destination, id, lane)
      else
        redis.call('ZREM', queue, id)
      end
    end
    refresh_ready(keys[2], queue, destination)
  end
  if #taken > 0 then redis.call('SET', keys[4], cmsgpack.pack(taken), 'PX', args[2]) end
  return answer
end

local function pop_head(keys, queue, field, id, lane, now)
  release_body(keys[3], keys[4], id .. struct.pack('>I4', lane[5]))
  for _ = 1, 3 do table.remove(lane, 5) end
  if #lane < 5 then
    redis.call('HDEL', keys[1], field)
    redis.call('ZREM', queue, id)
    return
  end
  lane[1], lane[2], lane[3] = '', 0, 0
  redis.call('HSET', keys[1], field, cmsgpack.pack(lane))
  redis.call('ZADD', queue, ms(now), id)
end

local function drop_lane(keys, queue, field, id, lane)
  for i = 5, #lane, 3 do release_body(keys[3], keys[4], id .. struct.pack('>I4', lane[i])) end
  redis.call('HDEL', keys[1], field)
  redis.call('ZREM', queue, id)
end

local function bury(keys, dead, dead_index, destination, id, lane, detail, dead_id, now)
  if tombstoned(keys[5], 'a:' .. lane[4]) then return end
  local body = redis.call('HGET', keys[3], id .. struct.pack('>I4', lane[5])) or ''
  detail = string.sub(detail, 1, 1000)
  local head = struct.pack('>I4I4I6I2I2I2', lane[5], lane[3], now, #destination, #lane[6], #detail)
  redis.call('HSET', dead, dead_id, id .. head .. destination .. lane[6] .. detail .. body)
  redis.call('ZADD', dead_index, ms(now), dead_id .. destination)
end

-- KEYS lanes ready bodies pending tombs (queue dead dead_index)…
-- ARGV (destination id revision claim outcome retry_at detail dead_id)…
local function lanes_settle(keys, args)
  if #args > 8 * ITEMS then return {'bad', 'too many items'} end
  local now, touched, settled = now_ms(), {}, 0
  for i = 1, #args, 8 do
    local destination, id, outcome = args[i], args[i + 1], args[i + 4]
    local at = 5 + 3 * (i - 1) / 8
    local queue, field = keys[at + 1], destination .. '\0' .. id
    local lane = redis.call('HGET', keys[1], field)
    lane = lane and cmsgpack.unpack(lane)
    if lane and lane[1] == args[i + 3] and lane[5] == tonumber(args[i + 2]) then
      if tombstoned(keys[5], 'd:' .. destination) then
        drop_lane(keys, queue, field, id, lane)
      elseif outcome == 'retry' or outcome == 'held' then
        lane[1], lane[2] = '', 0
        if outcome == 'held' then lane[3] = math.max(lane[3] - 1, 0) end -- it was never attempted
        redis.call('HSET', keys[1], field, cmsgpack.pack(lane))
        redis.call('ZADD', queue, args[i + 5], id)
      else
        if outcome == 'dead' then
          bury(keys, keys[at + 2], keys[at + 3], destination, id, lane, args[i + 6], args[i + 7], now)
        end
        pop_head(keys, queue, field, id, lane, now)
      end
      touched[destination] = queue
      settled = settled + 1
    end
  end
  for destination, queue in pairs(touched) do refresh_ready(keys[2], queue, destination) end
  return {'ok', settled}
end

-- KEYS lanes; ARGV account cursor: some of the destinations that the account has lanes for
local function lanes_of(keys, args)
  local found = redis.call('HSCAN', keys[1], args[2], 'COUNT', ITEMS)
  local answer, seen = {'ok', found[1]}, {}
  for i = 1, #found[2], 2 do
    local destination = string.sub(found[2][i], 1, -8)
    if not seen[destination] and cmsgpack.unpack(found[2][i + 1])[4] == args[1] then
      seen[destination] = true
      answer[#answer + 1] = destination
    end
  end
  return answer
end

-- KEYS tombs log…; ARGV keep (destination entry)…: attempts for the destinations' delivery logs, newest first
local function log(keys, args)
  for i = 2, #args, 2 do
    local list = keys[1 + i / 2]
    local account = string.match(list, '}L:([^:]*):')
    if not tombstoned(keys[1], 'd:' .. args[i]) and not tombstoned(keys[1], 'a:' .. account) then
      redis.call('LPUSH', list, args[i + 1])
      redis.call('LTRIM', list, 0, args[1] - 1)
    end
  end
  return {'ok', 1}
end

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

-- tombstones and sweeping -------------------------------------------------------------------------------------------

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

-- parking and quarantine --------------------------------------------------------------------------------------------

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

-- control records ---------------------------------------------------------------------------------------------------

-- KEYS records versions tombs; ARGV kind account field value create
local function put_record(keys, args)
  if tombstoned(keys[3], 'a:' .. args[2]) then return {'gone', 'account'} end
  if args[5] == '1' and redis.call('HEXISTS', keys[1], args[3]) == 1 then return {'exists', 1} end
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

-- sightings ---------------------------------------------------------------------------------------------------------

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

-- KEYS marks; ARGV mark life most: a push that was taken, remembered for `life` ms among the `most` latest
local function mark(keys, args)
  local now, life = now_ms(), tonumber(args[2])
  redis.call('ZADD', keys[1], ms(now + life), args[1])
  redis.call('ZREMRANGEBYSCORE', keys[1], '-inf', ms(now))
  redis.call('ZREMRANGEBYRANK', keys[1], 0, -(tonumber(args[3]) + 1))
  redis.call('PEXPIRE', keys[1], ms(life))
  return {'ok', 1}
end

local function version()
  return {'ok', '@VERSION@'}
end

local function writes(name, callback)
  redis.register_function({function_name = 'milepost_' .. name, callback = callback})
end

local function frees(name, callback) -- runs in a full store too, or it could never empty
  redis.register_function({function_name = 'milepost_' .. name, callback = callback, flags = {'allow-oom'}})
end

local function reads(name, callback)
  redis.register_function({function_name = 'milepost_' .. name, callback = callback, flags = {'no-writes'}})
end

writes('commit', commit)
frees('delete', delete)
writes('alias', alias)
frees('unalias', unalias)
reads('page', page)
reads('cards', cards)
reads('due_peek', due_peek)
frees('due_claim', due_claim)
frees('due_settle', due_settle)
reads('unfanned', unfanned)
reads('feed_head', feed_head)
reads('feed_read', feed_read)
reads('committed', committed)
reads('trim_plan', trim_plan)
frees('trim', trim)
writes('fan_out', fan_out)
reads('lanes_peek', lanes_peek)
frees('lanes_claim', lanes_claim)
frees('lanes_settle', lanes_settle)
frees('log', log)
reads('lanes_of', lanes_of)
writes('replay', replay)
writes('relay', relay)
frees('bury', bury_name)
frees('sweep_lanes', sweep_lanes)
frees('sweep_feed', sweep_feed)
frees('sweep_shipments', sweep_shipments)
frees('sweep_numbers', sweep_numbers)
writes('park', park)
frees('unpark', unpark)
writes('quarantine', quarantine)
frees('release', release)
writes('put_record', put_record)
frees('remove_record', remove_record)
frees('replace_record', replace_record)
frees('record_acts', record_acts)
writes('note', note)
writes('mark', mark)
frees('forget', forget)
writes('open', open_store)
reads('version', version)
