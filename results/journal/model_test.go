package journal_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/lookupq/lookupq/internal/embedded/embeddedtest"
	"github.com/lookupq/lookupq/results"
	"github.com/lookupq/lookupq/results/journal"
)

const (
	modelJobs  = 6
	modelItems = 8
)

// truth is what Redis should know of a job.
type truth struct {
	done   bool
	holder *holding // nil: nobody
	claims int
	fresh  bool // nothing settled since the last claim
	doubt  bool
	log    modelLog
}

// modelLog is what was recorded of a job.
type modelLog struct {
	settled []int
	parts   [][]int
	stored  []int
}

func (l modelLog) clone() modelLog {
	return modelLog{slices.Clone(l.settled), slices.Clone(l.parts), slices.Clone(l.stored)}
}

// holding is a job as a worker holds it, rightly or no more: everything that it
// knows of the job.
type holding struct {
	job     int
	slot    *journal.Slot
	log     modelLog
	checked bool
	claims  int
	doubt   bool
	epoch   int
	gone    bool // handed back
}

// modelWorker is one worker; a crash makes it forget everything.
type modelWorker struct {
	j     *journal.Journal
	holds []*holding
}

// model drives workers against a journal and against the plainest one there is.
type model struct {
	t       *rapid.T
	open    func() redis.UniversalClient
	redis   *embeddedtest.Redis
	workers []*modelWorker
	jobs    [modelJobs]*truth // nil: Redis knows nothing
	epoch   int               // counts flushes
	prefix  string
}

// TestModel: several workers claim, settle, crash, hand back and are late, and
// Redis loses everything now and then. A refused writer never changes anything,
// nothing recorded is lost unless flushed, and after a flush the one holder
// brings it back.
func TestModel(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, r *embeddedtest.Redis) {
		c := r.Client()
		checkModel(t, r, func() redis.UniversalClient { return c })
	})
}

// TestModelTwice is TestModel on a connection that loses replies: the client sends
// every command a second time.
func TestModelTwice(t *testing.T) {
	t.Parallel()
	r := embeddedtest.RunRedis(t)
	c := r.Client()
	c.AddHook(twice{})
	checkModel(t, r, func() redis.UniversalClient { return c })
}

// twice sends every pipeline twice.
type twice struct{}

func (twice) DialHook(next redis.DialHook) redis.DialHook          { return next }
func (twice) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

func (twice) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		_ = next(ctx, cmds)
		return next(ctx, cmds)
	}
}

func checkModel(t *testing.T, r *embeddedtest.Redis, open func() redis.UniversalClient) {
	t.Helper()
	run := 0
	rapid.Check(t, func(rt *rapid.T) {
		run++
		if !r.Real() && run > 25 { // in process it takes ten times as long
			return
		}
		m := &model{t: rt, redis: r, open: open, prefix: fmt.Sprintf("run%d", run)}
		for range 3 {
			m.workers = append(m.workers, &modelWorker{j: journal.New(open(), m.prefix, nil)})
		}
		rt.Repeat(map[string]func(*rapid.T){
			"claim": m.claim, "claim again": m.claim, "settle": m.settle, "settle more": m.settle, "done": m.done,
			"handback": m.handBack, "owns": m.owns, "crash": m.crash, "flush": m.flush, "reused": m.reused,
		})
		m.verify()
	})
}

func (m *model) request(job int, redelivered bool) journal.ClaimRequest {
	r := request(fmt.Sprintf("job%d", job), modelItems)
	r.Redelivered = redelivered
	return r
}

// claim claims some jobs for one worker, now and then twice with the same token.
func (m *model) claim(t *rapid.T) {
	w := rapid.SampledFrom(m.workers).Draw(t, "worker")
	jobs := rapid.SliceOfNDistinct(rapid.IntRange(0, modelJobs-1), 1, modelJobs, rapid.ID[int]).Draw(t, "jobs")
	redelivered := rapid.Bool().Draw(t, "redelivered")
	reqs := make([]journal.ClaimRequest, len(jobs))
	for i, job := range jobs {
		reqs[i] = m.request(job, redelivered)
	}
	owner := journal.NewOwner()
	if rapid.Bool().Draw(t, "twice") {
		_, err := w.j.Claim(t.Context(), owner, reqs)
		require.NoError(t, err)
	}
	replies, err := w.j.Claim(t.Context(), owner, reqs)
	require.NoError(t, err)
	for i, job := range jobs {
		m.claimed(t, w, job, redelivered, &replies[i])
	}
}

