-- The one region that an action is about.
local use = ...
local consent, here, region, say = use ("consent"), use ("here"), use ("region"), use ("say")

local selected = {}

-- Returns the selected audio region; nil after it was told how to select one. `what_for` ends a sentence: continued.
function selected.region (what_for)
	local regions = here.regions ()
	if #regions == 1 then return regions[1] end
	local found = #regions == 0 and "No audio region is selected." or #regions .. " regions are selected."
	say.info (("%s Select the one audio region that is to be %s."):format (found, what_for))
	return nil
end

-- Returns the selected region and its track's name, where its audio may be read and is what one hears; nil after the user
-- was told why not. `purpose` is said where they are asked whether the audio may be read.
function selected.audible (what_for, purpose)
	local of = selected.region (what_for)
	if not of then return nil end
	local excerpt, problem = region.excerpt (of, 0, of:length ():samples ())
	local track = here.track_of (of)
	if not (excerpt and track) then
		say.warning (("This cannot be %s: %s."):format (what_for, problem or "no track plays it"))
		return nil
	end
	if not consent.to ("read", purpose) then return nil end
	return of, track
end

-- Returns the selected region and its sources, where they may be read; nil after the user was told why not.
function selected.with_sources (what_for)
	local of = selected.region (what_for)
	if not of then return nil end
	local sources, problem = region.sources (of)
	if not sources then
		say.warning (("This cannot be %s: %s."):format (what_for, problem))
		return nil
	end
	if not consent.to ("read", "To recognise a region by its samples, its audio file has to be read.") then return nil end
	return of, sources
end

return selected
