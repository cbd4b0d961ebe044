-- The audio of a region: the files that its channels come from, and whether they are what one hears.
local use = ...
local files, wav = use ("files"), use ("wav")

local region = {}

-- Returns the region's sources, a list of { path, channel } with one for each of its channels; nil and why not where it
-- has no files of its own.
function region.sources (of)
	local sources = {}
	for channel = 0, of:to_audioregion ():n_channels () - 1 do
		local file = of:source (channel):to_filesource ()
		if of:is_compound () or file:isnil () then
			return nil, "'" .. of:name () .. "' is a compound of other regions, with no audio file of its own. "
				.. "Select one of those (Region > Edit > Uncombine), or bounce it first"
		end
		local path = file:path ()
		if path:sub (1, 1) ~= "/" or not files.exists (path) then
			return nil, "the audio file of '" .. of:name () .. "' is missing"
		end
		sources[#sources + 1] = { path = path, channel = file:channel () }
	end
	return sources
end

-- The rate of a WAV file that is not the session's, nil where there is none: Ardour plays such a file sample for sample,
-- at another pitch.
local function other_rate (sources)
	for _, source in ipairs (sources) do
		local header = wav.header (source.path)
		if header and header.sample_rate ~= Session:nominal_sample_rate () then return header.sample_rate end
	end
	return nil
end

-- Returns a stretch of the region's audio as a request names it: from `first` on, `length` samples, both counted in the
-- region. nil and why not where the files are not what one hears.
function region.excerpt (of, first, length)
	local sources, problem = region.sources (of)
	if not sources then return nil, problem end
	local rate = other_rate (sources)
	if rate then
		return nil, ("the audio file of '%s' has %d Hz, and the session plays it with %d Hz, at another pitch. Import it anew "
			.. "with conversion, or bounce it"):format (of:name (), rate, Session:nominal_sample_rate ())
	end
	local excerpt = { path = sources[1].path, channel = sources[1].channel, start = of:start ():samples () + first, length = length }
	if #sources > 1 then excerpt.more = table.move (sources, 2, #sources, 1, {}) end
	return excerpt
end

-- Returns a sentence for each thing that is heard in the session, and is not in the files.
function region.differences (of)
	local found, audio = {}, of:to_audioregion ()
	local gain = audio:scale_amplitude ()
	if math.abs (gain - 1) > 1e-6 then
		local decibels = gain > 0 and ("%.1f dB"):format (20 * math.log (gain, 10)) or "−∞ dB"
		found[#found + 1] = "Its gain of " .. decibels .. " is left out: its file is read as it was recorded."
	end
	if audio:envelope_active () then
		found[#found + 1] = "Its gain envelope is left out: its file is read as it was recorded."
	end
	if of.nth_plugin and not of:nth_plugin (0):isnil () then
		found[#found + 1] = "Its region effects are left out: its file is read as it was recorded."
	end
	return found
end

-- Returns where the region ends: the first sample behind it.
function region.stop (of)
	return of:position ():samples () + of:length ():samples ()
end

return region
