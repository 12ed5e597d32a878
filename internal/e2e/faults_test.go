package e2e

import (
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
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
	at := r.sim.Ledger().Summary().Numbers
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
	calls := r.sim.Ledger().Summary().Calls
	time.Sleep(time.Second) //nolint:forbidigo // the fault lasts a while
	require.LessOrEqual(t, r.sim.Ledger().Summary().Calls, calls+concurrency, "no new calls while Redis is away")
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
