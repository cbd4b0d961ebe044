-- What the dialogs that ask for music have in common: that it is possible and allowed, their fields, and the request that
-- comes of them.
local use = ...
local ask, consent, form, map = use ("ask"), use ("consent"), use ("form"), use ("map")
local say, spool, status = use ("say"), use ("spool"), use ("status")

local wish = {}

local ENGINES = { { "auto", "auto" }, { "musicgen", "musicgen" }, { "sketch", "sketch" } }

-- Returns whether music can be asked for; tells the user where not.
function wish.is_possible ()
	if map.is_known () then return ask.is_possible () end
	say.error ("This needs Ardour 7 or later. 'dgx-music generate' in a terminal makes the same music.")
	return false
end

-- Returns whether what comes of it may be put into the session; asks the user where that was never allowed.
function wish.may_land ()
	return consent.to ("import", "May DGX Music put what it makes for you into this session?")
end

-- Adds the fields for engine and model, lines of text, and what the user has to know before they say OK.
function wish.add_last_fields (fields, values, lines)
	fields[#fields + 1] = form.choice ("engine", "Engine", ENGINES, values.engine)
	fields[#fields + 1] = form.text ("model", "Model (auto, a name or a folder)", values.model)
	for _, line in ipairs (lines) do fields[#fields + 1] = form.line (line) end
	if status.hook_is_missing () then
		fields[#fields + 1] = form.line ("The script that puts music onto the timeline does not run; 'Fetch now' does it once, "
			.. "'Status' tells more.")
	end
	return fields
end

-- Shows a dialog until there is a prompt in it; `show` takes the values of its fields and returns what was entered.
-- Returns the values, or nil where it was cancelled.
function wish.enter (values, show)
	repeat
		local entered = show (values)
		if not entered then return nil end
		for key, value in pairs (entered) do values[key] = value end
		local is_empty = not values.prompt:find ("%S")
		if is_empty then
			say.warning ("The prompt is empty. Describe the music, such as: dusty lo-fi drums, brushed snare")
		end
	until not is_empty
	return values
end

-- Returns a model's name from its field.
function wish.model (text)
	local name = form.trimmed (text)
	return name ~= "" and name or "auto"
end

-- Returns a request: what was entered, and what the session says of the place, with the exact length in samples.
function wish.request (values, start, length, target)
	local request = map.request_fields (start, length)
	request.prompt, request.takes = form.trimmed (values.prompt), form.integer (values.takes)
	request.engine, request.model = values.engine, wish.model (values.model)
	request.samples, request.sample_rate = length, Session:nominal_sample_rate ()
	target.path, target.position = spool.session_path (), start
	request.session = target
	return request
end

return wish
