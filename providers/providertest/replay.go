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
	rec := &recorder{next: replay(c.Response)}
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
	return c.checkRequest(rec)
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

// checkRequest compares the one request that was made with the recorded one.
func (c *Case) checkRequest(rec *recorder) error {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	if len(rec.calls) != 1 {
		return fmt.Errorf("%s: %d requests, want one", c.file, len(rec.calls))
	}
	got, want := rec.calls[0], c.Request
	switch uri := got.request.RequestURI; {
	case got.request.Method != want.Method:
		return fmt.Errorf("%s: method %s, want %s", c.file, got.request.Method, want.Method)
	case strings.Contains(uri, c.Secret) || strings.Contains(uri, url.QueryEscape(c.Secret)):
		return fmt.Errorf("%s: the key is in the address, where proxies log it", c.file)
	case uri != want.Path:
		return fmt.Errorf("%s: path %s, want %s", c.file, uri, want.Path)
	case got.request.Header.Get("Content-Type") != want.ContentType:
		return fmt.Errorf("%s: content type %q, want %q", c.file, got.request.Header.Get("Content-Type"), want.ContentType)
	}
	for name, value := range want.Header {
		if got.request.Header.Get(name) != value {
			return fmt.Errorf("%s: header %s is not as recorded", c.file, name)
		}
	}
	return c.checkBody(got.body)
}

func (c *Case) checkBody(got []byte) error {
	want := c.Request
	if want.Form != "" {
		a, errA := url.ParseQuery(want.Form)
		b, errB := url.ParseQuery(string(got))
		if errA != nil || errB != nil || !reflect.DeepEqual(a, b) {
			return fmt.Errorf("%s: the form sent is not the recorded one", c.file)
		}
		return nil
	}
	if want.Body == nil {
		if len(got) > 0 {
			return fmt.Errorf("%s: a body was sent, none is recorded", c.file)
		}
		return nil
	}
	var a, b any
	errA, errB := json.Unmarshal(want.Body, &a), json.Unmarshal(got, &b)
	if errA != nil || errB != nil || !reflect.DeepEqual(a, b) {
		return fmt.Errorf("%s: the body sent is not the recorded one", c.file)
	}
	return nil
}
