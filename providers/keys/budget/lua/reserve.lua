-- Reserves money for the numbers of one call. ARGV: 3 guard (ms), 4 patience (ms),
-- 5 number of this reservation, 6 count of budgets, their limits, count of purses, and
-- for each: numbers, count of its budgets, and for each the index and the price of a number.
-- Returns {'epoch', id}, {'guard', ms}, {'version', index} or {'unknown', index...}, else
-- 'ok', the epoch's begin, spent and n of each budget, and for each purse: how many
-- numbers are granted, the index of the budget that refuses the others (0: none), whether
-- that may change when calls under way are settled, and whether operators must be told.
if epoch_id ~= ARGV[2] then return { 'epoch', epoch_id } end
local guard, patience = tonumber(ARGV[3]), tonumber(ARGV[4])
if now < created + guard then return { 'guard', created + guard - now } end

local at = 6
local function arg()
  at = at + 1
  return tonumber(ARGV[at])
end

local all, unknown, taken = {}, {}, {}
for i = 1, tonumber(ARGV[6]) do
  local g = load(KEYS[2 + i])
  if not g then return { 'version', i } end
  g.limit, taken[i] = arg(), 0
  if not g.ready then unknown[#unknown + 1] = i end
  all[i] = g
end
if #unknown > 0 then return { 'unknown', unpack(unknown) } end

local granted = {}
for _ = 1, arg() do
  local m, by, prices = arg(), 0, {}
  for j = 1, arg() do
    local i, price = arg(), arg()
    prices[j] = { i, price }
    local room = math.max(0, math.floor((all[i].limit - all[i].s) / price))
    if room < m then m, by = room, j end
  end
  local soft, tell = 0, 0
  if by > 0 then
    local i, price = prices[by][1], prices[by][2]
    local g = all[i]
    -- What calls under way hold may come back. What nobody settles is spent.
    local fresh = m > 0 or now - g.ht < patience
    if fresh and g.h + m * price > 0 and g.s - g.h + price <= g.limit then soft = 1 end
    if soft == 0 and g.x ~= int(g.limit) then tell = 1 end
  end
  for _, p in ipairs(prices) do
    local g, cost = all[p[1]], m * p[2]
    g.s, g.h, taken[p[1]] = g.s + cost, g.h + cost, taken[p[1]] + cost
    if cost > 0 then g.ht = now end
  end
  granted[#granted + 1] = { m, by, soft, tell }
end

local texts = {}
for i, g in ipairs(all) do
  texts[i] = int(taken[i])
  if taken[i] > 0 then store(g) end
end
redis.call('HSET', KEYS[2], 'rs', ARGV[5], 'ra', table.concat(texts, ' '))
redis.call('PEXPIRE', KEYS[2], keep)
local out = { 'ok', int(created) }
for _, g in ipairs(all) do
  out[#out + 1] = int(g.s)
  out[#out + 1] = int(g.n)
end
for _, x in ipairs(granted) do
  for k = 1, 4 do out[#out + 1] = int(x[k]) end
end
return out
