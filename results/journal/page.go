package journal

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"

	"github.com/lookupq/lookupq/internal/names"
)

// A page, as its scripts know it too (lua/common.lua):
//
//	0      version, 1
//	1      0 open; 1 closed: all its jobs are done, and only the head is left
//	2      slots-1
//	3      owners (tokens)
//	4..11  epoch of Redis' data that the page is complete for
//	12..   a token of 16 bytes for each owner
//	       a byte for each slot: which token owns it (255: none)
//	       a byte for each slot: its state
//	       a byte for each slot: claims without progress, and doubtBit
//	       the log
//
// An identity's value is version, page id (8 bytes), slot, digest of the job's body
// (8 bytes), stream sequence of its message (8 bytes).
const (
	pageVersion = 1
	headSize    = 12
	pageIDSize  = 8
	fieldSize   = 12
	digestSize  = 8
	placeSize   = 1 + pageIDSize + 1 + digestSize + 8
	// maxSlots is the most jobs of a page, maxPageItems about the most items: whoever
	// takes over one job of a page reads all of it.
	maxSlots     = 256
	maxPageItems = 1000
	// doubtBit in a slot's claims says that the job was claimed when the results
	// stream may have held more of it than the journal.
	doubtBit = 0x80
)

// The states of a slot.
const (
	slotClaimed  = 0 // nothing settled since the claim
	slotProgress = 1
	slotDone     = 2
	slotUnused   = 3 // its job was known already, or has moved
)

// Owner is the token of one claim. Nobody can write for a job without the token
// of its newest claim.
type Owner [16]byte

// field is a job's identity in Redis.
type field [fieldSize]byte

// sumID hashes an identity: its field, and which shard it is in.
func sumID(id names.Identity, shards int) (field, int) {
	var stack [256]byte
	b := append(stack[:0], id.Tenant...)
	b = append(b, '.')
	b = append(b, id.Campaign...)
	b = append(b, '.')
	b = append(b, id.JobID...)
	sum := sha256.Sum256(b)
	return field(sum[:fieldSize]), int(sum[fieldSize]) % shards
}

// place is where a job is: the value of an identity.
type place struct {
	page   [pageIDSize]byte
	slot   byte
	digest [digestSize]byte
	seq    uint64
}

func (p place) append(dst []byte) []byte {
	dst = append(dst, pageVersion)
	dst = append(dst, p.page[:]...)
	dst = append(dst, p.slot)
	dst = append(dst, p.digest[:]...)
	return binary.BigEndian.AppendUint64(dst, p.seq)
}

var (
	// errVersion says that another version of this program wrote a value.
	errVersion = errors.New("written by another version")
	errPage    = errors.New("not a page of the journal")
)

// parsePlace reads an identity's value.
func parsePlace(s string) (place, error) {
	if s == "" || s[0] != pageVersion {
		return place{}, errVersion
	}
	if len(s) != placeSize {
		return place{}, errPage
	}
	var p place
	copy(p.page[:], s[1:])
	p.slot = s[1+pageIDSize]
	copy(p.digest[:], s[2+pageIDSize:])
	for i := placeSize - 8; i < placeSize; i++ {
		p.seq = p.seq<<8 | uint64(s[i])
	}
	return p, nil
}

// tag is an epoch's id as a page holds it.
type tag [8]byte

func tagOf(epochID string) tag {
	var t tag
	if n, err := hex.Decode(t[:], []byte(epochID[:min(len(epochID), 16)])); err != nil || n < len(t) {
		sum := sha256.Sum256([]byte(epochID))
		copy(t[:], sum[:])
	}
	return t
}

// newSlot is what a new page says of one of its jobs.
type newSlot struct {
	claims byte
	doubt  bool
}

// appendPage appends an open page with one owner and no log.
func appendPage(dst []byte, epoch tag, owner Owner, slots []newSlot) []byte {
	n := len(slots)
	dst = append(dst, pageVersion, 0, byte(n-1), 1)
	dst = append(dst, epoch[:]...)
	dst = append(dst, owner[:]...)
	dst = append(dst, make([]byte, 2*n)...) // owner 0, claimed
	for _, s := range slots {
		c := s.claims
		if s.doubt {
			c |= doubtBit
		}
		dst = append(dst, c)
	}
	return dst
}

// appendClosed appends a closed page.
func appendClosed(dst []byte, epoch tag) []byte {
	dst = append(dst, pageVersion, 1, 0, 0)
	return append(dst, epoch[:]...)
}

// pageView is a page as read; its strings are parts of the value.
type pageView struct {
	closed                         bool
	epoch                          tag
	head                           string // with the tokens: what writes compare
	owners, states, claims, tokens string
	log                            string
}

// parsePage reads a page; errVersion if another version wrote it.
func parsePage(v string) (pageView, error) {
	if v == "" || v[0] != pageVersion {
		return pageView{}, errVersion
	}
	if len(v) < headSize || v[1] > 1 {
		return pageView{}, errPage
	}
	p := pageView{closed: v[1] == 1}
	copy(p.epoch[:], v[4:])
	if p.closed {
		return p, nil
	}
	n, at := int(v[2])+1, headSize+16*int(v[3])
	if len(v) < at+3*n {
		return pageView{}, errPage
	}
	p.head, p.tokens = v[:at], v[headSize:at]
	p.owners, p.states, p.claims = v[at:at+n], v[at+n:at+2*n], v[at+2*n:at+3*n]
	p.log = v[at+3*n:]
	return p, nil
}

// state is that of a slot: done if the page is closed, unused if it has no such slot.
func (p *pageView) state(slot byte) byte {
	switch {
	case p.closed:
		return slotDone
	case int(slot) >= len(p.states):
		return slotUnused
	}
	return p.states[slot]
}

// placeOf is the place of a token among the page's owners, false if it is none.
func (p *pageView) placeOf(o Owner) (byte, bool) {
	for i := 0; i < len(p.tokens); i += len(o) {
		if p.tokens[i:i+len(o)] == string(o[:]) {
			return byte(i / len(o)), true
		}
	}
	return 0, false
}
