ardour {
	["type"]    = "EditorAction",
	name        = "DGX Music: Generate…",
	author      = "DGX Music",
	license     = "MIT",
	description = [[
Asks for a prompt and sends it to the DGX Music daemon, with the tempo, meter and sample rate of this session and,
if a range is selected, the range's exact length. The session itself is not changed: the finished takes are put into
the daemon's library folder.]]
}

-- Ardour keeps nothing of this file but the function factory, so everything that it uses stands inside it.
function factory ()
	local DAEMON   = "osc.udp://127.0.0.1:7400"
	local GENERATE = "/dgx/generate"
	local LIMITS   = { bars = 512, duration_s = 600, takes = 16 }  -- the daemon's own

	local last = { prompt = "", bars = 4, takes = 3, loop = false, engine = "auto" }

	local function show (kind, text)
		local plain = text:gsub ("&", "&amp;"):gsub ("<", "&lt;")  -- a message is Pango markup
		LuaDialog.Message ("DGX Music", plain, kind, LuaDialog.ButtonType.Close):run ()
	end

	-- UDP tells its sender nothing, but Linux lists the ports that somebody listens on. nil: there is no telling.
	local function is_heard ()
		local port = DAEMON:match ("127%.0%.0%.1:(%d+)$")
		local list = port and io.open ("/proc/net/udp")
		if not list then return nil end
		local text = list:read ("a")
		list:close ()
		return text:find ((":%04X %%x+:0000 "):format (math.tointeger (port))) ~= nil
	end

	-- Where the music is to begin, and the session's tempo and meter there; length is nil without a selected range.
	local function place ()
		local range = Editor:get_selection ().time
		local start, length = range:start_sample (), range:end_sample () - range:start_sample ()
		if length <= 0 then
			start, length = Session:transport_sample (), nil
		end
		local map, at = Temporal.TempoMap.read (), Temporal.timepos_t (start)
		local meter = map:meter_at (at)
		return {
			position    = start,
			length      = length,
			bpm         = map:quarters_per_minute_at (at),
			meter       = ("%d/%d"):format (meter:divisions_per_bar (), meter:note_value ()),
			sample_rate = Session:nominal_sample_rate (),
		}
	end

	local function ask (here)
		local seconds = here.length and here.length / here.sample_rate
		local length = seconds
			and { type = "label", align = "left", title = ("Length: the selected range, %.2f s"):format (seconds) }
			or { type = "number", key = "bars", title = "Bars", min = 1, max = LIMITS.bars, default = last.bars }
		return LuaDialog.Dialog ("DGX Music: Generate", {
			{ type = "entry", key = "prompt", title = "Prompt", default = last.prompt },
			length,
			{ type = "number", key = "takes", title = "Takes", min = 1, max = LIMITS.takes, default = last.takes },
			{ type = "dropdown", key = "engine", title = "Engine", values = { auto = "auto", sketch = "sketch" }, default = last.engine },
			{ type = "checkbox", key = "loop", title = "Seamless loop", default = last.loop },
			{ type = "label", align = "left", title = ("From this session: %.6g bpm, %s, %d Hz"):format (here.bpm, here.meter, here.sample_rate) },
			{ type = "label", align = "left", title = "The takes will be in the daemon's library folder." },
		}):run ()
	end

	-- The daemon's refusal could not reach this script, so what it would refuse is said here.
	local function mistake (here, wish)
		if not wish.prompt:find ("%S") then
			return "The prompt is empty. Describe the music, such as: dusty lo-fi drums, brushed snare"
		end
		local beats, note_value = here.meter:match ("(%d+)/(%d+)")
		local seconds = here.length and here.length / here.sample_rate
			or wish.bars * beats * 4 / note_value * 60 / here.bpm
		if seconds > LIMITS.duration_s then
			return ("That would be %.0f s long; the longest take is %d s. Choose a shorter range or fewer bars."):format (seconds, LIMITS.duration_s)
		end
	end

	local function send (here, wish)
		local request_id = ("ardour-%d-%s"):format (os.time (), tostring ({}):match ("0x(%x+)"))
		local unit, length = "bars", wish.bars
		if here.length then unit, length = "samples", here.length end
		-- Sample counts go as doubles, for i is cut to 32 bits; the tempo as a float, which rounds off what Ardour's
		-- clock adds to it (92.9999998 for 93). What send returns means nothing: it is false for success as well.
		ARDOUR.LuaOSC.Address (DAEMON):send (GENERATE, "ssssdsfsssisisTsssssd", wish.prompt,
			"request_id", request_id,
			unit, length,
			"bpm", here.bpm,
			"meter", here.meter,
			"sample_rate", math.tointeger (here.sample_rate),
			"takes", math.tointeger (wish.takes),
			"loop", wish.loop,
			"engine", wish.engine,
			"session.path", Session:path (),
			"session.position", here.position)
		print (("DGX Music: asked for it as %s; dgx-music status shows how far it is"):format (request_id))
	end

	local function generate ()
		if is_heard () == false then
			show (LuaDialog.MessageType.Error, "The DGX Music daemon is not running: nobody listens at " .. DAEMON .. ".\n\n"
				.. "Start it in a terminal, then choose this action again:\n    systemctl --user start dgx-music\n"
				.. "or, where there is no systemd:\n    dgx-music daemon")
			return
		end
		local here = place ()
		local wish = ask (here)
		if not wish then return end  -- cancelled
		for key, value in pairs (wish) do last[key] = value end
		local wrong = mistake (here, wish)
		if wrong then
			show (LuaDialog.MessageType.Warning, wrong)
		else
			send (here, wish)
		end
	end

	-- An action that raises an error is dead until Ardour is started again.
	return function ()
		local ok, err = pcall (generate)
		if not ok then
			show (LuaDialog.MessageType.Error, "Nothing was sent, because the script met an error:\n    " .. tostring (err)
				.. "\n\nThis can happen in a version of Ardour that the script does not know. 'dgx-music generate' in a terminal does the same.")
		end
	end
end
