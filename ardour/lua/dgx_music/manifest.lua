-- What the daemon says of one delivery: which files, with which names, onto which track, from which sample on.
local use = ...
local data, sources = use ("data"), use ("sources")

local manifest = {}

local FORMAT = 1

local function is_text (value) return type (value) == "string" and value ~= "" end

local function is_count (value) return math.type (value) == "integer" and value >= 0 end

local FIELDS = {
	delivery = is_text, session = is_text, position = is_count, sample_rate = is_count, track = is_text,
	takes = function (value) return type (value) == "table" and #value > 0 end,
	stems = function (value) return type (value) == "table" end,
}

local FILE_FIELDS = {
	path = is_text, name = is_text, channels = is_count, frames = is_count, bytes = is_count, fingerprint = is_text,
}

local function first_wrong (value, fields)
	if type (value) ~= "table" then return "itself" end
	for name, is_right in pairs (fields) do
		if not is_right (value[name]) then return name end
	end
end

-- Returns the manifest that a text holds, or nil, what is wrong, and the manifest as far as it can be read.
function manifest.parse (text)
	local said, problem = data.parse (text, "the manifest")
	if not said then return nil, problem end
	if said.format ~= FORMAT then
		return nil, ("the manifest has format %s, these scripts read %d; 'dgx-music install-assets' brings them up to date")
			:format (tostring (said.format), FORMAT), said
	end
	local wrong = first_wrong (said, FIELDS)
	if wrong then return nil, "the manifest's " .. wrong .. " is not what it has to be", said end
	for index, file in ipairs (manifest.files (said)) do
		wrong = first_wrong (file, FILE_FIELDS)
		if wrong then return nil, ("file %d of the manifest: %s is not what it has to be"):format (index, wrong), said end
	end
	return said
end

-- Returns the files of a manifest: the takes, then the stems.
function manifest.files (said)
	local files = {}
	table.move (said.takes, 1, #said.takes, 1, files)
	table.move (said.stems, 1, #said.stems, #files + 1, files)
	return files
end

-- Returns the name of a file without folder, ending and the offer's number: by it the audio is known again in the
-- session, whichever offer it came from.
function manifest.stem (said, file)
	return sources.key (file.path:match ("[^/]*$"):gsub ("%.%w+$", ""), said.delivery)
end

return manifest
