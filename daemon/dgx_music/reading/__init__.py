"""What of the user's own audio may be read: the configured folders, and what a session's permissions add to them."""

from __future__ import annotations
