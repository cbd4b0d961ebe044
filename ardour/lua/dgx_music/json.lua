-- Writes JSON. Reading it takes a parser that nothing here needs: what the daemon tells is Lua text.
local json = {}

-- The JSON null, for a field that has to be there without a value.
json.null = {}

local lists = setmetatable ({}, { __mode = "k" })

-- Marks a table as a list, so that it is written as [] even while it is empty.
function json.list (values)
	lists[values] = true
	return values
end

local ESCAPES = { ['"'] = '\\"', ["\\"] = "\\\\", ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t" }

local function escaped (character)
	return ESCAPES[character] or ("\\u%04x"):format (character:byte ())
end

-- JSON is UTF-8, and a name of a file need not be: what is none becomes the replacement character. Lua lets the halves
-- of surrogate pairs pass.
local function as_utf8 (text)
	local parts = {}
	while true do
		local good, bad = utf8.len (text)
		if good then break end
		parts[#parts + 1] = text:sub (1, bad - 1) .. "\u{FFFD}"
		text = text:sub (bad + 1)
	end
	text = table.concat (parts) .. text
	return (text:gsub ("\xED[\xA0-\xBF][\x80-\xBF]", "\u{FFFD}"))
end

local function quoted (text)
	return '"' .. as_utf8 (text):gsub ('[\0-\31\127"\\]', escaped) .. '"'
end

local function number (value)
	if math.type (value) == "integer" then return ("%d"):format (value) end
	if value ~= value or value == math.huge or value == -math.huge then
		error ("JSON has no number for " .. tostring (value), 0)
	end
	return (("%.17g"):format (value):gsub (",", "."))  -- some locales have a comma there
end

local function sorted_names (values)
	local names = {}
	for name in pairs (values) do
		if type (name) ~= "string" then
			error ("JSON has names that are text, not " .. type (name), 0)
		end
		names[#names + 1] = name
	end
	table.sort (names)
	return names
end

-- Returns the JSON of nil, a boolean, number, string or table. A table with a first element is a list, another one an
-- object with its names in order. Raises an error for what JSON cannot say.
function json.encode (value)
	local kind = type (value)
	if value == nil or value == json.null then return "null" end
	if kind == "string" then return quoted (value) end
	if kind == "number" then return number (value) end
	if kind == "boolean" then return tostring (value) end
	if kind ~= "table" then error ("JSON cannot say a " .. kind, 0) end
	local parts = {}
	if lists[value] or value[1] ~= nil then
		for index, item in ipairs (value) do parts[index] = json.encode (item) end
		return "[" .. table.concat (parts, ",") .. "]"
	end
	for index, name in ipairs (sorted_names (value)) do
		parts[index] = quoted (name) .. ":" .. json.encode (value[name])
	end
	return "{" .. table.concat (parts, ",") .. "}"
end

return json
