// Package batch packs numbers into upstream calls and decides what becomes of
// each of them.
//
// What comes in: items (Loop.Add), each one number of one job with a waiter, and
// permits (the Permits interface). What goes out: calls to one Provider, and for
// every waiter exactly one Answered, handed to Config.Answered, or the waiter
// itself from Loop.Rest after a stop. Ending the context of Loop.Run stops it.
//
// The parts, in the order of the data flow:
//
//	loop.go     the one goroutine that owns the core: its mailbox, its timer, its stop
//	core.go     the pure core: no goroutine, no I/O, no clock of its own
//	add.go      an item becomes a unit (one number to ask), or joins one
//	ticket.go   what was asked already and is answered later, under a ticket
//	queue.go    the order of units: priority, tenants by deficit, campaigns in turn
//	want.go     when to ask for a permit, and for how many numbers
//	cut.go      units become a batch
//	call.go     the goroutine of one call: ask, judge the key, give the permit back
//	afford.go   numbers that there is no money for leave their call
//	late.go     answers that come after their call, and what they say of keys
//	resolve.go  the reply becomes answers, retries, splits and pauses
//	settle.go   a unit is to be asked again: by itself, or with another for its number
//	verdict.go  the one table from failure kind to what is done about it
//	bisect.go   finding the number that spoils a batch, within a budget
//	health.go   the circuit of a partition: when the fault is the provider's
//	sweep.go    what leaves without a call: expired, cancelled, handed on, old answers
//
// A unit is asked on behalf of all its waiters; its first live waiter at the cut
// bears the cost; Config.Afford may refuse it, and then another one does who has
// money. With a deferred provider the call only hands the numbers in:
// the units then wait, off the wire and without a permit, until Loop.Deliver
// brings their outcomes, and a stop does not wait for them.
package batch
