"""What must happen in Redis at once, in Lua. Redis runs a script whole or not at all.

The row scripts build keys from their arguments, so one feature set lives on one Redis (with replicas),
not spread over the slots of a Redis Cluster.
"""

from __future__ import annotations

#: KEYS counter; ARGV the last generation that somebody remembers -> a number that was never given out
NEXT_GENERATION = """
local last = math.max(tonumber(redis.call('GET', KEYS[1]) or '0'), tonumber(ARGV[1]))
redis.call('SET', KEYS[1], string.format('%.0f', last + 1))
return last + 1
"""

#: KEYS current, schema; ARGV generation, facts, schema -> 1 flipped, 0 a newer generation was first
FLIP = """
local current = redis.call('GET', KEYS[1])
if current and tonumber(string.match(current, '^%d+')) >= tonumber(ARGV[1]) then return 0 end
redis.call('MSET', KEYS[1], ARGV[2], KEYS[2], ARGV[3])
return 1
"""

#: KEYS overlay row, schema, streamed; ARGV schema, event time, entity, feature, value, feature, value ...
#: -> how many features were newer than what was there; -1 where the schema is another one.
#: Two values of one event time: the larger bytes win, so any order of the same events ends the same.
UPSERT = """
local schema = redis.call('GET', KEYS[2])
if not schema then
  redis.call('SET', KEYS[2], ARGV[1])
elseif schema ~= ARGV[1] then
  return -1
end
local at = tonumber(ARGV[2])
local raw = redis.call('GET', KEYS[1])
local row = raw and cmsgpack.unpack(raw) or {}
local changed = 0
for i = 4, #ARGV, 2 do
  local old = row[ARGV[i]]
  if not old or at > old[1] or (at == old[1] and ARGV[i + 1] > old[2]) then
    row[ARGV[i]] = {at, ARGV[i + 1]}
    changed = changed + 1
  end
end
if changed > 0 then
  redis.call('SET', KEYS[1], cmsgpack.pack(row))
  redis.call('ZADD', KEYS[3], 'GT', ARGV[2], ARGV[3])
end
return changed
"""

#: KEYS current, streamed; ARGV generation, its event time, row prefix, overlay prefix, entity code ...
#: -> how many entities' streamed values were dropped, because a row as new or newer was published
PRUNE = """
local current = redis.call('GET', KEYS[1])
if not current or tonumber(string.match(current, '^%d+')) ~= tonumber(ARGV[1]) then return 0 end
local dropped = 0
for i = 5, #ARGV do
  local at = redis.call('ZSCORE', KEYS[2], ARGV[i])
  if at and tonumber(at) <= tonumber(ARGV[2]) and redis.call('EXISTS', ARGV[3] .. ARGV[i]) == 1 then
    redis.call('UNLINK', ARGV[4] .. ARGV[i])
    redis.call('ZREM', KEYS[2], ARGV[i])
    dropped = dropped + 1
  end
end
return dropped
"""
