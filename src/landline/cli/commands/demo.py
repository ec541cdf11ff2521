"""`landline demo`: the built-in agents, served like anybody's."""

import typer

from landline.cli import options as o
from landline.cli.loaded import DEMO
from landline.cli.serving import serve_targets

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command()
def demo(  # noqa: PLR0913 - one argument is one option
    host: o.Host = None,
    port: o.Port = None,
    data: o.Data = None,
    workers: o.Workers = None,
    grace: o.Grace = None,
    faces: o.Faces = None,
    log_level: o.LogLevel = None,
) -> None:
    """Serve the built-in demo agents: notes, bank_support and student_teacher.

    Without a key they run on a scripted model that says so. With OPENAI_API_KEY, ANTHROPIC_API_KEY or OPENAI_BASE_URL in
    the environment they use the real one.
    """
    options = {
        "host": host, "port": port, "data": data, "workers": workers, "grace_s": grace, "faces": faces,
        "log_level": log_level,
    }  # fmt: skip
    raise typer.Exit(serve_targets([DEMO], options))
