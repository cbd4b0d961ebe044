-- Tables as Lua text: `return { … }`. Such a file can only be data, for it is loaded with nothing to call.
local use = ...
local files = use ("files")

local data = {}

-- Returns the table that a text holds, or nil and what is wrong with it.
function data.parse (text, name)
	local chunk, problem = load (text, "=" .. (name or "data"), "t", {})
	if not chunk then return nil, problem end
	local ok, value = pcall (chunk)
	if not ok then return nil, value end
	if type (value) ~= "table" then return nil, (name or "the text") .. " holds no table" end
	return value
end

-- Returns the table that a file holds, or nil and what is wrong.
function data.read (path)
	local text, problem = files.read (path)
	if not text then return nil, problem end
	return data.parse (text, path:match ("[^/]*$"))
end

local function literal (value, indent)
	local kind = type (value)
	if kind == "string" then return (("%q"):format (value):gsub ("\\\n", "\\n")) end
	if math.type (value) == "integer" then return ("%d"):format (value) end
	if kind == "number" then return (("%.17g"):format (value):gsub (",", ".")) end
	if kind ~= "table" then return tostring (value) end
	local lines, names = {}, {}
	for index, item in ipairs (value) do
		lines[index] = indent .. "\t" .. literal (item, indent .. "\t") .. ","
	end
	for name in pairs (value) do
		if type (name) == "string" then names[#names + 1] = name end
	end
	table.sort (names)
	for _, name in ipairs (names) do
		lines[#lines + 1] = ("%s\t[%q] = %s,"):format (indent, name, literal (value[name], indent .. "\t"))
	end
	return "{\n" .. table.concat (lines, "\n") .. "\n" .. indent .. "}"
end

-- Writes a table of texts, numbers, booleans and such tables. Returns true, or nil and why.
function data.write (path, value)
	return files.write (path, "return " .. literal (value, "") .. "\n")
end

return data
