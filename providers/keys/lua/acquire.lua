-- Takes one permit, of the key with most room, for up to max numbers; or says why
-- not and how long to wait. ARGV: 1 id for a new epoch, 2 lease id, 3 pool id,
-- 4 lease (ms), 5 max, 6 permits this pool holds, 7 the largest max
-- it ever asks for (0: not known), then for each entity: concurrency, rate, number rate (a second; 0 is no limit), number window (us).
-- Returns {'ok', entity, numbers, us, is probe, was it the last (1)} or
-- {reason, wait (us), is a permit missing (0, 1), us until one ends by itself, epoch,
-- what the pause or quarantine is for ('' if that differs from key to key)}.
local id, pool = ARGV[2], ARGV[3]
local lease = tonumber(ARGV[4])
local max, held, batch = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
-- Whatever was granted before this epoch may be forgotten, and its holder may be cut
-- off and not know: it goes on with its call for almost a lease since its last
-- renewal. Until none can, nothing is granted.
local guard = lease

-- How late a caller may come without losing its turn: his timer and the network
-- are not exact, and what they lose would be lost of the rate.
local slack = 10000
-- A pool that holds nothing and was refused for so long goes first.
local starving_after = 1000
-- A waiting pool that is not seen for so long has gone. They ask every 30 ms at most.
local gone_after = 300

local epoch_id, created = epoch(ARGV[1], lease)
if now < created + guard then return { 'guard', (created + guard - now) * 1000, 0, 0, epoch_id, '' } end
local created_us = created * 1000

-- lower is the lower of my limit and another live pool's; math.huge is no limit.
local function lower(mine, theirs, till)
  mine = tonumber(mine)
  if mine == 0 then mine = math.huge end
  if theirs and now < num(till) then return math.min(mine, tonumber(theirs)) end
  return mine
end

-- due is when e may go next, after a time that was written as such. What was
-- granted before this epoch began may be forgotten. And no grant blocks longer
-- than span: more than that was written under another limit or clock, and the
-- span is counted from the last grant instead.
local function due(e, written, span)
  if written > now_us + span then written = e.last <= now_us and e.last + span or 0 end
  return math.max(written, created_us + span)
end

-- hold makes e wait until a time (us), if that is the longest wait.
local function hold(e, till, why, cause)
  if till - now_us > e.wait then e.wait, e.why, e.cause = till - now_us, why, cause end
end

-- Request rate: GCRA without burst. The gap is longer than 1/rate by as much as
-- the slack can pull two calls together within a second, or within one gap if that
-- is longer: no such window holds more calls than configured.
local function look_rate(e, rate, rt)
  if rate == math.huge then return end
  local gap = 1000000 / rate
  e.slack = math.min(slack, gap / 2)
  e.gap = gap * (1 + e.slack / math.max(1000000, gap))
  e.rt = due(e, rt, e.gap)
  hold(e, e.rt, 'rate')
end

-- Number rate: GCRA with the granted count as cost, so that grants are spread,
-- and a log of the window, so that none holds more than configured whatever the
-- sizes of its grants. A window that is no multiple of the batch is divided
-- evenly (1500/s by 1000: 750 each), or its rest would go to waste.
local function look_numbers(e, rate, window, nt, nl)
  e.most = math.huge
  if rate == math.huge then return end
  e.per = 1000000 / rate
  e.window = math.max(tonumber(window), e.per)
  e.budget = math.max(1, math.floor(e.window / e.per + 0.000001))
  e.most = batch == 0 and e.budget or math.floor(e.budget / math.ceil(e.budget / batch))
  e.nt = due(e, nt, e.window)
  e.log, e.sum = parse_log(nl, now_us - e.window)
  hold(e, e.nt, 'number_rate')
end

-- look reads entity i and what blocks it, whatever the count of numbers.
local function look(i)
  local e = { i = i, leases = KEYS[3 + 2 * i], state = KEYS[4 + 2 * i], wait = 0 }
  local h = redis.call('HMGET', e.state, 'rt', 'nt', 'nl', 'pu', 'qn', 'qa', 'lg',
    'lc', 'lcu', 'lr', 'lru', 'ln', 'lnu', 'pw', 'qw', 'ec', 'eu')
  local a = 8 + 4 * i
  redis.call('ZREMRANGEBYSCORE', e.leases, '-inf', int(now))
  e.count = redis.call('ZCARD', e.leases)
  e.free = math.min(lower(ARGV[a], h[8], h[9]), bearable(h[16], h[17])) - e.count
  e.failures, e.last = num(h[5]), num(h[7])
  hold(e, num(h[4]) * 1000, 'paused', h[14])
  if e.failures > 0 then hold(e, num(h[6]) * 1000, 'quarantined', h[15]) end
  look_rate(e, lower(ARGV[a + 1], h[10], h[11]), num(h[1]))
  look_numbers(e, lower(ARGV[a + 2], h[12], h[13]), ARGV[a + 3], num(h[2]), h[3])
  return e
end

