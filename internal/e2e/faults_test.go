package e2e

import (
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lookupq/lookupq/internal/names"
	"github.com/lookupq/lookupq/providers/simulator"
	"github.com/lookupq/lookupq/results/journal"
)

// inFlight is the most numbers that can be on the wire at one instant.
const inFlight = concurrency * batchMax

func TestWorkersKilled(t *testing.T) {
	r := newRig(t, ackWait)
	r.publish(30_000, 100)
	first, second := r.startWorker(), r.startWorker()
	r.asked(6_000)
	first.kill()
	third := r.startWorker()
	r.asked(14_000)
	second.kill()
	r.drained(time.Minute)
	third.terminate()
	r.verify(2 * inFlight)
}

func TestWorkerFrozenAndThawed(t *testing.T) {
	r := newRig(t, ackWait)
	r.publish(20_000, 100)
	frozen, other := r.startWorker(), r.startWorker()
	r.asked(5_000)
	frozen.signal(syscall.SIGSTOP)
	at := r.ledger().Summary().Numbers
	thaw := time.After(3 * ackWait)
	r.asked(int(at) + 4_000) // the other goes on
	<-thaw
	frozen.signal(syscall.SIGCONT)
	r.drained(time.Minute)
	frozen.terminate()
	other.terminate()
	r.verify(inFlight)
}

func TestRedisFlushed(t *testing.T) {
	r := newRig(t, patientAckWait)
	r.publish(20_000, 100)
	first, second := r.startWorker(), r.startWorker()
	r.asked(4_000)
	r.redis.FlushAll()
	r.asked(9_000)
	r.redis.FlushAll()
	r.drained(time.Minute)
	first.terminate()
	second.terminate()
	r.verify(0)
}

func TestRedisFlushedAndWorkerKilled(t *testing.T) {
	r := newRig(t, ackWait)
	r.publish(20_000, 100)
	first, second := r.startWorker(), r.startWorker()
	r.asked(6_000)
	r.redis.FlushAll()
	first.kill()
	r.drained(time.Minute)
	second.terminate()
	// What the dead worker had settled but not yet published is gone with Redis.
	r.verify(2 * inFlight)
}

func TestRedisKilledAndRestarted(t *testing.T) {
	r := newRig(t, patientAckWait)
	r.publish(20_000, 100)
	first, second := r.startWorker(), r.startWorker()
	r.asked(5_000)
	r.redis.Kill()
	calls := r.ledger().Summary().Calls
	time.Sleep(time.Second) //nolint:forbidigo // the fault lasts a while
	require.LessOrEqual(t, r.ledger().Summary().Calls, calls+concurrency, "no new calls while Redis is away")
	r.redis.Start()
	r.drained(time.Minute)
	first.terminate()
	second.terminate()
	r.verify(0)
}

func TestNATSRestarted(t *testing.T) {
	r := newRig(t, patientAckWait)
	r.publish(20_000, 100)
	first, second := r.startWorker(), r.startWorker()
	r.asked(4_000)
	r.nats.Restart()
	r.asked(9_000)
	r.nats.Restart()
	r.drained(time.Minute)
	first.terminate()
	second.terminate()
	r.verify(0)
}

func TestCleanStopRepeatsNothing(t *testing.T) {
	r := newRig(t, patientAckWait)
	r.publish(20_000, 100)
	first, second := r.startWorker(), r.startWorker()
	r.asked(4_000)
	first.terminate()
	third := r.startWorker()
	r.asked(9_000)
	second.terminate()
	r.drained(time.Minute)
	third.terminate()
	r.verify(0)
}

// TestJobThatKillsItsWorker: claimed five times without progress, a job is dead,
// and no worker dies of it any more.
func TestJobThatKillsItsWorker(t *testing.T) {
	r := newRig(t, ackWait)
	hanging := r.said
	hanging.QXT.Outages = []simulator.Outage{{To: time.Hour, Mode: "hang"}}
	r.sim.SetProfile(hanging)
	r.publish(100, 100)
	open := func() int {
		r.ledger().Reset()
		peak := 0
		for _, k := range r.ledger().Summary().Keys {
			peak += k.Peak // right after a reset: what is open now
		}
		return peak
	}
	for range journal.MaxClaims - 1 {
		w := r.startWorker()
		require.Eventually(t, func() bool { return open() > 0 }, time.Minute, 20*time.Millisecond)
		w.kill()
		require.Eventually(t, func() bool { return open() == 0 }, time.Minute, 20*time.Millisecond)
	}
	last := r.startWorker()
	r.drained(time.Minute)
	last.terminate()
	_, js := r.connect()
	s, err := js.Stream(t.Context(), names.Default().DeadStream())
	require.NoError(t, err)
	_, err = s.GetLastMsgForSubject(t.Context(), names.Default().DeadSubject("crash_loop", tenant))
	require.NoError(t, err)
}
