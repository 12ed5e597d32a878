package providertest

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/lookupq/lookupq/providers"
)

// checkBadRequest: where a call for one number is called a bad request in words
// that nobody knows, the number is at fault or the request: that number ends, or
// the call is refused. The key has nothing to do with it.
func checkBadRequest(ctx context.Context, x *exam) error {
	said := "喵" // a word of no meaning, in any language that upstreams speak
	object, err := json.Marshal(map[string]any{
		"code": "4711", "message": said, "msg": said, "reason": said, "error": said,
		"errors": []any{map[string]any{"code": "4711", "title": said, "detail": said}},
	})
	if err != nil {
		return err
	}
	for _, status := range []int{http.StatusBadRequest, http.StatusUnprocessableEntity} {
		for _, body := range []string{string(object), said} {
			for _, c := range x.answering {
				r, err := x.tryOne(ctx, c, c.serve(0, answer(status, nil, body)))
				if err == nil {
					err = endsThere(r)
				}
				if err != nil {
					return fmt.Errorf("%s, status %d %s to one number: %w", c.file, status, body, err)
				}
			}
		}
	}
	return nil
}

// tryOne is try for the first number of c alone.
func (x *exam) tryOne(ctx context.Context, c *Case, h http.Handler) (providers.Reply, error) {
	s, err := x.open(c, h)
	if err != nil {
		return providers.Reply{}, err
	}
	defer s.close()
	q, err := s.queryOf(c.numbers[:1])
	if err != nil {
		return providers.Reply{}, err
	}
	return s.ask(ctx, q, ticketOf(1))
}

// endsThere says that the reply to one number ends with that number, or was refused.
func endsThere(r providers.Reply) error {
	if r.Failure != nil {
		return wantFailure(r, providers.KindRefused)
	}
	switch o := r.Outcomes[0]; o.Kind {
	case providers.Invalid:
		return nil
	case providers.Failed:
		if o.Failure.Kind == providers.KindRejected || o.Failure.Kind == providers.KindUnsupported {
			return nil
		}
		return fmt.Errorf("the number failed with %w", o.Failure)
	case providers.Found, providers.NotFound, providers.Pending:
	}
	return fmt.Errorf("the number is %s", written(r.Outcomes[0]).Kind)
}
