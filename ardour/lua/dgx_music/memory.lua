-- What was entered last in each dialog, kept in the session's spool folder across restarts.
local use = ...
local data, spool = use ("data"), use ("spool")

local memory = {}

local function file ()
	return spool.folder () .. "/memory"
end

-- Returns what a dialog's fields held last, over their first values. A value of another kind than the first is ignored.
function memory.recall (dialog, first)
	local kept = (data.read (file ()) or {})[dialog]
	if type (kept) ~= "table" then kept = {} end
	local values = {}
	for key, value in pairs (first) do
		if type (kept[key]) == type (value) then value = kept[key] end
		values[key] = value
	end
	return values
end

-- Keeps what a dialog's fields hold. Nothing is lost but this where it cannot be written.
function memory.keep (dialog, values)
	local all = data.read (file ()) or {}
	all[dialog] = values
	return data.write (file (), all)
end

return memory
