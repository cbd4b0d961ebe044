-- Remembers in the spool what each delivery has added to the session, newest first, so that it can be taken away again.
local use = ...
local data, files = use ("data"), use ("files")

local ledger = {}

local function file (folder, delivery) return folder .. "/landed." .. delivery end

local function is_id (text) return type (text) == "string" and text:find ("^[%w_-]+$") ~= nil end

-- Returns the id of the newest entry, or nil.
function ledger.newest (folder)
	local id = (files.read (folder .. "/last") or ""):match ("%S+")
	return is_id (id) and id or nil
end

-- Returns a text that is another one after each change of what the newest entry is.
function ledger.mark (folder)
	return files.read (folder .. "/last")
end

local function set_newest (folder, delivery)
	if delivery then return files.write (folder .. "/last", ("%s %s\n"):format (delivery, files.unique ())) end
	return os.remove (folder .. "/last")
end

-- Returns the entry of a delivery, or nil.
function ledger.read (folder, delivery)
	return (data.read (file (folder, delivery)))
end

-- Returns the entries, newest first, at most so many.
function ledger.entries (folder, most)
	local found, seen, id = {}, {}, ledger.newest (folder)
	while is_id (id) and not seen[id] and #found < (most or 1000) do
		seen[id] = true
		local entry = ledger.read (folder, id)
		if not entry then break end
		found[#found + 1] = entry
		id = entry.before
	end
	return found
end

-- Forgets a delivery: the entry after it goes on with the one before it.
function ledger.drop (folder, delivery)
	local after
	for _, entry in ipairs (ledger.entries (folder)) do
		if entry.delivery == delivery then
			if after then
				after.before = entry.before
				data.write (file (folder, after.delivery), after)
			else
				set_newest (folder, entry.before)
			end
			break
		end
		after = entry
	end
	os.remove (file (folder, delivery))
end

-- Adds an entry, a table with the delivery's id and what was added, as the newest; returns true, or nil and why.
function ledger.add (folder, entry)
	ledger.drop (folder, entry.delivery)
	entry.before = ledger.newest (folder)
	local written, problem = data.write (file (folder, entry.delivery), entry)
	if not written then return nil, problem end
	return set_newest (folder, entry.delivery)
end

-- Writes an entry again that has changed.
function ledger.update (folder, entry)
	return data.write (file (folder, entry.delivery), entry)
end

return ledger
