-- Dialogs with fields, and what their fields hold.
local form = {}

-- Shows a dialog and returns what was entered, or nil where it was cancelled.
function form.ask (title, fields)
	return LuaDialog.Dialog ("DGX Music: " .. title, fields):run ()
end

-- A line of plain text.
function form.line (text)
	return { type = "label", title = text, align = "left" }
end

function form.text (key, title, value)
	return { type = "entry", key = key, title = title, default = value }
end

-- A whole number. A dialog gives it back as a float: see form.integer.
function form.count (key, title, value, least, most)
	return { type = "number", key = key, title = title, min = least, max = most, step = 1, digits = 0, default = value }
end

function form.tick (key, title, value)
	return { type = "checkbox", key = key, title = title, default = value }
end

-- A choice: a list of { value, label } and the value that is chosen at first. Ardour sorts the labels.
function form.choice (key, title, choices, value)
	local values, chosen = {}, nil
	for _, choice in ipairs (choices) do
		values[choice[2]] = choice[1]
		if choice[1] == value or not chosen then chosen = choice[2] end
	end
	return { type = "dropdown", key = key, title = title, values = values, default = chosen }
end

-- The number of a field as an integer.
function form.integer (value)
	return math.floor (value + 0.5)
end

-- A text without blanks around it.
function form.trimmed (text)
	return text:match ("^%s*(.-)%s*$")
end

return form
