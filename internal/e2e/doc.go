// Package e2e holds the tests of the guarantees: whole worker processes that are
// killed, frozen and cut off while NATS and Redis restart under them, judged by
// the simulator's ledger and by what lies on the result stream. It has no code
// besides tests.
package e2e
