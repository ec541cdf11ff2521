"""What must do nothing: markup, scripts, links and pictures, in every place where a user, a model or a tool puts words."""

from __future__ import annotations

import contextlib
import os
from typing import Any

import landline
from landline.adapters.plain import PlainRun
from landline.ports.adapter import ToolRaised

TRAP = f"http://127.0.0.1:{os.environ.get('TRAP_PORT', '9')}"
"""A server that counts who calls."""

RUN = "window.hacked=1;console.log('hacked');alert('hacked')"

PAYLOADS = (
    f"<script>{RUN}</script>",
    f"<SCRIPT SRC={TRAP}/x.js></SCRIPT>",
    f'<img src=x onerror="{RUN}">',
    f'<img src="{TRAP}/pixel.png">',
    f'<img srcset="{TRAP}/set.png 2x">',
    f'<svg onload="{RUN}"></svg>',
    f"<svg><script>{RUN}</script></svg>",
    f'<svg><animate onbegin="{RUN}" attributeName=x dur=1s></svg>',
    f'<svg><use href="{TRAP}/sprite.svg#x"></use></svg>',
    f'<svg><image href="{TRAP}/image.png"></image></svg>',
    f'<math><mtext><table><mglyph><style><img src onerror="{RUN}">',
    f'<iframe srcdoc="<script>parent.{RUN}</script>"></iframe>',
    f'<iframe src="javascript:parent.{RUN}"></iframe>',
    f'<object data="{TRAP}/x.swf"></object>',
    f'<embed src="{TRAP}/x.html">',
    f'<link rel=stylesheet href="{TRAP}/x.css">',
    f'<link rel=prefetch href="{TRAP}/next">',
    f"<style>@import url({TRAP}/y.css);*{{background:url({TRAP}/bg.png)}}</style>",
    f'<div style="background:url({TRAP}/div.png)">x</div>',
    f'<meta http-equiv=refresh content="0;url={TRAP}/away">',
    f'<base href="{TRAP}/">',
    f'<form action="{TRAP}/form"><input autofocus onfocus="{RUN}"></form>',
    f'<details open ontoggle="{RUN}">x</details>',
    f'<video src="{TRAP}/v.mp4" autoplay onloadstart="{RUN}"></video>',
    f'<audio src="{TRAP}/a.mp3" onerror="{RUN}"></audio>',
    f'<body onload="{RUN}" onpageshow="{RUN}">',
    f'<marquee onstart="{RUN}">x</marquee>',
    f'<a href="javascript:{RUN}">go</a>',
    f'<a href="data:text/html,<script>{RUN}</script>">go</a>',
    f"<template><script>{RUN}</script></template><noscript><p title='</noscript><img src onerror={RUN}>'>",
    f"![remote]({TRAP}/markdown.png)",
    f'![broken](x" onerror="{RUN})',
    f"[link](javascript:{RUN})",
    f"[link](data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==) [ref]: {TRAP}/ref",
    f"```html\n<script>{RUN}</script>\n```",
    f"| a |\n|---|\n| <img src=x onerror={RUN}> |",
    f"</textarea></pre></option></select><script>{RUN}</script>",
    f"\"'`><img src=x onerror={RUN}>",
    f"\\u003cscript\\u003e{RUN}\\u003c/script\\u003e &lt;script&gt;{RUN}&lt;/script&gt;",
    f"{{{{constructor.constructor('{RUN}')()}}}} ${{{RUN}}} #{{{RUN}}}",
    f"<img\x09src=x\x0conerror\x0b={RUN}>\u2028<scr\u200bipt>{RUN}</scr\u200bipt>",
    f"<!--><script>{RUN}</script>--> <![CDATA[<script>{RUN}</script>]]>",
)  # fmt: skip


async def mirror(run: PlainRun) -> None:
    """Put the message wherever a model or a tool can put words."""
    said = run.input
    await run.reasoning(said)
    await run.text(said)
    await run.tool(said[:100], _same, query=said, **{said[:50]: [said, {said: said}]})
    with contextlib.suppress(ToolRaised):
        await run.tool("no " + said[:90], _fails, why=said)
    await run.source(said, url=TRAP + "/source")
    await run.output({said: [said]})


async def asks(run: PlainRun) -> str:
    """Ask with every payload as prompt and choice."""
    await run.ask("\n".join(PAYLOADS), kind="choice", choices=list(PAYLOADS))
    return "\n".join(PAYLOADS)


async def _same(**given: Any) -> Any:
    return given


async def _fails(why: str) -> str:
    raise ValueError(why)


agents = [
    landline.agent(mirror, name="mirror", title=PAYLOADS[0], description="\n".join(PAYLOADS)),
    landline.agent(asks, name="asks", title=PAYLOADS[2], starters=list(PAYLOADS[:20])),
]
