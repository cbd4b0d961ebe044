-- The action Fill the sections: a prompt for each range marker, or for each section between markers, and one request
-- each. All land on one track, in one playlist.
local use = ...
local ask, form, here, map = use ("ask"), use ("form"), use ("here"), use ("map")
local memory, say, wish = use ("memory"), use ("say"), use ("wish")

local sections = {}

local MOST = 100  -- entries; the dialog scrolls
local FIRST = { all = "", engine = "auto", model = "auto" }

local function is (location, what)
	local test = location[what]
	return test ~= nil and test (location)
end

-- The markers and ranges that a user has made, in order; where the session ends.
local function locations ()
	local marks, ranges, stop = {}, {}, nil
	for location in Session:locations ():list ():iter () do
		local entry = { name = location:name (), start = location:start ():samples (), stop = location:_end ():samples () }
		if is (location, "is_session_range") then
			stop = entry.stop
		elseif is (location, "is_auto_loop") or is (location, "is_auto_punch") or is (location, "is_hidden")
			or is (location, "is_skip") or is (location, "is_xrun") or is (location, "is_cue_marker")
			or is (location, "is_clock_origin") or is (location, "is_scene") then
			-- these are about something else than the form of the music
		elseif is (location, "is_mark") then
			marks[#marks + 1] = entry
		elseif is (location, "is_range_marker") then
			ranges[#ranges + 1] = entry
		end
	end
	return marks, ranges, stop
end

local function in_order (entries)
	table.sort (entries, function (one, other)
		if one.start ~= other.start then return one.start < other.start end
		return one.name < other.name
	end)
	return entries
end

-- Turns markers into sections, each up to the next one; the last up to the session's end, where that comes later.
function sections.between (marks, stop)
	local found = {}
	for index, mark in ipairs (in_order (marks)) do
		local following = marks[index + 1]
		local ends = following and following.start or stop
		if ends and ends > mark.start then found[#found + 1] = { name = mark.name, start = mark.start, stop = ends } end
	end
	return found
end

-- Returns the session's sections, a list of { name, start, stop } in samples: its range markers, or what lies between
-- its markers where it has no ranges.
function sections.found ()
	local marks, ranges, stop = locations ()
	local found = #ranges > 0 and in_order (ranges) or sections.between (marks, stop)
	return found
end

-- Returns the prompt for a section: what is common to all, then its own; nil where its own is empty.
function sections.prompt (all, own)
	if not own:find ("%S") then return nil end
	all = form.trimmed (all)
	return (all ~= "" and all .. ", " or "") .. form.trimmed (own)
end

-- Returns a name for each section to remember its prompt by: songs have many a chorus, each with its own.
function sections.keys (found)
	local keys, counts = {}, {}
	for index, section in ipairs (found) do
		local name = section.name
		counts[name] = (counts[name] or 0) + 1
		keys[index] = counts[name] == 1 and name or ("%s (%d)"):format (name, counts[name])
	end
	return keys
end

local function title (section)
	local rate = Session:nominal_sample_rate ()
	local bars = map.whole_bars (section.start, section.stop)
	local length = bars and ("%d bars"):format (bars) or ("%.2f s"):format ((section.stop - section.start) / rate)
	return ("%s (%s, %s)"):format (section.name, map.bar_beat_tick (section.start), length)
end

local function show_dialog (values, prompts, found, track)
	local fields = {
		form.line ("A prompt for each section that is to be filled; a section without one is left alone."),
		form.text ("all", "Before each of them", values.all),
	}
	for index, section in ipairs (found) do
		fields[#fields + 1] = form.text ("section" .. index, title (section), prompts[index])
	end
	local lines = { ("One take each, all on the track '%s'."):format (track) }
	return form.ask ("Fill the sections", wish.add_last_fields (fields, values, lines))
end

function sections.run ()
	if not wish.is_possible () then return end
	local found = sections.found ()
	if #found == 0 then
		say.info ("This session has no sections. Add range markers, or markers where sections begin (the last one ends where the "
			.. "session ends).")
		return
	end
	if #found > MOST then
		say.info (("This session has %d sections; the first %d are offered."):format (#found, MOST))
		found = table.move (found, 1, MOST, 1, {})
	end
	if not wish.may_land () then return end

	local track = here.tracks ()[1] or here.unused_name ("Sections")
	local values, keys, empty, prompts = memory.recall ("sections", FIRST), sections.keys (found), {}, {}
	for _, key in ipairs (keys) do empty[key] = "" end
	local kept = memory.recall ("section prompts", empty)
	for index, key in ipairs (keys) do prompts[index] = kept[key] end
	local entered = show_dialog (values, prompts, found, track)
	if not entered then return end

	local wanted, asked = 0, 0
	for index, section in ipairs (found) do
		local own = entered["section" .. index]
		kept[keys[index]] = own
		local prompt = sections.prompt (entered.all, own)
		if prompt then
			wanted = wanted + 1
			local target = { track = track, playlist = track .. " sections", playlists = "join", on_top = "take" }
			local one = { prompt = prompt, takes = 1, engine = entered.engine, model = entered.model }
			local request = wish.request (one, section.start, section.stop - section.start, target)
			if asked == wanted - 1 and ask.generate (request) then asked = asked + 1 end
		end
	end
	memory.keep ("sections", { all = entered.all, engine = entered.engine, model = entered.model })
	memory.keep ("section prompts", kept)
	if asked < wanted then
		say.info (("%d of %d sections were asked for; the others were not, after that answer."):format (asked, wanted))
	end
end

return sections
