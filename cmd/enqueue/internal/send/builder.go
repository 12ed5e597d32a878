package send

import (
	"bytes"
	"maps"
	"slices"

	"github.com/lookupq/lookupq/internal/input"
	"github.com/lookupq/lookupq/jobs"
)

const (
	// maxBody keeps jobs below every usual max_payload of NATS (1 MiB).
	maxBody = 256 << 10
	// maxWaiting bounds what all unfinished jobs hold together.
	maxWaiting = 16 << 20
)

// builder packs rows into jobs. A job has one region, so rows whose own country
// differs wait in a draft for each region; numbers with a + need no region and
// share the default draft. What it cuts, and in which order, depends on the rows
// alone: a resumed run makes the same jobs.
type builder struct {
	size    int
	region  string // of rows that name none
	drafts  map[string]*jobs.Draft
	waiting int // bytes in all drafts
	cut     func(region string, d *jobs.Draft) error
}

// add puts a usable row into its draft and cuts jobs that are full.
func (b *builder) add(row *input.Row) error {
	region := b.region
	if row.Region != "" && !international(row.Number) {
		region = row.Region
	}
	d := b.drafts[region]
	if d == nil {
		d = &jobs.Draft{}
		b.drafts[region] = d
	}
	before := d.Size()
	d.Add(row.Number, row.Ref, row.RefInt)
	b.waiting += d.Size() - before
	if d.Len() >= b.size || d.Size() >= maxBody {
		return b.finish(region, d)
	}
	if b.waiting >= maxWaiting {
		region, d := b.largest()
		return b.finish(region, d)
	}
	return nil
}

// rest cuts what is left.
func (b *builder) rest() error {
	for _, region := range slices.Sorted(maps.Keys(b.drafts)) {
		if d := b.drafts[region]; d.Len() > 0 {
			if err := b.finish(region, d); err != nil {
				return err
			}
		}
	}
	return nil
}

func (b *builder) finish(region string, d *jobs.Draft) error {
	before := d.Size()
	err := b.cut(region, d)
	b.waiting += d.Size() - before
	return err
}

// largest is the longest draft, the first by name of several.
func (b *builder) largest() (string, *jobs.Draft) {
	var best string
	for _, region := range slices.Sorted(maps.Keys(b.drafts)) {
		if b.drafts[best] == nil || b.drafts[region].Size() > b.drafts[best].Size() {
			best = region
		}
	}
	return best, b.drafts[best]
}

// international reports whether a number is written with its calling code.
func international(number []byte) bool {
	return len(number) > 0 && number[0] == '+' || bytes.HasPrefix(number, []byte("tel:+"))
}
