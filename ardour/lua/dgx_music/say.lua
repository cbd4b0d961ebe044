-- Tells the user something, and waits until it has been read. For actions only: a hook never opens a window.
local say = {}

-- Returns a text for messages and headings, which are Pango markup.
function say.escaped (text)
	return (text:gsub ("&", "&amp;"):gsub ("<", "&lt;"))
end

local function show (kind, text)
	LuaDialog.Message ("DGX Music", say.escaped (text), kind, LuaDialog.ButtonType.Close):run ()
end

function say.info (text) show (LuaDialog.MessageType.Info, text) end

function say.warning (text) show (LuaDialog.MessageType.Warning, text) end

function say.error (text) show (LuaDialog.MessageType.Error, text) end

-- Asks yes or no; a window that is closed says no.
function say.asks (text)
	local question, answers = LuaDialog.MessageType.Question, LuaDialog.ButtonType.Yes_No
	return LuaDialog.Message ("DGX Music", say.escaped (text), question, answers):run () == LuaDialog.Response.Yes
end

return say
