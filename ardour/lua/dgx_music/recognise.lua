-- Finds out which take of DGX Music a region is: by its samples, so the region's name and place do not matter.
local use = ...
local ask, say = use ("ask"), use ("say")

local recognise = {}

-- Returns what the daemon knows of a region, nil after a dialog where it knows nothing. `sources` are the region's.
function recognise.take (of, sources)
	local answer = ask.command ("who_made", { sources = sources })
	if answer and not answer.found then
		say.info (("'%s' is not among what DGX Music has made here: no file in its library has these samples.\n\n"
			.. "Audio that was edited into a new file, or imported at another sample rate, is not recognised."):format (of:name ()))
		return nil
	end
	return answer
end

return recognise
