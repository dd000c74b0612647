"""The gateway's data plane: what a worker does with a request (docs/explanation/the-way-of-a-request.md).

    http/        towards clients: connections, requests, answers       upstream/    towards providers
    surfaces/    what is served, one file an inbound dialect           policies/    may it, one class a file
    metrics/     what is counted

A worker:
    worker.py, worker_slot.py, worker_readings.py   one process, put together; what it is given; what is read of it
    snapshot.py, plane.py, made_up.py               the configuration, what calls share under it, and its bounds
    service.py, keyring.py, principal.py            from a request to its call: who presents the key
    outbox.py                                       when what is written goes out
    keeper_link.py, control_plane.py                what it says to the keeper, and passes on to it
    revoking.py, circuits.py, made.py               keys that end, deployments that rest, things that a provider keeps

A call:
    call.py                                         one request from its key to its last byte; what all kinds share
    routed.py                                       one that names a model;
    row_facts.py, client_words.py                   what else it says
    chat.py, chat_attempts.py, cascading.py         a chat; how it is tried; from the cheap group to the strong
    operations.py, text_completions.py              embeddings, images, speech ...; text completions
    forward.py, brought.py, plans.py, own_endpoints.py    what goes to one provider under its own paths;
    forms.py                                        multipart bodies
    lanes.py, straight.py, straight_translation.py  usual calls, in as few steps as they take
    driver.py, streams.py                           does what an exchange asks for; answers in pieces
    relay.py, naming.py, tap.py, old_paths.py       bodies read and changed where they stand

Where it goes:
    router.py, route.py, waiting.py, explain.py     the deployments for a request; the line before them; and why
    in_flight.py                                    requests at deployments that take only so many, of all workers
    targets.py, tariff.py, bounds.py                a deployment as it is asked; what it costs; what it may come to
    unserved.py, nearest.py, refused.py, inside.py  who cannot be served, and what they may be told

What is left of it:
    leases.py, lease_words.py, lease_channel.py     units of quotas
    journal.py, records.py                          what no kill takes
    observe.py, samples.py, redact.py               what is told of a request, without secrets
    log.py, log_writer.py, log_messages.py          lines
    trace.py, traceparent.py, trace_spans.py, trace_export.py      spans
    litellm_headers.py                              the same under LiteLLM's names
"""
