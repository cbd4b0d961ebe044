-- What the user allows in a session: lines `name = yes` or `name = no` in a plain file beside it. What is not there is
-- not allowed.
local use = ...
local files, spool = use ("files"), use ("spool")

local permissions = {}

permissions.NAMES = { "import", "read", "markers", "tempo" }

local MEANING = {
	import  = "put new tracks and regions with finished music into this session",
	read    = "read this session's audio when a region is to be continued or varied",
	markers = "add a marker where music is placed",
	tempo   = "change the tempo map when asked to",
}

local HEAD = "# What DGX Music may do in this session: yes or no. Nothing that is already here is changed or removed.\n"

function permissions.file (session_path)
	return spool.session_path (session_path) .. "/dgx-music.permissions"
end

local function parts (line)
	return line:match ("^(%s*([%w_-]+)%s*=%s*)(%a*)(%s*#?.*)$")
end

-- Returns a table of booleans by name, and whether there is a file at all. Of the open session by default.
function permissions.read (session_path)
	local allowed = {}
	for _, name in ipairs (permissions.NAMES) do allowed[name] = false end
	local text = files.read (permissions.file (session_path))
	for line in (text or ""):gmatch ("[^\r\n]+") do
		local _, name, value, rest = parts (line)
		if name and rest:find ("^%s*$") or name and rest:find ("^%s*#") then
			allowed[name] = value:lower () == "yes"
		end
	end
	return allowed, text ~= nil
end

-- Writes the booleans of a table by name; lines about other things, and comments, stay. Returns true, or nil and why.
function permissions.write (wanted, session_path)
	local path = permissions.file (session_path)
	local text = files.read (path) or HEAD
	if text ~= "" and text:sub (-1) ~= "\n" then text = text .. "\n" end
	local written = {}
	text = text:gsub ("[^\r\n]+", function (line)
		local before, name, _, after = parts (line)
		if name and wanted[name] ~= nil then
			written[name] = true
			return before .. (wanted[name] and "yes" or "no") .. after
		end
	end)
	for _, name in ipairs (permissions.NAMES) do
		if wanted[name] ~= nil and not written[name] then
			text = ("%s%s = %s  # %s\n"):format (text, name, wanted[name] and "yes" or "no", MEANING[name])
		end
	end
	return files.write (path, text)
end

return permissions
