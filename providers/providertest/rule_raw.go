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
	s, err := x.open(x.found, replay(x.found.Response))
	if err != nil {
		return err
	}
	defer s.close()
	q := x.found.query()
	q.Raw = true
	r, err := s.call(ctx, q)
	if err != nil {
		return err
	}
	if err := sameAll(x.found.Outcomes, r); err != nil {
		return err
	}
	for i, o := range r.Outcomes {
		switch {
		case !overNetwork(x):
		case !json.Valid(o.Raw):
			return fmt.Errorf("number %d: its raw object is no JSON: %q", i, o.Raw)
		case inBatches(x) && !bytes.Contains(o.Raw, []byte(q.Numbers[i].National)):
			return fmt.Errorf("number %d: its raw object is of another number: %s", i, o.Raw)
		}
	}
	return nil
}
