-- Appends to pages and sets the state of slots, for their owner only.
--
-- KEYS: epoch, stamp, pages
-- ARGV: fresh epoch id, epoch id, page life ms, then for each page:
--       its head as the owner knows it (with the tokens), the owner's place,
--       the new state and runs of slots (first and length-1, a byte each), what to append
-- Returns {'E', epoch id, created}, or {began, reply, ...} with a reply for each page:
--         '' written; 'L' there is no such page; 'R' and the slots (bytes) that belong to
--         somebody else, and nothing is written.
local call, sub, byte = redis.call, string.sub, string.byte
local id, created = lookupq_epoch(KEYS[1], clock(), ARGV[1])
if id ~= ARGV[2] then return {'E', id, string.format('%.0f', created)} end
local life = ARGV[3]

-- foreign lists the slots of the runs that do not belong to the token.
local function foreign(key, head, owner, runs)
  local k = byte(head, 4)
  local at = tables_at(k)
  local tokens = call('GETRANGE', key, HEAD, at - 1)
  local owners = call('GETRANGE', key, at, at + byte(head, 3))
  local out = {}
  for r = 2, #runs, 2 do
    local first = byte(runs, r)
    for slot = first, first + byte(runs, r + 1) do
      if token(tokens, byte(owners, slot + 1) or 255) ~= owner then out[#out + 1] = string.char(slot) end
    end
  end
  return table.concat(out)
end

-- all lists every slot of the runs.
local function all(runs)
  local out = {}
  for r = 2, #runs, 2 do
    for slot = byte(runs, r), byte(runs, r) + byte(runs, r + 1) do out[#out + 1] = string.char(slot) end
  end
  return table.concat(out)
end

-- refusal checks that the page is there and the slots are the owner's.
local function refusal(key, head, place, runs)
  local found = call('GETRANGE', key, 0, #head - 1)
  if found == head then return '' end
  if found == '' then return 'L' end
  local done = byte(runs, 1) == 2
  if byte(found, 1) ~= 1 then return 'R' .. all(runs) end
  if byte(found, 2) == 1 then return done and 'C' or 'R' .. all(runs) end
  local slots = foreign(key, found, token(sub(head, HEAD + 1), place), runs)
  if slots ~= '' then return 'R' .. slots end
  return ''
end

-- write does what refusal has allowed.
local function write(key, runs, data)
  local head = call('GETRANGE', key, 0, 3)
  local n = byte(head, 3) + 1
  local at = tables_at(byte(head, 4)) + n
  local state = sub(runs, 1, 1)
  for r = 2, #runs, 2 do
    call('SETRANGE', key, at + byte(runs, r), string.rep(state, byte(runs, r + 1) + 1))
  end
  if data ~= '' then call('APPEND', key, data) end
  if state == '\2' and not string.find(call('GETRANGE', key, at, at + n - 1), '[^\2\3]') then
    -- Every slot is done: the page shrinks to its head.
    head = call('GETRANGE', key, 0, HEAD - 1)
    call('SET', key, sub(head, 1, 1) .. '\1' .. sub(head, 3), 'PX', life)
  end
end

local reply = {call('GET', KEYS[2]) or ''}
for p = 3, #KEYS do
  local a = 4 + 4 * (p - 3)
  local no = refusal(KEYS[p], ARGV[a], tonumber(ARGV[a + 1]), ARGV[a + 2])
  if no == '' then
    write(KEYS[p], ARGV[a + 2], ARGV[a + 3])
  elseif no == 'C' then
    no = '' -- done by an earlier copy of this call
  end
  reply[p - 1] = no
end
return reply
