-- Puts one delivery onto the timeline: everything is imported before anything visible changes, then come tracks and
-- playlists, then all regions as one undo step.
local use = ...
local bring, changes, ledger, manifest = use ("bring"), use ("changes"), use ("ledger"), use ("manifest")
local markers, removal, session_range = use ("markers"), use ("removal"), use ("session_range")
local sources, tracks, wav = use ("sources"), use ("tracks"), use ("wav")

local deliver = {}

local function failed (code, message) return { kind = "failed", code = code, message = message } end

-- Checks the session's sample rate, and every file that is not in it yet. Returns the outcome where something is wrong.
local function objection (said, present)
	local rate = Session:nominal_sample_rate ()
	if said.sample_rate ~= rate then
		return failed ("rate", ("the music has %d Hz, this session %d Hz; ask again with the session's sample rate")
			:format (said.sample_rate, rate))
	end
	for _, file in ipairs (manifest.files (said)) do
		if not present[manifest.stem (said, file)] then
			local ok, code, message = wav.check (file, rate)
			if not ok then return failed (code, message) end
		end
	end
end

-- Brings all files into the region list; returns their regions, or nil and the outcome.
local function import_all (said, present)
	local regions = {}
	for index, file in ipairs (manifest.files (said)) do
		regions[index] = present[manifest.stem (said, file)] or bring.import (file, said.position)
		if not regions[index] then
			return nil, failed ("import", "Ardour did not import " .. file.path
				.. "; is its disk full, or was the import cancelled? Ardour's log (Window > Log) says more")
		end
	end
	return regions
end

local function note_playlist (entry, track, playlist, how)
	entry.playlists[#entry.playlists + 1] = {
		name = playlist:name (), track = track:name (), how = how, others_before = removal.others (playlist, entry.delivery),
	}
end

