-- Tells the state of each entity, and writes nothing. ARGV: for each entity its
-- configured concurrency. Returns for each {in flight, limit in force, ms paused, why,
-- failures, ms until the probe, why, balance, its unit, is it postpaid (1), ms since
-- it was read (-1: never)}.
local out = {}
for i = 3, #KEYS, 2 do
  local h = redis.call('HMGET', KEYS[i + 1], 'pu', 'pw', 'qn', 'qa', 'qw', 'lc', 'lcu', 'ba', 'bu', 'bp', 'bt', 'ec', 'eu')
  local limit = tonumber(ARGV[(i - 1) / 2])
  if h[6] and now < num(h[7]) and (limit == 0 or tonumber(h[6]) < limit) then limit = tonumber(h[6]) end
  local bears = bearable(h[12], h[13])
  if bears < math.huge and (limit == 0 or bears < limit) then limit = bears end
  out[#out + 1] = {
    redis.call('ZCOUNT', KEYS[i], '(' .. int(now), '+inf'), limit,
    math.max(0, num(h[1]) - now), h[2] or '',
    num(h[3]), math.max(0, num(h[4]) - now), h[5] or '',
    h[8] or '', h[9] or '', num(h[10]), h[11] and now - num(h[11]) or -1,
  }
end
return out
