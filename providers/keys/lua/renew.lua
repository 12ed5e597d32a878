-- Renews the leases of one pool, puts back those that Redis lost, and announces
-- the pool's limits. ARGV: 1 id for a new epoch, 2 lease (ms), 3 how long an
-- announcement holds (ms), 4 count of leases; then for each entity its
-- concurrency, rate and number rate (0 is no limit); then for each lease its
-- entity, id, ms it is to last, and whether it may be extended (1) or is only
-- put back when missing (0: the holder gave up waiting, the upstream may not have).
-- Returns {leases put back, epoch, does the server hide who it is (1)}.
local lease, hold_ms, count = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local epoch_id, _, hides = epoch(ARGV[1], lease)

-- announce writes a limit unless a lower one stands.
local function announce(state, field, mine)
  if tonumber(mine) == 0 then return end
  local h = redis.call('HMGET', state, field, field .. 'u')
  if h[1] and now < num(h[2]) and tonumber(h[1]) < tonumber(mine) then return end
  redis.call('HSET', state, field, mine, field .. 'u', int(now + hold_ms))
end

local a = 5
for i = 4, #KEYS, 2 do
  announce(KEYS[i], 'lc', ARGV[a])
  announce(KEYS[i], 'lr', ARGV[a + 1])
  announce(KEYS[i], 'ln', ARGV[a + 2])
  redis.call('PEXPIRE', KEYS[i], int(unused_ttl))
  redis.call('PEXPIRE', KEYS[i - 1], int(unused_ttl))
  a = a + 3
end

local back = 0
local function put(set, id, ms, extend)
  local missing = not redis.call('ZSCORE', set, id)
  if missing or extend then
    redis.call('ZADD', set, int(now + ms), id)
  end
  return missing and 1 or 0
end
for _ = 1, count do
  local i, id, ms, extend = tonumber(ARGV[a]), ARGV[a + 1], tonumber(ARGV[a + 2]), ARGV[a + 3] == '1'
  put(KEYS[3], id, ms, extend)
  back = back + put(KEYS[3 + 2 * i], id, ms, extend)
  a = a + 4
end
redis.call('HSET', KEYS[4], 'ck', int(now))
return { back, epoch_id, hides and 1 or 0 }
