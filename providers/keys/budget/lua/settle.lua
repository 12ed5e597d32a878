-- Settles what calls have cost. ARGV: 3 number of this settlement (0: nothing to do but
-- look), 4 number of a reservation whose answer was lost, to be undone if it was made (0:
-- none; the budgets are that one's), 5 how many budgets, and for each: what to add
-- to spent, how much is not held any more, the limit that operators were told of ('').
-- A settlement that was done already is not done again.
-- Returns {'epoch', id} or {'version', index}, else 'ok', the epoch's begin, and of each
-- budget: spent, n, whether it is known what was spent before.
if epoch_id ~= ARGV[2] then return { 'epoch', epoch_id } end
local number, undo, count = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local h = redis.call('HMGET', KEYS[2], 'ss', 'rs', 'ra')
local todo = number > num(h[1])
local back = {}
if undo > 0 and undo == num(h[2]) then
  for amount in string.gmatch(h[3] or '', '%d+') do back[#back + 1] = tonumber(amount) end
end
local all = {}
for i = 1, count do
  local g = load(KEYS[2 + i])
  if not g then return { 'version', i } end
  all[i] = g
end
for i, g in ipairs(all) do
  local a = 3 + 3 * i
  local add, release, told = tonumber(ARGV[a]), tonumber(ARGV[a + 1]), ARGV[a + 2]
  if todo then
    add, release = add - num(back[i]), release + num(back[i])
    -- While it is not known what was spent before, nothing is given back: the floor
    -- may have it already.
    if not g.ready then add = math.max(add, 0) end
    g.s, g.h = math.max(0, g.s + add), math.max(0, g.h - release)
    if told ~= '' then g.x = told end
    if add ~= 0 or release ~= 0 or told ~= '' then store(g) end
  end
end
if todo then
  redis.call('HSET', KEYS[2], 'ss', int(number))
  if undo > 0 then redis.call('HDEL', KEYS[2], 'rs', 'ra') end
  redis.call('PEXPIRE', KEYS[2], keep)
end
local out = { 'ok', int(created) }
for _, g in ipairs(all) do
  out[#out + 1] = int(g.s)
  out[#out + 1] = int(g.n)
  out[#out + 1] = g.ready and '1' or '0'
end
return out
