-- The action What made this: how the selected region's audio was made.
local use = ...
local ask, recognise, say, selected = use ("ask"), use ("recognise"), use ("say"), use ("selected")

local made = {}

-- Pairs of a title and a value as lines, without those that have no value.
local function lines (pairs_of)
	local text = {}
	for _, pair in ipairs (pairs_of) do
		if pair[2] ~= nil and pair[2] ~= "" then text[#text + 1] = pair[1] .. ": " .. tostring (pair[2]) end
	end
	return table.concat (text, "\n")
end

local function formatted (pattern, value)
	return value and pattern:format (value)
end

-- Returns what is known of a take as text; `answer` is the daemon's.
function made.text (answer)
	local seconds = answer.frames and answer.sample_rate_hz and answer.frames / answer.sample_rate_hz
	local loudness = formatted ("%.1f LUFS", answer.loudness_lufs)
	local peak = formatted ("true peak %.1f dBTP", answer.true_peak_dbtp)
	local measured = formatted ("%.1f bpm", answer.tempo_measured_bpm)
	local sure = formatted (" (%.0f %% sure)", answer.tempo_confidence and answer.tempo_confidence * 100)
	return lines ({
		{ "Prompt", answer.prompt },
		{ "Seed", answer.seed },
		{ "Take", answer.take },
		{ "Stem", answer.stem },
		{ "Engine", answer.engine },
		{ "Model", answer.model },
		{ "Made by", answer.neural ~= nil and (answer.neural and "a neural network" or "rules, no neural network") or nil },
		{ "Tempo asked for", formatted ("%.6g bpm", answer.bpm) },
		{ "Tempo measured", measured and measured .. (sure or "") },
		{ "Meter", answer.meter },
		{ "Key", answer.key },
		{ "Loudness", loudness and peak and loudness .. ", " .. peak or loudness or peak },
		{ "Length", formatted ("%.3f s", seconds) },
		{ "Sample rate", formatted ("%d Hz", answer.sample_rate_hz) },
		{ "Made", answer.created_at },
		{ "Job", answer.job_id },
		{ "File", answer.path },
	}) .. (answer.exact == false and "\n\nIts samples differ from that file's in their last bits, as they do after an import into a "
		.. "24-bit session." or "")
end

function made.run ()
	if not ask.is_possible () then return end
	local of, sources = selected.with_sources ("recognised")
	local answer = of and recognise.take (of, sources)
	if answer then say.info (("'%s' was made by DGX Music.\n\n%s"):format (of:name (), made.text (answer))) end
end

return made
