-- Removes identities whose page is gone, unless they have got a new one.
--
-- KEYS: current, previous
-- ARGV: for each job: identity, where it was
for i = 1, #ARGV, 2 do
  for k = 1, 2 do
    if redis.call('HGET', KEYS[k], ARGV[i]) == ARGV[i + 1] then redis.call('HDEL', KEYS[k], ARGV[i]) end
  end
end
return #ARGV / 2
