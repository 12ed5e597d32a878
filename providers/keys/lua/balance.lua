-- Stores the balance that was read of one key, and decides what follows. ARGV: 1
-- entity, 2 amount, 3 unit, 4 postpaid (0, 1), 5 the amount below which it is low
-- (0: none), 6 an id for a new event. Returns {id of the event that it is low, '' if there is none to publish}.
--
-- A prepaid key without money is taken out of use before calls fail. One that was
-- taken out for that is resumed when there is money; but once for each amount: an
-- upstream that refuses the key again, although nothing was spent meanwhile, knows
-- better, and the probes of the quarantine go on.
local state = KEYS[4 + 2 * tonumber(ARGV[1])]
local text, amount, low = ARGV[2], tonumber(ARGV[2]), tonumber(ARGV[5])
local h = redis.call('HMGET', state, 'qn', 'qw', 'pw', 'bv', 'bl', 'be')
redis.call('HSET', state, 'ba', text, 'bu', ARGV[3], 'bp', ARGV[4], 'bt', int(now))
redis.call('PEXPIRE', state, int(unused_ttl))

local out_of_use = h[2] == 'no_balance' or h[3] == 'no_balance'
if ARGV[4] == '0' and amount <= 0 then
  if num(h[1]) == 0 then quarantine(state, 'no_balance') end
  redis.call('HDEL', state, 'bv')
elseif out_of_use and h[4] ~= text then
  resume(state, 'no_balance')
  redis.call('HSET', state, 'bv', text)
elseif h[4] and h[4] ~= text then
  redis.call('HDEL', state, 'bv')
end

-- One event for each time it falls below the bound, and one more for a lower bound.
if h[5] and amount >= tonumber(h[5]) then
  redis.call('HDEL', state, 'bl', 'be')
  h[5], h[6] = false, false
end
if low > 0 and amount < low and (not h[5] or tonumber(h[5]) > low) then
  h[6] = ARGV[6]
  redis.call('HSET', state, 'bl', ARGV[5], 'be', h[6])
end
return { h[6] or '' }
