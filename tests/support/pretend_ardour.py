"""Plays the part of Ardour's scripts in a session's spool, with real files, as the contract of the two sides says."""

from __future__ import annotations

import json
import subprocess
import time
import uuid
from pathlib import Path

from dgx_music.delivery.ardour.fnv import fingerprint
from dgx_music.delivery.ardour.layout import session_key

# Reads a chunk as the scripts do, with an empty environment, and writes it as JSON.
_TO_JSON = r"""
local function show (value)
	if type (value) == "string" then
		return '"' .. value:gsub ('[%c"\\]', function (c) return ("\\u%04x"):format (c:byte ()) end) .. '"'
	elseif type (value) ~= "table" then
		return value == nil and "null" or tostring (value)
	end
	local fields = {}
	if #value > 0 or next (value) == nil then
		for i, item in ipairs (value) do fields[i] = show (item) end
		return "[" .. table.concat (fields, ",") .. "]"
	end
	for key, item in pairs (value) do fields[#fields + 1] = show (key) .. ":" .. show (item) end
	return "{" .. table.concat (fields, ",") .. "}"
end
io.write (show (assert (load (io.read ("a"), "data", "t", {})) ()))
"""


def read_lua(path):
    """Return the data of a file that was written for Lua; an empty table is a list."""
    done = subprocess.run(
        ["lua5.3", "-e", _TO_JSON], input=Path(path).read_bytes(), capture_output=True, check=True
    )
    return json.loads(done.stdout)


class PretendArdour:
    """One session that is open, as far as the spool is concerned. `tell` sends OSC to the daemon, if there is one."""

    def __init__(self, spool_root, session, tell=None):
        self.session = Path(session)
        self.session.mkdir(parents=True, exist_ok=True)
        self.folder = Path(spool_root) / session_key(str(session))
        self.tell = tell or (lambda *_: None)
        self.regions = []
        """What lies in the session: the delivery of each landing, in order."""

    @property
    def next(self):
        return self.folder / "next"

    @property
    def taken(self):
        return self.folder / "taken"

    def alive(self):
        (self.folder / "alive").write_text(json.dumps({"time": time.time(), "snapshot": "x", "lua": "1"}))

    def claim(self):
        """Take what is offered; None if there is nothing."""
        try:
            self.next.rename(self.taken)
        except FileNotFoundError:
            return None
        return read_lua(self.taken)

    def take_up(self):
        """Return what an Ardour that died had claimed."""
        return read_lua(self.taken) if self.taken.exists() else None

    def check_audio(self, manifest):
        for entry in [*manifest["takes"], *manifest["stems"]]:
            path = Path(entry["path"])
            assert path.stat().st_size == entry["bytes"]
            assert fingerprint(path) == entry["fingerprint"]
            assert manifest["delivery"] in path.name

    def ledger(self, manifest):
        return self.folder / f"landed.{manifest['delivery']}"

    def place(self, manifest):
        """Lay the regions out and note it; never twice."""
        if not self.ledger(manifest).exists():
            self.check_audio(manifest)
            self.regions.append(manifest["delivery"])
            self.ledger(manifest).write_text("return {}\n")

    def report(self, kind, manifest=None, **fields):
        name = uuid.uuid4().hex
        part = self.folder / f"part.{name}"
        if manifest is not None:
            fields = {"delivery": manifest["delivery"], "offer": manifest["offer"], **fields}
        part.write_text(json.dumps({"kind": kind, "message": "", **fields}))
        part.rename(self.folder / f"report.{name}")

    def done(self):
        self.taken.unlink()
        self.tell("/dgx/look", str(self.session))

    def land(self, manifest):
        self.place(manifest)
        self.report("landed", manifest, snapshot="x", regions=len(manifest["takes"]))
        self.done()

    def fail(self, manifest, code, message="as the test wants it"):
        self.report("failed", manifest, code=code, message=message)
        self.done()

    def answer(self, ask_id):
        """Return the daemon's answer and take it away; None while there is none."""
        path = self.folder / f"answer.{ask_id}"
        if not path.exists():
            return None
        said = read_lua(path)
        path.unlink()
        return said
