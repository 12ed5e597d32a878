-- Looks after the keys: whose balance is to be read now, by this caller alone, and
-- what became of a key that operators were not told yet. ARGV: 1 whether balances
-- can be read (0, 1), 2 how soon after the last reading a fresh "no balance" of the
-- upstream is verified (ms); then for each key: the amount below which its balance
-- is low (0: none), the usual time to its next reading, and the time while that is
-- close to matter (ms).
-- Returns for each key {is it this caller's turn, amount, unit, postpaid, ms since
-- it was read (-1: never), is it low, has its state changed, from, to}. A state is
-- the reason of a quarantine, '' without one.
local reads, verify = ARGV[1] == '1', tonumber(ARGV[2])
local all = redis.call('HMGET', KEYS[4], 'pu', 'pw')

-- paused is until when a pause forbids to ask. One for want of money does not:
-- the balance is what ends it.
local function paused(till, why) return why == 'no_balance' and 0 or num(till) end

local function look(i)
  local state, a = KEYS[4 + 2 * i], 3 * i
  local low, usual, close = tonumber(ARGV[a]), tonumber(ARGV[a + 1]), tonumber(ARGV[a + 2])
  local h = redis.call('HMGET', state, 'pu', 'pw', 'qn', 'qw', 'qs', 'an',
    'ba', 'bu', 'bp', 'bt', 'bx', 'bd')
  local failures = num(h[3])
  local cause = failures > 0 and h[4] or ''
  local is_low = h[7] and low > 0 and tonumber(h[7]) < low

  -- next is when the balance is to be read next.
  local function next()
    local last = num(h[11])
    if last == 0 or last > now + 1000 then return 0 end -- never, or by another clock
    local at = num(h[12])
    if cause == 'no_balance' or is_low then at = math.min(at, last + close) end
    if cause == 'no_balance' and num(h[5]) > last then at = math.min(at, last + verify) end
    if failures > 0 and cause ~= 'no_balance' then at = math.max(at, last + backoff(failures)) end
    return math.max(at, paused(h[1], h[2]), paused(all[1], all[2]))
  end

  local turn = reads and now >= next()
  if turn then
    redis.call('HSET', state, 'bx', int(now), 'bd', int(now + usual))
    redis.call('PEXPIRE', state, int(unused_ttl))
  end
  local told = h[6] or ''
  if told ~= cause then redis.call('HSET', state, 'an', cause) end
  return {
    turn and 1 or 0, h[7] or '', h[8] or '', num(h[9]), h[10] and now - num(h[10]) or -1,
    is_low and 1 or 0, told ~= cause and 1 or 0, told, cause,
  }
end

local out = {}
for i = 1, (#KEYS - 4) / 2 do out[i] = look(i) end
return out
