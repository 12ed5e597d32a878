package providertest

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/lookupq/lookupq/providers"
)

// checkSecrets: whatever the upstream echoes, no failure's text holds the key or
// a phone number.
func checkSecrets(ctx context.Context, x *exam) error {
	for _, c := range x.cases {
		handlers, err := c.echoes()
		if err != nil {
			return err
		}
		for echo, h := range handlers {
			r, err := x.try(ctx, c, h)
			if err == nil {
				err = c.leaks(r)
			}
			if err != nil {
				return fmt.Errorf("%s with %s: %w", c.file, echo, err)
			}
		}
		gone, err := x.build(c, nowhere, nil)
		if err != nil {
			return err
		}
		if err := c.leaks(gone.Call(ctx, c.query())); err != nil {
			return fmt.Errorf("%s with nobody listening: %w", c.file, err)
		}
	}
	return nil
}

// echoes are upstreams that repeat the key and a number wherever they can.
func (c *Case) echoes() (map[string]http.Handler, error) {
	text := fmt.Sprintf("key %s %s number %s %s", c.Secret, strings.ToUpper(c.Secret), c.numbers[0].E164, c.numbers[0].National)
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
	if err := json.Unmarshal(c.Response.Body, &root); err != nil {
		return nil, err
	}
	visit(root, nil, func(path []string, value any, set func(any)) {
		if _, ok := value.(string); !ok {
			return
		}
		set(text)
		if body, err := json.Marshal(root); err == nil {
			all["an echo in /"+strings.Join(path, "/")] = replayBody(c.Response, body)
		}
		set(value)
	})
	return all, nil
}

// leaks looks for the key and the numbers in the texts of all failures.
func (c *Case) leaks(r providers.Reply) error {
	for _, f := range failures(r) {
		text := strings.ToLower(f.Error() + " " + f.Code + " " + f.Message)
		if strings.Contains(text, strings.ToLower(c.Secret)) {
			return fmt.Errorf("the text of a failure (%v) holds the key", f.Kind)
		}
		for _, n := range c.numbers {
			if strings.Contains(text, n.National) {
				return fmt.Errorf("the text of a failure (%v) holds a number", f.Kind)
			}
		}
	}
	return nil
}
