package simulator

import (
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strconv"
)

// controlRoutes are for whoever tests with the server. upstream=NAME picks one;
// without it the answer is an object with each of them.
func (s *Server) controlRoutes(mux *http.ServeMux) {
	mux.HandleFunc("GET /sim/ledger", s.each(func(l *Ledger, _ *http.Request) any { return l.Summary() }))
	mux.HandleFunc("GET /sim/numbers", s.each(func(l *Ledger, r *http.Request) any {
		least, err := strconv.ParseUint(r.FormValue("at_least"), 10, 32)
		if err != nil {
			least = 1
		}
		return l.Numbers(uint32(least))
	}))
	mux.HandleFunc("POST /sim/reset", func(w http.ResponseWriter, _ *http.Request) {
		s.Reset()
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("POST /sim/profile", s.postProfile)
	mux.HandleFunc("POST /sim/truth", s.postTruth)
}

// each answers with what tell says of one ledger, or of all.
func (s *Server) each(tell func(*Ledger, *http.Request) any) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		name := Upstream(r.FormValue("upstream"))
		if name == "" {
			all := map[Upstream]any{}
			for n, u := range s.upstreams {
				all[n] = tell(u.ledger, r)
			}
			reply(w, all)
			return
		}
		if s.named(w, name) {
			reply(w, tell(s.LedgerOf(name), r))
		}
	}
}

// named answers with an error if there is no such upstream.
func (s *Server) named(w http.ResponseWriter, name Upstream) bool {
	if slices.Contains(Upstreams(), name) {
		return true
	}
	http.Error(w, "upstream="+strconv.Quote(string(name))+" is none of the simulated ones", http.StatusBadRequest)
	return false
}

// maxControl bounds what may be sent to the control routes.
const maxControl = 64 << 20

func (s *Server) postProfile(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxControl))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	p, err := ParseProfile(body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s.SetProfile(p)
	w.WriteHeader(http.StatusNoContent)
}

// postTruth answers a JSON list of E.164 numbers with a list of Truth, under the
// profile of the moment.
func (s *Server) postTruth(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query() // the body is JSON, whatever its type says
	ask := Ask{Upstream: Upstream(query.Get("upstream")), Operation: query.Get("operation")}
	if level := query.Get("check_level"); level != "" {
		var err error
		if ask.CheckLevel, err = strconv.Atoi(level); err != nil {
			http.Error(w, "check_level: "+strconv.Quote(level)+" is no number", http.StatusBadRequest)
			return
		}
	}
	if !s.named(w, ask.Upstream) {
		return
	}
	var numbers []string
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxControl)).Decode(&numbers); err != nil {
		http.Error(w, "the body must be a JSON list of numbers in E.164: "+err.Error(), http.StatusBadRequest)
		return
	}
	p := s.snapshot()
	out := make([]Truth, len(numbers))
	for i, n := range numbers {
		out[i] = p.Truth(ask, n)
	}
	reply(w, out)
}

func reply(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) //nolint:errchkjson // the client is gone: nobody to tell
}
