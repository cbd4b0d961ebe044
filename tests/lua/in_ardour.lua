-- ardour7-lua in_ardour.lua MODULES SESSION_FOLDER SNAPSHOT CODE
-- Loads a session in Ardour without its editor, runs code that may `use` the modules, and prints what it returns as JSON.
local modules, folder, snapshot, code = arg[1], arg[2], arg[3], arg[4]

Session = load_session (folder, snapshot)
if not Session then error ("the session does not load") end
local use = loadfile (modules .. "/use.lua", "t") (modules)
local result = assert (load (code, "=code", "t")) (use)
io.write ("=", use ("json").encode (result), "\n")
io.flush ()
