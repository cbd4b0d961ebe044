-- Makes tracks, playlists and groups as a delivery wants them.
local tracks = {}

local AUDIO = ARDOUR and ARDOUR.DataType ("audio")

-- In Ardour 9 no group is an object, before it was nil.
local function no_group ()
	local ok, group = pcall (function () return ARDOUR.RouteGroup () end)
	return ok and group or nil
end

-- Returns the audio track of a name, or nil.
function tracks.find (name)
	local route = Session:route_by_name (name)
	local track = not route:isnil () and route:to_track ()
	if not track or track:isnil () or track:to_audio_track ():isnil () then return nil end
	return track
end

-- Makes an audio track for so many channels, into the master bus. Ardour adds a number where the name is in use.
function tracks.make (name, channels, colour, comment)
	local master = Session:master_out ()
	local outputs = channels
	if not master:isnil () then outputs = math.max (1, master:n_inputs ():n_audio ()) end
	local made = Session:new_audio_track (channels, outputs, no_group (), 1, name, ARDOUR.PresentationInfo.max_order,
		ARDOUR.TrackMode.Normal, true, false)
	local track
	for one in made:iter () do track = one end
	if not track or track:isnil () then error ("Ardour makes no track", 0) end
	track:set_strict_io (true)
	if comment then track:set_comment (comment, nil) end
	if colour then track:presentation_info_ptr ():set_color (colour) end
	return track
end

local function own_playlist (track, name)
	if track:playlist ():name () == name then return track:playlist () end
	for playlist in Session:playlists ():playlists_for_track (track):iter () do
		if playlist:name () == name then return playlist end
	end
end

-- Ardour lets two playlists of a track have one name, by which nobody could tell them apart any more.
local function unused_name (track, name)
	local free, number = name, 2
	while own_playlist (track, free) do
		free, number = ("%s (%d)"):format (name, number), number + 1
	end
	return free
end

-- Gives the track a playlist with this name, or with a number behind it where the track has one already; it is active
-- then. Returns it and how it came: given (a new track's first one), joined, copied (of the playlist `original`), made.
function tracks.playlist (track, name, how, original, is_first_of_new)
	if is_first_of_new then
		track:playlist ():set_name (name)
		return track:playlist (), "given"
	end
	if how == "join" then
		local own = own_playlist (track, name)
		if own then return own, "joined" end
	end
	local free, before = unused_name (track, name), track:playlist ():to_stateful ():id ():to_s ()
	if how == "copy" then
		tracks.activate (track, original)
		before = original:to_stateful ():id ():to_s ()
		track:use_copy_playlist ()
	else
		track:use_new_playlist (AUDIO)
	end
	local playlist = track:playlist ()
	if playlist:to_stateful ():id ():to_s () == before then
		error (("Ardour gives the track %s no further playlist"):format (track:name ()), 0)
	end
	playlist:set_name (free)
	return playlist, how == "copy" and "copied" or "made"
end

-- Makes a playlist the one that is heard. Whose it is stays as it was: it may be another track's that this one shares.
function tracks.activate (track, playlist)
	if track:playlist ():to_stateful ():id ():to_s () ~= playlist:to_stateful ():id ():to_s () then
		track:use_playlist (AUDIO, playlist, false)
	end
end

function tracks.mute (track)
	track:mute_control ():set_value (1, PBD.GroupControlDisposition.NoGroup)
end

-- Makes a group that shows that tracks belong together, and shares nothing: what is done to one is done to one.
function tracks.group (name, colour)
	local taken, free, number = {}, name, 2
	for group in Session:route_groups ():iter () do taken[group:name ()] = true end
	while taken[free] do
		free, number = ("%s %d"):format (name, number), number + 1
	end
	local group = Session:new_route_group (free)
	for _, share in ipairs ({ "gain", "mute", "solo", "recenable", "select", "route_active", "monitoring", "color" }) do
		group["set_" .. share] (group, false)
	end
	if colour then group:set_rgba (colour) end
	return group
end

return tracks
