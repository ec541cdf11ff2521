"""What Redis does in one step: the same counting as in one process, for all servers that share it.

Redis' own clock is the only one, so servers need not agree on the time. A window is a list of moments in microseconds,
oldest first; the places of what is held are a sorted set, each with the moment at which it lapses unless it is renewed.
"""

from typing import Final

__all__ = ["COUNT", "TAKE"]

COUNT: Final = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local out, full = {}, false
for i, key in ipairs(KEYS) do
  local most, window = tonumber(ARGV[2 * i - 1]), tonumber(ARGV[2 * i])
  local oldest = redis.call('LINDEX', key, 0)
  while oldest and tonumber(oldest) <= now - window do
    redis.call('LPOP', key)
    oldest = redis.call('LINDEX', key, 0)
  end
  local used = redis.call('LLEN', key)
  if used >= most then full = true end
  out[i] = {used, oldest and (tonumber(oldest) + window - now) or window}
end
if not full then
  for i, key in ipairs(KEYS) do
    redis.call('RPUSH', key, string.format('%.0f', now))
    redis.call('PEXPIRE', key, math.ceil(tonumber(ARGV[2 * i]) / 1000) + 1000)
    out[i][1] = out[i][1] + 1
  end
end
return {full and 1 or 0, out}
"""
"""KEYS: one list for each rule. ARGV: count and window in microseconds for each. Returns whether one is full (then nothing
was counted), and for each what is counted and in how many microseconds the oldest leaves.
"""

TAKE: Final = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local token, lease, forced = ARGV[1], tonumber(ARGV[2]), ARGV[3] == '1'
local full = {}
for i, key in ipairs(KEYS) do
  redis.call('ZREMRANGEBYSCORE', key, '-inf', now)
  if not forced and redis.call('ZCARD', key) >= tonumber(ARGV[3 + i]) and not redis.call('ZSCORE', key, token) then
    full[#full + 1] = i
  end
end
if #full == 0 then
  for _, key in ipairs(KEYS) do
    redis.call('ZADD', key, now + lease, token)
    redis.call('PEXPIRE', key, lease)
  end
end
return full
"""
"""KEYS: one set for each rule. ARGV: the token, the lease in milliseconds, whether to take in any case, and the counts.
Returns which rules are full; then nothing was taken.
"""
