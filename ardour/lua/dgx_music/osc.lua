-- Finds the daemon, and sends it messages. UDP tells its sender nothing, so whether the daemon lives is read from its
-- record; what it says comes back through the spool.
local use = ...
local files, json, place, spool = use ("files"), use ("json"), use ("place"), use ("spool")

local osc = {}

local LONGEST = 60000  -- a datagram has at most 65507 bytes; what is longer vanishes without a word

-- Returns what the daemon's record says: a table with pid, host, port and url; nil and why where no daemon listens.
function osc.daemon ()
	local text = files.read (place.runtime)
	if not text then return nil, "the DGX Music daemon is not running" end
	local pid, port = text:match ('"pid"%s*:%s*(%d+)'), text:match ('"osc_port"%s*:%s*(%d+)')
	local host = text:match ('"osc_host"%s*:%s*"([%w.:%%_-]+)"')
	if not pid then return nil, place.runtime .. " does not say who the daemon is" end
	if not files.exists ("/proc/" .. pid .. "/stat") then
		return nil, "the DGX Music daemon is not running (its process " .. pid .. " is gone)"
	end
	if not (host and port) then
		return nil, "DGX Music is at work, but takes no OSC (it is switched off, or still starting)"
	end
	if host == "0.0.0.0" or host == "::" then host = "127.0.0.1" end
	local url = ("osc.udp://%s:%s"):format (host:find (":") and "[" .. host .. "]" or host, port)
	return { pid = math.tointeger (tonumber (pid)), host = host, port = math.tointeger (tonumber (port)), url = url }
end

-- Sends one message with texts as its arguments. Returns true once it is on its way, or nil and why.
function osc.send (address, ...)
	local daemon, problem = osc.daemon ()
	if not daemon then return nil, problem end
	local texts, length = { ... }, #address
	for index, text in ipairs (texts) do
		text = tostring (text)
		if text:find ("\0", 1, true) then return nil, "a text with a zero byte cannot be sent" end
		texts[index], length = text, length + #text + 8
	end
	if length > LONGEST then
		return nil, ("%d bytes are more than one message holds (%d)"):format (length, LONGEST)
	end
	local ok, failure = pcall (function ()
		-- What send returns says nothing: it is false for success as well.
		ARDOUR.LuaOSC.Address (daemon.url):send (address, ("s"):rep (#texts), table.unpack (texts))
	end)
	if not ok then return nil, tostring (failure) end
	return true
end

-- Asks for music: a table of request fields. Returns the request's id, under which the spool will hold the answer.
function osc.generate (request)
	request.request_id = request.request_id or files.unique ()
	local sent, problem = osc.send ("/dgx/generate", json.encode (request))
	if not sent then return nil, problem end
	return request.request_id
end

-- Asks the daemon for something about the open session: a command and a table for it. Returns the ask's id, under which
-- the spool will hold the answer, or nil and why.
function osc.ask (command, arguments)
	local id = files.unique ()
	local sent, problem = osc.send ("/dgx/ardour", id, spool.session_path (), command, json.encode (arguments or {}))
	if not sent then return nil, problem end
	return id
end

-- Tells the daemon that a report lies in the open session's spool. Without a daemon it will find it later.
function osc.look ()
	return osc.send ("/dgx/look", spool.session_path ())
end

-- Tells what the transport does: rolling, recording or stopped.
function osc.transport (state)
	return osc.send ("/dgx/transport", state)
end

return osc
