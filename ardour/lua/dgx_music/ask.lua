-- Asks the daemon and waits for its answer in the spool. There are three outcomes: the answer, a refusal with the
-- daemon's own sentences, or none; whatever is not an answer is told to the user in a dialog.
local use = ...
local osc, say, spool = use ("osc"), use ("say"), use ("spool")

local ask = {}

-- An answer is looked for every 5 ms. After 2 s a window says what is waited for, and lets the user stop it.
local STEP_US, SILENT_STEPS = 5000, 400
local PATIENCE_S = { usual = 15, reading = 45 }

local HOW_TO_START = "Start it in a terminal, then choose this action again:\n    systemctl --user start dgx-music\n"
	.. "or, where there is no systemd:\n    dgx-music daemon"

-- Waits in a window until there is an answer, the user has enough, the daemon ends or the time is over.
local function wait_in_window (folder, id, patience_s)
	local window = LuaDialog.ProgressWindow ("DGX Music: Waiting", true)
	local until_s, answer, problem = os.time () + patience_s, nil, nil
	repeat
		answer, problem = spool.answer (folder, id)
		local enough = window:progress (-1, "Waiting for the daemon's answer") or os.time () > until_s or not osc.daemon ()
		ARDOUR.LuaAPI.usleep (10 * STEP_US)
	until answer or problem or enough
	window:done ()
	return answer, problem
end

-- Returns an answer, or nil after a dialog.
local function await (id, patience_s)
	local folder, answer, problem = spool.folder (), nil, nil
	for _ = 1, SILENT_STEPS do
		answer, problem = spool.answer (folder, id)
		if answer or problem then break end
		ARDOUR.LuaAPI.usleep (STEP_US)
	end
	if not answer and not problem then answer, problem = wait_in_window (folder, id, patience_s) end
	if answer then return answer end
	local daemon, gone = osc.daemon ()
	if problem then
		say.error ("The daemon's answer cannot be read:\n    " .. problem)
	elseif daemon then
		say.error (("The DGX Music daemon runs (process %d), but has not answered. What was asked may still be done: 'Status' "
			.. "tells, once it answers again.\n\n'dgx-music doctor' in a terminal looks for the reason; \n"
			.. "    systemctl --user restart dgx-music\nstarts it anew, and loses nothing that it has accepted."):format (daemon.pid))
	else
		say.error ("The daemon has ended without an answer: " .. gone .. ".\n\n" .. HOW_TO_START)
	end
	return nil
end

-- Returns the sentences of a refusal, one a line.
function ask.sentences (answer)
	local problems = answer.problems or {}
	if #problems == 0 then return answer.message or "The daemon gave no reason." end
	return table.concat (problems, "\n")
end

local function answered (patience_s, id, problem)
	if not id then
		say.error ("Nothing was sent: " .. problem .. ".\n\n" .. HOW_TO_START)
		return nil
	end
	local answer = await (id, patience_s)
	if answer and not answer.ok then
		say.warning (ask.sentences (answer))
		return nil
	end
	return answer
end

-- Returns whether the daemon is there to be asked; if not, the user has been told.
function ask.is_possible ()
	local daemon, problem = osc.daemon ()
	if daemon then return true end
	say.error ("Nothing can be asked now: " .. problem .. ".\n\n" .. HOW_TO_START)
	return false
end

-- Sends a request for music, a table of its fields; returns the answer of its acceptance, or nil after a dialog.
function ask.generate (request)
	return answered (PATIENCE_S.usual, osc.generate (request))
end

-- Sends a command about this session; returns the answer, or nil after a dialog. A command for which the daemon reads
-- audio may take longer.
function ask.command (command, arguments)
	local reads = arguments and arguments.sources
	return answered (reads and PATIENCE_S.reading or PATIENCE_S.usual, osc.ask (command, arguments))
end

return ask
