package providertest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"sync"
)

// replay makes a recorded call and compares what was sent and what came of it.
func (x *exam) replay(ctx context.Context, c *Case) error {
	if !overNetwork(x) {
		r, err := x.try(ctx, c, nil)
		if err == nil {
			err = c.checkReply(sameAll(c.Outcomes, r))
		}
		return err
	}
	if c.Request == nil || c.Response == nil {
		return fmt.Errorf("%s: request and response are needed", c.file)
	}
	rec := &recorder{next: c.recorded()}
	r, err := x.try(ctx, c, rec)
	switch {
	case err != nil:
	case c.Failure == nil:
		err = sameAll(c.Outcomes, r)
	case r.Failure == nil:
		err = errors.New("the call did not fail")
	case *writtenFailure(r.Failure) != *c.Failure:
		err = fmt.Errorf("the call failed with %+v, want %+v", *writtenFailure(r.Failure), *c.Failure)
	}
	if err := c.checkReply(err); err != nil {
		return err
	}
	return c.checkRequests(rec)
}

func (c *Case) checkReply(err error) error {
	if err != nil {
		return fmt.Errorf("%s: %w", c.file, err)
	}
	return nil
}

// recorder keeps the requests on their way to next.
type recorder struct {
	next http.Handler

	mu    sync.Mutex
	calls []recorded
}

type recorded struct {
	request *http.Request
	body    []byte
}

// ServeHTTP implements http.Handler.
func (r *recorder) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return
	}
	req.Body = io.NopCloser(bytes.NewReader(body))
	r.mu.Lock()
	r.calls = append(r.calls, recorded{req, body})
	r.mu.Unlock()
	r.next.ServeHTTP(w, req)
}

// checkRequests compares the requests that were made with the recorded ones.
func (c *Case) checkRequests(rec *recorder) error {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	steps := c.steps()
	if len(rec.calls) != len(steps) {
		return fmt.Errorf("%s: %d requests, want %d", c.file, len(rec.calls), len(steps))
	}
	for i, step := range steps {
		if err := c.checkRequest(rec.calls[i], step.request); err != nil {
			return fmt.Errorf("%s: %s: %w", c.file, step.name, err)
		}
	}
	return nil
}

func (c *Case) checkRequest(got recorded, want *Request) error {
	switch uri := got.request.RequestURI; {
	case got.request.Method != want.Method:
		return fmt.Errorf("method %s, want %s", got.request.Method, want.Method)
	case c.Secret != "" && (strings.Contains(uri, c.Secret) || strings.Contains(uri, url.QueryEscape(c.Secret))):
		return errors.New("the key is in the address, where proxies log it")
	case uri != want.Path:
		return fmt.Errorf("path %s, want %s", uri, want.Path)
	case got.request.Header.Get("Content-Type") != want.ContentType:
		return fmt.Errorf("content type %q, want %q", got.request.Header.Get("Content-Type"), want.ContentType)
	}
	for name, value := range want.Header {
		if got.request.Header.Get(name) != value {
			return fmt.Errorf("header %s is not as recorded", name)
		}
	}
	return checkBody(got.body, want)
}

func checkBody(got []byte, want *Request) error {
	if want.Form != "" {
		a, errA := url.ParseQuery(want.Form)
		b, errB := url.ParseQuery(string(got))
		if errA != nil || errB != nil || !reflect.DeepEqual(a, b) {
			return errors.New("the form sent is not the recorded one")
		}
		return nil
	}
	if want.Body == nil {
		if len(got) > 0 {
			return errors.New("a body was sent, none is recorded")
		}
		return nil
	}
	var a, b any
	errA, errB := json.Unmarshal(want.Body, &a), json.Unmarshal(got, &b)
	if errA != nil || errB != nil || !reflect.DeepEqual(a, b) {
		return errors.New("the body sent is not the recorded one")
	}
	return nil
}
