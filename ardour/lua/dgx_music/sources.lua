-- Knows our audio again in a session: Ardour names an imported file after the one that it came from, and that name holds
-- the delivery's id. So it does not matter what the regions are called, or which objects have which id after a reload.
local sources = {}

local function path_of (region, channel)
	local source = region:source (channel)
	local file = not source:isnil () and source:to_filesource ()
	if not file or file:isnil () then return "" end
	return file:path ()
end

-- Returns the name of the file that a region plays, without folders.
function sources.name (region)
	local audio = region:to_audioregion ()
	if audio:isnil () then return "" end
	return path_of (region, 0):match ("[^/]*$")
end

-- Returns a file's name without the number of the offer behind the delivery's id.
function sources.key (name, delivery)
	return (name:gsub ("(" .. delivery:gsub ("%p", "%%%0") .. ")%-%d+", "%1"))
end

-- Whether a file's name begins with this text as a whole: gen_1-1 is not in gen_1-10.
function sources.begins (name, text)
	return name:sub (1, #text) == text and not name:sub (#text + 1, #text + 1):find ("[%w_]")
end

-- Whether a file's name holds this text as a whole.
function sources.holds (name, text)
	local from = 1
	while true do
		local first, last = name:find (text, from, true)
		if not first then return false end
		local before, after = name:sub (first - 1, first - 1), name:sub (last + 1, last + 1)
		if (first == 1 or not before:find ("%w")) and not after:find ("%w") then return true end
		from = first + 1
	end
end

-- Returns which files of a delivery the session has already: a table from their keys to whole-file regions. `files` is a
-- table from key to what the manifest says of the file.
function sources.imported (files, delivery)
	local found = {}
	for _, region in ARDOUR.RegionFactory.regions ():iter () do
		if region:whole_file () then
			local name = sources.key (sources.name (region), delivery)
			for key, file in pairs (files) do
				if sources.begins (name, key) and region:length ():samples () == file.frames
					and region:to_audioregion ():n_channels () == file.channels then
					found[key] = region
				end
			end
		end
	end
	return found
end

-- Calls a function with each region that lies in a playlist of a track and plays audio of a delivery; its arguments are
-- the region, its playlist and the name of its file.
function sources.each_placed (delivery, visit)
	local seen = {}
	local function look (playlist)
		local id = playlist:to_stateful ():id ():to_s ()
		if seen[id] then return end
		seen[id] = true
		for region in playlist:region_list ():iter () do
			local name = sources.name (region)
			if sources.holds (name, delivery) then visit (region, playlist, name) end
		end
	end
	for track in Session:get_tracks ():iter () do
		track = track:to_track ()
		look (track:playlist ())
		for playlist in Session:playlists ():playlists_for_track (track):iter () do look (playlist) end
	end
	for playlist in Session:playlists ():get_unused ():iter () do look (playlist) end
end

-- Returns how many regions of a delivery lie in playlists.
function sources.count_placed (delivery)
	local count = 0
	sources.each_placed (delivery, function () count = count + 1 end)
	return count
end

return sources
