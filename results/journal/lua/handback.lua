-- Gives slots back undone: nobody owns them, and the claim does not count.
--
-- KEYS: pages
-- ARGV: for each page: the owner's token, its slots (bytes)
-- What is not there or not the owner's is left alone.
local call, byte, char = redis.call, string.byte, string.char

local function hand_back(key, owner, slots)
  local head = call('GETRANGE', key, 0, HEAD - 1)
  if head == '' or byte(head, 1) ~= 1 or byte(head, 2) ~= 0 then return end
  local n, k = byte(head, 3) + 1, byte(head, 4)
  local at = tables_at(k)
  local tokens = call('GETRANGE', key, HEAD, at - 1)
  local tables = call('GETRANGE', key, at, at + 3 * n - 1)
  local owners, claims = {byte(tables, 1, n)}, {byte(tables, 2 * n + 1, 3 * n)}
  for s = 1, #slots do
    local i = byte(slots, s) + 1
    if i <= n and token(tokens, owners[i]) == owner then
      owners[i] = 255
      if claims[i] % 128 > 0 then claims[i] = claims[i] - 1 end
    end
  end
  call('SETRANGE', key, at, char(unpack(owners)))
  call('SETRANGE', key, at + 2 * n, char(unpack(claims)))
end

for p = 1, #KEYS do hand_back(KEYS[p], ARGV[2 * p - 1], ARGV[2 * p]) end
return #KEYS
