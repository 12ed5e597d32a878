-- Shared by the journal's scripts; page.go describes the stored forms.

-- clock is the server's time in ms.
local function clock()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end

-- turn ages the identities: after each period the current hash becomes the
-- previous one, and that one goes (freed in the background). Returns, as text,
-- when the current one began.
local function turn(stamp, current, previous, period, now)
  local text = redis.call('GET', stamp)
  local began = tonumber(text or '')
  if began and now - began < period then return text end
  if began then
    redis.call('UNLINK', previous)
    if redis.call('EXISTS', current) == 1 then redis.call('RENAME', current, previous) end
    if now - began >= 2 * period then redis.call('UNLINK', previous) end
  end
  text = string.format('%.0f', now)
  redis.call('SET', stamp, text)
  return text
end

-- Offsets of an open page with n slots and k owners, counted from 0.
local HEAD = 12
local function tables_at(k) return HEAD + 16 * k end

-- token returns the i-th owner's token of the tokens of a page.
local function token(tokens, i) return string.sub(tokens, 16 * i + 1, 16 * i + 16) end
