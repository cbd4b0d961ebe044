ardour {
	["type"]    = "EditorAction",
	name        = "DGX Music: What made this?",
	author      = "DGX Music",
	license     = "MIT",
	description = [[
Tells of the selected region how it was made: prompt, seed, engine, loudness and tempo. It is recognised by its
samples, so renaming, moving and trimming do not matter.]]
}

-- Ardour keeps nothing of this file but the function factory, as it was when the action was given its slot. What the
-- action does stands in a module, read anew each time: so a new version of it needs no new slot.
function factory ()
	local MODULES = ""
	local NAME = "made"

	local function show (text)
		local plain = text:gsub ("&", "&amp;"):gsub ("<", "&lt;")  -- a message is Pango markup
		LuaDialog.Message ("DGX Music", plain, LuaDialog.MessageType.Error, LuaDialog.ButtonType.Close):run ()
	end

	-- An action that raises an error is dead until Ardour is started again.
	return function ()
		local use, missing = nil, "Ardour is set to keep scripts from reading files (sandbox-all-lua-scripts)"
		if loadfile then use, missing = loadfile (MODULES .. "/use.lua", "t") end
		if not use then
			show ("The modules of DGX Music cannot be read:\n    " .. missing
				.. "\n\nIn a terminal, 'dgx-music install-assets' puts them in place, and 'dgx-music doctor' looks at them.")
			return
		end
		local ok, failure = pcall (function () use (MODULES) (NAME).run () end)
		if not ok then
			show ("The action stopped at an error:\n    " .. tostring (failure)
				.. "\n\n'dgx-music doctor' in a terminal tells whether the scripts and the daemon fit together.")
		end
	end
end
