package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/lookupq/lookupq/internal/e2e/judge"
	"github.com/lookupq/lookupq/internal/names"
)

// tenant is one of those who share the upstream.
type tenant struct {
	name   string
	weight int
}

// tenants all have the same backlog, so who weighs more is done sooner.
func tenants() []tenant {
	return []tenant{{"amber", 1}, {"basil", 2}, {"cedar", 3}, {"delta", 4}, {"ebony", 10}}
}

// weights is the sum of them all.
func weights() int {
	sum := 0
	for _, t := range tenants() {
		sum += t.weight
	}
	return sum
}

const (
	route    = "cn"
	campaign = "fleet"
	// nobody owns the numbers that two tenants ask for.
	nobody = 0xff
)

// number is one of the run's, by its place in judge.Chinese.
type number int32

// e164 is the number in full.
func (n number) e164() string { return judge.Chinese(int(n)) }

// national is how it stands in jobs, and in calls.
func (n number) national() string { return strings.TrimPrefix(n.e164(), "+86") }

// load is what the tenants ask for.
type load struct {
	// items of each tenant in their order; jobs are cut from them.
	items [][]number
	size  int // numbers a job
	// owner is who asks for a number, nobody if two tenants do.
	owner []uint8
	// paid is how many numbers have to be paid: each once a tenant, who share nothing.
	paid int
	// repeats are the items that came before: within their job, within an earlier job
	// of the tenant, and in the jobs of another one.
	sameJob, sameTenant, elsewhere int
}

// parseNumber is the inverse of national; false for a number that is none of the run's.
func (l *load) parseNumber(national string) (number, bool) {
	lowest, err := strconv.Atoi(number(0).national())
	if err != nil {
		return 0, false
	}
	v, err := strconv.Atoi(national)
	const step = 7 // of judge.Chinese
	n := (v - lowest) / step
	if err != nil || n < 0 || n >= len(l.owner) || number(n).national() != national {
		return 0, false
	}
	return number(n), true
}

// again is the share of repeated items, as one in so many.
const again = 10

// newLoad makes up the load, the same one each time.
func newLoad(total, size int) *load {
	l := &load{size: size, items: make([][]number, len(tenants()))}
	each := total / len(tenants())
	rng := rand.New(rand.NewPCG(4, 1)) //nolint:gosec // repeatable, no secrets
	// Tenants in turns, item by item: another tenant's number is one at the same place.
	for i := range each {
		for t := range l.items {
			l.items[t] = append(l.items[t], l.next(rng, t, i))
		}
	}
	return l
}

// next is item i of tenant t: a new number, or one that came before.
func (l *load) next(rng *rand.Rand, t, i int) number {
	job := i - i%l.size // the first item of the job
	if i%again == again-1 {
		switch i / again % 3 {
		case 0:
			if i > job {
				l.sameJob++
				return l.items[t][job+rng.IntN(i-job)]
			}
		case 1:
			if job > 0 {
				l.sameTenant++
				return l.items[t][rng.IntN(job)]
			}
		default:
			if n, ok := l.foreign(t, i-1); ok {
				l.elsewhere++
				l.paid++
				l.owner[n] = nobody
				return n
			}
		}
	}
	l.owner = append(l.owner, uint8(t))
	l.paid++
	return number(len(l.owner) - 1)
}

// foreign is item i of the tenant before t, if nobody else asks for it yet.
func (l *load) foreign(t, i int) (number, bool) {
	other := (t + len(l.items) - 1) % len(l.items)
	if i < 0 || i >= len(l.items[other]) {
		return 0, false
	}
	n := l.items[other][i]
	return n, l.owner[n] == uint8(other)
}

// allowed is how often a number has to be paid.
func (l *load) allowed(n number) int {
	if l.owner[n] == nobody {
		return 2
	}
	return 1
}

// numbers is how many items there are, over all tenants.
func (l *load) numbers() int { return len(l.items) * len(l.items[0]) }

// calls is the least number of calls that could answer it.
func (l *load) calls(batch int) int { return (l.paid + batch - 1) / batch }

// jobs is how many each tenant has.
func (l *load) jobs() int { return (len(l.items[0]) + l.size - 1) / l.size }

// body is a job of a tenant; the refs are the items' places.
func (l *load) body(t, job int) []byte {
	b := append(append(append([]byte{}, `{"id":"`...), jobID(job)...), `","items":[`...)
	for i := job * l.size; i < min((job+1)*l.size, len(l.items[t])); i++ {
		if i > job*l.size {
			b = append(b, ',')
		}
		b = fmt.Appendf(b, `{"number":"%s","ref":%d}`, l.items[t][i].national(), i)
	}
	return append(b, "]}"...)
}

func jobID(job int) string { return "job-" + strconv.Itoa(job) }

// publish stores all jobs, the tenants in turns.
func (l *load) publish(ctx context.Context, js jetstream.JetStream) error {
	const patience = time.Minute
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errors.New("the jobs are not stored after a minute"))
	defer cancel()
	var futures []jetstream.PubAckFuture
	for job := range l.jobs() {
		for t, who := range tenants() {
			lane := names.Lane{Route: route, Priority: names.Bulk, Tenant: who.name, Campaign: campaign}
			id := names.Identity{Tenant: who.name, Campaign: campaign, JobID: jobID(job)}
			f, err := js.PublishMsgAsync(&nats.Msg{
				Subject: names.Default().JobsSubject(lane), Data: l.body(t, job),
				Header: nats.Header{nats.MsgIdHdr: {id.MsgID()}},
			}, jetstream.WithStallWait(patience))
			if err != nil {
				return err
			}
			futures = append(futures, f)
		}
	}
	for _, f := range futures {
		select {
		case <-f.Ok():
		case err := <-f.Err():
			return err
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}
