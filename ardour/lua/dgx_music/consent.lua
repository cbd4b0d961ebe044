-- Asks the user what DGX Music may do in this session, and keeps the answer beside the session.
local use = ...
local form, permissions, say = use ("form"), use ("permissions"), use ("say")

local consent = {}

local MEANING = {
	import  = "Put finished music into this session: new tracks, and new playlists on tracks that I choose",
	read    = "Read this session's audio files, where a region is to be continued, varied or recognised",
	markers = "Add a marker where music was placed",
	tempo   = "Change the tempo map, each time after a question that states the old and the new tempo",
}

-- Shows the permissions with these names; returns whether they were written.
local function edit (names, allowed, lead)
	local fields = { form.line (lead) }
	for _, name in ipairs (names) do
		fields[#fields + 1] = form.tick (name, MEANING[name], allowed[name])
	end
	fields[#fields + 1] = form.line ("Nothing that is already in the session is changed or removed, but for a tempo that you say yes to.")
	fields[#fields + 1] = form.line ("This is kept in dgx-music.permissions in the session's folder; 'Permissions' shows it again.")
	local wanted = form.ask ("Permissions", fields)
	if not wanted then return false end
	local written, problem = permissions.write (wanted)
	if not written then say.error ("The permissions cannot be written: " .. problem) end
	return written
end

-- Returns whether the session allows something; asks where it does not. The first question in a session is about
-- importing and reading together. What it was asked for is ticked already: nothing is written before the user says OK.
function consent.to (name, purpose)
	local allowed, known = permissions.read ()
	if allowed[name] then return true end
	local names = known and { name } or { "import", "read" }
	if not known and name ~= "import" and name ~= "read" then names[3] = name end
	allowed[name] = true
	if edit (names, allowed, purpose) and permissions.read ()[name] then return true end
	say.info ("Nothing was done, for this session does not allow it.")
	return false
end

-- The action Permissions.
function consent.run ()
	edit (permissions.NAMES, permissions.read (), "What may DGX Music do in this session?")
end

return consent
