package providertest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/lookupq/lookupq/providers"
)

// checkSecrets: whatever the upstream echoes, no failure's text holds the key, a
// phone number, or the address that receipts are sent to, whose token is all that
// protects it. Facts and raw objects, which go to whoever asked, hold no key
// either. A provider is given nothing to log with.
func checkSecrets(ctx context.Context, x *exam) error {
	for _, c := range x.cases {
		for at, step := range c.steps() {
			handlers, err := c.echoes(at, step)
			if err != nil {
				return err
			}
			for echo, h := range handlers {
				if err := x.echoed(ctx, c, c.serve(at, h)); err != nil {
					return fmt.Errorf("%s, %s with %s: %w", c.file, step.name, echo, err)
				}
			}
		}
		if err := x.gone(ctx, c); err != nil {
			return fmt.Errorf("%s with nobody listening: %w", c.file, err)
		}
	}
	return nil
}

// echoed makes the call, asks for raw objects too, and looks at what came of it.
func (x *exam) echoed(ctx context.Context, c *Case, h http.Handler) error {
	s, err := x.open(c, h)
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
		err = c.leaks(r)
	}
	return err
}

// gone makes the call where nobody listens.
func (x *exam) gone(ctx context.Context, c *Case) error {
	s, err := x.open(c, c.recorded())
	if err != nil {
		return err
	}
	s.close()
	if s.provider, err = x.build(c, nowhere, nil); err != nil {
		return err
	}
	r, err := s.call(ctx)
	if err == nil {
		err = c.leaks(r)
	}
	return err
}

// echoes are upstreams that repeat what they were told wherever they can.
func (c *Case) echoes(at int, step step) (map[string]http.Handler, error) {
	text := fmt.Sprintf("key %s %s number %s %s", c.Secret, strings.ToUpper(c.Secret), c.numbers[0].E164, c.numbers[0].National)
	if c.Query != nil && at == 0 {
		text += " to " + CallbackURL
	}
	quoted, err := json.Marshal(text)
	if err != nil {
		return nil, err
	}
	all := map[string]http.Handler{
		"an echo as status line": raw(false, "HTTP/1.1 "+text+"\r\n\r\n"),
		"an echo as header":      raw(false, "HTTP/1.1 200 OK\r\n"+text+"\r\n\r\n"),
		"an echo as protocol":    raw(false, text),
	}
	for _, status := range []int{200, 302, 400, 401, 403, 404, 422, 429, 500, 503} {
		header := map[string]string{"Location": "/?" + c.Secret, "Retry-After": c.Secret, "Content-Encoding": "identity"}
		all[fmt.Sprintf("status %d and an echo as text", status)] = answer(status, header, text)
		all[fmt.Sprintf("status %d and an echo as JSON", status)] = answer(status, header, `{"error":`+string(quoted)+`}`)
	}
	all["an echo as encoding"] = answer(200, map[string]string{"Content-Encoding": c.Secret}, "x")
	var root any
	if err := json.Unmarshal(step.response.Body, &root); err != nil {
		return nil, err
	}
	visit(root, nil, func(path []string, value any, set func(any)) {
		if _, ok := value.(string); !ok {
			return
		}
		set(text)
		if body, err := json.Marshal(root); err == nil {
			all["an echo in /"+strings.Join(path, "/")] = replayBody(step.response, body)
		}
		set(value)
	})
	return all, nil
}

// leaks looks for the key and the numbers in the texts of all failures, and for
// the key in all that is told of the numbers.
func (c *Case) leaks(r providers.Reply) error {
	for _, f := range failures(r) {
		if err := c.leaksText(f.Error() + " " + f.Code + " " + f.Message); err != nil {
			return fmt.Errorf("the text of a failure (%v) %w", f.Kind, err)
		}
	}
	for i, o := range r.Outcomes {
		switch facts := fmt.Sprintf("%+v %+v %+v", o.Facts, o.Facts.Porting, o.Cost); {
		case c.holdsKey(facts):
			return fmt.Errorf("the facts of number %d hold the key", i)
		case c.holdsKey(string(o.Raw)):
			return fmt.Errorf("the raw object of number %d holds the key", i)
		}
	}
	return nil
}

func (c *Case) holdsKey(text string) bool {
	return c.Secret != "" && strings.Contains(strings.ToLower(text), strings.ToLower(c.Secret))
}

func (c *Case) leaksText(text string) error {
	if c.holdsKey(text) {
		return errors.New("holds the key")
	}
	text = strings.ToLower(text)
	for _, n := range c.numbers {
		if strings.Contains(text, n.National) {
			return errors.New("holds a number")
		}
	}
	if strings.Contains(text, strings.ToLower(strings.TrimPrefix(CallbackURL, "https://"))) {
		return errors.New("holds the address of receipts")
	}
	return nil
}
