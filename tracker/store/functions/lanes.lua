-- Lanes: the fan-out fills them, a worker claims their heads and settles them.

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
-- ARGV cursor upto proof channel publish claim lease_ms n_destinations (destination quota)…
--      (destination_index account id revision kind)…
-- Where there is a proof, the caller must know of every entry in between: 'unknown' says that it does not.
-- Lanes that were empty are claimed at once, a destination's as far as its quota goes and unless others have waited longer.
local function fan_out(keys, args)
  local cursor = redis.call('GET', keys[2]) or '0-0'
  if cursor ~= args[1] then return {'behind', cursor} end
  if not after(position_of(args[2]), position_of(cursor)) then return {'bad', 'upto is not after the cursor'} end
  local entries, counts, positions = redis.call('XRANGE', keys[1], '(' .. cursor, args[2]), {}, {}
  for i, entry in ipairs(entries) do
    positions[i] = entry[1]
    counts[string.sub(entry[2][2], 1, 10)] = 0
  end
  if args[3] ~= '' and redis.sha1hex(table.concat(positions, ',')) ~= args[3] then return {'unknown', cursor} end
  local now, destinations = now_ms(), tonumber(args[8])
  local names, quotas = {}, {}
  for i = 1, destinations do
    local name = args[7 + 2 * i]
    if not tombstoned(keys[7], 'd:' .. name) then
      local quota = tonumber(args[8 + 2 * i])
      names[i] = name
      quotas[i] = quota > 0 and not has_due_work(keys[8 + i], now) and quota or 0
    end
  end
  local lanes, fresh, put = {}, {}, 0
  for i = 9 + 2 * destinations, #args, 5 do
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
      lane[1], lane[2], lane[3] = args[6], now + tonumber(args[7]), 1
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
  if #taken > 0 then redis.call('SET', keys[8], cmsgpack.pack(taken), 'PX', args[7]) end
  if left then redis.call(args[5], args[4], '') end
  return answer
end

-- KEYS ready claim; ARGV limit excluded…
-- Whether the claim was made before, whether due work was passed over, the ms until more is due (-1: never), and the
-- destinations with due work, oldest first.
local function lanes_peek(keys, args)
  local limit, now, excluded = tonumber(args[1]), now_ms(), {}
  for i = 2, #args do excluded[args[i]] = true end
  local answer, offset = {'ok', redis.call('EXISTS', keys[2]), 0, -1}, 0
  while #answer < limit + 4 and offset < 20 * ITEMS do
    local batch = redis.call('ZRANGEBYSCORE', keys[1], '-inf', ms(now), 'LIMIT', offset, ITEMS)
    for _, destination in ipairs(batch) do
      if excluded[destination] then
        answer[3] = 1
      elseif #answer < limit + 4 then
        answer[#answer + 1] = destination
      end
    end
    if #batch < ITEMS then break end
    offset = offset + ITEMS
  end
  local later = redis.call('ZRANGEBYSCORE', keys[1], '(' .. ms(now), '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
  if later[2] then answer[4] = math.min(tonumber(later[2]) - now, 2 ^ 31) end
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

-- Whether another change waits behind it.
local function pop_head(keys, queue, field, id, lane, now)
  release_body(keys[3], keys[4], id .. struct.pack('>I4', lane[5]))
  for _ = 1, 3 do table.remove(lane, 5) end
  if #lane < 5 then
    redis.call('HDEL', keys[1], field)
    redis.call('ZREM', queue, id)
    return false
  end
  lane[1], lane[2], lane[3] = '', 0, 0
  redis.call('HSET', keys[1], field, cmsgpack.pack(lane))
  redis.call('ZADD', queue, ms(now), id)
  return true
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
-- Answers how many it settled, and whether anything waits in their lanes still.
local function lanes_settle(keys, args)
  if #args > 8 * ITEMS then return {'bad', 'too many items'} end
  local now, touched, settled, waits = now_ms(), {}, 0, 0
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
        waits = 1
      else
        if outcome == 'dead' then
          bury(keys, keys[at + 2], keys[at + 3], destination, id, lane, args[i + 6], args[i + 7], now)
        end
        if pop_head(keys, queue, field, id, lane, now) then waits = 1 end
      end
      touched[destination] = queue
      settled = settled + 1
    end
  end
  for destination, queue in pairs(touched) do refresh_ready(keys[2], queue, destination) end
  return {'ok', settled, waits}
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

frees('fan_out', fan_out) -- bounded by what was taken in; what is not fanned out can't be delivered, nor trimmed
reads('lanes_peek', lanes_peek)
frees('lanes_claim', lanes_claim)
frees('lanes_settle', lanes_settle)
frees('log', log)
reads('lanes_of', lanes_of)
