-- Puts jobs back that Redis lost, into one new page, for their holder only: a job
-- that somebody else has claimed since is left alone.
--
-- KEYS: epoch, stamp, current, previous, new page, old pages
-- ARGV: fresh epoch id, epoch id, period ms, page life ms, owner token, new page without
--       its log (closed: its head alone), then for each job:
--       identity, where it goes, where it was, which old page (number from 1), its log
-- Returns {'E', epoch id, created}, or {began, position, where it is, ...} of the jobs refused.
local call, sub, byte = redis.call, string.sub, string.byte
local now = clock()
local id, created = lookupq_epoch(KEYS[1], now, ARGV[1])
if id ~= ARGV[2] then return {'E', id, string.format('%.0f', created)} end
local current, previous, page = KEYS[3], KEYS[4], KEYS[5]
local began = turn(KEYS[2], current, previous, tonumber(ARGV[3]), now)
local owner, value = ARGV[5], ARGV[6]

-- release gives up the owner's slot in an old page; false if it is not the owner's.
local function release(key, slot)
  local head = call('GETRANGE', key, 0, HEAD - 1)
  if head == '' then return true end
  if byte(head, 1) ~= 1 or byte(head, 2) ~= 0 then return false end
  local n, k = byte(head, 3) + 1, byte(head, 4)
  local at = tables_at(k)
  local place = byte(call('GETRANGE', key, at + slot, at + slot)) or 255
  if call('GETRANGE', key, HEAD + 16 * place, HEAD + 16 * place + 15) ~= owner then return false end
  if place >= k or call('GETRANGE', key, at + n + slot, at + n + slot) > '\1' then return false end
  call('SETRANGE', key, at + n + slot, '\3')
  return true
end

local n = (#ARGV - 6) / 5
local pairs_, states, logs, reply = {}, {}, {}, {began}
for i = 1, n do
  local a = 2 + 5 * i
  local field, goes, was = ARGV[a], ARGV[a + 1], ARGV[a + 2]
  local at = call('HGET', current, field) or call('HGET', previous, field)
  if not at or at == goes or (at == was and release(KEYS[5 + tonumber(ARGV[a + 3])], byte(was, 10))) then
    pairs_[#pairs_ + 1] = field
    pairs_[#pairs_ + 1] = goes
    states[i] = '\0'
    logs[#logs + 1] = ARGV[a + 4]
  else
    states[i] = '\3'
    reply[#reply + 1] = i
    reply[#reply + 1] = at
  end
end
if #pairs_ == 0 then return reply end
if byte(value, 2) == 0 then
  local from = tables_at(1) + n
  value = sub(value, 1, from) .. table.concat(states) .. sub(value, from + n + 1) .. table.concat(logs)
end
call('SET', page, value, 'PX', ARGV[4])
call('HSET', current, unpack(pairs_))
call('PEXPIRE', current, 4 * ARGV[3])
return reply
