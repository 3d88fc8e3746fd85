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

local function writes(name, callback)
  redis.register_function({function_name = 'milepost_' .. name, callback = callback})
end

local function frees(name, callback) -- runs in a full store too, or it could never empty
  redis.register_function({function_name = 'milepost_' .. name, callback = callback, flags = {'allow-oom'}})
end

local function reads(name, callback)
  redis.register_function({function_name = 'milepost_' .. name, callback = callback, flags = {'no-writes'}})
end
