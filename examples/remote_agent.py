"""A model endpoint as an agent, without any framework: `landline serve examples/remote_agent.py`.

OPENAI_BASE_URL names the endpoint (any that speaks Chat Completions), OPENAI_API_KEY opens it. Another Landline, an A2A agent
or a FastAgency server is named in the same way: `landline.remote(url, protocol=...)`.
"""

import os

import landline

endpoint = landline.remote(
    os.environ.get("OPENAI_BASE_URL", "http://127.0.0.1:11434/v1"),
    protocol="openai-chat",
    agent=os.environ.get("OPENAI_MODEL", "gpt-5.2"),
    token=os.environ.get("OPENAI_API_KEY"),
)
agent = landline.agent(endpoint, name="endpoint")
