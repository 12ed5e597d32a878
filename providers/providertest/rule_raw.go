package providertest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
)

// checkRaw: asked for raw objects, a provider over the network gives each found
// number its own, as JSON.
func checkRaw(ctx context.Context, x *exam) error {
	for _, c := range x.answering {
		if err := x.raw(ctx, c); err != nil {
			return fmt.Errorf("%s: %w", c.file, err)
		}
	}
	return nil
}

func (x *exam) raw(ctx context.Context, c *Case) error {
	s, err := x.open(c, c.recorded())
	if err != nil {
		return err
	}
	defer s.close()
	q, err := s.query()
	if err != nil {
		return err
	}
	q.Raw = true
	r, err := s.ask(ctx, q, ticketOf(1))
	if err == nil {
		err = sameAll(c.Outcomes, r)
	}
	if err != nil || !overNetwork(x) {
		return err
	}
	for i, o := range r.Outcomes {
		switch {
		case !json.Valid(o.Raw):
			return fmt.Errorf("number %d: its raw object is no JSON: %q", i, o.Raw)
		case len(q.Numbers) > 1 && !bytes.Contains(o.Raw, []byte(q.Numbers[i].National)):
			return fmt.Errorf("number %d: its raw object is of another number: %s", i, o.Raw)
		}
	}
	return nil
}
