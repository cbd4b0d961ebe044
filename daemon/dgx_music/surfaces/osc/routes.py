"""The OSC routes in one typed table: what the daemon takes, what it sends, and the documentation.

A type string lists the OSC type tags that an argument may have; for an outgoing argument the first one is
sent (`TF` means true or false).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = [
    "ACCEPTED",
    "ARDOUR",
    "CANCEL",
    "CANCELLED",
    "DONE",
    "ERROR",
    "FAILED",
    "GENERATE",
    "INCOMING",
    "LOOK",
    "OUTGOING",
    "PAUSE",
    "PING",
    "PONG",
    "PREVIEW",
    "PROGRESS",
    "QUEUE",
    "QUEUE_REPLY",
    "RESUME",
    "STATUS",
    "STATUS_REPLY",
    "TRANSPORT",
    "Argument",
    "Route",
    "markdown_table",
]


@dataclass(frozen=True)
class Argument:
    """One argument of a route."""

    name: str
    types: str
    """The accepted OSC type tags; for outgoing routes what is sent."""
    optional: bool = False
    choices: tuple[str, ...] = ()
    """The only texts allowed; empty for any."""


@dataclass(frozen=True)
class Route:
    """One OSC address in one direction."""

    address: str
    direction: Literal["in", "out"]
    arguments: tuple[Argument, ...]
    description: str
    pairs: tuple[Argument, ...] = ()
    """A key and a value that may follow, any number of times."""

    @property
    def usage(self) -> str:
        """The route as one writes it: the address, then its arguments with their type tags."""
        words = [self.address, *(_shown(argument) for argument in self.arguments)]
        if self.pairs:
            words.append(f"[{' '.join(_shown(argument) for argument in self.pairs)}]…")
        return " ".join(words)


def _shown(argument: Argument) -> str:
    text = "|".join(argument.choices) or f"{argument.name}:{argument.types}"
    return f"[{text}]" if argument.optional else text


_NUMBER = "ihdf"
# Control surfaces send a button's state with every press and release; 0 is the release and does nothing.
_PRESSED = (Argument("pressed", _NUMBER + "TF", optional=True),)
_JOB_ID = Argument("job_id", "s")

GENERATE = Route(
    "/dgx/generate",
    "in",
    (Argument("prompt_or_json", "s"),),
    "Asks for music: one JSON object, or a prompt followed by pairs of a request field (session.path for a nested "
    "one) and its value; reply_port sends the answers to another port of the sender's host.",
    pairs=(Argument("field", "s"), Argument("value", "s" + _NUMBER + "TF")),
)
CANCEL = Route(
    "/dgx/cancel",
    "in",
    (_JOB_ID,),
    "Cancels a waiting or running job; a running one answers with its status, and stops at its next step.",
)
STATUS = Route(
    "/dgx/status",
    "in",
    (Argument("job_id", "s", optional=True),),
    "Asks how a job stands; a finished one answers with its outcome again. Without a job: the queue, then every "
    "running job.",
)
QUEUE = Route("/dgx/queue", "in", _PRESSED, "Asks for the queue's counts.")
PAUSE = Route("/dgx/pause", "in", _PRESSED, "Starts no more jobs until /dgx/resume; answered with the queue.")
RESUME = Route("/dgx/resume", "in", _PRESSED, "Starts jobs again; answered with the queue.")
PING = Route("/dgx/ping", "in", _PRESSED, "Asks whether the daemon is there.")
TRANSPORT = Route(
    "/dgx/transport",
    "in",
    (Argument("state", "s", choices=("rolling", "recording", "stopped")),),
    "Tells the daemon what the DAW's transport does; a state other than stopped is believed for 15 seconds.",
)
_SESSION_PATH = Argument("session_path", "s")
ARDOUR = Route(
    "/dgx/ardour",
    "in",
    (Argument("ask_id", "s"), _SESSION_PATH, Argument("command", "s"), Argument("arguments", "s")),
    "A script in Ardour asks: ping, status, cancel, who_made, again or fetch, with a JSON object of arguments; "
    "answered by the file answer.ask_id in the session's spool.",
)
LOOK = Route(
    "/dgx/look",
    "in",
    (_SESSION_PATH,),
    "A script in Ardour has left a report in the session's spool; also has what waits for the session offered.",
)

ACCEPTED = Route(
    "/dgx/accepted",
    "out",
    (
        Argument("request_id", "s"),
        _JOB_ID,
        Argument("place", "i"),
        Argument("eta_s", "f"),
        Argument("engine", "s"),
    ),
    "The job is stored and will not be lost; place counts the jobs before it.",
)
PROGRESS = Route(
    "/dgx/progress",
    "out",
    (_JOB_ID, Argument("fraction", "f"), Argument("step", "s")),
    "How far a job is, from 0 to 1, at most ten times a second.",
)
PREVIEW = Route(
    "/dgx/preview",
    "out",
    (_JOB_ID, Argument("take", "i"), Argument("path", "s"), Argument("seconds", "f")),
    "So many seconds of a take, counted from 0, can be heard while the rest is made: a WAV file that grows, not yet "
    "mastered, removed when the job ends. Only neural engines send it.",
)
DONE = Route(
    "/dgx/done",
    "out",
    (
        _JOB_ID,
        Argument("take", "i"),
        Argument("path", "s"),
        Argument("engine", "s"),
        Argument("takes", "i"),
    ),
    "One finished take, counted from 0, of so many takes: its file's absolute path and the engine that made it.",
)
FAILED = Route(
    "/dgx/failed",
    "out",
    (_JOB_ID, Argument("code", "s"), Argument("message", "s")),
    "The job failed, and why.",
)
CANCELLED = Route("/dgx/cancelled", "out", (_JOB_ID,), "The job was cancelled.")
PONG = Route("/dgx/pong", "out", (Argument("version", "s"), Argument("pid", "i")), "The answer to /dgx/ping.")
STATUS_REPLY = Route(
    "/dgx/status",
    "out",
    (
        _JOB_ID,
        Argument("state", "s"),
        Argument("step", "s"),
        Argument("fraction", "f"),
        Argument("engine", "s"),
        Argument("takes", "i"),
    ),
    "How a job stands; takes counts the finished ones.",
)
QUEUE_REPLY = Route(
    "/dgx/queue",
    "out",
    (
        Argument("paused", "TF"),
        Argument("pending", "i"),
        Argument("processing", "i"),
        Argument("completed", "i"),
        Argument("failed", "i"),
        Argument("cancelled", "i"),
        Argument("transport", "s"),
    ),
    "The queue's counts, and what the DAW's transport does.",
)
ERROR = Route(
    "/dgx/error",
    "out",
    (Argument("code", "s"), Argument("message", "s"), Argument("about", "s")),
    "A message was refused, and what would be right; about is its request_id or its address.",
)

INCOMING = (GENERATE, CANCEL, STATUS, QUEUE, PAUSE, RESUME, PING, TRANSPORT, ARDOUR, LOOK)
OUTGOING = (ACCEPTED, PROGRESS, PREVIEW, DONE, FAILED, CANCELLED, PONG, STATUS_REPLY, QUEUE_REPLY, ERROR)


def markdown_table() -> str:
    """Return all routes as a Markdown table, incoming ones first."""
    rows = ["| direction | message | meaning |", "|---|---|---|"]
    for route in (*INCOMING, *OUTGOING):
        usage = route.usage.replace("|", "\\|")
        rows.append(f"| {route.direction} | `{usage}` | {route.description} |")
    return "\n".join(rows) + "\n"
