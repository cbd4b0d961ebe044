-- The action Replace take: the same prompt with a new seed, in the selected region's place.
local use = ...
local ask, here, say, selected = use ("ask"), use ("here"), use ("say"), use ("selected")
local spool, wish = use ("spool"), use ("wish")

local replace = {}

function replace.run ()
	if not ask.is_possible () then return end
	local of, sources = selected.with_sources ("made again")
	if not of then return end
	local track = here.track_of (of)
	if not track then
		say.warning ("This cannot be made again: no track plays it.")
		return
	end
	if not wish.may_land () then return end
	local position, length = of:position ():samples (), of:length ():samples ()
	-- A region that was cut at its front shows a take from within: the new one begins where the whole one would.
	local whole_from = math.max (0, position - of:start ():samples ())
	ask.command ("again", {
		sources = sources,
		session = {
			path = spool.session_path (), position = whole_from, track = track, playlists = "copy", on_top = "take",
			replace = { position = position, length = length, name = of:name () },
		},
	})
end

return replace