// claimed compares one reply with the model, and notes who holds the job.
func (m *model) claimed(t *rapid.T, w *modelWorker, job int, redelivered bool, got *journal.ClaimReply) {
	tr := m.jobs[job]
	if tr != nil && tr.done {
		require.Equal(t, journal.StateDone, got.State)
		require.Nil(t, got.Slot)
		return
	}
	if tr == nil {
		tr = &truth{fresh: true, claims: 0, doubt: redelivered}
		m.jobs[job] = tr
	}
	if !tr.fresh {
		tr.claims = 0
	}
	tr.claims++
	tr.fresh = true
	require.Equal(t, tr.claims, got.Claims)
	require.Equal(t, tr.doubt, got.Doubt)
	want := journal.StateKnown
	if tr.claims >= journal.MaxClaims {
		want = journal.StatePoison
	} else if tr.claims == 1 && len(tr.log.settled)+len(tr.log.parts)+len(tr.log.stored) == 0 {
		want = journal.StateNew
	}
	require.Equal(t, want, got.State)
	m.sameLog(t, tr.log, got.Log)
	h := &holding{job: job, slot: got.Slot, log: tr.log.clone(), claims: tr.claims, doubt: tr.doubt, epoch: m.epoch}
	h.checked = len(h.log.stored) > 0
	tr.holder = h
	w.holds = append(w.holds, h)
}

func (m *model) sameLog(t *rapid.T, want modelLog, got journal.Log) {
	var settled, stored []int
	for _, s := range got.Settled {
		settled = append(settled, s.Index)
		require.Equal(t, settledResult(s.Index), s)
	}
	for i := range got.Stored.Items() {
		stored = append(stored, i)
	}
	var parts [][]int
	for _, p := range got.Parts {
		parts = append(parts, slices.Collect(p.Items.Items()))
	}
	require.Equal(t, want.settled, settled)
	require.Equal(t, want.parts, parts)
	require.Equal(t, want.stored, stored)
}

// settledResult is settled(i) as it comes back.
func settledResult(i int) results.Settled { return settled(i) }

// some draws holdings of a worker, newest last.
func (m *model) some(t *rapid.T) (*modelWorker, []*holding) {
	w := rapid.SampledFrom(m.workers).Draw(t, "worker")
	if len(w.holds) == 0 {
		t.Skip("holds nothing")
	}
	at := rapid.SliceOfNDistinct(rapid.IntRange(0, len(w.holds)-1), 1, min(len(w.holds), 5), rapid.ID[int]).Draw(t, "holds")
	slices.Sort(at)
	var out []*holding
	for _, i := range at {
		out = append(out, w.holds[i])
	}
	return w, out
}

// expect is what a write for h should bring.
func (m *model) expect(h *holding) journal.SettleState {
	switch {
	case h.gone:
		return journal.Refused
	case h.epoch != m.epoch:
		return journal.Lost
	case m.jobs[h.job] == nil || m.jobs[h.job].done || m.jobs[h.job].holder != h:
		return journal.Refused
	}
	return journal.OK
}

// settle settles more items of some holdings, makes a part of them now and then,
// and restores what Redis has lost.
func (m *model) settle(t *rapid.T) {
	w, holds := m.some(t)
	entries := make([]journal.Entry, len(holds))
	logs := make([]modelLog, len(holds))
	for i, h := range holds {
		entries[i], logs[i] = m.draw(t, h)
	}
	states := m.settleAll(t, w, entries)
	var lost []int
	for i, h := range holds {
		require.Equal(t, m.expect(h), states[i], "job %d", h.job)
		switch states[i] {
		case journal.OK:
			tr := m.jobs[h.job]
			h.log = logs[i]
			tr.log, tr.fresh = logs[i].clone(), false
			if entries[i].Checked {
				tr.doubt, h.doubt, h.checked = false, false, true
			}
		case journal.Lost:
			h.log = logs[i]
			if entries[i].Checked {
				h.checked = true
			}
			lost = append(lost, i)
		case journal.Refused:
		}
	}
	for _, i := range lost {
		m.restore(t, w, holds[i])
	}
}

func (m *model) settleAll(t *rapid.T, w *modelWorker, entries []journal.Entry) []journal.SettleState {
	states, err := w.j.Settle(t.Context(), entries, nil)
	require.NoError(t, err)
	if rapid.Bool().Draw(t, "settle twice") { // as after an error: harmless
		again, err := w.j.Settle(t.Context(), entries, nil)
		require.NoError(t, err)
		require.Equal(t, states, again)
	}
	return states
}

// draw makes a write for h, and the log it should lead to.
func (m *model) draw(t *rapid.T, h *holding) (journal.Entry, modelLog) {
	e, log := journal.Entry{Slot: h.slot}, h.log.clone()
	if h.doubt && !h.checked {
		e.Checked = rapid.Bool().Draw(t, "checked")
		if e.Checked && rapid.Bool().Draw(t, "stored") {
			e.Stored.Set(modelItems - 1)
			log.stored = []int{modelItems - 1}
		}
	}
	var cut []int
	for i := range modelItems - 1 {
		if !slices.Contains(log.settled, i) && rapid.IntRange(0, 3).Draw(t, "item") == 0 {
			e.Settled = append(e.Settled, settled(i))
			log.settled = append(log.settled, i)
			cut = append(cut, i)
		}
	}
	if len(cut) > 0 && rapid.Bool().Draw(t, "part") {
		e.Parts = []journal.Part{part(cut...)}
		log.parts = append(log.parts, cut)
	}
	return e, log
}

