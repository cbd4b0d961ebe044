-- Notices when the user has saved a session with what was delivered: until then it is on the timeline alone.
local use = ...
local files, ledger, sources, spool = use ("files"), use ("ledger"), use ("sources"), use ("spool")

local saved = {}

local MOST = 50  -- deliveries that are looked for

local function session_file ()
	return ("%s/%s.ardour"):format (spool.session_path (), Session:snap_name ())
end

-- Ardour counts its objects in the file's first line, so that changes whenever something was added.
local function head ()
	local file = io.open (session_file (), "rb")
	if not file then return "" end
	local text = file:read (512) or ""
	file:close ()
	return text
end

local function unsaved (folder)
	local found = {}
	for _, entry in ipairs (ledger.entries (folder, MOST)) do
		if not entry.saved then found[#found + 1] = entry end
	end
	return found
end

-- Returns a watch over a session; look () now and then, it returns whether it has reported something.
function saved.watch (folder)
	local seen, waits, told
	local watch = {}

	function watch.look ()
		local mark = ledger.mark (folder)  -- 'Fetch now' writes it as well
		if mark ~= told then
			told, waits = mark, #unsaved (folder) > 0
		end
		if not waits then return false end
		local beginning = head ()
		if beginning == seen then return false end
		seen = beginning
		local text, left, found = files.read (session_file ()) or "", 0, false
		for _, entry in ipairs (unsaved (folder)) do
			if sources.holds (text, entry.delivery) then
				entry.saved = true
				ledger.update (folder, entry)
				spool.report (folder, {
					kind = "saved", delivery = entry.delivery, offer = entry.offer, snapshot = Session:snap_name (),
					message = "the session was saved with it",
				})
				found = true
			else
				left = left + 1
			end
		end
		waits = left > 0
		return found
	end

	return watch
end

return saved
