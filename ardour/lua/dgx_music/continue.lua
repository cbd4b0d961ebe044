-- The action Continue this region: the music of the selected region goes on from its last sample.
local use = ...
local ask, form, map, memory = use ("ask"), use ("form"), use ("map"), use ("memory")
local region, selected, wish = use ("region"), use ("selected"), use ("wish")

local continue = {}

local HEARD_S = 12  -- what the engines hear of a beginning, at the most
local FIRST = { prompt = "", length = 4, unit = "bars", takes = 3, engine = "auto", model = "auto" }

local function number (key, title, value, least, most)
	return { type = "number", key = key, title = title, min = least, max = most, step = 1, digits = 2, default = value }
end

local function show_dialog (values, of, track)
	local heard = math.min (HEARD_S, of:length ():samples () / Session:nominal_sample_rate ())
	local fields = {
		form.text ("prompt", "Prompt", values.prompt),
		number ("length", "Length", values.length, 1, 600),
		form.choice ("unit", "counted in", { { "bars", "bars" }, { "seconds", "seconds" } }, values.unit),
		number ("heard", "Heard of the region's end (s)", heard, math.min (0.1, heard), heard),
		form.count ("takes", "Takes", values.takes, 1, 16),
	}
	local lines = region.differences (of)
	table.insert (lines, 1, ("'%s' goes on at %s, on %s, in copies of its playlist."):format (of:name (),
		map.bar_beat_tick (region.stop (of)), track))
	return form.ask ("Continue this region", wish.add_last_fields (fields, values, lines))
end

local function length_in_samples (values, start)
	if values.unit ~= "bars" then return form.integer (values.length * Session:nominal_sample_rate ()) end
	local whole = math.floor (values.length)
	local least, most = map.bars_in_samples (start, whole), map.bars_in_samples (start, whole + 1)
	return least + form.integer ((most - least) * (values.length - whole))
end

function continue.run ()
	if not wish.is_possible () then return end
	local of, track = selected.audible ("continued", "To go on from a region, its audio file has to be read.")
	if not (of and wish.may_land ()) then return end
	local values = wish.enter (memory.recall ("continue", FIRST), function (values)
		return show_dialog (values, of, track)
	end)
	if not values then return end

	local start, length = region.stop (of), of:length ():samples ()
	local heard = math.min (length, math.max (1, form.integer (values.heard * Session:nominal_sample_rate ())))
	local target = { track = track, playlists = "copy", on_top = "take" }
	local request = wish.request (values, start, length_in_samples (values, start), target)
	request.continue_from = region.excerpt (of, length - heard, heard)
	ask.generate (request)
	memory.keep ("continue", values)
end

return continue
