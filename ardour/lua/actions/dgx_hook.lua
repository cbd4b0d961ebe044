ardour {
	["type"]    = "EditorHook",
	name        = "DGX Music: Delivery",
	author      = "DGX Music",
	license     = "MIT",
	description = [[
Puts finished music onto the timeline of the session that asked for it, once the session allows it and nobody records
or holds the mouse; tells the daemon what the transport does.]]
}

function signals ()
	local set = LuaSignal.Set ()
	set:add ({ [LuaSignal.LuaTimerDS] = true })
	return set
end

-- Ardour keeps nothing of this file but the function factory, as it was when the hook was registered. What the hook does
-- stands in a module, read anew when a session opens: so a new version of it needs no new registration.
function factory ()
	local MODULES = ""
	local NAME = "hook"

	local tick

	local function load_tick ()
		local use = loadfile (MODULES .. "/use.lua", "t")
		return use and use (MODULES) (NAME).start ()
	end

	-- A hook that raises an error is removed for good.
	return function ()
		if tick == nil then
			local ok, loaded = pcall (load_tick)
			tick = ok and loaded or false
		end
		if tick then pcall (tick) end
	end
end
