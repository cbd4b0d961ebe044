-- Keeps the session's start and end around what was placed, as Ardour's own import does.
local session_range = {}

local function location ()
	return Session:locations ():session_range_location ()
end

-- Whether the session has no range yet: such a session plays, but exports nothing.
function session_range.is_missing ()
	return not location ()
end

-- To be called with a region that was just placed, within its transaction. Before Ardour 8.6 a script cannot make the
-- range, but moving a region does.
function session_range.provoke (region, position)
	if not Session.set_session_extents and not location () then
		region:set_position (Temporal.timepos_t (position + 1))
		region:set_position (Temporal.timepos_t (position))
	end
end

-- Widens the range to these samples where the user lets it grow; a range that was missing gets exactly them.
function session_range.cover (start, stop, was_missing)
	local from, to = Temporal.timepos_t (start), Temporal.timepos_t (stop)
	local range = location ()
	if not range then
		if Session.set_session_extents then Session:set_session_extents (from, to) end
		return
	end
	if was_missing then
		range:set_start (from)
		range:set_end (to)
	elseif Session:session_range_is_free () then
		if range:start ():samples () > start then range:set_start (from) end
		if range:_end ():samples () < stop then range:set_end (to) end
	end
end

return session_range
