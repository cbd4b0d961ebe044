-- The action Status: what is being made for this session, what waits, what has landed.
local use = ...
local ask, files, say, spool = use ("ask"), use ("files"), use ("say"), use ("spool")

local status = {}

local SHORT, SILENT_S = 60, 60

-- A prompt short enough for a line or a menu; a letter is never cut in two.
function status.short (prompt)
	local longer = utf8.offset (prompt, SHORT)
	return longer and #prompt >= longer and prompt:sub (1, longer - 1) .. "…" or prompt
end

-- Returns whether the hook that puts music onto the timeline does not run: it leaves a sign of life every ten seconds.
-- Before the daemon has made the session's folder nobody can tell.
function status.hook_is_missing ()
	local folder = spool.folder ()
	if not spool.exists (folder) then return false end
	local said = tonumber ((files.read (folder .. "/alive") or ""):match ('"time"%s*:%s*(%d+)'))
	return said == nil or os.time () - said >= SILENT_S
end

-- Returns one unfinished job as a line.
function status.job_line (job)
	local doing = job.state == "processing" and job.progress and
		("%s, %.0f %%"):format (job.step or "processing", job.progress * 100) or job.state or "?"
	return ("%s: %s (%s)"):format (doing, status.short (job.prompt or "?"), job.job_id)
end

local function delivery_line (delivery)
	local line = ("%s: %s"):format (delivery.state or "?", status.short (delivery.prompt or delivery.job_id or "?"))
	local problem = delivery.problem
	return problem and problem ~= "" and line .. "\n        " .. problem or line
end

local function section (title, items, line_of)
	local lines = { title }
	for _, item in ipairs (items) do lines[#lines + 1] = "    " .. line_of (item) end
	return #items > 0 and table.concat (lines, "\n") or nil
end

-- Returns the daemon's answer as text.
function status.text (answer, hook_is_missing)
	local jobs, deliveries = answer.jobs or {}, answer.deliveries or {}
	local parts = {}
	if #jobs == 0 then parts[1] = "Nothing is being made for this session." end
	parts[#parts + 1] = section ("Being made for this session:", jobs, status.job_line)
	parts[#parts + 1] = section ("Newest deliveries to this session:", deliveries, delivery_line)
	local queue = ("The daemon %shas %d waiting and %d running in all."):format (
		answer.daemon and "(version " .. answer.daemon .. ") " or "", answer.pending or 0, answer.processing or 0)
	parts[#parts + 1] = answer.paused and queue .. " It is paused: 'dgx-music resume' lets it go on." or queue
	if hook_is_missing then
		parts[#parts + 1] = "The script that puts finished music onto the timeline does not run. 'Fetch now' does it once; "
			.. "to have it done by itself, add 'DGX Music: Delivery' in Edit > Lua Scripts > Script Manager > Action Hooks."
	end
	return table.concat (parts, "\n\n")
end

function status.run ()
	local hook_is_missing = status.hook_is_missing ()  -- asking makes the folder
	local answer = ask.command ("status")
	if answer then say.info (status.text (answer, hook_is_missing)) end
end

return status
