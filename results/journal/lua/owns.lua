-- Tells whether jobs still belong to their holder, and renews their identities.
--
-- KEYS: epoch, current, previous, pages
-- ARGV: fresh epoch id, epoch id, owner token, page life ms, then for each job: identity, where it is, which page (number from 1)
-- Returns {'E', epoch id, created}, or a reply for each job: 0 yes, 1 no, 2 lost.
local call, byte = redis.call, string.byte
local id, created = lookupq_epoch(KEYS[1], clock(), ARGV[1])
if id ~= ARGV[2] then return {'E', id, string.format('%.0f', created)} end
local current, previous, owner = KEYS[2], KEYS[3], ARGV[3]

-- state is 0, 1 or 2 by what the page says of the slot.
local function state(key, slot)
  local head = call('GETRANGE', key, 0, HEAD - 1)
  if head == '' then return 2 end
  if byte(head, 1) ~= 1 or byte(head, 2) ~= 0 then return 1 end
  local n, k = byte(head, 3) + 1, byte(head, 4)
  local at = tables_at(k)
  local place = byte(call('GETRANGE', key, at + slot, at + slot)) or 255
  if place >= k or call('GETRANGE', key, HEAD + 16 * place, HEAD + 16 * place + 15) ~= owner then return 1 end
  if call('GETRANGE', key, at + n + slot, at + n + slot) > '\1' then return 1 end
  return 0
end

local reply = {}
for i = 1, (#ARGV - 4) / 3 do
  local a = 2 + 3 * i
  local field, where = ARGV[a], ARGV[a + 1]
  local now = call('HGET', current, field)
  local at = now or call('HGET', previous, field)
  if at and at ~= where then
    reply[i] = 1
  else
    local page = KEYS[3 + tonumber(ARGV[a + 2])]
    reply[i] = state(page, byte(where, 10))
    if reply[i] == 0 then call('PEXPIRE', page, ARGV[4]) end
    if not now and reply[i] == 0 then call('HSET', current, field, where) end
  end
end
return reply
