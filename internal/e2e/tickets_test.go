package e2e

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lookupq/lookupq/internal/e2e/judge"
	"github.com/lookupq/lookupq/internal/embedded/embeddedtest"
	"github.com/lookupq/lookupq/providers/simulator"
)

// Of the deferred upstream in these tests.
const (
	ticketBatch = 50
	ticketKeys  = 2
	ticketCalls = 2 // of a key, besides one question
	outstanding = 300
	ticketItems = 700
)

// deferred is a rig whose upstream answers later; behaviour is more of its profile.
func deferred(t *testing.T, wait time.Duration, behaviour string) *rig {
	t.Helper()
	return openRig(t, scene{
		ask: simulator.Ask{Upstream: simulator.UpstreamNXCloud, CheckLevel: 5},
		profile: `
seed: 3
nxcloud:
  keys: [{key: access-0, secret: secret-0, apps: [app-0]}, {key: access-1, secret: secret-1, apps: [app-1]}]
  latency: {base: 100ms}
  unknown: 0.02
  generation: mixed
` + behaviour,
		config: fmt.Sprintf(`
routes:
  r: {providers: [nxcloud], options: {check_level: 5}}
providers:
  nxcloud:
    type: nxcloud
    base_url: "SIM/nxcloud"
    batch: %d
    timeout: 5s
    keys:
      - {name: k0, secret: secret-0, concurrency: %d, rate: "10/s"}
      - {name: k1, secret: secret-1, concurrency: %[2]d, rate: "10/s"}
    settings:
      accounts: {k0: {access_key: access-0, app_key: app-0}, k1: {access_key: access-1, app_key: app-1}}
      poll_after: 4s
      poll_every: 3s
      unknown_after: 8s
      give_up_after: 2m
      outstanding: %d
`, ticketBatch, ticketCalls, outstanding),
		number: judge.Chinese, batch: ticketBatch, calls: ticketCalls + 1, ackWait: wait,
		// After Redis was flushed nobody asks for as long: with less than the 3 s
		// between two questions of a key, they could come too soon.
		lease: 4 * time.Second,
	})
}

// startPair starts two workers that listen for receipts. ours says at whose
// listener the receipts of each are to arrive: 0 and 1 are the first and the second.
func (r *rig) startPair(first, second int) (*process, *process) {
	r.t.Helper()
	listen := [...]string{embeddedtest.FreeAddr(r.t), embeddedtest.FreeAddr(r.t)}
	start := func(own, receipts int) *process {
		return r.startWorker("LOOKUPQ_HTTP_PUBLIC_LISTEN="+listen[own], "LOOKUPQ_HTTP_PUBLIC_URL=http://"+listen[receipts])
	}
	return start(0, first), start(1, second)
}

// handedIn waits until n numbers were handed in.
func (r *rig) handedIn(n int) { r.asked(n) }

// accepted waits until n receipts were taken.
func (r *rig) accepted(n int64) {
	r.t.Helper()
	r.until(func(s simulator.Summary) bool { return s.Deferred.Accepted >= n }, "%d receipts should have been taken", n)
}

// verifyTickets checks what must hold whatever happened: each item has one result,
// and a right one; no number was handed in twice; no key was used too fast.
func (r *rig) verifyTickets() simulator.Deferred { return r.verifyGap(queryGap) }

// flushedGap is the gap after Redis has forgotten when the last question was: then
// the lease is all that is waited for, which is 15 s in earnest and 1.5 s here. A
// request may be held up on its way.
const flushedGap = 1.0

// verifyGap is verifyTickets with another least time between questions, in seconds.
func (r *rig) verifyGap(queryGap float64) simulator.Deferred {
	r.t.Helper()
	r.verify(0)
	d := r.ledger().Summary().Deferred
	r.t.Logf("%+v", d)
	require.Zero(r.t, d.Blind)
	require.Zero(r.t, d.DuplicateBatches)
	if d.Queries > ticketKeys {
		require.GreaterOrEqual(r.t, d.QueryGap, queryGap)
	}
	return d
}

const (
	// Receipts go to who handed the numbers in; or to the other worker.
	own   = "receipts: {base: 500ms, jitter: 2s, order: shuffled, retry_every: 500ms}"
	slow  = "receipts: {base: 1s, jitter: 6s, order: shuffled, retry_every: 1s}"
	never = "receipts: {base: 300ms, jitter: 1s, lost: 1}"
)

func TestTicketHolderKilledBeforeTheReply(t *testing.T) {
	t.Parallel()
	r := deferred(t, ackWait, "  "+own+"\n  late_replies: {share: 1, delay: 2s}\n")
	first, second := r.startPair(0, 1)
	r.publish(ticketItems, 50)
	r.handedIn(4 * ticketBatch) // and no reply before 2 s
	first.kill()
	r.drained(90 * time.Second)
	second.terminate()
	r.verifyTickets()
}

