-- What is selected in the editor, and where the playhead is.
local here = {}

-- Returns where music is to begin: the start of the selected range and its length in samples, or the playhead and nil.
function here.place ()
	local range = Editor:get_selection ().time
	local start, length = range:start_sample (), range:end_sample () - range:start_sample ()
	if length > 0 then return start, length end
	return Session:transport_sample (), nil
end

-- Returns the names of the selected audio tracks, from top to bottom.
function here.tracks ()
	local names = {}
	for route in Editor:get_selection ().tracks:routelist ():iter () do
		local track = route:to_track ()
		if not track:isnil () and not track:to_audio_track ():isnil () then names[#names + 1] = track:name () end
	end
	return names
end

-- Returns the selected audio regions, in the order of their places.
function here.regions ()
	local regions = {}
	for region in Editor:get_selection ().regions:regionlist ():iter () do
		if not region:to_audioregion ():isnil () then regions[#regions + 1] = region end
	end
	table.sort (regions, function (one, other)
		return one:position ():samples () < other:position ():samples ()
	end)
	return regions
end

-- Returns the name of the track that plays a region, nil where none does.
function here.track_of (region)
	local playlist = region:playlist ()
	if playlist:isnil () then return nil end
	for route in Session:get_tracks ():iter () do
		local own = route:to_track ():playlist ()
		if not own:isnil () and own:name () == playlist:name () then return route:name () end
	end
	return nil
end

-- Returns a name that no track or bus has.
function here.unused_name (name)
	local free, number = name, 1
	while not Session:route_by_name (free):isnil () do
		number = number + 1
		free = ("%s %d"):format (name, number)
	end
	return free
end

return here
