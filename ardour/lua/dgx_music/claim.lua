-- Who delivers what: the daemon puts a manifest up as `next`, and whoever renames it to `taken` first has it. What an
-- earlier Ardour has left as `taken` was interrupted: it is delivered once more, as `retaken`, but not a third time,
-- since it may be what has ended Ardour.
local use = ...
local files = use ("files")

local claim = {}

-- Returns what tells this process from all others: its id, and when it was started.
local function this_process (pid)
	local text = files.read (("/proc/%s/stat"):format (pid or "self"))
	if not text then return nil end
	local id, rest = text:match ("^(%d+) %(.*%) (.*)$")  -- a program's name may hold blanks and brackets
	local count = 2
	for field in rest:gmatch ("%S+") do
		count = count + 1
		if count == 22 then return id .. " " .. field end
	end
end

local function is_busy (folder)
	local owner = files.read (folder .. "/busy")
	return owner ~= nil and owner == this_process (owner:match ("^%d+"))
end

-- Whether something waits, or was interrupted; costs a few microseconds.
function claim.waits (folder)
	return files.exists (folder .. "/next") or files.exists (folder .. "/taken") or files.exists (folder .. "/retaken")
end

-- Takes what waits. Returns its text and its file; nil where there is nothing or somebody is at work on it. The third
-- value is true where it was interrupted twice: that must not be tried again.
function claim.take (folder)
	local next_up, taken, retaken = folder .. "/next", folder .. "/taken", folder .. "/retaken"
	if is_busy (folder) then return nil end
	local from, file
	if files.exists (retaken) then
		file = retaken
	elseif files.exists (taken) then
		from, file = taken, retaken
	elseif files.exists (next_up) then
		from, file = next_up, taken
	else
		return nil
	end
	-- First this: where the disk is full, nothing is taken, and so nothing counts as interrupted.
	if not files.write (folder .. "/busy", this_process () or "") then return nil end
	if from and not os.rename (from, file) then
		os.remove (folder .. "/busy")
		return nil
	end
	return files.read (file) or "", file, from == nil
end

-- Ends a claim: what was taken is dealt with.
function claim.finish (folder, file)
	os.remove (file)
	os.remove (folder .. "/busy")
end

-- Gives back what was taken: it waits again.
function claim.give_back (folder, file)
	os.rename (file, folder .. "/next")
	os.remove (folder .. "/busy")
end

return claim