// full is everything that h knows.
func (h *holding) full() journal.Entry {
	e := journal.Entry{Slot: h.slot, Checked: h.checked || !h.doubt}
	for _, i := range h.log.settled {
		e.Settled = append(e.Settled, settled(i))
	}
	for _, p := range h.log.parts {
		e.Parts = append(e.Parts, part(p...))
	}
	for _, i := range h.log.stored {
		e.Stored.Set(i)
	}
	return e
}

// restore puts a holding back after a flush.
func (m *model) restore(t *rapid.T, w *modelWorker, h *holding) {
	states, err := w.j.Restore(t.Context(), []journal.Entry{h.full()})
	require.NoError(t, err)
	tr := m.jobs[h.job]
	if tr != nil && (tr.done || tr.holder != h) {
		require.Equal(t, journal.Refused, states[0], "somebody else has claimed it since")
		return
	}
	require.Equal(t, journal.OK, states[0])
	doubt := h.doubt && !h.checked
	m.jobs[h.job] = &truth{holder: h, claims: h.claims, fresh: true, doubt: doubt, log: h.log.clone()}
	h.epoch, h.doubt = m.epoch, doubt
}

func (m *model) done(t *rapid.T) {
	w, holds := m.some(t)
	h := holds[0]
	require.NoError(t, w.j.Done(t.Context(), []*journal.Slot{h.slot}))
	tr := m.jobs[h.job]
	switch m.expect(h) {
	case journal.OK:
		tr.done, tr.holder = true, nil
	case journal.Lost:
		if tr == nil || tr.holder == h {
			m.jobs[h.job] = &truth{done: true}
		}
	case journal.Refused:
	}
	w.forget(h)
}

func (w *modelWorker) forget(h *holding) {
	w.holds = slices.DeleteFunc(w.holds, func(o *holding) bool { return o == h })
}

func (m *model) handBack(t *rapid.T) {
	w, holds := m.some(t)
	var slots []*journal.Slot
	for _, h := range holds {
		slots = append(slots, h.slot)
		tr := m.jobs[h.job]
		if tr != nil && !tr.done && tr.holder == h && h.epoch == m.epoch && !h.gone {
			tr.holder = nil
			tr.claims = max(tr.claims-1, 0)
		}
		h.gone = true
	}
	require.NoError(t, w.j.HandBack(t.Context(), slots))
}

func (m *model) owns(t *rapid.T) {
	w, holds := m.some(t)
	var slots []*journal.Slot
	for _, h := range holds {
		slots = append(slots, h.slot)
	}
	states, err := w.j.Owns(t.Context(), slots)
	require.NoError(t, err)
	for i, h := range holds {
		require.Equal(t, m.expect(h), states[i], "job %d", h.job)
	}
}

// crash makes a worker forget what it held; a new one takes its place.
func (m *model) crash(t *rapid.T) {
	w := rapid.SampledFrom(m.workers).Draw(t, "worker")
	w.j, w.holds = journal.New(m.open(), m.prefix, nil), nil
}

// flush loses everything; one in a few, for it takes much to build up again.
func (m *model) flush(t *rapid.T) {
	if rapid.IntRange(0, 2).Draw(t, "really") > 0 {
		t.Skip("not now")
	}
	m.redis.FlushAll()
	m.epoch++
	m.jobs = [modelJobs]*truth{}
}

// reused claims a known id with another body.
func (m *model) reused(t *rapid.T) {
	job := rapid.IntRange(0, modelJobs-1).Draw(t, "job")
	if m.jobs[job] == nil {
		t.Skip("not known")
	}
	req := m.request(job, false)
	req.Digest[0]++
	replies, err := m.workers[0].j.Claim(t.Context(), journal.NewOwner(), []journal.ClaimRequest{req})
	require.NoError(t, err)
	require.Equal(t, journal.StateReused, replies[0].State)
	require.Nil(t, replies[0].Slot)
}

// verify reads everything with a new worker.
func (m *model) verify() {
	w := &modelWorker{j: journal.New(m.open(), m.prefix, nil)}
	for job := range m.jobs {
		replies, err := w.j.Claim(m.t.Context(), journal.NewOwner(), []journal.ClaimRequest{m.request(job, false)})
		require.NoError(m.t, err)
		m.claimed(m.t, w, job, false, &replies[0])
	}
}
