-- The action Vary this region: something else with the selected region's melody, as long and at the same place.
local use = ...
local ask, form, map, memory = use ("ask"), use ("form"), use ("map"), use ("memory")
local region, selected, wish = use ("region"), use ("selected"), use ("wish")

local vary = {}

local FIRST = { prompt = "", takes = 3, engine = "auto", model = "auto" }

local function show_dialog (values, of, track)
	local fields = { form.text ("prompt", "Prompt", values.prompt), form.count ("takes", "Takes", values.takes, 1, 16) }
	local lines = region.differences (of)
	table.insert (lines, 1, ("As long as '%s' and at its place, %s, on new playlists of %s."):format (of:name (),
		map.bar_beat_tick (of:position ():samples ()), track))
	return form.ask ("Vary this region", wish.add_last_fields (fields, values, lines))
end

function vary.run ()
	if not wish.is_possible () then return end
	local of, track = selected.audible ("varied", "To follow a region's melody, its audio file has to be read.")
	if not (of and wish.may_land ()) then return end
	local values = wish.enter (memory.recall ("vary", FIRST), function (values)
		return show_dialog (values, of, track)
	end)
	if not values then return end

	local start, length = of:position ():samples (), of:length ():samples ()
	local request = wish.request (values, start, length, { track = track, playlists = "new", on_top = "take" })
	request.melody = region.excerpt (of, 0, length)
	ask.generate (request)
	memory.keep ("vary", values)
end

return vary
