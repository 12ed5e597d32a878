-- Tells what was spent before this epoch. ARGV: 3 how many budgets, and for each: the
-- spent that the caller remembers, the ec and n it is from (ec 0: nothing), and the
-- floor that the stored results say (-1: not looked).
-- Returns the epoch, its begin, and of each budget: spent, n, whether it is ready.
local all = {}
for i = 1, tonumber(ARGV[3]) do
  local g = load(KEYS[2 + i])
  local a = 4 * i
  local spent, ec, n, floor = tonumber(ARGV[a]), tonumber(ARGV[a + 1]), tonumber(ARGV[a + 2]), tonumber(ARGV[a + 3])
  if g then
    if ec ~= 0 and ec ~= created and (ec > g.be or (ec == g.be and n > g.bn)) then
      learn(g, g.f, spent)
      g.be, g.bn = ec, n
    end
    if floor >= 0 and not g.ready then
      learn(g, math.max(g.f, floor), g.b)
      g.ready = true
    end
    store(g)
  end
  all[i] = g or { s = 0, n = 0, ready = false }
end
local out = { epoch_id, int(created) }
for _, g in ipairs(all) do
  out[#out + 1] = int(g.s)
  out[#out + 1] = int(g.n)
  out[#out + 1] = g.ready and '1' or '0'
end
return out
