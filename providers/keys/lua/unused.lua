-- Begins the first epoch at the beginning of time: there is nothing from before it
-- that could be lost. KEYS: 1 the epoch. ARGV: 1 its id.
if redis.call('EXISTS', KEYS[1]) == 0 then lookupq_epoch(KEYS[1], 0, ARGV[1]) end
return 1
