-- A session's folder in the spool: what the daemon and the scripts leave there for each other. The daemon makes it.
local use = ...
local data, files, fnv, json, place = use ("data"), use ("files"), use ("fnv"), use ("json"), use ("place")

local spool = {}

-- Returns a session's folder as text without slashes at its end; Session:path () of the open one by default.
function spool.session_path (path)
	path = path or Session:path ()
	return (path:gsub ("(.)/+$", "%1"))
end

-- Returns the name of a session's folder in the spool: FNV-1a with 64 bits over the path.
function spool.key (path)
	return fnv.digits (fnv.add (fnv.START, spool.session_path (path)))
end

-- Returns the spool folder of a session, by default of the open one; it need not be there yet.
function spool.folder (path)
	return place.spool .. "/" .. spool.key (path)
end

-- Whether the daemon has made the folder. A folder opens for reading in Linux.
function spool.exists (folder)
	return files.exists (folder)
end

-- Leaves a report for the daemon, a table with kind, message and more. Returns true, or nil and why; tell the daemon
-- with osc.look () afterwards.
function spool.report (folder, report)
	return files.write (folder .. "/report." .. files.unique (), json.encode (report) .. "\n")
end

-- Returns the daemon's answer to an ask and takes it away; nil while there is none, or nil and what is wrong with it.
function spool.answer (folder, id)
	local path = folder .. "/answer." .. id
	if not files.exists (path) then return nil end
	local answer, problem = data.read (path)
	os.remove (path)
	return answer, problem
end

-- Tells `dgx-music doctor` that the hook lives.
function spool.alive (folder, state)
	return files.write (folder .. "/alive", json.encode (state) .. "\n")
end

return spool
