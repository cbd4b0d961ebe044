-- Looks at a WAV file (RIFF, RF64 or BW64) before Ardour imports it: Ardour takes a damaged file without a word, as a
-- shorter region, and a wrong sample rate as well.
local use = ...
local fnv = use ("fnv")

local wav = {}

local BLOCK, BLOCKS = 1024, 16

-- Returns a file's fingerprint, 16 hex digits: FNV-1a with 64 bits over its size in decimal digits, then 16 blocks of
-- 1024 bytes spread evenly from its start to its end; a file of at most 1024 bytes is one block. nil and why if it
-- cannot be read.
function wav.fingerprint (path)
	local file, problem = io.open (path, "rb")
	if not file then return nil, problem end
	local size = file:seek ("end")
	local hash = fnv.add (fnv.START, ("%d"):format (size))
	for index = 0, size <= BLOCK and 0 or BLOCKS - 1 do
		file:seek ("set", math.max (0, index * (size - BLOCK) // (BLOCKS - 1)))
		hash = fnv.add (hash, file:read (BLOCK) or "")
	end
	file:close ()
	return fnv.digits (hash)
end

local function read (file, format, bytes)
	local text = file:read (bytes)
	if not text or #text < bytes then error ("the file ends in its header", 0) end
	return string.unpack (format, text)
end

-- Returns the header of an open file, or raises what is wrong with it.
local function header (file)
	local size = file:seek ("end")
	file:seek ("set", 0)
	local container, _, kind = read (file, "<c4 I4 c4", 12)
	if kind ~= "WAVE" or not (container == "RIFF" or container == "RF64" or container == "BW64") then
		error ("it is no WAV file", 0)
	end
	local found = {}
	while true do
		local id, bytes = read (file, "<c4 I4", 8)
		local start = file:seek ()
		if id == "ds64" then
			_, found.large_bytes = read (file, "<I8 I8", 16)
		elseif id == "fmt " then
			_, found.channels, found.sample_rate, _, found.frame_bytes = read (file, "<I2 I2 I4 I4 I2", 14)
		elseif id == "data" then
			if bytes == 0xFFFFFFFF and container ~= "RIFF" then bytes = found.large_bytes or 0 end
			if not found.frame_bytes or found.frame_bytes < 1 then error ("its format chunk is missing", 0) end
			if start + bytes > size then
				error (("it holds %d of %d bytes of audio"):format (size - start, bytes), 0)
			end
			found.frames, found.bytes = bytes // found.frame_bytes, size
			return found
		end
		file:seek ("set", start + bytes + bytes % 2)
	end
end

-- Returns what a file's header says: channels, sample_rate, frames, and the file's size as bytes. nil and why where that
-- is no whole WAV file.
function wav.header (path)
	local file, problem = io.open (path, "rb")
	if not file then return nil, problem end
	local ok, found = pcall (header, file)
	file:close ()
	if not ok then return nil, tostring (found) end
	return found
end

-- Compares a file with what is said of it: path, channels, frames, bytes, fingerprint. Returns true, or nil, a code
-- (vanished, damaged, rate) and a text.
function wav.check (said, sample_rate)
	local probe = io.open (said.path, "rb")
	if not probe then return nil, "vanished", said.path .. " is not there any more" end
	probe:close ()
	local found, problem = wav.header (said.path)
	if not found then return nil, "damaged", said.path .. ": " .. problem end
	for _, name in ipairs ({ "bytes", "channels", "frames" }) do
		if found[name] ~= said[name] then
			local text = "%s has %d %s; it was made with %d"
			return nil, "damaged", text:format (said.path, found[name], name, said[name])
		end
	end
	if wav.fingerprint (said.path) ~= said.fingerprint then
		return nil, "damaged", said.path .. " is not the file that was made: its contents differ"
	end
	if found.sample_rate ~= sample_rate then
		local text = "%s has %d Hz, this session %d Hz; ask again with the session's sample rate"
		return nil, "rate", text:format (said.path, found.sample_rate, sample_rate)
	end
	return true
end

return wav
