// Package fault makes a built-in hub misbehave, for rehearsals: it is a handler around the hub, and a rehearsal of its
// scans. Only perceptor-dev and tests link it; the production hub has no fault switches.
//
// GET and PUT /internal/faults, with the API token, read and set the switches (the type Faults): latency, 429 and 5xx with
// or without Retry-After, HTML and empty answers, no answer at all, uploads accepted without an answer or lost, slow and
// stuck scans, a capacity, the old generation of the API. PUT replaces: a switch that it leaves out is off afterwards, and
// times, counts and draws begin again; what makes no sense is answered 400 and changes nothing. Every switch may end by
// itself ("for"). Nothing below /internal is ever disturbed, and the switches do not outlive the process.
//
// GET /internal/stats answers the hub's own counters, with fault_hits beside them.
package fault
