"""The Lua scripts of presence in Redis, each of them one atomic step. Called by `presence/redis.py` alone.

A script touches only the users that it is given or removes, and at most a batch of them, because Redis does nothing
else meanwhile. KEYS[1] is the prefix. The scripts make the names of keys, so they need one Redis, not a cluster.
"""

# The keys, after the prefix:
# - `leases`: process -> when its lease ends, in ms; `process:<id>`: user -> sockets in that process, never 0
# - `total`: user -> sockets in all processes, 0 for users who are leaving
# - `leaving`: user -> when the grace time ends, in ms
# - `online`: visible users in the order of arrival; `status`: user -> `<status>:<data>` of users who have set one
# - `sockets`: process -> the sum of its counts in `process:<id>`
# - `retiring`: processes that will stop
# - `ghosts`, `ghosts:<n>:<end>`: the counts of dead processes that are still to be subtracted, as in `process:<id>`,
#   with the end of the lease; `ghosts:last`: the last `n`
# - `swept:<store>`: users whom a sweep of that store has removed, with the numbers of these changes, until its next
#   sweep says that it has had the answer
# - `sequence`: the number of the last change of `online`

# Users in one run of a script: 3 to 8 ms measured. Lua's unpack() takes less than 8,000 values.
BATCH = 1000
# Users who are only looked for in `online`: about as long.
LOOK_UP_BATCH = 10_000

SHARED = """
local prefix = KEYS[1]
local leases, total, leaving = prefix .. 'leases', prefix .. 'total', prefix .. 'leaving'
local online, status, ghosts = prefix .. 'online', prefix .. 'status', prefix .. 'ghosts'
local sequence, sockets = prefix .. 'sequence', prefix .. 'sockets'

local function now(given)
  if given ~= '' then return tonumber(given) end
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function version() return tonumber(redis.call('GET', sequence) or 0) end

-- The number of the next change of `online`, as text: Lua itself writes numbers with 14 digits only.
local function next_version()
  local number = redis.call('INCR', sequence)
  if number == 1 then
    -- Redis may have lost its data: the time in microseconds is above all numbers from before.
    local time = redis.call('TIME')
    number = time[1] * 1000000 + time[2]
    redis.call('SET', sequence, string.format('%.0f', number))
  end
  return string.format('%.0f', number)
end

local function show(user) redis.call('ZADD', online, next_version(), user) end

local function hide(user)  -- true when the user was visible
  if redis.call('ZREM', online, user) == 0 then return false end
  next_version()
  return true
end

-- Whether the user was not known before and is shown now, and how many sockets there are.
local function add(user, change, gone_at, hidden)
  if change == 0 then return false end  -- a repeated 0 must not put off the end of the grace time
  local known = redis.call('HEXISTS', total, user) == 1
  local sum = redis.call('HINCRBY', total, user, change)
  if sum <= 0 then
    redis.call('ZADD', leaving, gone_at, user)
  elseif known then
    redis.call('ZREM', leaving, user)
  elseif not hidden then
    show(user)
  end
  return not known and not hidden, sum
end

-- A dead process is renamed before its users are counted out in batches: if it was only slow and comes back half-way,
-- it starts from nothing, and what is left of the old counts is still subtracted exactly once.
local function bury(process)
  local ends = tonumber(redis.call('ZSCORE', leases, process) or 0)
  redis.call('ZREM', leases, process)
  redis.call('HDEL', sockets, process)
  local counts = prefix .. 'process:' .. process
  if redis.call('EXISTS', counts) == 0 then return end
  local ghost = ghosts .. ':' .. redis.call('INCR', ghosts .. ':last') .. ':' .. string.format('%.0f', ends)
  redis.call('RENAME', counts, ghost)
  redis.call('RPUSH', ghosts, ghost)
end

-- Whether some are left, and of whose sockets none are left: user, 1 if the user is visible. And the end of the lease.
local function subtract_ghosts(gone_at)
  local ghost, lost = redis.call('LINDEX', ghosts, 0), {}
  if not ghost then return false, lost end
  local ends = tonumber(string.match(ghost, ':%d+:(%d+)$'))
  local counts = redis.call('HRANDFIELD', ghost, batch, 'WITHVALUES')
  for i = 1, #counts, 2 do
    local _, sum = add(counts[i], -counts[i + 1], gone_at)
    if sum <= 0 then
      lost[#lost + 1] = counts[i]
      lost[#lost + 1] = redis.call('ZSCORE', online, counts[i]) and 1 or 0
    end
    redis.call('HDEL', ghost, counts[i])
  end
  if redis.call('EXISTS', ghost) == 0 then redis.call('LPOP', ghosts) end
  if redis.call('EXISTS', ghosts) == 1 then return true, lost, ends end
  redis.call('DEL', ghosts .. ':last')
  return false, lost, ends
end

local function describe(users)  -- user, sockets, status of those who are present
  local found = {}
  for first = 1, #users, batch do
    local last = math.min(first + batch - 1, #users)
    local counts = redis.call('HMGET', total, unpack(users, first, last))
    local states = redis.call('HMGET', status, unpack(users, first, last))
    for i, count in ipairs(counts) do
      if count then
        found[#found + 1] = users[first + i - 1]
        found[#found + 1] = count
        found[#found + 1] = states[i] or ''
      end
    end
  end
  return found
end
"""


def complete(body: str) -> str:
    """A script's text, with the shared functions in front."""
    return f"local batch = {BATCH}{SHARED}{body}"


