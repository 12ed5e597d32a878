-- Claims jobs that nobody has claimed before, all in one new page, and tells
-- which of them are known already (those are left alone).
--
-- KEYS: epoch, stamp, current, previous, page
-- ARGV: fresh epoch id, epoch id, period ms, page life ms, page (if all jobs are new),
--       then for each job: identity, where it goes (page and slot)
-- Returns {'E', epoch id, created} if the epoch is another one, and has done nothing; else
--         {began, position, where it is, position, ...} of the known jobs.
local call, sub = redis.call, string.sub
local now = clock()
local id, created = lookupq_epoch(KEYS[1], now, ARGV[1])
if id ~= ARGV[2] then return {'E', id, string.format('%.0f', created)} end

local current, previous, page = KEYS[3], KEYS[4], KEYS[5]
local began = turn(KEYS[2], current, previous, tonumber(ARGV[3]), now)
local n = (#ARGV - 5) / 2
local fields = {}
for i = 1, n do fields[i] = ARGV[4 + 2 * i] end
local a = call('HMGET', current, unpack(fields))
local b = call('HMGET', previous, unpack(fields))

local reply = {began}
for i = 1, n do
  local at = a[i] or b[i]
  if at then
    reply[#reply + 1] = i
    reply[#reply + 1] = at
  end
end
local known = (#reply - 1) / 2
if known == n then return reply end

local value, pairs_ = ARGV[5], nil
if known > 0 then
  -- The slots of known jobs stay unused.
  local states, skip = {}, {}
  for i = 2, #reply, 2 do skip[reply[i]] = true end
  pairs_ = {}
  for i = 1, n do
    if skip[i] then
      states[i] = '\3'
    else
      states[i] = '\0'
      pairs_[#pairs_ + 1] = fields[i]
      pairs_[#pairs_ + 1] = ARGV[5 + 2 * i]
    end
  end
  local at = tables_at(1) + n
  value = sub(value, 1, at) .. table.concat(states) .. sub(value, at + n + 1)
end
if not call('SET', page, value, 'NX', 'PX', ARGV[4]) then
  return redis.error_reply('ERR a page of the journal has the id of another')
end
if known > 0 then
  call('HSET', current, unpack(pairs_))
else
  call('HSET', current, unpack(ARGV, 6))
end
-- Only for an installation that is given up: normally the turns get there first.
call('PEXPIRE', current, 4 * ARGV[3])
return reply
