-- Takes known jobs over from whoever had them, and counts claims without progress.
--
-- KEYS: epoch, pages
-- ARGV: fresh epoch id, epoch id, owner token, page life ms, then for each page: the slots to
--       take (bytes, may be none)
-- Returns {'E', epoch id, created}, or for each page its value as it now is ('' if there is none).
local call, sub, byte, char = redis.call, string.sub, string.byte, string.char
local id, created = lookupq_epoch(KEYS[1], clock(), ARGV[1])
if id ~= ARGV[2] then return {'E', id, string.format('%.0f', created)} end
local owner, life = ARGV[3], ARGV[4]

-- place finds the owner's place among the tokens, or makes one: at the end, or
-- where somebody is who holds nothing any more.
local function place(tokens, k, owners)
  for i = 0, k - 1 do
    if token(tokens, i) == owner then return tokens, k, i end
  end
  if k < 200 then return tokens .. owner, k + 1, k end
  local used = {}
  for _, o in ipairs(owners) do used[o] = true end
  for i = 0, k - 1 do
    if not used[i] then
      return sub(tokens, 1, 16 * i) .. owner .. sub(tokens, 16 * i + 17), k, i
    end
  end
end

-- take makes the owner that of slot i (from 1), if it is not done.
local function take(i, mine, owners, states, claims)
  if not states[i] or states[i] > 1 or owners[i] == mine then return end
  local doubt = claims[i] >= 128 and 128 or 0
  local count = claims[i] - doubt
  if states[i] == 1 then count = 0 end
  claims[i] = doubt + math.min(count + 1, 127)
  owners[i], states[i] = mine, 0
end

local reply = {}
for p = 2, #KEYS do
  local v = call('GET', KEYS[p])
  local slots = ARGV[p + 3]
  if v and slots ~= '' and byte(v, 1) == 1 and byte(v, 2) == 0 then
    local n, k = byte(v, 3) + 1, byte(v, 4)
    local at = tables_at(k)
    local owners = {byte(v, at + 1, at + n)}
    local states = {byte(v, at + n + 1, at + 2 * n)}
    local claims = {byte(v, at + 2 * n + 1, at + 3 * n)}
    local tokens, mine
    tokens, k, mine = place(sub(v, HEAD + 1, at), k, owners)
    if not mine then return redis.error_reply('ERR a page of the journal has too many owners') end
    for s = 1, #slots do take(byte(slots, s) + 1, mine, owners, states, claims) end
    v = sub(v, 1, 3) .. char(k) .. sub(v, 5, HEAD) .. tokens .. char(unpack(owners)) ..
      char(unpack(states)) .. char(unpack(claims)) .. sub(v, at + 3 * n + 1)
    call('SET', KEYS[p], v, 'PX', life)
  end
  reply[p - 1] = v or ''
end
return reply
