-- Where the daemon's files are: `runtime` tells where it listens, below `spool` each session has a folder. An
-- installation puts absolute paths here; this one serves a checkout, and finds what the daemon would find.
local function variable (name)
	local value = os.getenv (name)
	return value and value ~= "" and value or nil
end

local function state_folder ()
	local home = variable ("DGX_MUSIC_HOME")
	if home then return home .. "/state" end
	return (variable ("XDG_STATE_HOME") or (variable ("HOME") or "") .. "/.local/state") .. "/dgx-music"
end

return { runtime = state_folder () .. "/daemon.json", spool = state_folder () .. "/ardour" }
