package journal

import (
	"context"
	"crypto/rand"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/lookupq/lookupq/internal/redisdb"
	"github.com/lookupq/lookupq/results/cache"
)

const (
	// period is how long an identity is found at least: the contract's 24 h.
	period = 24 * time.Hour
	// pageLife is how long a page lies untouched; longer than any identity leads to it.
	pageLife = 72 * time.Hour
	// clusterShards is how many hash slots a Redis Cluster's keys are spread over:
	// enough to use every node, few enough that a batch still shares pages.
	clusterShards = 16
	// MaxClaims is the poison count: the claim without progress that makes a job dead.
	MaxClaims = 5
	// epochSkew is how far Redis' clock and NATS' may be apart: a job stored less
	// than this after an epoch began is taken for older than the epoch.
	epochSkew = time.Minute
)

// Journal is the journal of one Redis. Safe in parallel; a Slot is not.
type Journal struct {
	rdb    redis.UniversalClient
	prefix string
	cache  *cache.Cache
	shards []shard
	script scripts
	pool   sync.Pool // of *encoder
}

// shard is what one hash slot holds: all of it, if Redis is no cluster.
type shard struct {
	epoch, stamp, current, previous string // keys
	page                            string // what page keys begin with
	now                             atomic.Pointer[epoch]
}

// epoch is the epoch last seen.
type epoch struct {
	redisdb.Epoch
	tag tag
}

// New makes a Journal on rdb, which the caller closes. prefix starts every key
// ("lookup"). answers is written along by Settle; it may be nil.
func New(rdb redis.UniversalClient, prefix string, answers *cache.Cache) *Journal {
	n := 1
	if _, ok := rdb.(*redis.ClusterClient); ok {
		n = clusterShards
	}
	j := &Journal{rdb: rdb, prefix: prefix, cache: answers, shards: make([]shard, n), script: newScripts()}
	j.pool.New = func() any { return &encoder{} }
	for i := range j.shards {
		base := prefix + ":{j" + strconv.Itoa(i) + "}:"
		s := &j.shards[i]
		s.epoch, s.stamp, s.current, s.previous, s.page = base+"epoch", base+"it", base+"i0", base+"i1", base+"p"
		s.now.Store(&epoch{})
	}
	return j
}

// NewOwner makes a token for one call of Claim.
func NewOwner() Owner {
	var o Owner
	_, _ = rand.Read(o[:]) // never fails, says its documentation
	return o
}

// Slot is a claimed job's place in the journal. Its holder passes it to every
// later call; one goroutine at a time.
type Slot struct {
	page   *page
	n      byte
	claims byte
	doubt  bool
	moving bool // a Restore has not come to its end
	gone   bool // done or handed back
	field  field
	digest [digestSize]byte
	seq    uint64
}

// page is what the holder knows of a page; it is not changed once made.
type page struct {
	shard *shard
	id    [pageIDSize]byte
	key   string
	head  string // as it was when claimed
	owner Owner
	place byte // of the owner among the tokens
	epoch *epoch
	began string // which identities' hash it was claimed in, "" if not known
}

// known tells what is known of the slot without asking Redis: OK if nothing is.
func (s *Slot) known() SettleState {
	switch {
	case s.gone:
		return Refused
	case s.moving || s.page.epoch.tag != s.page.shard.now.Load().tag:
		return Lost // on its way to another page, or Redis' data are of another life
	}
	return OK
}

// where is the value of the slot's identity.
func (s *Slot) where() place {
	return place{page: s.page.id, slot: s.n, digest: s.digest, seq: s.seq}
}

// newPage names a page that does not exist yet.
func (s *shard) newPage() *page {
	p := &page{shard: s}
	_, _ = rand.Read(p.id[:])
	p.key = s.pageKey(p.id)
	return p
}

func (s *shard) pageKey(id [pageIDSize]byte) string {
	const hexDigits = "0123456789abcdef"
	b := make([]byte, 0, len(s.page)+2*pageIDSize)
	b = append(b, s.page...)
	for _, v := range id {
		b = append(b, hexDigits[v>>4], hexDigits[v&0xf])
	}
	return string(b)
}

// sawEpoch notes the epoch of a reply {'E', id, created}.
func (s *shard) sawEpoch(reply []any) error {
	if len(reply) != 3 {
		return errReply
	}
	e, err := redisdb.ParseEpoch(text(reply[1]) + " " + text(reply[2]) + " -")
	if err != nil {
		return fmt.Errorf("%w: %w", errReply, err)
	}
	s.now.Store(&epoch{Epoch: e, tag: tagOf(e.ID)})
	return nil
}

// retry runs step until it reports that nothing is left to do. A step is one
// round trip; more than the first are needed when an epoch begins, or for jobs
// that are known already.
func retry(ctx context.Context, step func(context.Context) (again bool, err error)) error {
	const tries = 8
	for range tries {
		if again, err := step(ctx); err != nil || !again {
			return err
		}
	}
	return fmt.Errorf("redis has lost its data %d times meanwhile", tries)
}
