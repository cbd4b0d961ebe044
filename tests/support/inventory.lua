-- ardour7-lua inventory.lua SESSION_FOLDER SNAPSHOT [TICKS ...]
-- Loads a session and prints what Ardour made of it, one fact a line, fields separated by tabs. For each TICKS (1920ths
-- of a quarter note) it prints where that lies. It judges nothing: the test that calls it does.

local function say (...)
	local fields = table.pack (...)
	for i = 1, fields.n do fields[i] = tostring (fields[i]) end
	io.write ("=", table.concat (fields, "\t"), "\n")
	io.flush ()
end

local function bit (value) return value and 1 or 0 end

local function exists (path)
	if path:sub (1, 1) ~= "/" then return false end -- Ardour's stand-in for a missing file has a bare name
	local file = io.open (path, "rb")
	if file then file:close () end
	return file ~= nil
end

local function say_playlist (track, playlist, active)
	say ("playlist", track:name (), playlist:name (), bit (active))
	for region in playlist:region_list ():iter () do
		local audio = region:to_audioregion ()
		if not audio:isnil () then
			say ("region", playlist:name (), region:name (), region:position ():samples (), region:length ():samples (),
				region:start ():samples (), audio:n_channels (), bit (region:muted ()),
				bit (audio:fade_in_active ()), bit (audio:fade_out_active ()), string.format ("%.9f", audio:scale_amplitude ()))
			for channel = 0, audio:n_channels () - 1 do
				local file = region:source (channel):to_filesource ()
				local path = file:isnil () and "" or file:path ()
				say ("source", region:name (), channel, path, file:isnil () and 0 or file:channel (), bit (exists (path)),
					region:source (channel):length ():samples ())
			end
		end
	end
end

local session = load_session (arg[1], arg[2])
if not session then error ("the session does not load") end
say ("session", Session:name (), Session:nominal_sample_rate (), Session:current_start_sample (), Session:current_end_sample ())

local map = Temporal.TempoMap.read ()
for i = 3, #arg do
	local ticks = math.tointeger (tonumber (arg[i]))
	local at = Temporal.timepos_t.from_ticks (ticks)
	local bbt = map:bbt_at (at)
	say ("tempo", ticks, at:samples (), string.format ("%.9f", map:quarters_per_minute_at (at)),
		string.format ("%.9f", map:tempo_at (at):to_tempo ():note_types_per_minute ()), map:tempo_at (at):to_tempo ():note_type (),
		map:meter_at (at):divisions_per_bar (), map:meter_at (at):note_value (), bbt.bars, bbt.beats, bbt.ticks)
end

for location in Session:locations ():list ():iter () do
	local kind = location:is_session_range () and "session" or location:is_auto_loop () and "loop"
		or location:is_mark () and "mark" or location:is_range_marker () and "range" or "other"
	say ("location", kind, location:name (), location:start ():samples (), location:_end ():samples ())
end

for group in Session:route_groups ():iter () do
	local members = {}
	for route in group:route_list ():iter () do members[#members + 1] = route:name () end
	say ("group", group:name (), group:rgba (), bit (group:is_mute ()), table.unpack (members))
end

for route in Session:get_routes ():iter () do
	local track = route:to_track ()
	local ports = route:output ():n_ports ():n_audio ()
	local connected = ports > 0
	for port = 0, ports - 1 do connected = connected and route:output ():audio (port):connected () end
	say ("route", route:name (), bit (not track:isnil ()), route:n_inputs ():n_audio (), route:n_outputs ():n_audio (),
		bit (connected), bit (route:muted ()), string.format ("%.9f", route:gain_control ():get_value ()),
		route:presentation_info_ptr ():color ())
	if route:comment () ~= "" then say ("comment", route:name (), (route:comment ():gsub ("\n", "\\n"))) end
	if not track:isnil () then
		local active = track:playlist ()
		say_playlist (track, active, true)
		for playlist in Session:playlists ():playlists_for_track (track):iter () do
			if playlist:name () ~= active:name () then say_playlist (track, playlist, false) end
		end
	end
end

say ("end")
session = nil
collectgarbage ()
Session:close ()
