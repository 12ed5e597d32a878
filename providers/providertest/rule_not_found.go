package providertest

import (
	"context"
	"fmt"
	"slices"
)

// checkNotFound: not_found.json is understood.
func checkNotFound(ctx context.Context, x *exam) error {
	c, err := load(x.typ.Testdata, fileNotFound, "a call of a number that the upstream does not know")
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(c.Outcomes, func(o Outcome) bool { return o.Kind == kindNotFound }) {
		return fmt.Errorf("%s: no number of it is not_found", c.file)
	}
	return x.replay(ctx, c)
}
