-- Takes a delivery away again: exactly what the ledger says was added, and only while it is as it was added.
local use = ...
local changes, markers, sources, tracks = use ("changes"), use ("markers"), use ("sources"), use ("tracks")

local removal = {}

local function describe (region)
	return ("%d %d %s"):format (region:position ():samples (), region:length ():samples (), region:name ())
end

-- Returns what lies in a playlist beside a delivery's own regions, as a list of texts in order.
function removal.others (playlist, delivery)
	local found = {}
	for region in playlist:region_list ():iter () do
		if not sources.holds (sources.name (region), delivery) then found[#found + 1] = describe (region) end
	end
	table.sort (found)
	return found
end

local function same (one, other)
	return table.concat (one or {}, "\n") == table.concat (other or {}, "\n")
end

-- Calls a function with each playlist of a track, the active one first.
local function each_playlist (track, visit)
	local active = track:playlist ()
	visit (active)
	for playlist in Session:playlists ():playlists_for_track (track):iter () do
		if playlist:name () ~= active:name () then visit (playlist) end
	end
end

-- Returns the delivery's own playlists of a track that are there: a table from name to playlist.
function removal.own_playlists (entry, track)
	local noted, found = {}, {}
	for _, playlist in ipairs (entry.playlists) do
		if playlist.track == track:name () then noted[playlist.name] = true end
	end
	each_playlist (track, function (playlist)
		if noted[playlist:name ()] then found[playlist:name ()] = playlist end
	end)
	return found
end

-- Returns the track that a ledger's line speaks of, or nil where it is gone, or another one has its name.
function removal.track_of (entry, noted)
	local track = tracks.find (noted.name)
	return track and next (removal.own_playlists (entry, track)) and track or nil
end

-- Says how a region differs from what was placed, or nothing.
local function edit_of (region, noted)
	local audio = region:to_audioregion ()
	if region:position ():samples () ~= noted.position then return "was moved" end
	if region:length ():samples () ~= noted.length or region:start ():samples () ~= 0 then return "was trimmed or split" end
	if region:name () ~= noted.name then return "was renamed" end
	if audio:scale_amplitude () ~= 1 then return "has another gain" end
	if audio:fade_in_active () or audio:fade_out_active () then return "has a fade" end
	if region:muted () then return "is muted" end
	if region:locked () or region:position_locked () then return "is locked" end
end

local function edited_region (entry)
	local left, problem = {}, nil
	for index, noted in ipairs (entry.regions) do left[index] = noted end
	sources.each_placed (entry.delivery, function (region, playlist, name)
		for index, noted in ipairs (left) do
			if sources.begins (sources.key (name, entry.delivery), noted.stem) and playlist:name () == noted.playlist then
				table.remove (left, index)
				local edit = edit_of (region, noted)
				if edit then problem = ("the region %s %s"):format (noted.name, edit) end
				return
			end
		end
		problem = ("there is a further region of it, %s in the playlist %s"):format (region:name (), playlist:name ())
	end)
	return problem
end

local function edited_track (entry, noted, track)
	local own, problem = removal.own_playlists (entry, track), nil
	each_playlist (track, function (playlist)
		if not own[playlist:name ()] and playlist:n_regions () > 0 then
			problem = ("the track %s has a playlist with something else, %s"):format (noted.name, playlist:name ())
		end
	end)
	if problem then return problem end
	if track:rec_enable_control ():get_value () ~= 0 then return ("the track %s is armed"):format (noted.name) end
	if not track:nth_plugin (0):isnil () then return ("the track %s has a plugin"):format (noted.name) end
	if track:gain_control ():get_value () ~= 1 then return ("the fader of the track %s was moved"):format (noted.name) end
end

-- Returns the name of a track that plays regions of the delivery, though none of that name was noted: it has got another
-- name, or shares the playlist.
local function strange_track (entry)
	local ids, found = {}, nil
	sources.each_placed (entry.delivery, function (_, playlist) ids[playlist:to_stateful ():id ():to_s ()] = true end)
	for track in Session:get_tracks ():iter () do
		track = track:to_track ()
		if not removal.track_of (entry, { name = track:name () }) then
			each_playlist (track, function (playlist)
				if ids[playlist:to_stateful ():id ():to_s ()] then found = track:name () end
			end)
		end
	end
	return found
end

-- Says what the user has edited since, or nothing: then the delivery may be taken away.
function removal.edited (entry)
	local problem = edited_region (entry)
	if problem then return problem end
	local strange = strange_track (entry)
	if strange then return ("the track %s plays it, which has got this name or its playlist since"):format (strange) end
	for _, noted in ipairs (entry.tracks) do
		local track = removal.track_of (entry, noted)
		if track then
			local own = removal.own_playlists (entry, track)
			for _, playlist in ipairs (entry.playlists) do
				local there = own[playlist.name]
				local others = there and playlist.how ~= "joined" and removal.others (there, entry.delivery)
				if others and not same (others, playlist.others) and not same (others, playlist.others_before) then
					return ("something else was put into the playlist %s, or taken from it"):format (playlist.name)
				end
			end
			problem = noted.made and edited_track (entry, noted, track)
			if problem then return problem end
		end
	end
end

-- Whether a track that was there before plays a playlist of the delivery instead of the one that it played. It does so
-- also when the regions were undone: then it is silent.
local function plays_what_came (entry, noted, track)
	local active = track:playlist ():name ()
	return active ~= noted.was_active and removal.own_playlists (entry, track)[active] ~= nil
end

-- Whether anything of the delivery is left in the session.
function removal.is_there (entry)
	if sources.count_placed (entry.delivery) > 0 then return true end
	if entry.marker and markers.find (entry.marker.name, entry.marker.position) then return true end
	for _, noted in ipairs (entry.tracks) do
		local track = removal.track_of (entry, noted)
		if track and (noted.made or plays_what_came (entry, noted, track) and not removal.edited (entry)) then return true end
	end
	return false
end

-- Gives the user's playlist back to a track that was there before.
local function restore_active (entry, noted, track)
	if not plays_what_came (entry, noted, track) then return end
	each_playlist (track, function (playlist)
		if playlist:name () == noted.was_active then tracks.activate (track, playlist) end
	end)
end

-- Before Ardour 7.5 a script cannot remove a track: it is hidden then, rests, and leaves its names free.
local function remove_track (track, own)
	if Session.remove_route then
		Session:remove_route (track)
		return
	end
	for name, playlist in pairs (own) do playlist:set_name ("removed " .. name) end
	pcall (function () track:set_name ("removed " .. track:name ()) end)  -- it raises where names of ports become too long
	track:set_active (false, nil)
	Editor:hide_track_in_display (Editor:rtav_from_route (track):to_timeaxisview (), false)
end

local function group_named (name)
	for group in Session:route_groups ():iter () do
		if group:name () == name then return group end
	end
end

-- Takes tracks out of a group; the group goes where the user has put nothing else into it. Each track is taken out for
-- itself: in Ardour 7.3, to clear a group leaves its tracks pointing to it. And the group is looked up each time, since
-- Ardour deletes one that has become empty, and a script that goes on with it ends Ardour.
local function leave_group (name, members)
	for _, track in ipairs (members) do
		local group = group_named (name)
		if group then group:remove (track) end
	end
	local group = group_named (name)
	if group and group:empty () then Session:remove_route_group (group) end
end

-- Takes away what an entry of the ledger names, as far as it is there: its regions as one undo step, its marker, its
-- tracks. Returns how many regions that were.
function removal.take_away (entry)
	local found, playlists, there = {}, {}, {}
	sources.each_placed (entry.delivery, function (region, playlist)
		found[#found + 1] = { region = region, playlist = playlist }
	end)
	local count = #found
	for index, noted in ipairs (entry.tracks) do
		local track = removal.track_of (entry, noted)
		if track then
			there[index] = track
			local own = removal.own_playlists (entry, track)
			if not noted.made then restore_active (entry, noted, track) end
			for _, playlist in ipairs (entry.playlists) do
				-- A copy of the user's playlist was added with all that it holds.
				if playlist.how == "copied" and own[playlist.name] then
					for region in own[playlist.name]:region_list ():iter () do
						if not sources.holds (sources.name (region), entry.delivery) then
							found[#found + 1] = { region = region, playlist = own[playlist.name] }
						end
					end
				end
			end
		end
	end
	for index, item in ipairs (found) do playlists[index] = item.playlist end
	if #found > 0 then
		changes.as_one_step ("Remove " .. entry.step, playlists, function ()
			for _, item in ipairs (found) do item.playlist:remove_region (item.region) end
		end)
	end
	if entry.marker then markers.remove (entry.marker.name, entry.marker.position) end
	local made = {}
	for index, noted in ipairs (entry.tracks) do
		if noted.made and there[index] then made[#made + 1] = there[index] end
	end
	if entry.group then leave_group (entry.group, made) end
	for _, track in ipairs (made) do remove_track (track, removal.own_playlists (entry, track)) end
	return count
end

return removal
