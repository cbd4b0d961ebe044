-- Fetch now: puts everything that waits for this session onto its timeline at once. The user asks for it, so nobody's
-- pointer has to rest.
local use = ...
local claim, files, inbox, osc = use ("claim"), use ("files"), use ("inbox"), use ("osc")
local permissions, say, spool = use ("permissions"), use ("say"), use ("spool")

local fetch_now = {}

local ANSWER_S, NEXT_S, STEP_US = 3, 1, 20000
local RING_S, REST_US = 5, 200000

-- Returns what a function gives, as soon as that is true; nil after a while. Ardour stands still meanwhile.
local function await (seconds, ask)
	for _ = 1, seconds * 1000000 // STEP_US do
		local got = ask ()
		if got then return got end
		ARDOUR.LuaAPI.usleep (STEP_US)
	end
end

local function objection ()
	if not permissions.read ().import then
		return "This session does not allow DGX Music to add tracks and regions.\n\n"
			.. "Choose 'DGX Music: Permissions', or write import = yes into\n    " .. permissions.file ()
	end
	if inbox.ardour_records () then
		return "Ardour is recording or exporting. Choose this again when it has stopped; then what waits comes by itself as well."
	end
	if inbox.ardour_imports () then
		return "Ardour is importing something. Choose this again when it is done."
	end
end

-- Asks the daemon to put up what was never saved as well. Returns why not, or nil.
local function call_daemon (folder)
	local id, problem = osc.ask ("fetch", {})
	if not id then return problem end
	local answer = await (ANSWER_S, function () return spool.answer (folder, id) end)
	if not answer then return "the daemon does not answer" end
	if not answer.ok then return answer.message or answer.code end
end

-- Whether it was the daemon that has called this action, just now: it leaves a file with the time before it does.
local function is_rung (folder)
	local at = tonumber (files.read (folder .. "/rung") or "")
	os.remove (folder .. "/rung")
	return at ~= nil and math.abs (os.time () - at) < RING_S
end

local function pointer ()
	if not Editor.get_pointer_position then return "" end
	local position = Editor:get_pointer_position (0.0, 0.0)
	return ("%s %s"):format (position[1], position[2])
end

-- Takes in what the daemon rings for. Nobody has asked for this now, so nothing is said, and what would be in the way,
-- such as in a drag, is left to the hook.
local function answer_ring (folder)
	if not permissions.read ().import or inbox.ardour_records () then return end
	local before = pointer ()
	ARDOUR.LuaAPI.usleep (REST_US)
	if pointer () ~= before then return end
	inbox.work (folder, function () return not inbox.ardour_records () and pointer () == before end)
end

function fetch_now.run ()
	local folder = spool.folder ()
	if is_rung (folder) then
		answer_ring (folder)
		return
	end
	local wrong = objection ()
	if wrong then
		say.warning (wrong)
		return
	end
	local silent = call_daemon (folder)
	local landed, there, failures = 0, 0, {}
	local function waits () return claim.waits (folder) end
	local function recording_stopped () return not inbox.ardour_records () end
	-- The daemon answers once it has put the first one up; each further one follows when the one before it is dealt with.
	while waits () or not silent and landed + there + #failures > 0 and await (NEXT_S, waits) do
		local outcome = inbox.work (folder, recording_stopped)
		if not outcome or outcome.kind == "later" then break end
		if outcome.kind ~= "landed" then
			failures[#failures + 1] = outcome.message
		elseif outcome.was_there then
			there = there + 1
		else
			landed = landed + 1
		end
	end
	if #failures > 0 then
		say.warning ("Not everything could be delivered:\n    " .. table.concat (failures, "\n    "))
	elseif landed == 0 then
		local why = silent and "\n\nThe daemon could not be asked: " .. silent .. ". 'dgx-music daemon' in a terminal starts it." or ""
		local what = "Nothing is waiting for this session."
		if there > 0 then what = "All of it is on the timeline already." end
		if waits () then what = "Something waits, but cannot be put down just now. It comes by itself, or choose this again." end
		say.info (what .. why)
	end
end

return fetch_now
