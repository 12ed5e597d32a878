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
// protects it.
func checkSecrets(ctx context.Context, x *exam) error {
	for _, c := range x.cases {
		for at, step := range c.steps() {
			handlers, err := c.echoes(at, step)
			if err != nil {
				return err
			}
			for echo, h := range handlers {
				r, err := x.try(ctx, c, c.serve(at, h))
				if err == nil {
					err = c.leaks(r)
				}
				if err != nil {
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

// leaks looks for the key and the numbers in the texts of all failures.
func (c *Case) leaks(r providers.Reply) error {
	for _, f := range failures(r) {
		if err := c.leaksText(f.Error() + " " + f.Code + " " + f.Message); err != nil {
			return fmt.Errorf("the text of a failure (%v) %w", f.Kind, err)
		}
	}
	return nil
}

func (c *Case) leaksText(text string) error {
	text = strings.ToLower(text)
	if c.Secret != "" && strings.Contains(text, strings.ToLower(c.Secret)) {
		return errors.New("holds the key")
	}
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
