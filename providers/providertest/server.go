package providertest

import (
	"io"
	"net"
	"net/http"
	"strconv"
)

// replay answers as recorded. A provider that calls nobody has no response, and
// no server either.
func replay(r *Response) http.Handler {
	if r == nil {
		return http.NotFoundHandler()
	}
	return replayBody(r, r.Body)
}

// replayBody answers with another body under the recorded status and headers.
func replayBody(r *Response, body []byte) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		_, _ = io.Copy(io.Discard, req.Body)
		for k, v := range r.Header {
			w.Header().Set(k, v)
		}
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		w.WriteHeader(r.Status)
		_, _ = w.Write(body) //nolint:gosec // no browser reads this
	})
}

// answer replies with a status, headers and a body.
func answer(status int, header map[string]string, body string) http.Handler {
	return replayBody(&Response{Status: status, Header: header}, []byte(body))
}

// hanging begins as it is told and then sends nothing, until the client goes. A
// header is only sent if begin has written something.
func hanging(begin func(w http.ResponseWriter)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if begin != nil {
			begin(w)
		}
		<-r.Context().Done()
	})
}

// raw writes bytes of its own and ends the connection, with a reset if it is to.
func raw(reset bool, bytes string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			http.Error(w, err.Error(), http.StatusTeapot)
			return
		}
		_, _ = io.WriteString(conn, bytes)
		if tcp, ok := conn.(*net.TCPConn); ok && reset {
			_ = tcp.SetLinger(0)
		}
		_ = conn.Close()
	})
}

// recorded is the upstream that answers as the case records.
func (c *Case) recorded() http.Handler {
	if c.Query == nil {
		return replay(c.Response)
	}
	return c.serve(0, replay(c.Response))
}

// serve is the recorded upstream with h in place of one of its steps.
func (c *Case) serve(at int, h http.Handler) http.Handler {
	if c.Query == nil {
		return h
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		now := c.stepOf(r)
		if now == at {
			h.ServeHTTP(w, r)
			return
		}
		replay(c.steps()[now].response).ServeHTTP(w, r)
	})
}

// stepOf says which step of the case a request belongs to.
func (c *Case) stepOf(r *http.Request) int {
	if c.Query != nil && r.URL.EscapedPath() == pathOf(c.Query.Request) {
		return 1
	}
	return 0
}