-- Makes or finds the track of the takes and a playlist for each; adds one placing for each to a list.
local function lay_takes (said, regions, entry, placings)
	local track = not said.new_track and tracks.find (said.track)
	local is_new = not track
	if is_new then track = tracks.make (said.track, said.takes[1].channels, said.colour, said.comment) end
	local original = track:playlist ()
	entry.tracks[1] = { name = track:name (), made = is_new, was_active = original:name () }
	for index, take in ipairs (said.takes) do
		local playlist, how = tracks.playlist (track, take.playlist or take.name, said.playlists, original, is_new and index == 1)
		note_playlist (entry, track, playlist, how)
		placings[#placings + 1] = { file = take, region = regions[index], playlist = playlist, track = track, how = how }
	end
	local mine = said.on_top == "mine" and not is_new
	tracks.activate (track, mine and original or placings[1].playlist)
	return track
end

-- Makes a muted track for each stem: the take holds all of them already.
local function lay_stems (said, regions, entry, placings)
	local group
	for index, stem in ipairs (said.stems) do
		local colour = said.stem_colours and said.stem_colours[(index - 1) % #said.stem_colours + 1]
		local track = tracks.make (stem.track or stem.name, stem.channels, colour, stem.comment)
		entry.tracks[#entry.tracks + 1] = { name = track:name (), made = true, was_active = track:playlist ():name () }
		tracks.mute (track)
		if not group then
			group = tracks.group (said.group or "Stems", said.group_colour)
			entry.group = group:name ()
		end
		group:add (track)
		note_playlist (entry, track, track:playlist (), "given")
		placings[#placings + 1] = {
			file = stem, region = regions[#said.takes + index], playlist = track:playlist (), track = track, how = "given",
		}
	end
end

local function root (name) return (name:gsub ("%.%d+$", "")) end

-- Takes the region that is to be replaced out of the copy of the user's playlist. A copied region has another id, and a
-- number at the end of its name; of several at the same place, the one of that name goes, else the topmost. Returns
-- whether there was one.
local function take_out (playlist, replace)
	local found, rank
	for region in playlist:region_list ():iter () do
		if region:position ():samples () == replace.position and region:length ():samples () == replace.length then
			local has_name = root (region:name ()) == root (replace.name or "")
			local this = region:layer () + (has_name and 1000000 or 0)
			if not found or this > rank then found, rank = region, this end
		end
	end
	if found then playlist:remove_region (found) end
	return found ~= nil
end

-- Returns the placings of a delivery whose tracks and playlists are there still, without its regions: it was undone. nil
-- where that is not so.
local function places_of (said, regions, old)
	local by_stem, placings = {}, {}
	for index, file in ipairs (manifest.files (said)) do
		by_stem[manifest.stem (said, file)] = { file = file, region = regions[index] }
	end
	for index, noted in ipairs (old.regions) do
		local known, line = by_stem[noted.stem], old.playlists[index]
		local track = line and removal.track_of (old, { name = line.track })
		local playlist = track and removal.own_playlists (old, track)[noted.playlist]
		if not known or not playlist then return nil end
		placings[index] = { file = known.file, region = known.region, playlist = playlist, track = track, how = line.how }
	end
	return placings
end

local function place_regions (said, placings, entry)
	local playlists = {}
	for index, placing in ipairs (placings) do playlists[index] = placing.playlist end
	local stop, range_was_missing, not_found = said.position, session_range.is_missing (), false
	changes.as_one_step (entry.step, playlists, function ()
		for _, placing in ipairs (placings) do
			if said.replace and placing.how == "copied" and not take_out (placing.playlist, said.replace) then not_found = true end
			local region = ARDOUR.RegionFactory.clone_region (placing.region, true, false)
			region:set_name (placing.file.name)
			region:to_audioregion ():set_fade_in_active (false)  -- it sounds as it was made, to the sample
			region:to_audioregion ():set_fade_out_active (false)
			placing.playlist:add_region (region, Temporal.timepos_t (said.position), 1, false)
			session_range.provoke (region, said.position)
			stop = math.max (stop, said.position + region:length ():samples ())
			entry.regions[#entry.regions + 1] = {
				stem = manifest.stem (said, placing.file), name = region:name (), playlist = placing.playlist:name (),
				position = region:position ():samples (), length = region:length ():samples (),
			}
		end
	end)
	session_range.cover (said.position, stop, range_was_missing)
	for index, placing in ipairs (placings) do
		entry.playlists[index].others = removal.others (placing.playlist, said.delivery)
	end
	return not not_found
end

local function place (said, regions, allowed, entry, old)
	local placings, notes, track = old and places_of (said, regions, old), {}, nil
	local before = old and old.marker
	if before and markers.find (before.name, before.position) then
		entry.marker = before
	elseif allowed.markers and said.marker and said.marker ~= "" and markers.add (said.marker, said.position) then
		entry.marker = { name = said.marker, position = said.position }
	end
	if placings then
		track = placings[1].track
		entry.tracks, entry.playlists, entry.group = old.tracks, old.playlists, old.group
	else
		placings = {}
		track = lay_takes (said, regions, entry, placings)
		lay_stems (said, regions, entry, placings)
	end
	if not place_regions (said, placings, entry) then
		notes[#notes + 1] = "the region that it was to replace is not there any more, so it lies above what is"
	end
	local inputs = track:n_inputs ():n_audio ()
	if inputs < said.takes[1].channels then
		notes[#notes + 1] = ("the track has %d channel, the music %d: only the first is heard"):format (inputs, said.takes[1].channels)
	end
	local text = ("%d regions at sample %d, track %s"):format (#entry.regions, said.position, track:name ())
	return table.concat ({ text, table.unpack (notes) }, "; ")
end

-- Delivers.
--
-- said: a manifest. folder: the session's spool. allowed: the session's permissions. is_calm: a function that tells
-- whether it may go on now, asked again after the import, which takes a while.
--
-- Returns the outcome: a table with kind (landed, failed, or later: nothing was placed, try again), message, and for a
-- report code, regions; was_there where it is no news. What has landed stands in the ledger; twice is once.
function deliver.run (said, folder, allowed, is_calm)
	local count = sources.count_placed (said.delivery)
	if count > 0 then
		return { kind = "landed", regions = count, was_there = true, message = "it is in the session already" }
	end
	if not is_calm () then return { kind = "later", message = "not now" } end
	local by_stem = {}
	for _, file in ipairs (manifest.files (said)) do by_stem[manifest.stem (said, file)] = file end
	local present = sources.imported (by_stem, said.delivery)
	local wrong = objection (said, present)
	if wrong then return wrong end
	local regions, not_imported = import_all (said, present)
	if not regions then return not_imported end
	if not is_calm () then return { kind = "later", message = "not now" } end
	local entry = {
		delivery = said.delivery, job = said.job, offer = said.offer, title = said.title, snapshot = Session:snap_name (),
		step = "DGX Music: " .. (said.title or said.delivery), landed_at = os.time (), tracks = {}, playlists = {}, regions = {},
	}
	local ok, message = pcall (place, said, regions, allowed, entry, ledger.read (folder, said.delivery))
	if not ok then
		pcall (removal.take_away, entry)
		return failed ("internal", "nothing was placed, because the script met an error: " .. tostring (message))
	end
	local noted, problem = ledger.add (folder, entry)
	if not noted then
		message = ("%s; 'Remove last delivery' will not know it: %s"):format (message, tostring (problem))
	end
	return { kind = "landed", regions = #entry.regions, message = message }
end

return deliver
