-- One undo step over several playlists.
local changes = {}

-- Calls a function that changes these playlists, as one step with this name in Ardour's undo history. An error in it
-- aborts the step and is raised again; what was changed until then stays.
function changes.as_one_step (name, playlists, change)
	local seen, distinct = {}, {}
	for _, playlist in ipairs (playlists) do
		local id = playlist:to_stateful ():id ():to_s ()
		if not seen[id] then
			seen[id], distinct[#distinct + 1] = true, playlist
			playlist:to_stateful ():clear_changes ()
		end
	end
	Session:begin_reversible_command (name)
	local ok, failure = pcall (change)
	if not ok then
		Session:abort_reversible_command ()
		error (failure, 0)
	end
	for _, playlist in ipairs (distinct) do
		Session:add_stateful_diff_command (playlist:to_statefuldestructible ())
	end
	Session:commit_reversible_command (nil)
end

return changes
