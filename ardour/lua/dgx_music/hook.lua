-- What runs ten times a second in Ardour: takes in what the daemon has finished when nobody is disturbed by it, and tells
-- the daemon what the transport does. It does as little as it can while there is nothing to do.
local use = ...
local claim, osc, permissions = use ("claim"), use ("osc"), use ("permissions")
local place, saved, spool = use ("place"), use ("saved"), use ("spool")

local hook = {}

local SECOND = 1000000
local REPEAT, ALIVE, LOOK, REST = 5 * SECOND, 10 * SECOND, SECOND // 4, 2 * SECOND

local function now () return ARDOUR.LuaAPI.monotonic_time () end

local function transport ()
	if Session:actively_recording () then return "recording" end
	return Session:transport_rolling () and "rolling" or "stopped"
end

-- Returns a function that tells the daemon of the transport when it changes, and again and again while it moves.
local function transport_teller ()
	local told, at = "stopped", 0
	return function (time)
		local state = transport ()
		if state ~= told or state ~= "stopped" and time - at >= REPEAT then
			told, at = state, time
			osc.transport (state)
		end
	end
end

-- Returns a function that tells whether the mouse has rested since it was asked first. Ardour loses the undo step of a
-- drag into which something is delivered, and tells nobody that one is under way; but who drags moves the pointer.
local function pointer_watch ()
	local can_tell = Editor.get_pointer_position ~= nil
	local x, y, since
	return function (time)
		if not can_tell then return true end
		local position = Editor:get_pointer_position (0.0, 0.0)
		if position[1] ~= x or position[2] ~= y then
			x, y, since = position[1], position[2], time
		end
		return time - since >= REST
	end
end

local function write_alive (folder)
	return spool.alive (folder, {
		time = os.time (), session = spool.session_path (), snapshot = Session:snap_name (), lua = place.version or "checkout",
	})
end

-- Returns a function that runs another one and reports its errors, each once: a hook that raises one is gone for good.
local function guard (folder)
	local reported = {}
	return function (duty, ...)
		local ok, failure = pcall (duty, ...)
		if ok or reported[failure] then return end
		reported[failure] = true
		spool.report (folder, { kind = "problem", message = "the hook met an error: " .. tostring (failure) })
	end
end

-- Returns the function that looks after the session as long as it lies in this folder of the spool.
local function ticker (folder)
	local tell_transport, guarded, watch_saves = transport_teller (), guard (folder), saved.watch (folder)
	local has_rested, look_at, alive_at = pointer_watch (), 0, -ALIVE

	local function deliver (time)
		if time < look_at then return end
		look_at = time + LOOK
		-- The pointer is watched all the time, so that what is ready need not wait for two seconds more.
		if not has_rested (time) or not claim.waits (folder) or use ("inbox").ardour_records () then return end
		look_at = time + SECOND  -- something may be in the way: it is not tried more often
		if not permissions.read ().import then return end
		local outcome = use ("inbox").work (folder, function ()
			return not use ("inbox").ardour_records () and has_rested (now ())
		end)
		if outcome and outcome.kind == "landed" then look_at = time + LOOK end
	end

	local function every_ten_seconds (time)
		if time - alive_at < ALIVE then return end
		-- The daemon makes the folder when it hears of the session, so it may come any time.
		alive_at = write_alive (folder) and time or time - ALIVE + SECOND
		if watch_saves.look () then osc.look () end
	end

	guarded (osc.look)  -- the session is open: what waits for it can be put up
	return function ()
		local time = now ()
		guarded (tell_transport, time)
		guarded (deliver, time)
		guarded (every_ten_seconds, time)
	end
end

-- Returns the function that is to be called on each tick. 'Save as' gives the open session another folder.
function hook.start ()
	local path, tick
	return function ()
		local now_at = Session:path ()
		if now_at ~= path then
			path, tick = now_at, ticker (spool.folder ())
		end
		tick ()
	end
end

return hook
