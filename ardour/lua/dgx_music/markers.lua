-- Adds and removes our marker, which is known by its name and place: Ardour 7.3 tells no usable id of a marker.
local markers = {}

-- Returns the location of a marker with this name and place, or nil.
function markers.find (name, position)
	for location in Session:locations ():list ():iter () do
		if location:is_mark () and location:name () == name and location:start ():samples () == position then
			return location
		end
	end
end

-- Calls a function while Ardour does not ask for the names of new markers. Returns whether that could be had.
local function without_questions (add)
	local settings = ArdourUI and ArdourUI.config and ArdourUI.config ()
	if not settings or not settings.get_name_new_markers then return false end
	local asks = settings:get_name_new_markers ()
	if asks then settings:set_name_new_markers (false) end
	local ok, failure = pcall (add)
	if asks then settings:set_name_new_markers (true) end
	if not ok then error (failure, 0) end
	return true
end

-- Adds a marker, an undo step of its own: so never within another one. Returns whether it is there.
function markers.add (name, position)
	local there = {}
	for location in Session:locations ():list ():iter () do
		if location:is_mark () and location:start ():samples () == position then there[location:name ()] = true end
	end
	if there[name] then return false end
	local could = without_questions (function ()
		Editor:mouse_add_new_marker (Temporal.timepos_t (position), ARDOUR.LocationFlags.IsMark, 0)
	end)
	if not could then return false end
	for location in Session:locations ():list ():iter () do
		if location:is_mark () and location:start ():samples () == position and not there[location:name ()] then
			location:set_name (name)
			return true
		end
	end
	return false
end

-- Removes a marker. Returns whether it was there.
function markers.remove (name, position)
	local location = markers.find (name, position)
	if location then Session:locations ():remove (location) end
	return location ~= nil
end

return markers
