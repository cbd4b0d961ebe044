-- Claims what waits in the spool, delivers it, and reports what came of it: what the hook and 'Fetch now' share.
local use = ...
local claim, deliver, manifest = use ("claim"), use ("deliver"), use ("manifest")
local osc, permissions, spool = use ("osc"), use ("permissions"), use ("spool")

local inbox = {}

-- Whether Ardour imports something now, at the user's wish: a second import would get into the first one's way. Ardour
-- does that in a thread with this name. Takes milliseconds, so it is asked only where something is to be delivered.
function inbox.ardour_imports ()
	local ok, names = pcall (function ()
		local listing = io.popen ("cat /proc/$PPID/task/*/comm 2>/dev/null")
		local text = listing:read ("a")
		listing:close ()
		return text
	end)
	return ok and ("\n" .. names):find ("\nimport\n", 1, true) ~= nil
end

-- Whether Ardour records or exports: what came in then would be in the way, or in the export's second half.
function inbox.ardour_records ()
	return Session:actively_recording () or Session:engine ():freewheeling ()
end

local function outcome_of (text, twice, folder, allowed, is_calm)
	local said, problem, unread = manifest.parse (text)
	if not said then
		return { kind = "failed", code = "internal", message = problem }, unread or {}
	end
	if twice then
		local message = "Ardour ended twice while it took this delivery, so it is not tried again"
		return { kind = "failed", code = "crashed", message = message }, said
	end
	local ok, outcome = pcall (deliver.run, said, folder, allowed, is_calm)
	if not ok then outcome = { kind = "failed", code = "internal", message = tostring (outcome) } end
	return outcome, said
end

-- Delivers one manifest if one waits. Returns its outcome, a table as deliver.run gives it, or nil where none waits.
-- The session has to allow imports.
function inbox.work (folder, is_calm)
	if inbox.ardour_imports () then return nil end
	local text, file, twice = claim.take (folder)
	if not text then return nil end
	local outcome, said = outcome_of (text, twice, folder, permissions.read (), is_calm)
	if outcome.kind == "later" then
		claim.give_back (folder, file)
		return outcome
	end
	local report = {
		kind = said.delivery and outcome.kind or "problem", delivery = said.delivery, offer = said.offer, code = outcome.code,
		message = outcome.message, snapshot = Session:snap_name (), regions = outcome.regions,
	}
	-- First the report, then the claim's end: so the daemon never finds the delivery neither waiting nor reported.
	local reported, problem = spool.report (folder, report)
	if not reported then outcome.message = ("%s (not reported: %s)"):format (outcome.message, tostring (problem)) end
	claim.finish (folder, file)
	osc.look ()
	return outcome
end

return inbox
