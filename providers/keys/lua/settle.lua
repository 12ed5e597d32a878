-- Does what the pool has to tell, in order. ARGV: six for each: what, entity,
-- lease id, x, y, why.
--   release                            the call is over
--   refund      x unused, y granted, why = us of the grant
--   pause       x ms from now
--   quarantine
--   clear       the probe with this lease id succeeded
--   resume      the reason why is over
--   told        the event with this id is published
--   postpone    the balance is not to be read for x ms from now
-- Each may come twice (a reply was lost), but for refund: the sender sees to that.
local function release(i, id)
  redis.call('ZREM', KEYS[3], id)
  redis.call('ZREM', KEYS[3 + 2 * i], id)
end

-- refund gives back numbers that were not used; all of them give back the call.
-- The rates get back only the last grant: what an earlier one cost has been
-- waited for already.
local function refund(state, id, unused, granted, at)
  local h = redis.call('HMGET', state, 'li', 'rb', 'nb', 'nt', 'nl', 'qp', 'ns')
  local f = {}
  local function set(name, value)
    f[#f + 1] = name
    f[#f + 1] = value
  end
  if h[1] == id then
    set('li', '')
    if h[2] and unused == granted then set('rt', h[2]) end
    if h[3] and h[4] then
      set('nt', int(num(h[3]) + (num(h[4]) - num(h[3])) * (granted - unused) / granted))
    end
  end
  if h[5] and h[7] then
    -- The entry that the grant shares; it may have left the window by now, and
    -- what a later grant took is not this one's to give back.
    local log, slot = parse_log(h[5], 0), tonumber(h[7])
    for _, entry in ipairs(log) do
      if entry[1] >= at and math.floor(entry[1] / slot) == math.floor(at / slot) then
        entry[2] = math.max(0, entry[2] - unused)
        break
      end
    end
    set('nl', format_log(log))
  end
  if h[6] == id and unused == granted then
    set('qa', int(now))
    set('qp', '')
  end
  if #f > 0 then redis.call('HSET', state, unpack(f)) end
end

-- halve notes that the upstream does not bear the calls that are on the wire now;
-- of those that are refused together it counts the first.
local function halve(i, state)
  local h = redis.call('HMGET', state, 'pu', 'ec', 'eu')
  if num(h[1]) > now then return end
  redis.call('ZREMRANGEBYSCORE', KEYS[3 + 2 * i], '-inf', int(now))
  local most = math.min(bearable(h[2], h[3]), redis.call('ZCARD', KEYS[3 + 2 * i]))
  redis.call('HSET', state, 'ec', int(math.max(1, math.floor(most / 2))), 'eu', int(now))
end

local function pause(i, state, ms, why)
  local till = now + ms
  if why == 'throttled' then halve(i, state) end
  if till > num(redis.call('HGET', state, 'pu')) then
    redis.call('HSET', state, 'pu', int(till), 'pw', why)
    redis.call('PEXPIRE', state, int(math.max(unused_ttl, 2 * ms)))
  end
end

local function clear(state, id)
  if redis.call('HGET', state, 'qp') == id then redis.call('HDEL', state, 'qn', 'qa', 'qw', 'qp', 'qs') end
end

local function told(state, id)
  if redis.call('HGET', state, 'be') == id then redis.call('HDEL', state, 'be') end
end

local function postpone(state, ms)
  if now + ms > num(redis.call('HGET', state, 'bd')) then redis.call('HSET', state, 'bd', int(now + ms)) end
end

for a = 1, #ARGV, 6 do
  local what, i, id = ARGV[a], tonumber(ARGV[a + 1]), ARGV[a + 2]
  local x, y, why = num(ARGV[a + 3]), num(ARGV[a + 4]), ARGV[a + 5]
  local state = KEYS[4 + 2 * i]
  if what == 'release' then
    release(i, id)
  elseif what == 'refund' then
    refund(KEYS[4], id, x, y, tonumber(why))
    refund(state, id, x, y, tonumber(why))
  elseif what == 'pause' then
    pause(i, state, x, why)
  elseif what == 'quarantine' then
    quarantine(state, why)
  elseif what == 'clear' then
    clear(state, id)
  elseif what == 'resume' then
    resume(state, why)
  elseif what == 'told' then
    told(state, id)
  elseif what == 'postpone' then
    postpone(state, x)
  end
end
return 1
