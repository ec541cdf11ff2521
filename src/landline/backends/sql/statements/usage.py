"""What runs used: sums by day, tenant, user, thread, key, agent and model."""

ADD = """
INSERT INTO usage (tenant, day, user_id, thread_id, key_id, agent, model, runs, model_calls, unpriced_calls, tool_calls,
    input_tokens, output_tokens, cost_usd, seconds)
VALUES (:tenant, :day, :user, :thread_id, :key_id, :agent, :model, :runs, :model_calls, :unpriced_calls, :tool_calls,
    :input_tokens, :output_tokens, :cost_usd, :seconds)
ON CONFLICT (tenant, day, user_id, thread_id, key_id, agent, model) DO UPDATE SET
    runs = usage.runs + excluded.runs, model_calls = usage.model_calls + excluded.model_calls,
    unpriced_calls = usage.unpriced_calls + excluded.unpriced_calls,
    tool_calls = usage.tool_calls + excluded.tool_calls, input_tokens = usage.input_tokens + excluded.input_tokens,
    output_tokens = usage.output_tokens + excluded.output_tokens,
    cost_usd = CASE WHEN excluded.cost_usd IS NULL THEN usage.cost_usd
        ELSE coalesce(usage.cost_usd, 0) + excluded.cost_usd END,
    seconds = usage.seconds + excluded.seconds
"""
"""Known costs add up; an unknown one leaves them as they are and is counted in `unpriced_calls`."""

SUMS = """sum(u.runs) AS runs, sum(u.model_calls) AS model_calls, sum(u.unpriced_calls) AS unpriced_calls,
    sum(u.tool_calls) AS tool_calls, sum(u.input_tokens) AS input_tokens, sum(u.output_tokens) AS output_tokens,
    sum(u.cost_usd) AS cost_usd, sum(u.seconds) AS seconds"""

COLUMN_OF = {"day": "u.day", "agent": "u.agent", "user": "u.user_id", "key": "u.key_id", "model": "u.model"}
