package providertest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/lookupq/lookupq/providers"
	"github.com/lookupq/lookupq/providers/upstream"
)

// checkStatus: a status outside 2xx without words has the meaning that it has
// for all providers, keeps its code, and its Retry-After.
func checkStatus(ctx context.Context, x *exam) error {
	header := map[string]string{"Retry-After": "3"}
	for _, status := range []int{400, 401, 402, 403, 404, 405, 409, 413, 415, 418, 422, 500, 502, 503, 504, 520} {
		for _, body := range []string{"", "<html><body>Error</body></html>"} {
			err := x.eachStep(func(c *Case, at int, step step) error {
				r, err := x.try(ctx, c, c.serve(at, answer(status, header, body)))
				if err == nil {
					err = checkOneStatus(r, status, x.meanings(step, status))
				}
				if err != nil {
					return fmt.Errorf("%s, status %d %s of %s: %w", c.file, status, body, step.name, err)
				}
				return nil
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

func checkOneStatus(r providers.Reply, status int, meanings []providers.Kind) error {
	err := wantFailure(r, meanings...)
	if err == nil && (r.Failure.Code != strconv.Itoa(status) || r.Failure.RetryAfter != 3*time.Second) {
		err = errors.New("the failure lost the status or its Retry-After")
	}
	return err
}

// meanings are what status may be taken for in a step. The submit of a deferred
// provider may have been taken where a gateway says that its server failed, and
// submitting it again would be paid twice.
func (x *exam) meanings(step step, status int) []providers.Kind {
	kinds := []providers.Kind{upstream.StatusKind(status)}
	if deferred(x) && step.name != stepQuery && status >= 500 {
		kinds = append(kinds, unsureKinds()...)
	}
	return kinds
}

// unsureKinds are the kinds that say that the work may have been done.
func unsureKinds() []providers.Kind {
	all := make([]providers.Kind, providers.Kinds)
	for i := range all {
		all[i] = providers.Kind(i)
	}
	return slices.DeleteFunc(all, func(k providers.Kind) bool { return !k.Unsure() })
}
