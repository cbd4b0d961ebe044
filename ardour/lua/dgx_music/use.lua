-- Gives a module by its name: local use = loadfile (MODULES .. "/use.lua") (MODULES); local spool = use ("spool").
-- Ardour's sandbox has no require. Each module is loaded once for each use of this file, with the function below as its
-- argument, so a module starts with `local use = ...` and ends by returning its table.
local MODULES = ...
local loaded = {}

local function use (name)
	if loaded[name] == nil then
		local chunk, problem = loadfile (MODULES .. "/" .. name .. ".lua", "t")
		if not chunk then error (problem, 2) end
		loaded[name] = chunk (use)
	end
	return loaded[name]
end

return use
