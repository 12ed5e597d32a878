-- What all scripts of this package share. KEYS, the same for every script:
--   1     the epoch (redisdb), of all providers of one type
--   2     pools that wait for a permit and hold none: pool id -> "since seen" (ms)
--   3, 4  leases and state of the provider over all its keys (entity 0)
--   5, 6  leases and state of its first key (entity 1), and so on
-- Leases are a ZSET of lease id by end (ms). State is a hash:
--   rt, nt    request and number rate: when the next may go (us)
--   rb, nb    the same before the last grant, for a refund
--   nl        numbers granted within the window: "us:n us:n", oldest first
--   ns        grants within a slot of that many us share an entry
--   li, lg    lease id and time (us) of the last grant
--   pu, pw    paused until (ms), and why
--   ec, eu    calls at once that the upstream bears, and since when (ms); it grows
--   qn, qa    quarantine: failures in a row, time of the next probe (ms)
--   qw, qp    why, and the lease id of the probe that is out
--   qs, an    when it began (ms), and the reason that operators were told last
--   ba bu bp  balance: amount, unit, 1 if postpaid; bt is when it was read (ms)
--   bx, bd    when a worker last took its turn to read it, and the next turn (ms)
--   bv        the amount at which the upstream's "no balance" was not believed
--   bl, be    the bound below which it was announced as low, and the id of that
--             event until it is published
--   lc lr ln  lowest limits announced, each with its end (ms) in lcu lru lnu
--   ck        entity 0: this clock (ms) when the state was last written
-- All times are this server's clock, and written by int(): tostring() keeps 14 digits.

local time = redis.call('TIME')
local now_us = time[1] * 1000000 + time[2]
local now = math.floor(now_us / 1000)

local function int(x) return string.format('%.0f', x) end

-- num is x as a number, or 0 for a field that is missing.
local function num(x) return x and tonumber(x) or 0 end

-- What no pool renewed for a week belongs to a key that is no longer used.
local unused_ttl = 7 * 24 * 3600 * 1000

-- bearable is how many calls at once the upstream seems to bear: half of what it
-- refused as too much, and one more for each quiet interval since. math.huge where
-- it has not complained, or so long ago that it does not matter.
local quiet = 10000
local function bearable(ec, eu)
  if not ec then return math.huge end
  return tonumber(ec) + math.max(0, math.floor((now - tonumber(eu)) / quiet))
end

-- backoff is how long a quarantine lasts after n failures in a row.
local function backoff(n) return math.min(60000 * 2 ^ (n - 1), 3600000) end

-- quarantine counts one failure, and another only when the probe failed: calls
-- that were on the wire at the first one fail for the same reason.
local function quarantine(state, why)
  local h = redis.call('HMGET', state, 'qn', 'qp')
  local n = num(h[1])
  if n > 0 and (not h[2] or h[2] == '') then return end
  redis.call('HSET', state, 'qn', int(n + 1), 'qa', int(now + backoff(n + 1)), 'qw', why, 'qp', '')
  if n == 0 then redis.call('HSET', state, 'qs', int(now)) end
  redis.call('PEXPIRE', state, int(unused_ttl))
end

-- resume ends a quarantine and a pause of that reason, and no other.
local function resume(state, why)
  local h = redis.call('HMGET', state, 'qw', 'pw')
  if h[1] == why then redis.call('HDEL', state, 'qn', 'qa', 'qw', 'qp', 'qs') end
  if h[2] == why then redis.call('HDEL', state, 'pu', 'pw') end
end

-- A clock that goes back, or jumps over a whole lease while leases stand, makes
-- their ends meaningless. It is treated as lost data: holders put back what they
-- hold, and nothing is granted until the leases of all others are over.
local function clock_broke(lease)
  local last = redis.call('HGET', KEYS[4], 'ck')
  if not last then return false end
  last = tonumber(last)
  return now < last - 1000 or (now > last + lease and redis.call('ZCARD', KEYS[3]) > 0)
end

-- epoch returns id and begin (ms) of the current epoch, and whether the server hides
-- who it is (see lookupq_epoch). When it is new, no lease may end later than a lease
-- from now.
local function epoch(fresh, lease)
  local id, created, new, hides = lookupq_epoch(KEYS[1], now, fresh)
  if not new and clock_broke(lease) then
    redis.call('DEL', KEYS[1])
    id, created, new = lookupq_epoch(KEYS[1], now, fresh)
  end
  if not new then return id, created, hides end
  redis.call('HSET', KEYS[4], 'ck', int(now))
  for i = 3, #KEYS, 2 do
    for _, m in ipairs(redis.call('ZRANGEBYSCORE', KEYS[i], '(' .. int(now + lease), '+inf')) do
      redis.call('ZADD', KEYS[i], int(now + lease), m)
    end
  end
  return id, created, hides
end

-- parse_log reads nl: list of {us, n}, and its sum, without what is older than
-- since or was written by a clock far ahead of this one (see clock_broke).
local function parse_log(text, since)
  local log, sum = {}, 0
  for t, n in string.gmatch(text or '', '(%d+):(%d+)') do
    t, n = tonumber(t), tonumber(n)
    if t > since and t < now_us + 1000000 then
      log[#log + 1] = { t, n }
      sum = sum + n
    end
  end
  return log, sum
end

local function format_log(log)
  local parts = {}
  for i, e in ipairs(log) do parts[i] = int(e[1]) .. ':' .. int(e[2]) end
  return table.concat(parts, ' ')
end
