package results

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// campaign is what is remembered of one campaign's parts.
type campaign struct {
	asked uint64       // under Stored.mu: when it was last asked for
	size  atomic.Int64 // of index, for Stored.trim

	mu      sync.Mutex // all below; held while the stream is read
	since   time.Time  // parts older than this are not in the list
	next    uint64     // the stream sequence to read on from; 0: from since
	read    time.Time  // when the reading began that the list is of
	tooMany bool       // the list was given up
	index   partIndex
}

// reset begins a list from a time on.
func (c *campaign) reset(since time.Time) {
	c.since, c.next, c.read, c.tooMany, c.index = since, 0, time.Time{}, false, partIndex{}
	c.size.Store(0)
}

// add remembers a part; false, and an empty list for good, if there are too many.
func (c *campaign) add(job, seq uint64, limit int) bool {
	if c.index.len() >= limit {
		c.tooMany, c.index = true, partIndex{}
		c.size.Store(0)
		return false
	}
	c.index.add(indexed{job: job, seq: seq})
	c.size.Store(int64(c.index.len()))
	return true
}

// hashJob stands for a job id in the list; who finds a part looks at its id.
func hashJob(id string) uint64 {
	var stack [64]byte
	sum := sha256.Sum256(append(stack[:0], id...))
	return binary.BigEndian.Uint64(sum[:])
}

// indexed is one part: of which job (a hash), and where.
type indexed struct{ job, seq uint64 }

// partIndex finds the parts of a job: a sorted list, and a short one of what
// came since, which is sorted when it is asked and merged when it has grown.
// 16 bytes a part. Not for parallel use.
type partIndex struct {
	sorted, recent []indexed
	ready          bool // recent is sorted
}

// mergeFrom is when the recent parts are merged: seldom, as the list grows.
const mergeFrom = 4096

func (x *partIndex) len() int { return len(x.sorted) + len(x.recent) }

func (x *partIndex) add(p indexed) {
	x.recent, x.ready = append(x.recent, p), false
	if len(x.recent) >= max(mergeFrom, len(x.sorted)/4) {
		x.merge()
	}
}

// find returns the sequences of a job's parts.
func (x *partIndex) find(job uint64) []uint64 {
	if !x.ready {
		slices.SortFunc(x.recent, byJob)
		x.ready = true
	}
	return appendFound(appendFound(nil, x.sorted, job), x.recent, job)
}

func appendFound(dst []uint64, list []indexed, job uint64) []uint64 {
	i, _ := slices.BinarySearchFunc(list, job, func(p indexed, job uint64) int { return cmp.Compare(p.job, job) })
	for ; i < len(list) && list[i].job == job; i++ {
		dst = append(dst, list[i].seq)
	}
	return dst
}

// merge sorts the recent parts in, from the end, in place.
func (x *partIndex) merge() {
	slices.SortFunc(x.recent, byJob)
	i, j := len(x.sorted)-1, len(x.recent)-1
	x.sorted = append(x.sorted, x.recent...)
	for k := len(x.sorted) - 1; j >= 0; k-- {
		if i >= 0 && byJob(x.sorted[i], x.recent[j]) > 0 {
			x.sorted[k] = x.sorted[i]
			i--
		} else {
			x.sorted[k] = x.recent[j]
			j--
		}
	}
	x.recent, x.ready = x.recent[:0], true
}

func byJob(a, b indexed) int {
	if c := cmp.Compare(a.job, b.job); c != 0 {
		return c
	}
	return cmp.Compare(a.seq, b.seq)
}
