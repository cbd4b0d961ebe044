-- The action Cancel: one of this session's unfinished requests is no longer wanted.
local use = ...
local ask, form, say, status = use ("ask"), use ("form"), use ("say"), use ("status")

local cancel = {}

function cancel.run ()
	local answer = ask.command ("status")
	if not answer then return end
	local choices = {}
	for number, job in ipairs (answer.jobs or {}) do
		choices[number] = { job.job_id, ("%d. %s"):format (number, status.job_line (job)) }
	end
	if #choices == 0 then
		say.info ("Nothing is being made for this session, so there is nothing to cancel.")
		return
	end
	local wish = form.ask ("Cancel", {
		form.choice ("job", "No longer wanted", choices, choices[1][1]),
		form.line ("A running one stops at its next step. What has landed already stays."),
	})
	if wish then ask.command ("cancel", { job_id = wish.job }) end
end

return cancel
