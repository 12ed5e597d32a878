-- lookupq_epoch reads the epoch under key, and starts a new one (under the id
-- fresh) where it is missing or the server is another process than the one
-- that wrote it. Returns id, created in ms of this server's clock, whether it is
-- new, and whether the server hides who it is: then a restart, or a replica that
-- took over, is not noticed. now is this server's clock in ms.
local function lookupq_epoch(key, now, fresh)
  local run = '-'
  local info = redis.pcall('INFO', 'server')
  if type(info) == 'string' then run = string.match(info, 'run_id:(%w+)') or '-' end
  local id, created, wrote
  local value = redis.call('GET', key)
  if value then id, created, wrote = string.match(value, '^(%S+) (%d+) (%S+)$') end
  if id and (run == '-' or run == wrote) then return id, tonumber(created), false, run == '-' end
  redis.call('SET', key, fresh .. ' ' .. string.format('%.0f', now) .. ' ' .. run)
  return fresh, now, true, run == '-'
end
