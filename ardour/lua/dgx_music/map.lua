-- The session's tempo map, asked of Ardour itself: bar lines, tempi and meters, at samples. Ardour counts music in ticks,
-- 1920 to the quarter note, and lays a tick on the sample below it; both ways here are Ardour's own.
local map = {}

local TICKS_PER_QUARTER = 1920

-- The nearest tick to a sample. A bar line's own sample gives the bar line: a tick is many samples long.
local function tick_at (sample)
	return Temporal.timepos_t (sample):ticks ()
end

local function sample_at (tick)
	return Temporal.timepos_t.from_ticks (tick):samples ()
end

local function tempos ()
	return Temporal.TempoMap.read ()
end

-- Returns whether this Ardour has what the module needs: 7 and later have.
function map.is_known ()
	return Temporal ~= nil and Temporal.TempoMap ~= nil and Temporal.timepos_t ~= nil
end

-- The meter from a tick on, the tick that it begins at, and the length of its bars in ticks. Asked about the very tick
-- that a meter begins at, Ardour 7 tells the one before, so the next tick is asked about.
local function meter_at_tick (tick)
	local meter = tempos ():meter_at (Temporal.timepos_t.from_ticks (tick + 1))
	local beats, note_value = meter:divisions_per_bar (), meter:note_value ()
	return ("%d/%d"):format (beats, note_value), meter:to_point ():time ():ticks (),
		beats * TICKS_PER_QUARTER * 4 // note_value
end

-- The bar line at a tick, or the last one before it.
local function line_at_or_before (tick)
	local _, from, length = meter_at_tick (tick)
	return from + (tick - from) // length * length
end

-- The first bar line after a tick. A new meter begins a bar, wherever it stands.
local function line_after (tick)
	local line = line_at_or_before (tick)
	local _, _, length = meter_at_tick (tick)
	local following = line + length
	while true do
		local _, from = meter_at_tick (following - 2)
		if from <= tick or from >= following then return following end
		following = from
	end
end

-- Returns the sample of the bar line that is nearest to a sample.
function map.nearest_bar (sample)
	local tick = tick_at (sample)
	local before = sample_at (line_at_or_before (tick))
	local after = sample_at (line_after (tick))
	return sample - before <= after - sample and before or after
end

-- Returns how many samples a number of bars take from a sample on. From a bar line on they end on a bar line; from
-- elsewhere as far behind one as they began, at the most a bar.
function map.bars_in_samples (start, bars)
	local tick = tick_at (start)
	local line = line_at_or_before (tick)
	local behind = tick - line
	for _ = 1, bars do line = line_after (line) end
	local last = math.min (line + behind, line_after (line))
	return sample_at (last) - sample_at (tick)
end

-- Returns how many bars lie between two samples, where both are on bar lines; nil where one is not.
function map.whole_bars (start, stop)
	local tick, last, bars = tick_at (start), tick_at (stop), 0
	if line_at_or_before (tick) ~= tick or line_at_or_before (last) ~= last then return nil end
	while tick < last do
		tick, bars = line_after (tick), bars + 1
	end
	return bars
end

-- Returns where a sample lies, as Ardour writes it: bar|beat|tick.
function map.bar_beat_tick (sample)
	return tempos ():bbt_at (Temporal.timepos_t.from_ticks (tick_at (sample))):str ()
end

-- Ardour's clock counts a quarter note in whole ticks of its own, 282 240 000 a second: 93 comes out as 92.99999978. What
-- was typed comes back; a tempo that has more digits is left as it is.
local function as_written (bpm)
	local short = math.floor (bpm * 1e4 + 0.5) / 1e4
	return math.abs (short - bpm) < bpm * 2e-8 and short or bpm
end

local function quarters_per_minute (sample)
	return tempos ():quarters_per_minute_at (Temporal.timepos_t (sample))
end

-- The tempo from a sample on, and the sample that the last change before stands at. A change lies up to one sample
-- behind the sample that is said to be its own, so the next sample is asked about.
local function tempo_from (sample)
	local point = tempos ():tempo_at (Temporal.timepos_t (sample + 1))
	local at = point:time ():samples ()
	if at < sample then return quarters_per_minute (sample), at end
	return point:to_tempo ():quarter_notes_per_minute (), sample
end

-- Returns the tempo from a sample on, in quarter notes per minute.
function map.bpm_at (sample)
	return as_written (tempo_from (sample))
end

-- Returns whether the tempo glides to a sample, or from it on.
function map.glides_at (sample)
	for _, near in ipairs ({ math.max (0, sample - 1), sample + 1, sample + Session:nominal_sample_rate () // 2 }) do
		local point = tempos ():tempo_at (Temporal.timepos_t (near))
		local held = point:to_tempo ():quarter_notes_per_minute ()
		if point:time ():samples () <= sample + 1 and math.abs (quarters_per_minute (near) - held) > held * 1e-7 then
			return true
		end
	end
	return false
end

-- Returns the meter from a sample on, such as "7/8".
function map.meter_at (sample)
	return (meter_at_tick (tick_at (sample)))
end

-- The samples after `start` and before `stop` at which a tempo or a meter begins, in order, each once.
local function changes_between (start, stop)
	local found = {}
	local function collect (point_at)
		local sample = stop - 1
		while sample > start do
			local at = point_at (Temporal.timepos_t (sample)):samples ()
			if at <= start then return end
			if at < stop then found[at] = true end
			sample = at - 1
		end
	end
	local all = tempos ()
	collect (function (time) return all:tempo_at (time):time () end)
	collect (function (time) return all:meter_at (time):to_point ():time () end)
	local samples = {}
	for at in pairs (found) do samples[#samples + 1] = at end
	table.sort (samples)
	return samples
end

-- Returns the tempo map of a stretch for a request's `tempo_map`: a list of { at, bpm, end_bpm, meter }, the first at 0.
-- `at` counts samples from the start; end_bpm is there where the tempo glides; meter is there where it is a new one.
function map.points (start, length)
	local stop = start + length
	local places = changes_between (start, stop)
	table.insert (places, 1, start)
	local points, last_meter = {}, nil
	for index, at in ipairs (places) do
		local exact = tempo_from (at)
		-- One sample before the next change the tempo that is reached still counts.
		local reached = quarters_per_minute ((places[index + 1] or stop) - 1)
		local point = { at = at - start, bpm = as_written (exact) }
		if math.abs (reached - exact) > exact * 1e-6 then point.end_bpm = as_written (reached) end
		local meter = map.meter_at (at)
		if meter ~= last_meter then
			point.meter, last_meter = meter, meter
		end
		local before = points[#points]
		local is_new = not before or before.end_bpm or point.end_bpm or point.meter or point.bpm ~= before.bpm
		if is_new then points[#points + 1] = point end
	end
	return points
end

-- Returns what a request says of a stretch's tempo: bpm and meter, and tempo_map where that is not all.
function map.request_fields (start, length)
	local points = map.points (start, length)
	return {
		bpm       = points[1].bpm,
		meter     = points[1].meter,
		tempo_map = (#points > 1 or points[1].end_bpm) and points or nil,
	}
end

return map
