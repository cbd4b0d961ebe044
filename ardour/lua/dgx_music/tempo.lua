-- The action Tempo to session: the tempo of the selected take becomes the session's, from the take's start on.
local use = ...
local ask, consent, form, map = use ("ask"), use ("consent"), use ("form"), use ("map")
local recognise, say, selected = use ("recognise"), use ("say"), use ("selected")

local tempo = {}

local function is_possible ()
	return map.is_known () and Temporal.TempoMap.write_copy and Temporal.TempoMap.abort_update
		and Temporal.TempoMap.update and Temporal.Tempo
end

-- Puts a tempo in quarter notes per minute at a sample into a copy of the tempo map. Returns the copy and the sample that
-- the change stands at: Ardour moves it to a beat.
local function changed (sample, bpm)
	local copy = Temporal.TempoMap.write_copy ()
	local point = copy:set_tempo (Temporal.Tempo (bpm, bpm, 4), Temporal.timepos_t (sample))
	return copy, point:time ():samples ()
end

-- Where a change would stand; nothing is changed.
local function place_of_change (sample, bpm)
	local _, at = changed (sample, bpm)
	Temporal.TempoMap.abort_update ()
	return at
end

-- The tempi that a take gives, as choices: what was asked for, what was measured.
local function choices (take)
	local found = {}
	if take.bpm then found[1] = { take.bpm, ("%.6g bpm, which was asked for"):format (take.bpm) } end
	if take.tempo_measured_bpm then
		local sure = take.tempo_confidence and (" (%.0f %% sure)"):format (take.tempo_confidence * 100) or ""
		found[#found + 1] = { take.tempo_measured_bpm, ("%.6g bpm, which was measured%s"):format (take.tempo_measured_bpm, sure) }
	end
	return found
end

local function question (old, new, at, off_s)
	local moved = math.abs (off_s) < 0.0005 and "" or (" That is %.3f s %s the take's start: Ardour has tempo changes on beats "
		.. "only."):format (math.abs (off_s), off_s > 0 and "after" or "before")
	return ("Change the tempo from %.6g bpm to %.6g bpm at %s?%s\n\n"):format (old, new, map.bar_beat_tick (at), moved)
		.. "It holds up to the next tempo change. Audio stays where it is; bar lines move, and so do MIDI regions and markers "
		.. "that are glued to them.\n\nArdour keeps no undo step for a tempo that a script sets: to go back, remove or edit the "
		.. "tempo marker."
end

function tempo.run ()
	if not is_possible () then
		say.error ("This Ardour offers scripts no way to change the tempo map. 'dgx-music tempo' in a terminal writes it as a "
			.. "MIDI file that Ardour imports.")
		return
	end
	if not ask.is_possible () then return end
	local of, sources = selected.with_sources ("recognised")
	local take = of and recognise.take (of, sources)
	if not take then return end
	local offered = choices (take)
	if #offered == 0 then
		say.info ("No tempo is known of this take: none was asked for, and none could be measured.")
		return
	end
	local start = of:position ():samples ()
	if map.glides_at (start) then
		say.warning ("The tempo glides at the take's start; a change there would bend the glide. Nothing was changed.")
		return
	end
	if not consent.to ("tempo", "To give the session the take's tempo, the tempo map has to be changed.") then return end

	local wish = form.ask ("Tempo to session", {
		form.choice ("bpm", "From the take's start on", offered, offered[1][1]),
		form.line (("Now it is %.6g bpm there, at %s."):format (map.bpm_at (start), map.bar_beat_tick (start))),
	})
	if not wish then return end
	local at = place_of_change (start, wish.bpm)
	local off_s = (at - start) / Session:nominal_sample_rate ()
	if not say.asks (question (map.bpm_at (at), wish.bpm, at, off_s)) then return end
	Temporal.TempoMap.update ((changed (start, wish.bpm)))
end

return tempo