SYNC = complete("""
local time, process, lease, grace = now(ARGV[1]), ARGV[2], ARGV[3], ARGV[4]
local added = redis.call('ZADD', leases, time + lease, process)
local counts, arrived, change = prefix .. 'process:' .. process, {}, 0
local here, to_hide, hidden = {}, {}, {}
for i = 5, #ARGV, 3 do
  local user, count, known = ARGV[i], tonumber(ARGV[i + 1]), ARGV[i + 2]
  local before = tonumber(redis.call('HGET', counts, user) or 0)
  local is_hidden = false
  if count > 0 then
    redis.call('HSET', counts, user, count)
    here[#here + 1] = user
    -- A status that the process knows and this store does not was lost.
    if known ~= '' and redis.call('HSETNX', status, user, known) == 1 and string.sub(known, 1, 8) == 'offline:' then
      is_hidden = true
      to_hide[#to_hide + 1] = user
    end
  else
    redis.call('HDEL', counts, user)
  end
  change = change + count - before
  if add(user, count - before, time + grace, is_hidden) then arrived[#arrived + 1] = user end
end
if change ~= 0 then redis.call('HINCRBY', sockets, process, change) end
-- After all who have arrived, so that the numbers of both follow one another.
for _, user in ipairs(to_hide) do
  if hide(user) then hidden[#hidden + 1] = user end
end
local statuses = {}
if #here > 0 then
  for i, set in ipairs(redis.call('HMGET', status, unpack(here))) do
    if set then
      statuses[#statuses + 1] = here[i]
      statuses[#statuses + 1] = set
    end
  end
end
return {redis.call('ZCARD', online), added == 0, version(), arrived, hidden, statuses}
""")

RENEW = complete("""
if not redis.call('ZSCORE', leases, ARGV[2]) then return 0 end
redis.call('ZADD', leases, now(ARGV[1]) + ARGV[3], ARGV[2])
return 1
""")

SWEEP = complete("""
-- Changes nothing, but is refused where reports are: a Redis whose memory is full still lets a script remove.
redis.call('INCRBY', prefix .. 'sequence', 0)
local time, grace, dead, swept = now(ARGV[1]), ARGV[2], {}, prefix .. 'swept:' .. ARGV[4]
redis.call('ZREMRANGEBYSCORE', swept, '-inf', ARGV[5])
if ARGV[3] == '1' then dead = redis.call('ZRANGEBYSCORE', leases, '-inf', time, 'LIMIT', 0, batch) end
for _, process in ipairs(dead) do bury(process) end
local more, lost, ends = subtract_ghosts(time + grace)
local due = redis.call('ZRANGEBYSCORE', leaving, '-inf', time, 'LIMIT', 0, batch)
for _, user in ipairs(due) do
  redis.call('ZREM', leaving, user)
  redis.call('HDEL', total, user)
  redis.call('HDEL', status, user)
  if hide(user) then redis.call('ZADD', swept, redis.call('GET', sequence), user) end
end
local gone = redis.call('ZRANGE', swept, 0, -1, 'WITHSCORES')
if #gone > 0 then redis.call('EXPIRE', swept, 3600) end
return {more or #gone > 0 or #dead == batch or #due == batch, gone, lost, math.max(0, time - (ends or time))}
""")

RETIRE = complete("""
local retiring = prefix .. 'retiring'
redis.call('SADD', retiring, ARGV[2])
redis.call('EXPIRE', retiring, 3600)  -- the names are never used again
local others = 0
for _, process in ipairs(redis.call('ZRANGEBYSCORE', leases, '(' .. now(ARGV[1]), '+inf')) do
  others = others + 1 - redis.call('SISMEMBER', retiring, process)
end
return others
""")

DROP = complete("""
bury(ARGV[2])
return (subtract_ghosts(now(ARGV[1]) + ARGV[3]))
""")

SET_STATUS = complete("""
local user, new, data, process = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local count = redis.call('HGET', total, user)
if not count then return false end
local here = redis.call('HGET', prefix .. 'process:' .. process, user) or 0
local previous = redis.call('HGET', status, user) or ''
redis.call('HSET', status, user, new .. ':' .. data)
if new == 'offline' then hide(user) elseif not redis.call('ZSCORE', online, user) then show(user) end
return {previous, redis.call('ZCARD', online), version(), tonumber(count) > tonumber(here)}
""")

CENSUS = complete("return {redis.call('ZCARD', online), version()}")
CHOOSE_VISIBLE = complete("""
local found = {}
for first = 1, #ARGV, batch do
  local last = math.min(first + batch - 1, #ARGV)
  for i, place in ipairs(redis.call('ZMSCORE', online, unpack(ARGV, first, last))) do
    if place then
      found[#found + 1] = ARGV[first + i - 1]
      found[#found + 1] = place
    end
  end
end
return {version(), found}
""")
PROCESSES = complete("""
local found, retiring = {}, prefix .. 'retiring'
for _, process in ipairs(redis.call('ZRANGEBYSCORE', leases, '(' .. now(ARGV[1]), '+inf')) do
  local users = redis.call('HLEN', prefix .. 'process:' .. process)
  local count = redis.call('HGET', sockets, process) or '0'
  found[#found + 1] = {process, users, count, redis.call('SISMEMBER', retiring, process)}
end
return found
""")
PAGE = complete("return describe(redis.call('ZRANGE', online, ARGV[1], ARGV[2]))")
GET = complete("return describe(ARGV)")
