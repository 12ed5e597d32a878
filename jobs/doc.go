// Package jobs is how work enters: what a job looks like and how it is decoded,
// the streams it waits on, campaigns, publishing, and claiming.
//
// Claiming is the largest part. What comes in is the stream of jobs and, from
// the worker, a Demand: how many numbers it wants now, by route and priority.
// What goes out are batches of *Held, jobs that belong to this worker until it
// acknowledges, hands back or drops them. The order is priority first, then
// weighted deficit round-robin over tenants, then round-robin over campaigns.
//
// One goroutine, Claimer.Run, owns all lanes and makes every decision; it asks
// the server for jobs by no-wait pulls whose answers all arrive on one
// subscription, so nothing is ever cancelled and nothing strands. A second
// goroutine polls the stream for lanes, a third keeps alive what is held. Run
// ends with its context; Claimer.Close ends the rest and waits.
package jobs