-- ready returns how long e cannot take m numbers, and why, and why that is.
local function ready(e, m)
  if not e.budget then return e.wait, e.why, e.cause end
  local over, till = e.sum + m - e.budget, 0
  for _, entry in ipairs(e.log) do
    if over <= 0 then break end
    over, till = over - entry[2], entry[1] + e.window
  end
  if till - now_us > e.wait then return till - now_us, 'number_rate' end
  return e.wait, e.why, e.cause
end

-- first_end is when (us from now) a lease of e ends that nobody renews.
local function first_end(e)
  local first = redis.call('ZRANGE', e.leases, 0, 0, 'WITHSCORES')
  return first[2] and (tonumber(first[2]) - now) * 1000 or 0
end

-- waiting returns since when (ms) this pool waits, when it was last seen (0 if it
-- does not wait yet), and how many waited longer than it and long enough to go first.
local function waiting()
  local mine, mine_seen, since = now, 0, {}
  local all = redis.call('HGETALL', KEYS[2])
  for i = 1, #all, 2 do
    local from, seen = string.match(all[i + 1], '^(%d+) (%d+)$')
    if all[i] == pool then
      mine_seen = tonumber(seen)
      if now - mine_seen <= gone_after then mine = tonumber(from) end
    elseif now - tonumber(seen) > gone_after then
      redis.call('HDEL', KEYS[2], all[i])
    else
      since[#since + 1] = tonumber(from)
    end
  end
  local before = 0
  for _, s in ipairs(since) do
    if s < mine and now - s >= starving_after then before = before + 1 end
  end
  return mine, mine_seen, before
end

-- take writes the grant of m numbers into entity e.
local function take(e, m)
  redis.call('ZADD', e.leases, int(now + lease), id)
  if e.count == 0 then redis.call('PEXPIRE', e.leases, int(unused_ttl)) end
  local f = { 'li', id, 'lg', int(now_us) }
  local function set(name, value)
    f[#f + 1] = name
    f[#f + 1] = value
  end
  if e.i == 0 then set('ck', int(now)) end
  if e.gap then
    local base = math.max(e.rt, now_us - e.slack)
    set('rb', int(base))
    set('rt', int(base + e.gap))
  end
  if e.per then
    local base = math.max(e.nt, now_us - slack)
    set('nb', int(base))
    set('nt', int(base + m * e.per))
    -- Grants within 1/64 of the window share an entry: the log stays short.
    local slot, last = math.max(1, math.floor(e.window / 64)), e.log[#e.log]
    if last and math.floor(last[1] / slot) == math.floor(now_us / slot) then
      last[1], last[2] = now_us, last[2] + m
    else
      e.log[#e.log + 1] = { now_us, m }
    end
    set('nl', format_log(e.log))
    set('ns', int(slot))
  end
  if e.failures > 0 then
    -- The probe: the next one only after another backoff, unless this one clears it.
    set('qa', int(now + backoff(e.failures)))
    set('qp', id)
  end
  redis.call('HSET', e.state, unpack(f))
end

local all = look(0)
local best, best_m, free = nil, 0, 0
local due_later = false
local rank, wait, why, lack = math.huge, 0, nil, nil
local common -- what keeps every key from being used; false if that differs
local out = { paused = true, quarantined = true }
local busy = false -- a key is in use, and no more than that
for i = 1, (#KEYS - 4) / 2 do
  local key = look(i)
  local m = math.min(max, all.most, key.most)
  local w, reason, cause = ready(all, m)
  local w2, reason2, cause2 = ready(key, m)
  if w2 > w then w, reason, cause = w2, reason2, cause2 end
  local short = (all.free < 1 and all) or (key.free < 1 and key) or nil
  if w == 0 and not short then
    free = free + key.free
    if not best or key.free > best.free or (key.free == best.free and key.last < best.last) then
      best, best_m = key, m
    end
  else
    -- A missing permit is asked for again after some 20 ms: a key whose rate
    -- opens sooner is the better news.
    local r = math.max(w, short and 20000 or 0)
    due_later = due_later or not short
    busy = busy or w == 0 or not out[reason]
    if common == nil then common = cause or false end
    if common ~= cause then common = false end
    if r < rank then rank, wait, why, lack = r, w, reason, short end
  end
end

local since, seen, before = waiting()
if best and math.min(free, all.free) > before then
  take(all, best_m)
  take(best, best_m)
  if seen > 0 then redis.call('HDEL', KEYS[2], pool) end
  local last = math.min(free, all.free) == 1 and not due_later
  return { 'ok', best.i, best_m, now_us, best.failures > 0 and 1 or 0, last and 1 or 0 }
end
local full = lack and 1 or 0
-- While one key works, the others' pauses keep nobody from working.
if busy and out[why] then why, common = 'concurrency', nil end
if best then wait, why, full, lack, common = 0, nil, 1, nil, nil end
if full == 1 and held == 0 and now - seen > gone_after / 3 then
  redis.call('HSET', KEYS[2], pool, int(since) .. ' ' .. int(now))
  redis.call('PEXPIRE', KEYS[2], 10 * gone_after)
end
return { wait > 0 and why or 'concurrency', math.ceil(wait), full, lack and first_end(lack) or 0, epoch_id, common or '' }
