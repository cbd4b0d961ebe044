-- FNV-1a with 64 bits, as 16 hex digits. Lua's integers wrap around as the hash wants it.
local fnv = {}

local OFFSET, PRIME = math.tointeger (-3750763034362895579), 0x100000001b3  -- 0xcbf29ce484222325

fnv.START = OFFSET

-- Takes a text into a hash that is under way; begin with fnv.START.
function fnv.add (hash, text)
	for first = 1, #text, 4096 do  -- a string gives only so many bytes at once
		for _, byte in ipairs ({ text:byte (first, first + 4095) }) do
			hash = (hash ~ byte) * PRIME
		end
	end
	return hash
end

function fnv.digits (hash)
	return ("%016x"):format (hash)
end

return fnv
