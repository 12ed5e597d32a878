package providertest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"github.com/lookupq/lookupq/providers"
)

var errNotDeferred = errors.New("the provider is deferred only sometimes")

// checkReceipts: the recorded receipts are understood, asked for raw or not, also
// many at a time; what is recorded as none is refused.
func checkReceipts(_ context.Context, x *exam) error {
	return x.eachReceipt(func(d providers.Deferred, r *Receipt) error {
		for _, raw := range []bool{false, true} {
			got, err := receive(d, r.Body, raw)
			if err := r.check(got, err, raw); err != nil {
				return err
			}
		}
		errs := make([]error, 8)
		var group sync.WaitGroup
		for i := range errs {
			group.Go(func() {
				got, err := receive(d, r.Body, true)
				errs[i] = r.check(got, err, true)
			})
		}
		group.Wait()
		return errors.Join(errs...)
	})
}

// check compares what was read with what is recorded.
func (r *Receipt) check(got providers.Receipt, err error, raw bool) error {
	switch {
	case r.Unreadable && err == nil:
		return errors.New("is taken for a receipt")
	case r.Unreadable:
		return nil
	case err != nil:
		return fmt.Errorf("is refused: %w", err)
	case got.Number != r.number.E164:
		return fmt.Errorf("is of number %q, want %s", got.Number, r.number.E164)
	case got.Ticket != r.Ticket:
		return fmt.Errorf("is of ticket %q, want %q", got.Ticket, r.Ticket)
	case raw && got.Outcome.Kind == providers.Found && !json.Valid(got.Outcome.Raw):
		return fmt.Errorf("its raw object is no JSON: %q", got.Outcome.Raw)
	}
	return same(r.Outcome, got.Outcome)
}

// receive reads a body; a panic, a changed body, an outcome that is not sound and
// an error that quotes the body are errors of another kind.
func receive(d providers.Deferred, body []byte, raw bool) (r providers.Receipt, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = unsoundError{fmt.Errorf("the provider panicked: %v", p)}
		}
	}()
	own := bytes.Clone(body)
	if r, err = d.Receipt(own, raw); err != nil {
		return providers.Receipt{}, quoting(err, body)
	}
	if !bytes.Equal(own, body) {
		return r, unsoundError{errors.New("the body was changed")}
	}
	if r.Outcome.Kind == providers.Pending {
		return r, unsoundError{errors.New("it leaves the number pending")}
	}
	if err := sound(r.Outcome, raw); err != nil {
		return r, unsoundError{fmt.Errorf("the number %w", err)}
	}
	return r, nil
}

// unsoundError is what no body excuses.
type unsoundError struct{ error }

// unsound is err if no body excuses it.
func unsound(err error) error {
	if bad, ok := errors.AsType[unsoundError](err); ok {
		return bad
	}
	return nil
}

// eachReceipt is do for each recorded receipt.
func (x *exam) eachReceipt(do func(d providers.Deferred, r *Receipt) error) error {
	d, ok := x.sample.(providers.Deferred)
	if !ok {
		return errNotDeferred
	}
	for _, c := range x.receipts {
		for i := range c.Receipts {
			if err := do(d, &c.Receipts[i]); err != nil {
				return fmt.Errorf("%s: receipt %d: %w", c.file, i, err)
			}
		}
	}
	return nil
}
