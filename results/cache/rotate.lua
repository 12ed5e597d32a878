-- Ages one generation pair: what is written goes into the current hash, what is
-- read is looked up in both; after each period the current one becomes the
-- previous and the previous one goes (freed by Redis in the background). So a
-- field lives for one to two periods and needs no expiry of its own.
--
-- KEYS: current, previous, stamp (when the current one began, ms)
-- ARGV: period in ms
-- Returns after how many ms to ask again.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local period = tonumber(ARGV[1])
local began = tonumber(redis.call('GET', KEYS[3]) or '')
if not began or now - began >= period then
  if began then
    redis.call('UNLINK', KEYS[2])
    if redis.call('EXISTS', KEYS[1]) == 1 then redis.call('RENAME', KEYS[1], KEYS[2]) end
    if now - began >= 2 * period then redis.call('UNLINK', KEYS[2]) end
  end
  began = now
  redis.call('SET', KEYS[3], string.format('%.0f', now))
end
-- Only for an installation that is given up: normally the turns get there first.
local last = string.format('%.0f', 4 * period)
for i = 1, 3 do redis.call('PEXPIRE', KEYS[i], last) end
if redis.call('EXISTS', KEYS[1]) == 0 then return 1000 end -- for its expiry, once it is there
return period - (now - began)
