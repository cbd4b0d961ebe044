-- Remove last delivery: takes away what the newest delivery in this session has added, unless it was edited since.
local use = ...
local ledger, osc, removal = use ("ledger"), use ("osc"), use ("removal")
local say, spool = use ("say"), use ("spool")

local remove_last = {}

local MOST = 100  -- deliveries that are looked for

-- Returns the newest entry of which something is in the session, and the newer ones of which nothing is left.
local function newest (folder)
	local gone = {}
	for _, entry in ipairs (ledger.entries (folder, MOST)) do
		if removal.is_there (entry) then return entry, gone end
		gone[#gone + 1] = entry
	end
end

function remove_last.run ()
	local folder = spool.folder ()
	if Session:actively_recording () then
		say.warning ("Ardour is recording. Choose this again when it has stopped.")
		return
	end
	local entry, gone = newest (folder)
	if not entry then
		say.info ("There is no delivery of DGX Music in this session that could be removed.")
		return
	end
	local name = entry.title and ("“" .. entry.title .. "”") or entry.delivery
	local edited = removal.edited (entry)
	if edited then
		say.warning (("The last delivery, %s, was edited since: %s.\n\nSo nothing was removed. Undo the edit, or remove it by hand.")
			:format (name, edited))
		return
	end
	local count = removal.take_away (entry)
	ledger.drop (folder, entry.delivery)
	-- Redo could have brought them back, until now; those of another snapshot are there still.
	for _, newer in ipairs (gone) do
		if newer.snapshot == Session:snap_name () then ledger.drop (folder, newer.delivery) end
	end
	spool.report (folder, {
		kind = "removed", delivery = entry.delivery, offer = entry.offer, snapshot = Session:snap_name (), regions = count,
		message = "removed by the user",
	})
	osc.look ()
end

return remove_last
