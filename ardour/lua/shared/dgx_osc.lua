-- Written by dgx_music.surfaces.osc.lua_constants from the daemon's route table; change that instead.
return {
  url = "osc.udp://127.0.0.1:7400",
  send = {  -- what the daemon takes
    -- Asks for music: one JSON object, or a prompt followed by pairs of a request field (session.path for a nested one) and its value; reply_port sends the answers to another port of the sender's host.
    generate = "/dgx/generate",  -- /dgx/generate prompt_or_json:s [field:s value:sihdfTF]…
    -- Cancels a waiting or running job; a running one answers with its status, and stops at its next step.
    cancel = "/dgx/cancel",  -- /dgx/cancel job_id:s
    -- Asks how a job stands; a finished one answers with its outcome again. Without a job: the queue, then every running job.
    status = "/dgx/status",  -- /dgx/status [job_id:s]
    -- Asks for the queue's counts.
    queue = "/dgx/queue",  -- /dgx/queue [pressed:ihdfTF]
    -- Starts no more jobs until /dgx/resume; answered with the queue.
    pause = "/dgx/pause",  -- /dgx/pause [pressed:ihdfTF]
    -- Starts jobs again; answered with the queue.
    resume = "/dgx/resume",  -- /dgx/resume [pressed:ihdfTF]
    -- Asks whether the daemon is there.
    ping = "/dgx/ping",  -- /dgx/ping [pressed:ihdfTF]
    -- Tells the daemon what the DAW's transport does.
    transport = "/dgx/transport",  -- /dgx/transport rolling|recording|stopped
  },
  receive = {  -- what it answers
    -- The job is stored and will not be lost; place counts the jobs before it.
    accepted = "/dgx/accepted",  -- /dgx/accepted request_id:s job_id:s place:i eta_s:f engine:s
    -- How far a job is, from 0 to 1, at most ten times a second.
    progress = "/dgx/progress",  -- /dgx/progress job_id:s fraction:f step:s
    -- So many seconds of a take, counted from 0, can be heard while the rest is made: a WAV file that grows, not yet mastered, removed when the job ends. Only neural engines send it.
    preview = "/dgx/preview",  -- /dgx/preview job_id:s take:i path:s seconds:f
    -- One finished take, counted from 0, of so many takes: its file's absolute path and the engine that made it.
    done = "/dgx/done",  -- /dgx/done job_id:s take:i path:s engine:s takes:i
    -- The job failed, and why.
    failed = "/dgx/failed",  -- /dgx/failed job_id:s code:s message:s
    -- The job was cancelled.
    cancelled = "/dgx/cancelled",  -- /dgx/cancelled job_id:s
    -- The answer to /dgx/ping.
    pong = "/dgx/pong",  -- /dgx/pong version:s pid:i
    -- How a job stands; takes counts the finished ones.
    status = "/dgx/status",  -- /dgx/status job_id:s state:s step:s fraction:f engine:s takes:i
    -- The queue's counts, and the last transport state that was told.
    queue = "/dgx/queue",  -- /dgx/queue paused:TF pending:i processing:i completed:i failed:i cancelled:i transport:s
    -- A message was refused, and what would be right; about is its request_id or its address.
    error = "/dgx/error",  -- /dgx/error code:s message:s about:s
  },
}
