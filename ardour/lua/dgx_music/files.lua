-- Small files: read whole, and written so that a reader never sees half of one.
local files = {}

local count = 0

-- Returns a text that no other caller on this machine gets: letters, digits and - only.
function files.unique ()
	count = count + 1
	local address = tostring ({}):match ("0x(%x+)") or "0"
	local clock = ARDOUR and ARDOUR.LuaAPI and ARDOUR.LuaAPI.monotonic_time
	local now = clock and clock () or math.floor (os.clock () * 1e6)
	return ("%x-%x-%s-%d"):format (os.time (), now, address, count)
end

-- Returns the text of a file, or nil and why.
function files.read (path)
	local file, problem = io.open (path, "rb")
	if not file then return nil, problem end
	local text, failed = file:read ("a")
	file:close ()
	return text, failed
end

function files.exists (path)
	local file = io.open (path, "rb")
	if file then file:close () end
	return file ~= nil
end

-- Writes a file beside its place, then moves it there. Returns true, or nil and why; then nothing is left behind.
function files.write (path, text)
	local folder, name = path:match ("^(.*/)([^/]+)$")
	local part = folder .. "part." .. files.unique () .. "." .. name
	local file, problem = io.open (part, "wb")
	if not file then return nil, problem end
	local written, why = file:write (text)
	local closed, why_not = file:close ()
	local moved, unmoved
	if written and closed then moved, unmoved = os.rename (part, path) end
	if not moved then
		os.remove (part)
		return nil, why or why_not or unmoved
	end
	return true
end

return files