func TestTicketHolderKilledBetweenReceipts(t *testing.T) {
	t.Parallel()
	r := deferred(t, ackWait, "  "+slow+"\n")
	first, second := r.startPair(0, 1)
	r.publish(ticketItems, 50)
	r.accepted(ticketBatch)
	first.kill()
	r.drained(90 * time.Second)
	second.terminate()
	require.NotZero(t, r.verifyTickets().Queries, "receipts to a dead address are asked for")
}

func TestTicketsWithRedisFlushed(t *testing.T) {
	t.Parallel()
	r := deferred(t, patientAckWait, "  "+slow+"\n")
	first, second := r.startPair(1, 0)
	r.publish(ticketItems, 50)
	r.handedIn(3 * ticketBatch)
	r.redis.FlushAll()
	r.accepted(ticketItems / 2)
	r.redis.FlushAll()
	r.drained(90 * time.Second)
	first.terminate()
	second.terminate()
	r.verifyGap(flushedGap)
}

func TestTicketHolderKilledAndRedisFlushed(t *testing.T) {
	t.Parallel()
	r := deferred(t, ackWait, "  "+slow+"\n")
	first, second := r.startPair(0, 1)
	r.publish(ticketItems, 50)
	r.accepted(ticketBatch)
	r.redis.FlushAll()
	first.kill()
	r.drained(90 * time.Second)
	second.terminate()
	r.verifyGap(flushedGap)
}

// TestCleanStopLeavesTickets: what is handed in is not waited for, and the worker
// that goes on hears of it.
func TestCleanStopLeavesTickets(t *testing.T) {
	t.Parallel()
	r := deferred(t, patientAckWait, "  "+slow+"\n")
	first, second := r.startPair(1, 1) // as behind one address
	r.publish(ticketItems, 50)
	r.handedIn(4 * ticketBatch)
	at := time.Now()
	first.terminate()
	require.Less(t, time.Since(at), 10*time.Second)
	require.Less(t, r.ledger().Summary().Deferred.Accepted, int64(ticketItems))
	r.drained(90 * time.Second)
	second.terminate()
	r.verifyTickets()
}

// TestReceiptsReachTheOtherWorker: it does not matter who is told, and no more
// numbers are out than are allowed.
func TestReceiptsReachTheOtherWorker(t *testing.T) {
	t.Parallel()
	r := deferred(t, patientAckWait, "  "+own+"\n")
	first, second := r.startPair(1, 0)
	most := r.watchOutstanding()
	r.publish(2*ticketItems, 50)
	r.drained(90 * time.Second)
	first.terminate()
	second.terminate()
	d := r.verifyTickets()
	require.Equal(t, int64(2*ticketItems), d.Accepted)
	require.Zero(t, d.Queries)
	t.Logf("at most %d numbers out", most.Load())
	// A receipt that is taken just now may make room before the upstream knows.
	const underWay = 32
	require.LessOrEqual(t, most.Load(), int64(outstanding+underWay))
	require.Greater(t, most.Load(), int64(outstanding/2), "they are made use of")
}

func TestRepliesLost(t *testing.T) {
	t.Parallel()
	r := deferred(t, patientAckWait, "  "+own+"\n  lost_replies: 0.5\n")
	first, second := r.startPair(1, 0)
	r.publish(ticketItems, 50)
	r.drained(90 * time.Second)
	first.terminate()
	second.terminate()
	require.NotZero(t, r.verifyTickets().LostReplies)
}

func TestAllReceiptsLost(t *testing.T) {
	t.Parallel()
	r := deferred(t, patientAckWait, "  "+never+"\n  lost_replies: 0.2\n")
	first, second := r.startPair(0, 1)
	r.publish(ticketItems, 50)
	r.drained(90 * time.Second)
	first.terminate()
	second.terminate()
	d := r.verifyTickets()
	require.Zero(t, d.Accepted)
	require.GreaterOrEqual(t, d.Queries, int64(ticketItems/ticketBatch))
}

// watchOutstanding keeps the most numbers that were handed in and had no receipt.
func (r *rig) watchOutstanding() *atomic.Int64 {
	most, stop, done := &atomic.Int64{}, make(chan struct{}), make(chan struct{})
	tick := time.NewTicker(2 * time.Millisecond)
	go func() {
		defer close(done)
		for {
			s := r.ledger().Summary()
			most.Store(max(most.Load(), s.Numbers-s.Deferred.Accepted))
			select {
			case <-tick.C:
			case <-stop:
				return
			}
		}
	}()
	r.t.Cleanup(func() {
		tick.Stop()
		close(stop)
		<-done
	})
	return most
}
