package providertest

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/lookupq/lookupq/providers"
)

// checkBalance: balance.json is understood and asked for as recorded; what is no
// balance is a failure that does not hold the key.
func checkBalance(ctx context.Context, x *exam) error {
	c, err := load(x.typ.Testdata, fileBalance, "a call that asks what a key has left")
	if err != nil {
		return err
	}
	if c.Balance == nil || c.Response == nil {
		return fmt.Errorf("%s: balance and response are needed", c.file)
	}
	rec := &recorder{next: replay(c.Response)}
	got, failure, err := x.balance(ctx, c, rec)
	switch {
	case err != nil:
		return err
	case failure != nil:
		return fmt.Errorf("%s: %w", c.file, failure)
	case Balance(got) != *c.Balance:
		return fmt.Errorf("%s: want %+v, got %+v", c.file, *c.Balance, got)
	}
	if err := c.checkRequests(rec); err != nil {
		return err
	}
	for fault, h := range map[string]http.Handler{
		"401 and the key": answer(401, nil, "bad key "+c.Secret), "the key as reply": answer(200, nil, c.Secret),
		"a page": answer(200, nil, "<html>"), "nothing": answer(200, nil, ""), "a list": answer(200, nil, "[]"), "an object": answer(200, nil, "{}"),
	} {
		_, failure, err := x.balance(ctx, c, h)
		if err == nil && failure == nil {
			err = errors.New("taken for a balance")
		}
		if err == nil {
			err = c.leaks(providers.Reply{Failure: failure})
		}
		if err != nil {
			return fmt.Errorf("%s with %s: %w", c.file, fault, err)
		}
	}
	return nil
}

func (x *exam) balance(ctx context.Context, c *Case, h http.Handler) (providers.Balance, *providers.Failure, error) {
	s, err := x.open(c, h)
	if err != nil {
		return providers.Balance{}, nil, err
	}
	defer s.close()
	reader, ok := s.provider.(providers.BalanceReader)
	if !ok {
		return providers.Balance{}, nil, errors.New("the provider reads balances only sometimes")
	}
	b, failure := reader.Balance(ctx, c.key())
	return b, failure, nil
}
