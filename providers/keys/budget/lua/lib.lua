-- What all scripts of this package share. KEYS, the same for every script:
--   1     the epoch (redisdb)
--   2     the caller: a hash of ss, its last settlement, and rs and ra, its last
--         reservation and what that took of each budget, in the order of its KEYS
--   3...  budgets
-- ARGV: 1 id for a new epoch, 2 the epoch that the caller knows, then the script's own.
-- A budget is a hash; amounts are millionths of a currency's unit:
--   v       version of this form, 1
--   e ec n  the epoch in which it was last written, when that began (ms), and how
--           often it was written: ec and n say which of two memories is the newer
--   s       spent: settled, and reserved by calls that are under way or were lost
--   h ht    the part of s that calls under way hold, and when one was last added (ms)
--   f       floor: what the stored results alone say
--   b be bn memory: what was spent before this epoch, and the ec and n it is from
--   r       1 when the floor is known; before that nothing is granted
--   x       the limit at which operators were told that it is spent
-- Before anything was granted s is the larger of f and b; later both move it along.

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local keep = 90 * 24 * 3600 * 1000

local function int(x) return string.format('%.0f', x) end
local function num(x) return x and tonumber(x) or 0 end

local epoch_id, created = lookupq_epoch(KEYS[1], now, ARGV[1])
if created > now + 1000 then -- the clock went back: guards would last for ever
  redis.call('DEL', KEYS[1])
  epoch_id, created = lookupq_epoch(KEYS[1], now, ARGV[1])
end

-- load reads a budget; one from an earlier epoch may lack the last writes, and is
-- a memory like any other. nil: it was written by a newer program.
local function load(key)
  local h = redis.call('HMGET', key, 'v', 'e', 'ec', 'n', 's', 'h', 'ht', 'f', 'b', 'be', 'bn', 'r', 'x')
  if h[1] and h[1] ~= '1' then return nil end
  local g = {
    key = key, n = num(h[4]), s = num(h[5]), h = num(h[6]), ht = num(h[7]), f = num(h[8]),
    b = num(h[9]), be = num(h[10]), bn = num(h[11]), ready = h[12] == '1', x = h[13] or '',
  }
  if h[2] ~= epoch_id then
    g.b, g.be, g.bn, g.f, g.h, g.ready = g.s, num(h[3]), g.n, 0, 0, false
  end
  return g
end

local function store(g)
  g.n = g.n + 1
  redis.call('HSET', g.key, 'v', '1', 'e', epoch_id, 'ec', int(created), 'n', int(g.n), 's', int(g.s),
    'h', int(g.h), 'ht', int(g.ht), 'f', int(g.f), 'b', int(g.b), 'be', int(g.be), 'bn', int(g.bn),
    'r', g.ready and '1' or '0', 'x', g.x)
  redis.call('PEXPIRE', g.key, keep)
end

-- learn moves s along when more is known of what was spent before.
local function learn(g, floor, memory)
  local before = math.max(g.f, g.b)
  g.f, g.b = floor, memory
  g.s = math.max(0, g.s + math.max(floor, memory) - before)
end
