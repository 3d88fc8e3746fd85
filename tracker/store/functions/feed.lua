-- The feed: reading it, how far it is fanned out, trimming it.

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

reads('unfanned', unfanned)
reads('feed_head', feed_head)
reads('feed_read', feed_read)
reads('committed', committed)
reads('trim_plan', trim_plan)
frees('trim', trim)
