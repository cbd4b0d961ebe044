-- The action Generate: asks for a prompt and how much of it, and sends that with what the session says of the place.
local use = ...
local ask, form, here, map = use ("ask"), use ("form"), use ("here"), use ("map")
local memory, wish = use ("memory"), use ("wish")

local generate = {}

local FIRST = {
	prompt = "", bars = 4, as_range = true, on_bar = true, range_on_bars = false, takes = 3, engine = "auto", model = "auto",
	loop = false, where = "new", stems = false,
}

local function show_dialog (values, start, length, track)
	local rate = Session:nominal_sample_rate ()
	local bars = length and "Bars, where not as the range" or "Bars"
	local fields = { form.text ("prompt", "Prompt", values.prompt), form.count ("bars", bars, values.bars, 1, 512) }
	if length then
		local as_range = ("As long as the selected range (%.3f s)"):format (length / rate)
		local on_bars = "Start and end on the nearest bar lines, not on the range's own ends"
		fields[#fields + 1] = form.tick ("as_range", as_range, values.as_range)
		fields[#fields + 1] = form.tick ("range_on_bars", on_bars, values.range_on_bars)
	else
		local on_bar = "Start on the nearest bar line, not at the playhead"
		fields[#fields + 1] = form.tick ("on_bar", on_bar, values.on_bar)
	end
	fields[#fields + 1] = form.count ("takes", "Takes", values.takes, 1, 16)
	fields[#fields + 1] = form.tick ("loop", "Seamless loop", values.loop)
	fields[#fields + 1] = form.tick ("stems", "Stems too, on a track each (where the engine makes them)", values.stems)
	if track then
		fields[#fields + 1] = form.choice ("where", "Where", {
			{ "new", "A new track" },
			{ "take", ("%s, as new playlists"):format (track) },
			{ "mine", ("%s, as new playlists below mine"):format (track) },
		}, values.where)
	end
	local session = ("From this session, at %s: %.6g bpm, %s, %d Hz"):format (map.bar_beat_tick (start), map.bpm_at (start),
		map.meter_at (start), rate)
	return form.ask ("Generate", wish.add_last_fields (fields, values, { session }))
end

-- Where the music goes, to the sample: its start and length. A playhead seldom stands on a bar line, and a range is meant
-- as it is: so each has its own tick.
local function stretch (values, start, length)
	local stop, on_bars = length and values.as_range and start + length, values.on_bar
	if length then on_bars = values.range_on_bars end
	if on_bars then
		start = map.nearest_bar (start)
		stop = stop and math.max (map.nearest_bar (stop), start + map.bars_in_samples (start, 1))
	end
	return start, stop and stop - start or map.bars_in_samples (start, form.integer (values.bars))
end

function generate.run ()
	if not (wish.is_possible () and wish.may_land ()) then return end
	local place, range = here.place ()
	local track = here.tracks ()[1]
	local values = wish.enter (memory.recall ("generate", FIRST), function (values)
		return show_dialog (values, place, range, track)
	end)
	if not values then return end

	local target = { playlists = "new", on_top = "take", stems = values.stems }
	if track and values.where ~= "new" then target.track, target.on_top = track, values.where end
	local start, length = stretch (values, place, range)
	local request = wish.request (values, start, length, target)
	request.loop = values.loop
	ask.generate (request)
	memory.keep ("generate", values)
end

return generate
