-- Brings a file into the session's region list; nothing is placed by that.
local bring = {}

-- Imports a file. Returns its whole-file region, or nil where Ardour has not taken all of it: it says so only in its log.
-- Ardour's import makes an undo step of its own, so this must never run within another one.
function bring.import (file, position)
	local there = {}
	for id in ARDOUR.RegionFactory.regions ():iter () do there[id:to_s ()] = true end
	local paths = C.StringVector ()
	paths:push_back (file.path)
	Editor:do_import (paths, Editing.ImportSerializeFiles, Editing.ImportAsRegion, ARDOUR.SrcQuality.SrcBest,
		ARDOUR.MidiTrackNameSource.SMFTrackName, ARDOUR.MidiTempoMapDisposition.SMFTempoIgnore,
		Temporal.timepos_t (position), ARDOUR.PluginInfo (), ARDOUR.Track (), false)
	for id, region in ARDOUR.RegionFactory.regions ():iter () do
		if not there[id:to_s ()] and region:whole_file () then
			local audio = region:to_audioregion ()
			if not audio:isnil () and region:length ():samples () == file.frames and audio:n_channels () == file.channels then
				return region
			end
		end
	end
end

return bring
