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
	-- The daemon's own bounds.
	local MOST     = { bars = 512, seconds = 600, takes = 16 }
	local BPM      = { least = 20, most = 400 }

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
		return text:find ((":%04X %%x+:0000 "):format (port)) ~= nil
	end

	-- Where the music is to begin, and the session's tempo and meter there; length is nil without a selected range.
	local function place ()
		local range = Editor:get_selection ().time
		local start, length = range:start_sample (), range:end_sample () - range:start_sample ()
		if length <= 0 then
			start, length = Session:transport_sample (), nil
		end
		local map, at = Temporal.TempoMap.read (), Temporal.timepos_t (start)
		local beats, note_value = map:meter_at (at):divisions_per_bar (), map:meter_at (at):note_value ()
		return {
			position         = start,
			length           = length,
			bpm              = map:quarters_per_minute_at (at),
			meter            = ("%d/%d"):format (beats, note_value),
			quarters_per_bar = beats * 4 / note_value,
			sample_rate      = Session:nominal_sample_rate (),
		}
	end

	local function ask (here)
		local length = { type = "number", key = "bars", title = "Bars", min = 1, max = MOST.bars, default = last.bars }
		if here.length then
			local seconds = here.length / here.sample_rate
			length = { type = "label", title = ("As long as the selected range: %.3f s"):format (seconds), align = "left" }
		end
		local session = ("From this session: %.6g bpm, %s, %d Hz"):format (here.bpm, here.meter, here.sample_rate)
		local after = "The takes will be in DGX Music's library folder; 'dgx-music status' in a terminal tells how far they are."
		return LuaDialog.Dialog ("DGX Music: Generate", {
			{ type = "entry", key = "prompt", title = "Prompt", default = last.prompt },
			length,
			{ type = "number", key = "takes", title = "Takes", min = 1, max = MOST.takes, default = last.takes },
			{ type = "dropdown", key = "engine", title = "Engine", values = { auto = "auto", sketch = "sketch" }, default = last.engine },
			{ type = "checkbox", key = "loop", title = "Seamless loop", default = last.loop },
			{ type = "label", title = session, align = "left" },
			{ type = "label", title = after, align = "left" },
		}):run ()
	end

	-- A refusal by the daemon would not reach this script, so what it would refuse is said here.
	local function mistake (here, wish)
		if not wish.prompt:find ("%S") then
			return "The prompt is empty. Describe the music, such as: dusty lo-fi drums, brushed snare"
		end
		if here.bpm < BPM.least or here.bpm > BPM.most then
			return ("The tempo here is %.6g bpm; music can be made at %d to %d bpm."):format (here.bpm, BPM.least, BPM.most)
		end
		local seconds = here.length and here.length / here.sample_rate or wish.bars * here.quarters_per_bar * 60 / here.bpm
		if seconds > MOST.seconds then
			return ("That is %.0f s of music; a take has at most %d s. Choose less."):format (seconds, MOST.seconds)
		end
	end

	local function send (here, wish)
		local types, values = "s", { wish.prompt }
		local function add (field, type, value)
			types = types .. "s" .. type
			values[#values + 1] = field
			values[#values + 1] = value
		end
		add ("request_id", "s", ("ardour-%d-%s"):format (os.time (), tostring (values):match ("0x(%x+)")))
		-- Samples as doubles: i has 32 bits, and h comes out as a double anyway. The tempo as a float: that rounds away
		-- what the session's clock does to it (92.9999998 for 93).
		if here.length then
			add ("samples", "d", here.length)
		else
			add ("bars", "i", wish.bars)
		end
		add ("bpm", "f", here.bpm)
		add ("meter", "s", here.meter)
		add ("sample_rate", "i", here.sample_rate)
		add ("takes", "i", wish.takes)
		add ("loop", "T", wish.loop)  -- T sends the value, be it true or false
		add ("engine", "s", wish.engine)
		add ("session.path", "s", Session:path ())
		add ("session.position", "d", here.position)
		-- The result says nothing: it is false for success as well.
		ARDOUR.LuaOSC.Address (DAEMON):send (GENERATE, types, table.unpack (values))
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
